"""One photograph under a random transform with its parameters, drawn eight times (lab 03)."""

import ipywidgets
import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

from utils import data, plotting

from .controls import explore

SIZE = 96  # pixels of each side of a draw
TRANSFORMS = {  # name -> (which controls it reads, the transform that they make)
    "RandomResizedCrop": ("scale, ratio", lambda scale, ratio, p, strength: v2.RandomResizedCrop(SIZE, scale, ratio, antialias=True)),
    "RandomHorizontalFlip": ("p", lambda scale, ratio, p, strength: v2.RandomHorizontalFlip(p)),
    "RandomRotation": ("strength", lambda scale, ratio, p, strength: v2.RandomRotation(180 * strength)),
    "RandomAffine (shift)": ("strength", lambda scale, ratio, p, strength: v2.RandomAffine(0, translate=(strength, strength))),
    "ColorJitter": ("strength", lambda scale, ratio, p, strength: v2.ColorJitter(strength, strength, strength, strength / 2)),
    "GaussianBlur": ("strength", lambda scale, ratio, p, strength: v2.GaussianBlur(15, (0.1, 0.1 + 5 * strength))),
    "RandomErasing": ("p, scale, ratio", lambda scale, ratio, p, strength: v2.RandomErasing(p, scale, ratio)),
    "RandomGrayscale": ("p", lambda scale, ratio, p, strength: v2.RandomGrayscale(p)),
}


def draws(image: torch.Tensor, transform: str, scale, ratio, p: float, strength: float, seed: int, count: int = 8) -> torch.Tensor:
    """A transform applied `count` times, each time with new chance.

    Args:
        image: uint8 (3, H, W).
        transform: a key of TRANSFORMS.
        scale, ratio: (least, greatest) share of the area, and width / height.
        p: probability, from 0 to 1.
        strength: from 0 to 1.
        seed: the same seed gives the same draws; torch's global state is left as it was.
    Returns:
        uint8 (count, 3, SIZE, SIZE).
    """
    apply = TRANSFORMS[transform][1](tuple(scale), tuple(ratio), p, strength)
    whole = v2.Compose([v2.Resize(SIZE, antialias=True), v2.CenterCrop(SIZE)])
    start = image if transform == "RandomResizedCrop" else whole(image)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return torch.stack([apply(start) for _ in range(count)])


def draw_augmentation(image: torch.Tensor, transform: str, scale, ratio, p: float, strength: float, seed: int):
    """The picture of `augmentation`: the image, and eight draws beside it: (figure, alternative text)."""
    used = TRANSFORMS[transform][0]
    values = {
        "scale": f"{scale[0]:.2f} to {scale[1]:.2f}",
        "ratio": f"{ratio[0]:.2f} to {ratio[1]:.2f}",
        "p": f"{p:.2f}",
        "strength": f"{strength:.2f}",
    }
    said = ", ".join(f"{name} {values[name]}" for name in used.split(", "))
    views = draws(image, transform, scale, ratio, p, strength, seed)
    small = v2.functional.center_crop(v2.functional.resize(image, [SIZE], antialias=True), [SIZE, SIZE])
    changed = float(np.mean([(view.float() - small.float()).abs().mean().item() for view in views]))
    fig, axes = plotting.subplots(2, 5, size=(8.2, 3.6))
    for ax, picture, title in zip(axes[:, 1:].flat, views, range(1, 9)):
        ax.imshow(picture.permute(1, 2, 0).numpy())
        ax.set_title(f"draw {title}", fontsize=8, fontweight="normal")
    axes[0, 0].imshow(image.permute(1, 2, 0).numpy())
    axes[0, 0].set_title("the photograph", fontsize=8)
    for ax in axes.flat:
        ax.set_axis_off()
    fig.suptitle(f"{transform}: {said}", fontweight="bold")
    alt = (f"A photograph and eight draws of {transform} with {said}, seed {seed}; on average a pixel differs by "
           f"{changed:.0f} of 255 from the image without it.")
    return fig, alt


def _photograph() -> torch.Tensor:
    """The first training photograph of an ant, uint8 (3, H, W)."""
    path = sorted((data.ants_and_bees() / "train" / "ants").glob("*.jpg"))[0]
    with Image.open(path) as image:
        return v2.functional.pil_to_tensor(image.convert("RGB"))


def augmentation(image: torch.Tensor | None = None) -> None:
    """One image under a random transform of your choice, eight draws at a time. Lab 03.

    Args:
        image: uint8 (3, H, W); by default a photograph of an ant.
    """
    image = _photograph() if image is None else image

    def draw(**values):
        return draw_augmentation(image, **values)

    later = {"continuous_update": False}
    explore(
        draw,
        transform=ipywidgets.Dropdown(options=list(TRANSFORMS), description="transform"),
        scale=ipywidgets.FloatRangeSlider(value=(0.08, 1.0), min=0.02, max=1.0, step=0.02, description="scale", **later),
        ratio=ipywidgets.FloatRangeSlider(value=(0.75, 1.33), min=0.25, max=4.0, step=0.01, description="ratio", **later),
        p=ipywidgets.FloatSlider(0.5, min=0, max=1, step=0.05, description="p", **later),
        strength=ipywidgets.FloatSlider(0.3, min=0, max=1, step=0.05, description="strength", **later),
        seed=ipywidgets.IntSlider(0, min=0, max=20, description="seed", **later),
    )
