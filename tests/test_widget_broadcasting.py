"""Lab 01's widget: its verdicts against torch's, its cells, and its two forms."""

import itertools

import numpy as np
import pytest
import torch
from matplotlib.patches import Rectangle

from utils import plotting
from utils.widgets import lab_01_broadcasting as widgets

PAIRS = list(itertools.product(widgets.SHAPES, repeat=2))


def cells(fig) -> list[Rectangle]:
    axes = [ax for part in fig.subfigs for ax in part.axes]
    return [patch for ax in axes for patch in ax.patches if isinstance(patch, Rectangle)]


@pytest.mark.parametrize(("a", "b"), PAIRS, ids=str)
def test_the_verdict_is_torchs(a, b):
    try:
        result = tuple(torch.broadcast_shapes(a, b))
    except RuntimeError:
        result = None
    assert (result is None) == bool(widgets.clash(a, b))


@pytest.mark.parametrize(("a", "b"), [((4, 3), (3,)), ((4, 1), (3,)), ((), (2, 4, 3)), ((2, 4, 1), (2, 1, 3)), ((1, 3), (3,))], ids=str)
def test_solid_cells_are_the_numbers_that_are_there(a, b):
    fig, words = widgets.broadcast_picture(a, b)
    result = torch.broadcast_shapes(a, b)
    drawn = cells(fig)
    assert len(drawn) == 3 * result.numel()
    solid = [cell for cell in drawn if not cell.get_hatch()]
    assert len(solid) == torch.Size(a).numel() + torch.Size(b).numel() + result.numel()
    assert f"give {tuple(result)}" in words


def test_the_numbers_are_the_sum():
    a, _ = widgets._stretched(np.array([[10], [20]]), (2, 3))
    b, _ = widgets._stretched(np.array([1, 2, 3]), (2, 3))
    assert (a + b)[0].tolist() == [[11, 12, 13], [21, 22, 23]]


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        ((4, 3), (4,), "Dimension -1: 3 meets 4"),
        ((3, 4), (4, 3), "Dimension -1: 4 meets 3"),
        ((4, 3), (3, 1), "Dimension -2: 4 meets 3"),
        ((3, 1, 2), (2, 4, 1), "Dimension -3: 3 meets 2"),
    ],
    ids=str,
)
def test_a_clash_is_named_and_nothing_is_stretched(a, b, why):
    fig, words = widgets.broadcast_picture(a, b)
    drawn = cells(fig)
    assert why in words and "do not broadcast" in words
    assert len(drawn) == torch.Size(a).numel() + torch.Size(b).numel() and not any(cell.get_hatch() for cell in drawn)


def test_every_pair_can_be_drawn():
    for a, b in PAIRS[::7]:
        assert plotting.to_html(*widgets.broadcast_picture(a, b)).startswith("<img")
