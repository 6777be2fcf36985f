"""How two shapes broadcast, cell by cell (lab 01)."""

import math

import ipywidgets
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from utils import plotting

from .controls import explore

SHAPES = ((), (1,), (3,), (4,), (1, 3), (4, 1), (4, 3), (3, 4), (3, 1, 2), (2, 4, 1), (2, 1, 3), (2, 4, 3))


def broadcasting() -> None:
    """Two sliders choose two shapes; the picture shows cell by cell how they broadcast, or why they do not. Lab 01."""

    def slider(name: str, shape: tuple[int, ...]) -> ipywidgets.SelectionSlider:
        options = [(str(option), option) for option in SHAPES]
        return ipywidgets.SelectionSlider(options=options, value=shape, description=f"{name} has shape")

    explore(broadcast_picture, a=slider("a", (4, 3)), b=slider("b", (3,)))


def broadcast_picture(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[Figure, str]:
    """How two shapes broadcast: the sizes lined up on the right, then every cell of a, of b and of a + b.

    Args:
        a, b: shapes of at most three dimensions.
    Returns:
        (figure, its text in words).
    """
    reason = clash(a, b)
    numbers = [10 * (1 + np.arange(math.prod(a)).reshape(a)), 1 + np.arange(math.prod(b)).reshape(b)]
    if reason:
        shown = [(f"a {a}", *_stretched(numbers[0], a)), (f"b {b}", *_stretched(numbers[1], b))]
        words = f"a of shape {a} and b of shape {b} do not broadcast. {reason}"
    else:
        result = np.broadcast_shapes(a, b)
        real = [_stretched(array, result) for array in numbers]
        shown = [(f"a {a}" + _how(a, result), *real[0]), (f"b {b}" + _how(b, result), *real[1])]
        shown.append((f"a + b {result}", real[0][0] + real[1][0], np.ones_like(real[0][1])))
        words = f"a of shape {a} and b of shape {b} give {result}. " + " ".join(
            f"{name}: {mask.sum()} numbers fill {mask.size} cells." for name, (_, mask) in zip("ab", real)
        )
    height = max(_height(array) for _, array, _ in shown)
    fig = Figure(figsize=(9.6, 1.75 + 0.36 * height), layout="constrained")
    table, panels = fig.subfigures(2, 1, height_ratios=(1.15, 0.6 + 0.36 * height))
    _sizes(table.subplots(), a, b, reason)
    axes = panels.subplots(1, 3)
    for ax, color, (title, array, mask) in zip(axes, plotting.PALETTE, shown):
        _blocks(ax, title, array, mask, color, height)
    if reason:
        axes[2].text(0.5, 0.6, "no result", ha="center", va="center", color=plotting.PALETTE[3], fontweight="bold")
        axes[2].set_axis_off()
    return fig, words


def clash(a: tuple[int, ...], b: tuple[int, ...]) -> str:
    """Why two shapes do not broadcast, in words; an empty text where they do."""
    for dim in range(-1, -min(len(a), len(b)) - 1, -1):
        if a[dim] != b[dim] and 1 not in (a[dim], b[dim]):
            return f"Dimension {dim}: {a[dim]} meets {b[dim]}. They are not equal, and neither of them is 1."
    return ""


def _how(shape: tuple[int, ...], result: tuple[int, ...]) -> str:
    return "" if shape == result else f" stretched to {result}"


def _stretched(array: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """An array broadcast to `shape` as (slices, rows, columns), and which of its cells are there and not repeated."""
    own = (1,) * (3 - array.ndim) + array.shape
    full = (1,) * (3 - len(shape)) + tuple(shape)
    index = np.indices(full)
    real = np.all([(index[d] == 0) | (own[d] == full[d]) for d in range(3)], axis=0)
    return np.broadcast_to(array.reshape(own), full), real


def _height(array: np.ndarray) -> float:
    """Rows that the slices take up one below the other, with a gap between them."""
    slices, rows, _ = array.shape
    return slices * (rows + 0.6) - 0.6


def _sizes(ax, a: tuple[int, ...], b: tuple[int, ...], reason: str) -> None:
    """The sizes of both shapes, lined up on the right, with the verdict on each pair."""
    rows = [("a", a), ("b", b)] + ([] if reason else [("a + b", np.broadcast_shapes(a, b))])
    ax.set(xlim=(0, 12), ylim=(len(rows) - 0.4, -1.5))
    ax.set_axis_off()
    count = max(len(a), len(b))
    for y, (name, shape) in enumerate(rows):
        ax.text(0.1, y, name, va="center", fontweight="bold", color=plotting.PALETTE[y])
        for dim in range(1, count + 1):
            missing = dim > len(shape)
            text = "(1)" if missing else str(shape[-dim])
            bad = reason.startswith(f"Dimension {-dim}:")
            color = plotting.PALETTE[3] if bad else "gray" if missing else "black"
            ax.text(1.2 + count - dim, y, text, ha="center", va="center", color=color, fontweight="bold" if bad else "normal")
    for dim in range(1, count + 1):
        ax.text(1.2 + count - dim, -1, f"dim {-dim}", ha="center", va="center", fontsize=8, color="gray")
    note = reason or "In each column the sizes are equal, or one of them is 1 (or missing)."
    ax.text(4.6, 0, note, va="center", color=plotting.PALETTE[3] if reason else "black")
    if not reason:
        ax.text(4.6, 1, "Solid: a number that is there. Hatched: the same number, used again.", va="center")


def _blocks(ax, title: str, array: np.ndarray, real: np.ndarray, color: str, height: float) -> None:
    """Every cell as a square with its number, slice below slice; a repeated cell is pale and hatched."""
    slices, rows, columns = array.shape
    for (s, row, column), number in np.ndenumerate(array):
        y = s * (rows + 0.6) + row
        there = real[s, row, column]
        look = {"facecolor": color} if there else {"facecolor": "white", "hatch": "////", "alpha": 0.35}
        ax.add_patch(Rectangle((column, y), 0.94, 0.94, edgecolor=color, **look))
        dark = there and color != plotting.PALETTE[1]  # orange is too light for white digits
        ax.text(column + 0.47, y + 0.47, str(number), ha="center", va="center", fontsize=9, color="white" if dark else "black")
    ax.set(xlim=(-0.1, max(columns, 4.6)), ylim=(height + 0.1, -0.1), aspect="equal", anchor="NW")
    ax.set_title(title, loc="left", fontsize=9)
    ax.set_xticks([column + 0.47 for column in range(columns)], range(columns))
    ax.set_yticks([s * (rows + 0.6) + row + 0.47 for s in range(slices) for row in range(rows)], [*range(rows)] * slices)
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.set_xlabel("dim -1", loc="left", fontsize=8)
    if slices * rows > 1:
        ax.set_ylabel("dim -2" + (f", {slices} slices of dim -3" if slices > 1 else ""), loc="top", fontsize=8)
    ax.tick_params(length=0, labelsize=7)
    for spine in ax.spines.values():
        spine.set_visible(False)
