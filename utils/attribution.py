"""What a network looks at: feature maps, what a channel likes, and three maps that explain one logit (lab 10).

The explanations follow the papers; where captum's conventions differ, the docstring says so. All of them work in
evaluation mode and leave the mode of every module as it was; the `.grad` of parameters is not touched.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from matplotlib.figure import Figure
from torch import nn
from torch.nn import functional as F

from . import plotting
from .callbacks import Hooks
from .training import evaluating


def feature_maps(model: nn.Module, x: torch.Tensor, layers: Iterable[str]) -> dict[str, torch.Tensor]:
    """What some layers give for a batch, in evaluation mode (lab 10).

    Args:
        model: any module.
        x: its input.
        layers: names of submodules, as in `model.named_modules()`.
    Returns:
        name -> output of that layer, detached: copies, which no later layer or forward pass can change.
    Raises:
        AttributeError: the model has no submodule of that name.
    """
    names = list(layers)
    maps = {}

    def keep(index, module, inputs, output):
        maps[names[index]] = output.detach().clone()  # a ReLU with inplace=True would write into the original

    with evaluating(model), torch.no_grad(), Hooks([model.get_submodule(name) for name in names], keep):
        model(x)
    return {name: maps[name] for name in names}


def stages(model: nn.Module, x: torch.Tensor) -> dict[int, str]:
    """The last layer of each resolution: height of its maps -> its name, from the input on (lab 10).

    Looks at the model's children, and at those of a child called "blocks" or "features".
    """
    names = []
    for name, child in model.named_children():
        inner = [f"{name}.{i}" for i, _ in child.named_children()] if name in ("blocks", "features") else [name]
        names += inner
    maps = feature_maps(model, x[:1], names)
    return {m.shape[2]: name for name, m in maps.items() if m.ndim == 4 and m.shape[2] > 1}


def pixels_seen(network: nn.Module, x: torch.Tensor, row: int, column: int) -> torch.Tensor:
    """The input pixels on which the units at one place depend, found by their gradient (lab 10).

    Args:
        network: gives maps, (B, K, h, w).
        x: float (B, C, H, W). Several random images: a ReLU or a max-pool hides some pixels of any one image.
        row, column: the place in the maps.
    Returns:
        bool (H, W): True where the gradient is not zero for some image and channel.
    """
    x = x.detach().clone().requires_grad_()
    (slopes,) = torch.autograd.grad(network(x)[:, :, row, column].sum(), x)
    return (slopes != 0).any(dim=1).any(dim=0)


def channel_gap(maps: torch.Tensor, labels: torch.Tensor, first: int, second: int) -> torch.Tensor:
    """How far apart two classes are in each channel, in standard deviations (lab 10).

    An image's activation in a channel is the mean over the positions. The gap is the difference of the two classes'
    means, divided by the root of the mean of their variances (each with n − 1).

    Args:
        maps: float (N, K, h, w).
        labels: int64 (N,).
        first, second: the classes; at least two images of each.
    Returns:
        (K,), of maps' dtype: positive where `first` is the stronger.
    """
    activations = maps.mean(dim=(2, 3))
    a, b = activations[labels == first], activations[labels == second]
    return (a.mean(0) - b.mean(0)) / ((a.var(0) + b.var(0)) / 2).sqrt()


def top_images(maps: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The images in which one channel reaches its largest values, and where in them (lab 10).

    Args:
        maps: float (N, h, w), the channel's maps of N images.
        k: at most N.
    Returns:
        (images, rows, columns): int64 (k,) each; each image once, the largest maximum first.
    """
    values, places = maps.flatten(1).max(dim=1)
    best = values.topk(k).indices
    return best, places[best] // maps.shape[2], places[best] % maps.shape[2]


def ascend(score: Callable, x: torch.Tensor, shifts: Sequence[tuple[int, int]], lr: float = 0.1, l2: float = 0.0,
           blur: Callable | None = None) -> torch.Tensor:
    """Change images step by step so that a score grows (lab 10; Erhan et al. 2009, Yosinski et al. arXiv:1506.06579).

    Each step rolls the images by its shift, takes the gradient of the sum of the scores there, rolls it back, divides
    it by its root mean square over each image (plus 1e-8), and goes `lr` along it; then the images shrink by the factor
    1 − l2; then they are blurred.

    Args:
        score: of images (B, C, H, W), numbers of shape (B,).
        x: float (B, C, H, W), where to start; it is not changed.
        shifts: pixels (down, right), a pair for each step.
        blur: a function of the images, or None.
    Returns:
        the images after the last step, detached.
    """
    x = x.detach().clone()
    for shift in shifts:
        rolled = x.roll(shift, dims=(2, 3)).requires_grad_()
        (gradient,) = torch.autograd.grad(score(rolled).sum(), rolled)
        gradient = gradient.roll((-shift[0], -shift[1]), dims=(2, 3))
        size = gradient.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        x = (1 - l2) * (x + lr * gradient / (size + 1e-8))
        x = blur(x) if blur else x
    return x


