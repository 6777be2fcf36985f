"""Logits as sliders, and what cross-entropy makes of them (lab 05)."""

import ipywidgets
import torch
from torch.nn import functional as F

from utils import plotting

from .controls import explore

CLASSES = ("ant", "bee", "cat", "dog")


def loss_and_gradient(logits: torch.Tensor, true: int, temperature: float = 1.0, smoothing: float = 0.0):
    """Cross-entropy of one sample with its parts, the gradient by autograd.

    Args:
        logits: (K,), floating point.
        true: number of the true class.
        temperature: what the logits are divided by; above 0.
        smoothing: label smoothing, 0 to 1.
    Returns:
        probabilities (K,), target (K,), loss (float), gradient of the loss on the logits (K,).
    """
    logits = logits.detach().clone().requires_grad_()
    target = (1 - smoothing) * F.one_hot(torch.tensor(true), len(logits)).to(logits.dtype) + smoothing / len(logits)
    loss = F.cross_entropy(logits / temperature, torch.tensor(true), label_smoothing=smoothing)
    (gradient,) = torch.autograd.grad(loss, logits)
    return (logits.detach() / temperature).softmax(0), target, loss.item(), gradient


def draw_logits(ant: float, bee: float, cat: float, dog: float, true: str, temperature: float, smoothing: float):
    """The picture of `logits`: (figure, alternative text)."""
    z, label = torch.tensor([ant, bee, cat, dog], dtype=torch.float64), CLASSES.index(true)
    p, target, loss, gradient = loss_and_gradient(z, label, temperature, smoothing)
    fig, (left, middle, right) = plotting.subplots(1, 3, size=(10.5, 3.3))
    colors = [plotting.PALETTE[1] if name == true else plotting.PALETTE[0] for name in CLASSES]
    _bars(left, p, colors)
    for place, value in enumerate(target.tolist()):
        left.plot([place - 0.45, place + 0.45], [value, value], color="black", label="target" if place == 0 else None)
    left.set(ylim=(0, 1.12), ylabel="probability", title="Probabilities p, and the target")
    left.legend(frameon=False, fontsize=8)
    _bars(middle, gradient, colors)
    middle.axhline(0, color="black", linewidth=0.8)
    limit = 1.15 * max(1.0, gradient.abs().max().item())
    middle.set(ylim=(-limit, limit), ylabel="∂ loss / ∂ logit", title="The gradient on each logit")
    _along_true(right, z, label, temperature, smoothing, loss, gradient[label].item())
    alt = (f"Logits {', '.join(f'{name} {value:g}' for name, value in zip(CLASSES, z.tolist()))}; truth {true}, "
           f"temperature {temperature:g}, smoothing {smoothing:g}. Probabilities {_row(p)}; loss {loss:.3f}; "
           f"gradient {_row(gradient)}.")
    return fig, alt


def logits() -> None:
    """Four logits, the true class, temperature and label smoothing are yours; see p, loss and gradient. Lab 05."""

    def slider(value: float, name: str, low=-6.0, high=6.0, step=0.5) -> ipywidgets.FloatSlider:
        return ipywidgets.FloatSlider(value, min=low, max=high, step=step, description=name, continuous_update=False)

    explore(
        draw_logits,
        **{name: slider(value, name) for name, value in zip(CLASSES, (2.0, 1.0, 0.0, -1.0))},
        true=ipywidgets.Dropdown(options=CLASSES, value="bee", description="truth"),
        temperature=slider(1.0, "T", 0.25, 5.0, 0.25),
        smoothing=slider(0.0, "smoothing", 0.0, 0.5, 0.05),
    )


def _row(values: torch.Tensor) -> str:
    return ", ".join(f"{value:.2f}" for value in values.tolist())


def _bars(ax, values: torch.Tensor, colors: list[str]) -> None:
    """A bar for each class with its number; the true class has the second colour."""
    ax.bar(CLASSES, values.tolist(), color=colors)
    for place, value in enumerate(values.tolist()):
        ax.annotate(f"{value:.2f}", (place, value), (0, 3 if value >= 0 else -3), textcoords="offset points",
                    ha="center", va="bottom" if value >= 0 else "top", fontsize=8)
    ax.set_xlabel("class (orange: the truth)")


def _along_true(ax, z: torch.Tensor, label: int, temperature: float, smoothing: float, loss: float, slope: float):
    """The loss as the true class's logit moves and the others stay, with the point where it is and its tangent."""
    moved = torch.linspace(-7, 7, 141, dtype=z.dtype)
    rows = z.repeat(len(moved), 1)
    rows[:, label] = moved
    truth = torch.full((len(moved),), label)
    values = F.cross_entropy(rows / temperature, truth, reduction="none", label_smoothing=smoothing)
    here = z[label].item()
    near = torch.tensor([here - 1.5, here + 1.5])
    ax.plot(moved, values, color=plotting.PALETTE[0])
    ax.plot(near, loss + slope * (near - here), "--", color=plotting.PALETTE[3], label=f"slope {slope:.2f}")
    ax.plot(here, loss, "o", color=plotting.PALETTE[3])
    ax.set(xlim=(-7, 7), ylim=(0, max(4.0, values.max().item()) * 1.05), xlabel=f"logit of the truth, {CLASSES[label]}",
           ylabel="loss", title=f"Loss {loss:.3f}")
    ax.legend(frameon=False, fontsize=8)
