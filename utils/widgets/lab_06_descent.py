"""Six optimizers on surfaces of two weights (lab 06)."""

from collections.abc import Callable
from dataclasses import dataclass

import ipywidgets
import torch

from utils import plotting

from .controls import explore


@dataclass(frozen=True)
class Surface:
    """A loss of two weights: `loss(w)` takes a tensor whose last dimension holds them."""

    loss: Callable
    start: tuple[float, float]
    width: tuple[float, float]  # what a picture shows of the first weight
    height: tuple[float, float]  # and of the second


SURFACES = {
    "ravine": Surface(lambda w: 0.5 * w[..., 0] ** 2 + 12.5 * w[..., 1] ** 2, (-4.0, 1.0), (-5, 5), (-1.6, 1.6)),
    "valley with a saddle": Surface(lambda w: 0.25 * w[..., 0] ** 4 - 0.5 * w[..., 0] ** 2 + 0.5 * w[..., 1] ** 2 + 0.25,
                                    (0.02, 1.8), (-2, 2), (-2, 2)),
    "two minima": Surface(lambda w: 0.25 * w[..., 0] ** 4 - w[..., 0] ** 2 + 0.25 * w[..., 0] + 1.5 + w[..., 1] ** 2,
                          (2.3, 1.2), (-2.6, 2.6), (-1.8, 1.8)),
    "bent valley": Surface(lambda w: 0.1 * (1 - w[..., 0]) ** 2 + (w[..., 1] - w[..., 0] ** 2) ** 2,
                           (-1.5, 1.0), (-2, 2), (-0.8, 2.8)),
}
OPTIMIZERS = {
    "SGD": torch.optim.SGD,
    "SGD, momentum 0.9": lambda params, lr: torch.optim.SGD(params, lr=lr, momentum=0.9),
    "SGD, Nesterov 0.9": lambda params, lr: torch.optim.SGD(params, lr=lr, momentum=0.9, nesterov=True),
    "RMSprop": lambda params, lr: torch.optim.RMSprop(params, lr=lr, alpha=0.9),
    "Adam": torch.optim.Adam,
    "AdamW, weight decay 0.1": lambda params, lr: torch.optim.AdamW(params, lr=lr, weight_decay=0.1),
}
FAR = 1e4  # where a path is called diverged, and ends


def walk(surface: Surface, optimizer: Callable, steps: int) -> tuple[torch.Tensor, list[float]]:
    """Let an optimizer walk down a surface.

    Args:
        surface: a `Surface`.
        optimizer: makes an optimizer from a list of parameters, such as `lambda params: torch.optim.Adam(params, lr=0.1)`.
        steps: how many; fewer are taken when a weight passes 10,000.
    Returns:
        (path (steps + 1, 2) float64 from the start on, the loss at each point).
    """
    w = torch.tensor(surface.start, dtype=torch.float64, requires_grad=True)
    stepper = optimizer([w])
    path, losses = [], []
    for step in range(steps + 1):
        loss = surface.loss(w)
        path.append(w.detach().clone())
        losses.append(loss.item())
        if step < steps and w.abs().max() <= FAR:
            stepper.zero_grad()
            loss.backward()
            stepper.step()
        else:
            break
    return torch.stack(path), losses


def contours(ax, surface: Surface, title: str = "") -> None:
    """Draw a surface into `ax` as contour lines, closer together where it is low."""
    x, y = torch.linspace(*surface.width, 160, dtype=torch.float64), torch.linspace(*surface.height, 160, dtype=torch.float64)
    height = surface.loss(torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1))
    levels = height.min() + (height.max() - height.min()) * torch.linspace(0.01, 1, 16) ** 3
    ax.contour(x, y, height, levels=levels, colors="gray", linewidths=0.7, alpha=0.7)
    ax.set(xlim=surface.width, ylim=surface.height, xlabel="first weight", ylabel="second weight", title=title)


def verdict(path: torch.Tensor, losses: list[float]) -> str:
    """What a path did, in a few words."""
    if path[-1].abs().max() > FAR or losses[-1] > 1.01 * losses[0]:
        return "diverges"
    if len(path) > 5 and (path[-6:] - path[-1]).abs().max() < 0.005:
        return "stands almost still"
    return "still on its way"


def draw_descent(surface: str, optimizer: str, lr: float, steps: int):
    """The picture of `descent`: (figure, alternative text)."""
    ground = SURFACES[surface]
    path, losses = walk(ground, lambda params: OPTIMIZERS[optimizer](params, lr=lr), steps)
    how = verdict(path, losses)
    fig, (left, right) = plotting.subplots(1, 2, size=(9.6, 3.8))
    contours(left, ground, f"{optimizer}, lr {lr:.3g}: {how}")
    left.plot(*path.T, "o-", color=plotting.PALETTE[3], markersize=3, linewidth=1, label="path")
    left.plot(*path[0], "s", color=plotting.PALETTE[7], markersize=7, label="start")
    left.plot(*path[-1], "*", color=plotting.PALETTE[0], markersize=12, label="end")
    left.legend(loc="upper right", fontsize=8, framealpha=1, edgecolor="white")
    right.semilogy(range(len(losses)), losses, color=plotting.PALETTE[3])
    right.set(xlim=(0, steps), xlabel="step", ylabel="loss (log scale)", title=f"loss after {len(losses) - 1} steps: {losses[-1]:.3g}")
    right.set_ylim(max(min(losses) / 2, 1e-9), max(losses) * 2)
    first, last = (f"({point[0]:.3g}, {point[1]:.3g})" for point in (path[0], path[-1]))
    alt = (f"The surface “{surface}” with the path of {optimizer} at learning rate {lr:.3g}, {len(losses) - 1} steps: "
           f"from {first} to {last}, loss from {losses[0]:.3g} to {losses[-1]:.3g}; verdict: {how}.")
    return fig, alt


def descent() -> None:
    """An optimizer walks down a surface; surface, optimizer, learning rate and number of steps are yours. Lab 06."""
    explore(
        draw_descent,
        surface=ipywidgets.Dropdown(options=list(SURFACES), description="surface"),
        optimizer=ipywidgets.Dropdown(options=list(OPTIMIZERS), description="optimizer"),
        lr=ipywidgets.FloatLogSlider(0.05, min=-3, max=0.5, step=0.05, readout_format=".3g", description="lr",
                                     continuous_update=False),
        steps=ipywidgets.IntSlider(40, min=1, max=150, description="steps", continuous_update=False),
    )
