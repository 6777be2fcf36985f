"""The widget of lab 02: a point rolling down a loss curve."""

import pytest

from utils.widgets import lab_02_rolling_point as widgets


def test_the_path_is_gradient_descent():
    path, losses = widgets.roll(lambda w: w**2 + 0.2, -2.0, lr=0.1, steps=12)
    assert path == pytest.approx([-2 * 0.8**step for step in range(13)])
    assert losses == pytest.approx([w**2 + 0.2 for w in path])


@pytest.mark.parametrize(
    ("curve", "lr", "verdict"),
    [
        ("one valley", 0.02, "still on its way"),
        ("one valley", 0.5, "settled"),
        ("one valley", 0.95, "swings from side to side"),
        ("one valley", 1.0, "swings from side to side"),
        ("one valley", 1.05, "diverges"),
        ("two valleys", 0.3, "settled"),
        ("two valleys", 1.1, "diverges"),
    ],
)
def test_the_text_says_what_the_picture_shows(curve, lr, verdict):
    figure, alt = widgets.draw_rolling_point(curve, lr, 30)
    assert alt.endswith(f"verdict: {verdict}.")
    assert verdict in figure.axes[0].get_title()
    assert all(ax.get_xlabel() and ax.get_ylabel() and ax.get_title() for ax in figure.axes)


def test_a_larger_rate_leaves_the_shallow_valley():
    loss_fn, start, _ = widgets.VALLEYS["two valleys"]
    ends = [widgets.roll(loss_fn, start, lr, 30)[0][-1] for lr in (0.05, 0.3)]
    assert ends[0] > 1 and ends[1] < -1


def test_a_diverging_path_ends_before_it_overflows():
    path, losses = widgets.roll(lambda w: w**4, 2.0, lr=1.0, steps=30)
    assert len(path) < 10 and losses[-1] < float("inf")
