"""The feature maps of two trained networks, layer by layer and channel by channel (lab 10)."""

import functools

import ipywidgets
import torch
from torch.nn import functional as F

from utils import attribution, data, plotting, pretrained

from .controls import explore

IMAGES = 8  # of CIFAR-10, and as many of ants and bees
CHANNELS = 128  # on the slider; the deepest layers have more


def feature_maps() -> None:
    """A menu of layers, sliders for channel and image; drawn: the image, the channel's map, and the map over the image. Lab 10."""
    menu = [(f"small network, {name}", ("small", name)) for name in small_layers()]
    menu += [(f"large network, {name}", ("large", name)) for name in large_layers()]

    def slider(value: int, high: int, name: str) -> ipywidgets.IntSlider:
        return ipywidgets.IntSlider(value, min=0, max=high, description=name, continuous_update=False)

    explore(
        draw_feature_maps,
        layer=ipywidgets.Dropdown(options=menu, value=menu[2][1], description="layer"),
        channel=slider(0, CHANNELS - 1, "channel"),
        image=slider(0, IMAGES - 1, "image"),
    )


def small_layers() -> list[str]:
    """The twelve layers of the network for CIFAR-10 that have maps."""
    return [f"features.{i}" for i in range(12)]


@functools.cache
def large_layers() -> list[str]:
    """The last layer of each resolution of the network for ImageNet."""
    network = _large()
    return list(attribution.stages(network.model, torch.zeros(1, 3, network.size, network.size)).values())


@functools.cache
def _large() -> pretrained.ImageNetNetwork:
    return pretrained.imagenet_network()


@functools.cache
def _pictures(network: str) -> torch.Tensor:
    """uint8 (IMAGES, 3, H, W): test images of CIFAR-10, or ants and bees."""
    if network == "small":
        return data.cifar10().test_images[:IMAGES]
    from torchvision.transforms import v2

    from utils.pictures import open_picture

    size = _large().size
    to_square = v2.Compose([v2.PILToTensor(), v2.Resize(size), v2.CenterCrop(size)])
    folder = data.ants_and_bees() / "val"
    paths = [path for name in ("ants", "bees") for path in sorted((folder / name).glob("*.jp*g"))[: IMAGES // 2]]
    return torch.stack([to_square(open_picture(path)) for path in paths])


@functools.lru_cache(maxsize=4)
def _maps(network: str, layer: str) -> torch.Tensor:
    """(IMAGES, channels, h, w)"""
    pictures = _pictures(network)
    if network == "small":
        model, x = pretrained.cifar10_network(), data.normalize(pictures)
    else:
        model, x = _large().model, data.normalize(pictures, _large().mean, _large().std)
    return attribution.feature_maps(model, x, [layer])[layer]


def draw_feature_maps(layer: tuple[str, str], channel: int, image: int):
    """The picture of `feature_maps`: (figure, alternative text)."""
    network, name = layer
    maps, picture = _maps(network, name), _pictures(network)[image]
    channel = min(channel, maps.shape[1] - 1)
    values = maps[image, channel]
    signed, largest = bool((values < 0).any()), max(values.abs().max().item(), 1e-12)
    colors = {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest} if signed else {"cmap": "viridis", "vmin": 0, "vmax": largest}
    fig, (left, middle, right) = plotting.subplots(1, 3, size=(10, 3.6))
    left.imshow(picture.permute(1, 2, 0).numpy())
    left.set_title("image")
    drawn = middle.imshow(values.numpy(), **colors)
    middle.set_title(f"{name}: channel {channel} of {maps.shape[1]}")
    fig.colorbar(drawn, ax=middle, shrink=0.85)
    over = F.interpolate(values[None, None], size=picture.shape[1:], mode="nearest")[0, 0]
    right.imshow(picture.float().mean(0).numpy(), cmap="gray", vmin=0, vmax=255)
    right.imshow(over.numpy(), alpha=0.6, **colors)
    right.set_title("the map over the image")
    for ax, (height, width) in zip((left, middle, right), (picture.shape[1:], values.shape, picture.shape[1:])):
        ax.set(xticks=[], yticks=[], xlabel=f"{height} × {width}")
    return fig, (f"Image {image}, layer {name} of the {network} network, channel {channel} of {maps.shape[1]}: a map of "
                 f"{values.shape[0]} by {values.shape[1]}, values from {values.min():.2f} to {values.max():.2f}, "
                 f"{(values == 0).float().mean():.0%} of them 0.")