def saliency(model: nn.Module, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Slope of one logit in each pixel: |gradient|, the largest over the channels (lab 10; Simonyan et al. arXiv:1312.6034).

    captum's `Saliency` gives the absolute gradient of every channel; its maximum over the channels is this map.

    Args:
        model: gives logits, (B, K).
        x: float (B, C, H, W).
        target: int64 (B,), a class for each image.
    Returns:
        (B, H, W), of x's dtype, not negative.
    """
    x = x.detach().clone().requires_grad_()
    with evaluating(model):
        logits = model(x)
    (slopes,) = torch.autograd.grad(logits.gather(1, target[:, None]).sum(), x)
    return slopes.abs().amax(dim=1)


def grad_cam(model: nn.Module, layer: nn.Module, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Where a layer's maps speak for a class (lab 10; Selvaraju et al. arXiv:1610.02391).

    Each channel weighs the mean over the positions of the logit's gradient; the weighted sum of the maps goes through a
    ReLU and is resized to the image (bilinear, `align_corners=False`).

    captum's `LayerGradCam` stops before the ReLU (`relu_attributions=True` adds it), keeps a dimension of one channel
    and does not resize; its `LayerAttribution.interpolate` is nearest neighbour unless told otherwise.

    Args:
        model: gives logits, (B, K).
        layer: one of its modules, used once a forward pass, whose output is (B, C, h, w).
        x: float (B, C, H, W).
        target: int64 (B,), a class for each image.
    Returns:
        (B, H, W), of x's dtype, not negative.
    """
    kept = []

    def keep(index, module, inputs, output):
        kept.append(output)
        return output.clone()  # an in-place ReLU after the layer gets the copy

    x = x.detach().clone().requires_grad_()  # so that a frozen network has a graph too
    with evaluating(model), Hooks([layer], keep):
        logits = model(x)
    (maps,) = kept
    (slopes,) = torch.autograd.grad(logits.gather(1, target[:, None]).sum(), maps)
    weights = slopes.mean(dim=(2, 3), keepdim=True)
    heat = (weights * maps.detach()).sum(dim=1, keepdim=True).relu()
    return F.interpolate(heat, size=x.shape[2:], mode="bilinear", align_corners=False)[:, 0]


def occlusion(model: nn.Module, x: torch.Tensor, target: torch.Tensor, patch: int = 8, stride: int = 4,
              fill: float = 0.0, batch_size: int = 64) -> torch.Tensor:
    """How much a logit falls when a square patch is covered (lab 10; Zeiler and Fergus arXiv:1311.2901).

    The patch starts at rows and columns 0, stride, 2·stride, … up to the first one that reaches the border; what
    stands out there is cut off. captum's `Occlusion` puts its windows at the same places, and then gives each pixel the
    mean over the windows that cover it, in every channel: that is `spread` of this.

    Args:
        model: gives logits, (B, K).
        x: float (B, C, H, W).
        target: int64 (B,), a class for each image.
        patch, stride: pixels; patch at most H and W.
        fill: the value of covered pixels; in normalized images 0 is the mean colour, a grey.
        batch_size: how many covered images go through the model at once.
    Returns:
        (B, rows, columns), of x's dtype: the logit before minus the logit with the patch; positive: the patch spoke for
        the class. rows = ceil((H − patch) / stride) + 1.
    """
    rows, columns = (-(-(side - patch) // stride) + 1 for side in x.shape[2:])
    places = [(row * stride, column * stride) for row in range(rows) for column in range(columns)]
    with evaluating(model), torch.no_grad():
        drops = model(x).gather(1, target[:, None]).repeat(1, len(places))
        for start in range(0, len(places), max(1, batch_size // len(x))):
            some = places[start : start + max(1, batch_size // len(x))]
            covered = x.unsqueeze(1).repeat(1, len(some), 1, 1, 1)  # (B, places, C, H, W)
            for i, (top, left) in enumerate(some):
                covered[:, i, :, top : top + patch, left : left + patch] = fill
            logits = model(covered.flatten(0, 1)).unflatten(0, (len(x), len(some)))
            drops[:, start : start + len(some)] -= logits[torch.arange(len(x)), :, target]
    return drops.unflatten(1, (rows, columns))


def spread(drops: torch.Tensor, size: tuple[int, int], patch: int, stride: int) -> torch.Tensor:
    """An occlusion's drops on the pixels: each gets the mean over the patches that cover it, as in captum.

    Args:
        drops: (B, rows, columns), from `occlusion`.
        size: (H, W) of the images.
        patch, stride: as they were; stride at most patch.
    Returns:
        (B, H, W).
    """
    total, count = drops.new_zeros(len(drops), *size), drops.new_zeros(size)
    for row in range(drops.shape[1]):
        for column in range(drops.shape[2]):
            rows = slice(row * stride, row * stride + patch)
            columns = slice(column * stride, column * stride + patch)
            total[:, rows, columns] += drops[:, row, column, None, None]
            count[rows, columns] += 1
    return total / count


def accuracy_without(model: nn.Module, x: torch.Tensor, labels: torch.Tensor, box: tuple[int, int, int, int],
                     fill: float = 0.0) -> float:
    """Accuracy of a model when one rectangle of every image is covered (lab 10).

    Args:
        model: gives logits, (N, K).
        x: float (N, C, H, W); not changed.
        labels: int64 (N,).
        box: (top, left, height, width) in pixels.
        fill: the value of covered pixels.
    Returns:
        a float from 0 to 1.
    """
    top, left, height, width = box
    covered = x.clone()
    covered[:, :, top : top + height, left : left + width] = fill
    with evaluating(model), torch.no_grad():
        return (model(covered).argmax(dim=1) == labels).float().mean().item()


def heat_maps(pictures: torch.Tensor, rows: dict[str, torch.Tensor], captions: Sequence[str] = (), title: str = "",
              over: bool = True, pictures_too: bool = True) -> Figure:
    """Rows of maps, one for each name, each map over its picture in grey; above them the pictures in colour.

    A map is scaled by itself. Maps without negative values are drawn in viridis from 0 up; others in blue (negative) and
    red (positive), with white at 0.

    Args:
        pictures: uint8 (N, 3, H, W).
        rows: name -> float (N, h, w); smaller maps are stretched over the picture, pixel by pixel.
        captions: N texts.
        over: draw over the picture; else the map alone.
        pictures_too: whether there is a row of pictures.
    """
    if pictures.shape[2] > 112:  # more than is drawn; it would only make the notebook large
        pictures = F.avg_pool2d(pictures.float(), pictures.shape[2] // 112).to(torch.uint8)
    count, lines = len(pictures), len(rows) + pictures_too
    fig, axes = plotting.subplots(lines, count, size=(1.35 * count + 0.6, 1.4 * lines + 0.5), squeeze=False)
    if pictures_too:
        for picture, ax in zip(pictures, axes[0]):
            ax.imshow(picture.permute(1, 2, 0).numpy())
        axes[0, 0].set_ylabel("image", fontsize=9)
    for (name, maps), line in zip(rows.items(), axes[pictures_too:]):
        for picture, heat, ax in zip(pictures, maps.detach().cpu(), line):
            _heat_map(ax, picture, heat, bool((maps < 0).any()), over)
        line[0].set_ylabel(name, fontsize=9)
    for caption, ax in zip(captions, axes[0]):
        ax.set_title(caption, fontsize=8, fontweight="normal")
    for ax in axes.flat:
        ax.set_xticks([])
        ax.set_yticks([])
    fig.suptitle(title, fontweight="bold")
    return fig


def _heat_map(ax, picture: torch.Tensor, heat: torch.Tensor, signed: bool, over: bool) -> None:
    """One map over one picture."""
    height, width = picture.shape[1:]
    largest = max(heat.abs().max().item(), 1e-12)
    if over:
        ax.imshow(picture.float().mean(0).numpy(), cmap="gray", vmin=0, vmax=255)
    ax.imshow(heat.numpy(), extent=(-0.5, width - 0.5, height - 0.5, -0.5), alpha=0.65 if over else 1, interpolation="nearest",
              cmap="RdBu_r" if signed else "viridis", vmin=-largest if signed else 0, vmax=largest)
