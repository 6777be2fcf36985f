"""The widget of lab 09: intervals of two accuracies, and whether their difference is noise."""

import pytest
import torch

from utils import transfer
from utils.widgets import lab_09_intervals as widgets

START = {"n": 153, "first": 94.0, "second": 92.0, "differ": 8.0}


def test_the_interval_narrows_with_the_root_of_the_images():
    widths = [high - low for low, high in (widgets.interval(90, n) for n in (100, 400, 1600))]
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.1) and widths[1] / widths[2] == pytest.approx(2, rel=0.05)


def test_p_is_that_of_the_labs_test():
    a = torch.tensor([True] * 9 + [False] * 2 + [True] * 89)
    b = torch.tensor([False] * 9 + [True] * 2 + [True] * 89)
    only_a, only_b, p = transfer.mcnemar(a, b)
    assert (only_a, only_b) == (9, 2)
    assert widgets.p_value(98.0, 91.0, 100, 11) == pytest.approx(p)
    assert widgets.p_value(90, 90, 1000, 10) == 1.0
    assert widgets.p_value(100, 60, 100, 10) is None


@pytest.mark.parametrize("change", [{}, {"n": 10_000}, {"first": 100.0, "second": 50.0}, {"differ": 1.0}, {"first": 92.0}])
def test_the_text_says_what_the_picture_shows(change):
    values = START | change
    figure, alt = widgets.draw_intervals(**values)
    left, right = figure.axes
    assert f"{values['n']} images" in alt and right.get_title() in alt
    low, high = widgets.interval(values["first"], values["n"])
    assert f"{low:.1f} to {high:.1f}" in alt
    assert all(ax.get_xlabel() and ax.get_ylabel() and ax.get_title() for ax in figure.axes)
