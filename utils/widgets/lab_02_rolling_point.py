"""A point that rolls down a loss curve (lab 02)."""

import ipywidgets
import torch

from utils import plotting

from .controls import explore

VALLEYS = {  # name -> (the loss, where the point starts, which w the picture shows)
    "one valley": (lambda w: w**2 + 0.2, -2.0, 3.2),
    "two valleys": (lambda w: 0.25 * w**4 - w**2 + 0.25 * w + 1.5, 2.3, 2.6),
}


def roll(loss_fn, w: float, lr: float, steps: int) -> tuple[list[float], list[float]]:
    """Gradient descent on a function of one number, with autograd's gradient.

    Args:
        loss_fn: tensor -> scalar tensor.
        w: where to start.
        lr: learning rate.
        steps: how many steps at most; it stops early once |w| passes 1e6.
    Returns:
        (every w from the start on, the loss at each of them).
    """
    w = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    path, losses = [], []
    for step in range(steps + 1):
        loss = loss_fn(w)
        path.append(w.item())
        losses.append(loss.item())
        if step == steps or abs(w.item()) > 1e6:
            return path, losses
        (slope,) = torch.autograd.grad(loss, w)
        with torch.no_grad():
            w -= lr * slope


def _verdict(path: list[float], losses: list[float]) -> str:
    """What a path of `roll` did, in a few words."""
    if losses[-1] > losses[0] * 1.01:
        return "diverges"
    moves = [b - a for a, b in zip(path, path[1:])]
    turns = [min(abs(a), abs(b)) for a, b in zip(moves, moves[1:]) if a * b < 0]
    if max(map(abs, moves[-2:])) > 0.01:
        return "swings from side to side" if len(turns) > len(moves) / 2 else "still on its way"
    seen = sum(turn > 0.05 for turn in turns)  # the picture does not show smaller ones
    return "settled, after swinging" if seen > 2 else "settled"


def draw_rolling_point(curve: str, lr: float, steps: int):
    """The picture of `rolling_point`: (figure, alternative text)."""
    loss_fn, start, edge = VALLEYS[curve]
    path, losses = roll(loss_fn, start, lr, steps)
    verdict = _verdict(path, losses)
    fig, (left, right) = plotting.subplots(1, 2, size=(9, 3.6))
    w = torch.linspace(-edge, edge, 200, dtype=torch.float64)
    curve_loss = loss_fn(w)
    left.plot(w, curve_loss, color=plotting.PALETTE[0], label="loss")
    left.plot(path, losses, "o-", color=plotting.PALETTE[3], markersize=4, linewidth=1, label="the point's path")
    left.plot(path[0], losses[0], "o", color=plotting.PALETTE[7], markersize=8, label="start")
    low, high = curve_loss.min().item(), curve_loss.max().item()
    left.set(xlim=(-edge, edge), ylim=(low - 0.07 * (high - low), high * 1.02),
             xlabel="weight w", ylabel="loss", title=f"learning rate {lr:.2f}: {verdict}")
    left.legend(loc="upper center", fontsize=8, framealpha=1, edgecolor="white")
    right.semilogy(range(len(losses)), losses, "o-", color=plotting.PALETTE[3], markersize=4)
    right.set(xlim=(-0.5, steps + 0.5), xlabel="step", ylabel="loss (log scale)",
              title=f"loss after {len(losses) - 1} steps: {losses[-1]:.3g}")
    right.set_ylim(min(0.1, min(losses) / 1.5), max(10, max(losses) * 1.5))
    right.xaxis.get_major_locator().set_params(integer=True)
    alt = (f"A point on a loss curve with {curve}, learning rate {lr:.2f}, {len(losses) - 1} steps: from w = "
           f"{path[0]:.3g} to w = {path[-1]:.3g}, loss from {losses[0]:.3g} to {losses[-1]:.3g}; verdict: {verdict}.")
    return fig, alt


def rolling_point() -> None:
    """A point rolls down a loss curve by gradient descent; learning rate and number of steps are yours. Lab 02."""
    explore(
        draw_rolling_point,
        curve=ipywidgets.Dropdown(options=list(VALLEYS), description="curve"),
        lr=ipywidgets.FloatSlider(0.1, min=0.01, max=1.1, step=0.01, description="lr", continuous_update=False),
        steps=ipywidgets.IntSlider(12, min=1, max=30, description="steps", continuous_update=False),
    )
