"""The widget of lab 06: optimizers on surfaces of two weights."""

import pytest
import torch

from utils.widgets import lab_06_descent as widgets

RAVINE = widgets.SURFACES["ravine"]


def sgd(lr):
    return lambda params: torch.optim.SGD(params, lr=lr)


def test_the_path_is_gradient_descent():
    path, losses = widgets.walk(RAVINE, sgd(0.05), 10)
    assert path[:, 0].tolist() == pytest.approx([-4 * 0.95**step for step in range(11)])
    assert path[:, 1].tolist() == pytest.approx([(-0.25) ** step for step in range(11)])
    assert losses == pytest.approx(RAVINE.loss(path).tolist())


@pytest.mark.parametrize(
    ("optimizer", "lr", "verdict"),
    [
        ("SGD", 0.01, "still on its way"),
        ("SGD", 0.078, "stands almost still"),
        ("SGD", 0.082, "diverges"),
        ("SGD, momentum 0.9", 0.1, "stands almost still"),
        ("SGD, momentum 0.9", 0.16, "diverges"),
        ("SGD, Nesterov 0.9", 0.05, "stands almost still"),
        ("SGD, Nesterov 0.9", 0.06, "diverges"),
    ],
)
def test_the_text_says_what_the_picture_shows(optimizer, lr, verdict):
    figure, alt = widgets.draw_descent("ravine", optimizer, lr, 150)
    assert alt.endswith(f"verdict: {verdict}.")
    assert verdict in figure.axes[0].get_title()
    assert all(ax.get_xlabel() and ax.get_ylabel() and ax.get_title() for ax in figure.axes)


@pytest.mark.parametrize(("optimizer", "lr"), [("SGD, momentum 0.9", 0.05), ("SGD", 0.3), ("Adam", 1.0)])
def test_what_the_lab_says_of_the_two_minima(optimizer, lr):
    def end(rate):
        make = widgets.OPTIMIZERS[optimizer]
        return widgets.walk(widgets.SURFACES["two minima"], lambda params: make(params, lr=rate), 100)[0][-1, 0]

    assert end(lr) < -1 and end(0.01) > 1


@pytest.mark.parametrize("surface", widgets.SURFACES)
@pytest.mark.parametrize("optimizer", widgets.OPTIMIZERS)
@pytest.mark.parametrize("lr", [10**-3, 10**0.5])
def test_every_position_can_be_drawn(surface, optimizer, lr):
    figure, alt = widgets.draw_descent(surface, optimizer, lr, 150)
    assert len(figure.axes) == 2 and "nan" not in alt and "inf" not in alt
