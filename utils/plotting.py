"""Figures of the labs. Every function returns a matplotlib `Figure`; `show(fig, alt)` puts it into the notebook."""

import base64
import html
import io
import math

import matplotlib as mpl
import numpy as np
import torch
from IPython.display import display
from matplotlib.figure import Figure

# Okabe and Ito's palette: its colours stay apart for readers with any common form of colour blindness.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")

STYLE = {
    "axes.prop_cycle": mpl.cycler(color=PALETTE),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "axes.titleweight": "bold",
    "axes.grid": False,
    "figure.dpi": 100,
    "font.size": 10,
    "image.cmap": "viridis",
}
mpl.rcParams.update(STYLE)


def to_html(fig: Figure, alt: str) -> str:
    """The figure as an HTML image with its alternative text."""
    file = io.BytesIO()
    # Lossless WebP shows the same pixels as PNG in 60 % of the bytes, and a notebook holds many figures.
    fig.savefig(file, format="webp", bbox_inches="tight", pil_kwargs={"lossless": True, "method": 3})
    code = base64.b64encode(file.getvalue()).decode()
    return f'<img src="data:image/webp;base64,{code}" alt="{html.escape(alt)}" style="max-width:100%;background:white">'


def show(fig: Figure, alt: str) -> None:
    """Display a figure with a text that says the same to readers who cannot see it.

    Args:
        fig: the figure.
        alt: one or two sentences: what is drawn, and what to notice.
    """
    display({"text/html": to_html(fig, alt), "text/plain": f"[figure: {alt}]"}, raw=True)


def subplots(rows: int = 1, columns: int = 1, size: tuple[float, float] = (5, 3.4), **options):
    """Like `plt.subplots`, without pyplot's list of open figures, so nothing is drawn twice and nothing piles up.

    Returns:
        (figure, one Axes or an array of Axes).
    """
    fig = Figure(figsize=size, layout="constrained")
    return fig, fig.subplots(rows, columns, **options)


def _as_pictures(images) -> np.ndarray:
    """(N, C, H, W) or (N, H, W, C), uint8 or floats in [0, 1] -> (N, H, W, C) for `imshow`."""
    images = np.asarray(torch.as_tensor(images).detach().cpu())
    if images.ndim == 3:  # grey: (N, H, W)
        images = images[..., None]
    if images.shape[1] in (1, 3) and images.shape[-1] not in (1, 3):
        images = images.transpose(0, 2, 3, 1)
    return images if images.dtype == np.uint8 else images.clip(0, 1)


