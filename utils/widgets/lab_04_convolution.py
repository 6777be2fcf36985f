"""Output size and receptive field of one to three equal convolutions (lab 04)."""

import ipywidgets
import numpy as np
from matplotlib.patches import Rectangle

from utils import plotting

from .controls import explore


def convolution() -> None:
    """Sliders choose size, layers, kernel, stride, padding, dilation; drawn: the output sizes, and what one output sees. Lab 04."""

    def slider(value: int, low: int, high: int, name: str) -> ipywidgets.IntSlider:
        return ipywidgets.IntSlider(value, min=low, max=high, description=name, continuous_update=False)

    explore(
        draw_convolution,
        size=slider(12, 4, 24, "input size"),
        layers=slider(2, 1, 3, "layers"),
        kernel=slider(3, 1, 7, "kernel"),
        stride=slider(1, 1, 4, "stride"),
        padding=slider(0, 0, 3, "padding"),
        dilation=slider(1, 1, 3, "dilation"),
    )


def sizes_and_steps(size: int, layers: int, kernel: int, stride: int, padding: int, dilation: int):
    """Follow one row of a picture through equal layers, up to the first one that has no output.

    Returns:
        (pixels of the input and of each layer, the distance in input pixels between neighbours of each, the place of
        each one's pixel 0 in input pixels).
    """
    reach = dilation * (kernel - 1)  # from the first pixel under the window to the last
    sizes, steps, starts = [size], [1], [0.0]
    for _ in range(layers):
        if sizes[-1] + 2 * padding <= reach:
            break
        sizes.append((sizes[-1] + 2 * padding - reach - 1) // stride + 1)
        starts.append(starts[-1] + steps[-1] * (reach / 2 - padding))
        steps.append(steps[-1] * stride)
    return sizes, steps, starts


def looked_at(index: int, sizes: list[int], kernel: int, stride: int, padding: int, dilation: int) -> list[dict[int, int]]:
    """What one pixel of the last layer looks at; padding is always 0, so nothing is looked at through it.

    Returns:
        for the input and each layer: pixel -> number of ways by which the pixel `index` of the last layer depends on it.
    """
    levels = [{index: 1}]
    for size in reversed(sizes[:-1]):
        below: dict[int, int] = {}
        for pixel, ways in levels[0].items():
            for tap in range(kernel):
                place = pixel * stride - padding + tap * dilation
                if 0 <= place < size:
                    below[place] = below.get(place, 0) + ways
        levels.insert(0, below)
    return levels


def draw_convolution(size: int, layers: int, kernel: int, stride: int, padding: int, dilation: int):
    """The picture of `convolution`: (figure, alternative text)."""
    settings = (kernel, stride, padding, dilation)
    sizes, steps, starts = sizes_and_steps(size, layers, *settings)
    fits = len(sizes) == layers + 1
    reach = dilation * (kernel - 1)
    middle = sizes[-1] // 2
    levels = looked_at(middle, sizes, *settings)
    field = 1 + sum(reach * step for step in steps[:-1])
    words = " → ".join(map(str, sizes)) if fits else " → ".join(map(str, [*sizes, "none"]))
    fig, (left, right) = plotting.subplots(1, 2, size=(10, 1.5 + 0.85 * (layers + 1)), width_ratios=(2.2, 1))
    _rows(left, levels, sizes, steps, starts, settings)
    left.set_title(f"one row: {words} pixels", color="black" if fits else plotting.PALETTE[3])
    alt = f"Kernel {kernel}, stride {stride}, padding {padding}, dilation {dilation}: {words} pixels a side. "
    if not fits:
        room = sizes[-1] + 2 * padding
        reason = f"The window covers {reach + 1} pixels,\nbut there are {room} with padding:\nlayer {len(sizes)} has no output."
        right.text(0.5, 0.5, reason, ha="center", va="center", color=plotting.PALETTE[3], fontweight="bold",
                   transform=right.transAxes)
        right.set_axis_off()
        return fig, alt + reason.replace("\n", " ")
    seen = len(levels[0])
    first = starts[-1] + middle * steps[-1] - (field - 1) / 2
    _square(right, levels[0], size, first, field)
    right.set_title(f"receptive field {field} × {field}")
    note = f", of which {seen} × {seen} are looked at (the others fall into gaps or outside)" if seen < field else ""
    return fig, alt + f"One output pixel of layer {layers} has a receptive field of {field} × {field} input pixels{note}."


def _rows(ax, levels, sizes, steps, starts, settings) -> None:
    """One row of pixels for the input and each layer, the input at the bottom; what the marked output depends on is solid."""
    kernel, stride, padding, dilation = settings
    for i, (level, size, step, start) in enumerate(zip(levels, sizes, steps, starts)):
        pad = padding if i < len(sizes) - 1 else 0
        for pixel in range(-pad, size + pad):
            x, there = start + pixel * step, 0 <= pixel < size
            color = plotting.PALETTE[3 if i == len(sizes) - 1 else 0] if pixel in level else "white"
            look = {"facecolor": color} if there else {"facecolor": "white", "hatch": "////", "alpha": 0.4}
            ax.add_patch(Rectangle((x - 0.42, i - 0.14), 0.84, 0.28, edgecolor="#555555", linewidth=0.8, zorder=2, **look))
        for pixel in levels[i + 1] if i + 1 < len(levels) else ():
            for tap in range(kernel):
                below = pixel * stride - padding + tap * dilation
                ends = [start + below * step, starts[i + 1] + pixel * steps[i + 1]]
                ax.plot(ends, [i + 0.14, i + 0.86], color=plotting.PALETTE[3], linewidth=0.7, alpha=0.6, zorder=1)
    edge = max(start + (size - 1 + padding) * step for size, step, start in zip(sizes, steps, starts))
    low = min(start - padding * step for step, start in zip(steps, starts))
    ax.set(xlim=(low - 1, edge + 1), ylim=(-0.4, len(sizes) - 0.6), xlabel="place in the input, pixels (hatched: padding)")
    ax.set_yticks(range(len(sizes)), ["input", *(f"layer {i}" for i in range(1, len(sizes)))])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


def _square(ax, level: dict[int, int], size: int, first: float, field: int) -> None:
    """The input as a square of pixels, darker where more ways lead to the marked output; the field's edge in red."""
    ways = np.array([level.get(pixel, 0) for pixel in range(size)], dtype=float)
    picture = np.sqrt(np.outer(ways, ways))
    ax.imshow(picture, cmap="Blues", vmin=0, vmax=max(picture.max() * 1.4, 1))
    ax.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="#CCCCCC", linewidth=0.5)
    ax.tick_params(which="minor", length=0)
    ax.add_patch(Rectangle((first - 0.5, first - 0.5), field, field, fill=False, edgecolor=plotting.PALETTE[3], linewidth=2, clip_on=False))
    low, high = min(-0.7, first - 0.7), max(size - 0.3, first + field - 0.3)
    for axis in (ax.xaxis, ax.yaxis):
        axis.get_major_locator().set_params(integer=True)
    ax.set(xlim=(low, high), ylim=(high, low), xlabel="column of the input", ylabel="row of the input")
