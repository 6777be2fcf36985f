"""Figures: what a reader needs is on them, whatever the tensor's kind; and their text reaches the notebook."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from utils import plotting


def texts(fig: Figure) -> list[str]:
    return [text.get_text() for ax in fig.axes for text in ax.texts]


def test_show_writes_the_alternative_text_escaped(capsys):
    fig, ax = plotting.subplots()
    assert 'alt="a &lt; b &quot;c&quot;"' in plotting.to_html(fig, 'a < b "c"')
    plotting.show(fig, "a line")
    assert "[figure: a line]" in capsys.readouterr().out


def test_no_figure_is_left_to_pyplot():
    import matplotlib.pyplot as plt

    plotting.tensor_cells(torch.eye(2))
    plotting.curves({"a": [1, 2]})
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(5, 3, 8, 8, dtype=torch.uint8),
        torch.zeros(5, 8, 8, 3, dtype=torch.uint8),
        torch.full((5, 3, 8, 8), 1.5),
        torch.zeros(5, 1, 8, 8),
        torch.zeros(5, 8, 8),
        torch.zeros(5, 3, 8, 8).to(memory_format=torch.channels_last),
    ],
)
def test_image_grid_takes_every_layout(images):
    fig = plotting.image_grid(images, captions=list("abcde"), title="five", columns=3)
    drawn = [ax for ax in fig.axes if ax.images]
    assert len(drawn) == 5 and [ax.get_title() for ax in drawn] == list("abcde")
    assert all(ax.images[0].get_array().shape[:2] == (8, 8) for ax in drawn)


def test_curves_draw_a_band_only_for_several_runs():
    fig = plotting.curves({"one": [3, 2, 1], "three": [[3, 2, 1], [4, 2, 0], [5, 2, -1]]}, title="t")
    (ax,) = fig.axes
    assert len(ax.collections) == 1
    assert list(ax.lines[1].get_ydata()) == [4, 2, 0]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "three"]


def test_confusion_matrix_writes_each_count_in_its_cell():
    fig = plotting.confusion_matrix([[5, 1], [0, 7]], ["cat", "dog"])
    assert texts(fig) == ["5", "1", "0", "7"]
    assert fig.axes[0].get_ylabel() == "true class"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=0, max_size=3), st.sampled_from([torch.float32, torch.int64, torch.bool, torch.bfloat16]))
def test_tensor_cells_shows_every_value(shape, dtype):
    tensor = torch.arange(int(torch.tensor(shape).prod()) if shape else 1).reshape(shape).to(dtype)
    shown = texts(plotting.tensor_cells(tensor, highlight=torch.ones(shape, dtype=torch.bool)))
    assert shown == [plotting._number(value.item()) for value in tensor.flatten()]


def test_tensor_cells_takes_a_constant_and_a_graph():
    plotting.tensor_cells(torch.zeros(2, 2, requires_grad=True) * 1)


def test_the_palette_is_okabe_and_itos():
    assert plotting.PALETTE[:4] == ("#0072B2", "#E69F00", "#009E73", "#D55E00")
