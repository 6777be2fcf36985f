"""The widget of lab 05: logits as sliders."""

import pytest
import torch

from utils.widgets import lab_05_logits as widgets

START = {"ant": 2.0, "bee": 1.0, "cat": 0.0, "dog": -1.0, "true": "bee", "temperature": 1.0, "smoothing": 0.0}


@pytest.mark.parametrize(("temperature", "smoothing"), [(1.0, 0.0), (2.5, 0.0), (0.25, 0.3)])
def test_the_gradient_is_probability_minus_target(temperature, smoothing):
    z = torch.tensor([3.0, -1.0, 0.5, 6.0], dtype=torch.float64)
    p, target, loss, gradient = widgets.loss_and_gradient(z, 2, temperature, smoothing)
    assert torch.allclose(gradient, (p - target) / temperature)
    assert loss == pytest.approx(-(target * p.log()).sum().item())
    assert p.sum().item() == pytest.approx(1) and target.sum().item() == pytest.approx(1)
    assert gradient.sum().item() == pytest.approx(0, abs=1e-12)


def test_smoothing_has_logits_without_any_pull():
    best = torch.tensor([0.9 + 0.1 / 4, 0.1 / 4, 0.1 / 4, 0.1 / 4]).log()
    *_, gradient = widgets.loss_and_gradient(best, 0, smoothing=0.1)
    assert gradient.abs().max() < 1e-6


@pytest.mark.parametrize("change", [{}, {"bee": -6.0, "ant": 6.0}, {"temperature": 0.25}, {"smoothing": 0.5}, {"true": "dog"}])
def test_the_text_says_what_the_picture_shows(change):
    values = START | change
    figure, alt = widgets.draw_logits(**values)
    logits = torch.tensor([values[name] for name in widgets.CLASSES], dtype=torch.float64)
    label = widgets.CLASSES.index(values["true"])
    p, _, loss, gradient = widgets.loss_and_gradient(logits, label, values["temperature"], values["smoothing"])
    assert f"truth {values['true']}" in alt and f"loss {loss:.3f}" in alt
    left, middle, right = figure.axes
    assert [bar.get_height() for bar in left.patches] == pytest.approx(p.tolist())
    assert [bar.get_height() for bar in middle.patches] == pytest.approx(gradient.tolist())
    assert middle.get_ylim()[1] >= gradient.abs().max()
    assert f"{loss:.3f}" in right.get_title() and right.get_ylim()[1] > loss
    assert all(ax.get_xlabel() and ax.get_ylabel() and ax.get_title() for ax in figure.axes)
