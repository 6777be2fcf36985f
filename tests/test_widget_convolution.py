"""The widget of lab 04: sizes and receptive fields of equal convolutions, against torch."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from utils.widgets import lab_04_convolution as widget

SETTINGS = {
    "size": st.integers(4, 24),
    "layers": st.integers(1, 3),
    "kernel": st.integers(1, 7),
    "stride": st.integers(1, 4),
    "padding": st.integers(0, 3),
    "dilation": st.integers(1, 3),
}


@given(**SETTINGS)
@settings(deadline=None, max_examples=100)
def test_sizes_and_what_is_seen_are_torchs(size, layers, kernel, stride, padding, dilation):
    sizes, steps, starts = widget.sizes_and_steps(size, layers, kernel, stride, padding, dilation)
    x = torch.zeros(1, 1, size, dtype=torch.float64, requires_grad=True)
    y, weight = x, torch.ones(1, 1, kernel, dtype=torch.float64)
    for expected in sizes[1:]:
        y = F.conv1d(y, weight, stride=stride, padding=padding, dilation=dilation)
        assert y.shape[-1] == expected
    if len(sizes) <= layers:
        with pytest.raises(RuntimeError):
            F.conv1d(y, weight, stride=stride, padding=padding, dilation=dilation)
    assume(len(sizes) > 1)
    middle = sizes[-1] // 2
    y[0, 0, middle].backward()
    ways = widget.looked_at(middle, sizes, kernel, stride, padding, dilation)[0]
    assert [ways.get(pixel, 0) for pixel in range(size)] == x.grad[0, 0].tolist()
    field = 1 + sum(dilation * (kernel - 1) * step for step in steps[:-1])
    first = starts[-1] + middle * steps[-1] - (field - 1) / 2
    assert all(first <= pixel <= first + field - 1 for pixel in ways)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((12, 2, 3, 1, 0, 1), "12 → 10 → 8 pixels a side. One output pixel of layer 2 has a receptive field of 5 × 5"),
        ((24, 2, 3, 1, 2, 2), "a receptive field of 9 × 9 input pixels, of which 5 × 5 are looked at"),
        ((6, 3, 3, 1, 0, 1), "6 → 4 → 2 → none pixels a side. The window covers 3 pixels, but there are 2 with padding"),
    ],
)
def test_the_text_says_what_the_picture_shows(values, words):
    figure, alt = widget.draw_convolution(*values)
    assert words in alt
    assert all(ax.get_title() and ax.get_xlabel() for ax in figure.axes if ax.axison)