def image_grid(images, captions=None, title: str = "", columns: int = 8, colors=None) -> Figure:
    """Images side by side, each under its caption.

    Args:
        images: (N, C, H, W), (N, H, W, C) or (N, H, W); uint8, or floats in [0, 1].
        captions: N texts, or None.
        title: of the whole figure.
        columns: images in a row.
        colors: N colours for the captions, or None for black.
    """
    pictures = _as_pictures(images)
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    fig, axes = subplots(rows, columns, size=(1.25 * columns, (1.55 if captions is not None else 1.3) * rows + 0.3), squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for i, (picture, ax) in enumerate(zip(pictures, axes.flat)):
        ax.imshow(picture.squeeze(-1) if picture.shape[-1] == 1 else picture, cmap="gray", interpolation="nearest")
        if captions is not None:
            ax.set_title(str(captions[i]), fontsize=8, fontweight="normal", color="black" if colors is None else colors[i])
    fig.suptitle(title, fontweight="bold")
    return fig


def curves(series: dict, xlabel: str = "epoch", ylabel: str = "loss", title: str = "", ax=None, x=None) -> Figure:
    """Lines over epochs (or steps); a series of several runs is its mean with a band of one standard deviation.

    Args:
        series: name -> values, one a point (1-D), or (runs, points).
        ax: draw into these Axes instead of a new figure.
        x: the points' positions; 1, 2, 3, … without it.
    """
    if ax is None:
        fig, ax = subplots()
    for i, (name, values) in enumerate(series.items()):
        runs = np.atleast_2d(np.asarray(values, dtype=float))
        positions = np.arange(1, runs.shape[1] + 1) if x is None else x
        mean = runs.mean(axis=0)
        marker = "o" if runs.shape[1] <= 20 else None  # many points: a plain line
        (line,) = ax.plot(positions, mean, marker=marker, markersize=4, label=name, color=PALETTE[i % len(PALETTE)],
                          linestyle=("-", "--", ":", "-.")[i // 2 % 4])
        if len(runs) > 1:
            spread = runs.std(axis=0, ddof=1)
            ax.fill_between(positions, mean - spread, mean + spread, color=line.get_color(), alpha=0.2, linewidth=0)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if x is None:
        ax.xaxis.get_major_locator().set_params(integer=True)
    if len(series) > 1:
        ax.legend(frameon=False)
    return ax.figure


def confusion_matrix(matrix, names, title: str = "Confusion matrix") -> Figure:
    """Counts of (true class, predicted class).

    Args:
        matrix: (classes, classes) counts; rows are the true classes.
        names: of the classes.
    """
    matrix = np.asarray(matrix)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    fig, ax = subplots(size=(6, 5.2))
    picture = ax.imshow(share, vmin=0, vmax=1, cmap="cividis")
    ticks = range(len(names))
    ax.set_xticks(ticks, names, rotation=45, ha="right")
    ax.set_yticks(ticks, names)
    for row in ticks:
        for column in ticks:
            ax.text(column, row, f"{matrix[row, column]:d}", ha="center", va="center", fontsize=8,
                    color="black" if share[row, column] > 0.55 else "white")
    ax.set(xlabel="predicted class", ylabel="true class", title=title)
    fig.colorbar(picture, ax=ax, label="share of the true class")
    return fig


def _number(value) -> str:
    return str(value) if isinstance(value, (bool, int)) else f"{value:.3g}"


def _cells(ax, matrix: torch.Tensor, low: float, high: float, highlight) -> None:
    """One matrix as coloured squares with their numbers, into `ax`."""
    rows, columns = matrix.shape
    ax.imshow(matrix.double().numpy(), vmin=low, vmax=high, cmap="cividis", aspect="equal")
    middle = (low + high) / 2
    for row in range(rows):
        for column in range(columns):
            value = matrix[row, column].item()
            ax.text(column, row, _number(value), ha="center", va="center", fontsize=9, color="black" if value > middle else "white")
            if highlight is not None and highlight[row, column]:
                ax.add_patch(mpl.patches.Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor=PALETTE[3], linewidth=3))
    ax.set_xticks(range(columns))
    ax.set_yticks(range(rows))
    ax.tick_params(length=0, labelsize=8)
    for spine in ax.spines.values():
        spine.set_visible(False)


def tensor_cells(tensor, title: str = "", highlight=None) -> Figure:
    """A small tensor as coloured cells with its numbers.

    Args:
        tensor: 1-D (drawn as one row), 2-D, or 3-D (one panel a slice of dimension 0); about 12 x 12 at most.
        title: of the figure.
        highlight: bool tensor of the same shape; True cells get a frame. Or None.
    """
    tensor = torch.as_tensor(tensor).detach().cpu()
    slices = tensor.reshape(1, 1, -1) if tensor.ndim <= 1 else tensor[None] if tensor.ndim == 2 else tensor
    frames = None if highlight is None else torch.as_tensor(highlight).reshape(slices.shape)
    low, high = float(slices.min()), float(slices.max())
    high = high if high > low else low + 1
    count, rows, columns = slices.shape
    head = 1.3 if tensor.ndim == 3 else 0.9  # inches for the titles and the labels
    fig, axes = subplots(1, count, size=(max(0.55 * columns * count + 0.5 * count, 3), 0.5 * rows + head), squeeze=False)
    for i, ax in enumerate(axes.flat):
        _cells(ax, slices[i], low, high, None if frames is None else frames[i])
        ax.set_xlabel("position" if tensor.ndim <= 1 else "column (last dimension)", fontsize=8)
        if tensor.ndim > 1:
            ax.set_ylabel("row", fontsize=8)
        else:
            ax.set_yticks([])
        if tensor.ndim == 3:
            ax.set_title(f"[{i}]", fontsize=9)
    fig.suptitle(title, fontweight="bold", fontsize=10)
    return fig


# -- the graph that autograd records (lab 02)

_NODE_COLOURS = {"tensor": "#FFFFFF", "operation": "#CFE6F5", "leaf": "#BFE3D5", "untracked": "#E8E8E8"}


def _graph_layers(root, depth: int) -> dict:
    """node -> row, where a node's row is the longest way to it from the root, so that every arrow points down."""
    rows, frontier = {root: 0}, [root]
    for row in range(1, depth + 1):
        frontier = list(dict.fromkeys(child for node in frontier for child in _graph_inputs(node)))
        rows.update(dict.fromkeys(frontier, row))
    return rows


def _graph_inputs(node) -> list:
    """What a node passes gradients to: other nodes, or (node, position) for an input that needs none."""
    if isinstance(node, tuple):
        return []
    return [child or (node, position) for position, (child, _) in enumerate(node.next_functions)]


def _graph_label(node, names: dict) -> tuple[str, str]:
    """(kind, text) of a node."""
    if isinstance(node, tuple):
        return "untracked", "no gradient"
    if hasattr(node, "variable"):
        name = next((name for name, tensor in names.items() if tensor is node.variable), "leaf")
        return "leaf", f"{name} {tuple(node.variable.shape)}\nAccumulateGrad"
    return "operation", node.name()


def _graph_places(rows: dict, edges: list) -> tuple[dict, list]:
    """Columns for the nodes of each row; an edge that skips rows gets a bend in each, so that it passes beside boxes.

    Returns:
        (node or bend -> (x, row), the ways of the edges as lists of nodes and bends).
    """
    ways = [[start, *((start, end, row) for row in range(rows[start] + 1, rows[end])), end]
            for start, end in edges]
    parents = {}
    layers = [[] for _ in range(max(rows.values()) + 1)]
    for way in ways:
        for above, below in zip(way, way[1:]):
            parents.setdefault(below, []).append(above)
    for node in dict.fromkeys([*rows, *(point for way in ways for point in way)]):
        layers[rows[node] if node in rows else node[2]].append(node)
    x = {}
    for layer in layers:  # under the middle of its parents, in the order of their middles
        wish = {node: np.mean([x[parent] for parent in parents.get(node, ())] or [0.0]) for node in layer}
        layer.sort(key=wish.get)
        width = [1.0 if node in rows else 0.5 for node in layer]
        left = np.cumsum([0.0, *width])
        for i, node in enumerate(layer):
            x[node] = left[i] + width[i] / 2 - left[-1] / 2 + np.mean(list(wish.values()))
    return {node: (x[node], row) for row, layer in enumerate(layers) for node in layer}, ways


def autograd_graph(tensor: torch.Tensor, names: dict | None = None, title: str = "", depth: int = 12) -> Figure:
    """The graph that autograd recorded for a tensor, read from its real `grad_fn` and their `next_functions`.

    The result stands at the top; arrows go the way that `backward()` goes, down to the leaves whose `.grad` it
    fills. Lab 02.

    Args:
        tensor: the result of tracked operations.
        names: name -> leaf tensor, as in `dict(model.named_parameters())`; other leaves are called "leaf".
        title: of the figure.
        depth: rows drawn below the first; where the graph goes on, a node ends in "…".
    Raises:
        ValueError: the tensor has no `grad_fn`: nothing was recorded.
    """
    if tensor.grad_fn is None:
        raise ValueError("this tensor has no grad_fn: it was not computed from a tensor with requires_grad=True")
    rows = _graph_layers(tensor.grad_fn, depth)
    edges = [(node, child) for node in rows for child in dict.fromkeys(_graph_inputs(node))
             if rows.get(child, 0) > rows[node]]
    places, ways = _graph_places(rows, edges)
    boxes = {node: _graph_label(node, names or {}) for node in rows}
    for node, (kind, text) in boxes.items():
        if any(rows.get(child, 0) <= rows[node] for child in _graph_inputs(node)):
            boxes[node] = kind, text + "\n…"
    top = "result"
    places[top] = (places[tensor.grad_fn][0], -1)
    boxes[top] = "tensor", f"result {tuple(tensor.shape)}"

    longest = max(len(line) for _, text in boxes.values() for line in text.split("\n"))
    xs, ys = zip(*places.values())
    columns = max(xs) - min(xs) + 1
    fig, ax = subplots(size=(max(columns * (0.085 * longest + 0.45), 3.5), 0.72 * (max(ys) + 2) + 0.4))
    ax.set(xlim=(min(xs) - 0.55, max(xs) + 0.55), ylim=(max(ys) + 0.5, -1.4), title=title)
    ax.set_axis_off()
    line = {"color": "#555555", "shrinkA": 0, "shrinkB": 0}
    for *bends, end in [*ways, [top, tensor.grad_fn]]:
        x, y = places[end]
        above = y - 0.06 - 0.12 * len(boxes[end][1].split("\n"))  # the upper edge of the box
        stops = [places[node] for node in bends] + [(x, above)]
        for start, stop in zip(stops, stops[1:]):
            style = "-|>" if stop == stops[-1] else "-"
            ax.annotate("", xy=stop, xytext=start, zorder=1, arrowprops={"arrowstyle": style, **line})
    for node, (kind, text) in boxes.items():
        box = {"boxstyle": "round,pad=0.35", "facecolor": _NODE_COLOURS[kind], "edgecolor": "#555555"}
        ax.text(*places[node], text, ha="center", va="center", fontsize=9, zorder=2, bbox=box)
    return fig
