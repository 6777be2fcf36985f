"""Datasets of the labs: where they are kept, how they come there, and mini-batches of them.

`cifar10()` gives the images as tensors, `CIFAR10Dataset` gives the same ones one at a time as torchvision does,
and `Batches` gives augmented, normalized mini-batches, fast enough that the model sets the pace (lab 08).

Environment variables, read at each call:
    LABS_DATA     the folder that holds the datasets (else `data/` in a checkout, else the user's cache)
    LABS_OFFLINE  1: ask no network, and use the drawn stand-in even where CIFAR-10 is in the folder
    LABS_MIRROR   an address to download from, in the place of the usual one
"""

import errno
import functools
import hashlib
import http.client
import os
import pickle
import ssl
import sys
import tarfile
import time
import urllib.error
import urllib.request
import warnings
import zipfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import certifi
import numpy as np
import platformdirs
import torch
import torch.nn.functional as F
from filelock import FileLock, Timeout
from PIL import Image
from tqdm.auto import tqdm

MEAN = (0.4914, 0.4822, 0.4465)  # of CIFAR-10's training images, a channel each, with pixels from 0 to 1
STD = (0.2470, 0.2435, 0.2616)
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

CIFAR10_BASE = "https://www.cs.toronto.edu/~kriz"
CIFAR10_FILE = "cifar-10-python.tar.gz"
CIFAR10_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
TIMEOUT = 15  # seconds without a byte before a server counts as stalled
ATTEMPTS = 4
PAUSE = 1.0  # seconds before the second attempt; doubled before each next one
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
OTHER_FOLDER = "To choose another folder, put `%env LABS_DATA=~/labs-data` in a cell above and run both."
STAND_IN = "To go on at once with drawn images, put `%env LABS_OFFLINE=1` in a cell above and run both."


class DataError(RuntimeError):
    """A dataset could not be had. The message says why, and what to do; the next call tries again."""


class NoNetwork(DataError):
    """No server can be reached from here."""


# --------------------------------------------------------------------------------------------------- CIFAR-10


class ImageData(NamedTuple):
    """A dataset of small images in memory, its training and its test part."""

    train_images: torch.Tensor  # uint8 (N, 3, 32, 32)
    train_labels: torch.Tensor  # int64 (N,)
    test_images: torch.Tensor  # uint8 (M, 3, 32, 32)
    test_labels: torch.Tensor  # int64 (M,)
    classes: tuple[str, ...]  # the label's names
    source: str  # "CIFAR-10", or "stand-in" where there is no network


def cifar10() -> ImageData:
    """CIFAR-10: 50,000 training and 10,000 test images in ten classes (Krizhevsky, 2009).

    It is read from the data folder; the first call downloads it there (170 MB). With no network, or with
    `LABS_OFFLINE=1`, drawn images of the same ten classes (`utils.standin`: 10,000 and 2,000) take its place,
    under a banner. The result is kept for the life of the process: copy before you change an image in place.

    Raises:
        DataError: the download failed or cannot be kept; the message says why, and what to do.
    """
    return _cifar10(data_folder(), os.environ.get("LABS_OFFLINE", "") not in ("", "0"))


@functools.cache
def _cifar10(folder: Path, offline: bool) -> ImageData:
    try:
        if offline:
            raise NoNetwork("LABS_OFFLINE=1 is set")
        path = folder / "cifar10.npz"
        if not os.path.exists(path):  # (unlike path.exists(), False in a folder that may not be entered)
            _get_cifar10(folder)
        arrays, source = _read_arrays(path), "CIFAR-10"
    except NoNetwork as error:
        _announce_stand_in(str(error))
        arrays, source = _stand_in(folder), "stand-in"
    tensors = {name: torch.from_numpy(arrays[name]) for name in ARRAYS}
    for name in ("train_images", "test_images"):  # kept as (N, 32, 32, 3)
        tensors[name] = tensors[name].permute(0, 3, 1, 2).contiguous()
    return ImageData(**tensors, classes=CLASSES, source=source)


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
    """

    def __init__(self, images: torch.Tensor, labels: torch.Tensor, batch_size: int = 500, shuffle: bool = False,
                 augment: bool = False, mean=MEAN, std=STD, seed: int = 0, device=None):
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
        self.pad = 2 if augment else 0
        self.epoch = 0
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

    def __iter__(self):
        """Yield (x, y): x float32 (B, C, H, W) in the channels_last format, y the labels (B,)."""
        n = len(self.labels)
        order = torch.randperm(n, generator=self.generator) if self.shuffle else torch.arange(n)
        shifts = torch.randint(2 * self.pad + 1, (len(self), 2), generator=self.generator).tolist()
        mirrored = self.augment and self.epoch % 2 == 1
        self.epoch += 1
        for rows, (top, left) in zip(order.to(self.device).split(self.batch_size), shifts):
            x = self.pixels.index_select(0, rows)[:, top : top + self.height, left : left + self.width]
            if mirrored:
                x = x.flip(2)
            # The names of the dimensions change places, the bytes do not: that is the channels_last format.
            yield normalize(x.permute(0, 3, 1, 2), self.mean, self.std), self.labels[rows]


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


@contextmanager
def _lock(path: Path):
    """Hold a lock that other processes respect; the system frees it when its holder ends, however it ends."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"Another program is fetching data into {path.parent}; waiting for it …", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _get_cifar10(folder: Path) -> None:
    """Download CIFAR-10 and write it as cifar10.npz: 360 MB for a moment, 185 MB in the end."""
    base = os.environ.get("LABS_MIRROR") or CIFAR10_BASE
    if not os.path.exists(folder / CIFAR10_FILE):
        _require_network(base)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder / ".cifar10.lock"):
            if (folder / "cifar10.npz").exists():  # another process has brought it
                return
            archive = download(CIFAR10_FILE, CIFAR10_SHA256, base, folder)
            _write_arrays(folder / "cifar10.npz", _unpack_cifar10(archive))
            archive.unlink()
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise DataError(f"{folder} cannot be written: {error.strerror}. {OTHER_FOLDER}") from None
        (folder / f"{CIFAR10_FILE}.part").unlink(missing_ok=True)  # leave room to save the notebook
        raise DataError(f"No room in {folder}: the disk is full, or your share of it is. CIFAR-10 needs 360 MB. "
                        f"Make room and run the cell again. {OTHER_FOLDER}") from None


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


# -------------------------------------------------------------------------------------------------- downloads


def download(name: str, sha256: str, base: str, folder: Path) -> Path:
    """Download a file and check it; a download that was broken off goes on where it stopped.

    Args:
        name: of the file, at the server and in `folder`.
        sha256: hexadecimal hash that the whole file must have.
        base: address of the folder at the server.
        folder: must exist. One process at a time.
    Returns:
        the file's path. The file is there only once it is whole and right; until then there is `name.part`.
    Raises:
        DataError: with what was wrong and what to do.
        OSError: the file cannot be written.
    """
    target, part, url = folder / name, folder / f"{name}.part", f"{base.rstrip('/')}/{name}"
    if target.exists() and _sha256(target) == sha256:
        return target
    resumed = part.exists()
    _fetch(url, part)
    if resumed and _sha256(part) != sha256:  # the two pieces may be of two files: once more, from the start
        part.unlink()
        _fetch(url, part)
    if _sha256(part) != sha256:
        size = part.stat().st_size
        part.unlink()
        raise DataError(f"What came from {url} is another file than expected ({size:,} bytes, wrong SHA-256); it was "
                        f"deleted unopened. Perhaps your network answered with a login page: open the address in a "
                        f"browser, then run the cell again. {STAND_IN}")
    os.replace(part, target)
    return target


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open(url: str, method: str = "GET", start: int = 0):
    headers = {"User-Agent": "torch-labs"}
    if start:
        headers["Range"] = f"bytes={start}-"
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())  # some installations of Python come without certificates
    request = urllib.request.Request(url, headers=headers, method=method)
    return urllib.request.urlopen(request, timeout=TIMEOUT, context=context)


def _require_network(url: str) -> None:
    """Find out in a moment whether any server answers at an address; whatever it answers, it is there.

    Raises:
        NoNetwork: none does.
    """
    for last in (False, True):
        try:
            return _open(url, "HEAD").close()
        except urllib.error.HTTPError:
            return
        except urllib.error.URLError as error:  # no connection; an answer that breaks off raises something else
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                return
            if last or isinstance(error.reason, TimeoutError):
                raise NoNetwork(f"{url} cannot be reached: {error.reason}") from None
            time.sleep(PAUSE)
        except (OSError, http.client.HTTPException):
            return


def _fetch(url: str, part: Path) -> None:
    """Bring `part` to the full length of the file at `url`, in a few attempts."""
    problem = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            print(f"{problem}; trying again …", flush=True)
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            return _fetch_once(url, part)
        except urllib.error.HTTPError as error:
            problem = f"{url}: the server answered {error.code} {error.reason}"
            if error.code < 500 and error.code not in (408, 416, 429):  # it would answer the same again
                why = "The file has moved" if error.code in (404, 410) else "The server, or your network, forbids it"
                raise DataError(f"{problem}. {why}. Save it by hand as {part.with_suffix('')}, or set LABS_MIRROR "
                                f"to an address that has it. {STAND_IN}") from None
        except urllib.error.URLError as error:
            problem = f"{url}: no connection ({error.reason})"
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise DataError(f"{problem}. Does your network want a login? Is the computer's clock right? "
                                f"Run the cell again then. {STAND_IN}") from None
        except TimeoutError:
            problem = f"{url}: the server sent nothing for {TIMEOUT} s"
        except (OSError, http.client.HTTPException) as error:
            if getattr(error, "errno", None) in (*FULL_DISK, errno.EACCES, errno.EPERM, errno.EROFS):
                raise  # writing failed, not reading
            problem = f"{url}: the connection broke ({error})"
    kept = part.stat().st_size if part.exists() else 0
    raise DataError(f"{problem}. That was attempt {ATTEMPTS} of {ATTEMPTS}. Run the cell again in a while: it goes on "
                    f"after the {kept:,} bytes that have come. {STAND_IN}")


def _fetch_once(url: str, part: Path) -> None:
    start = part.stat().st_size if part.exists() else 0
    try:
        response = _open(url, start=start)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: nothing comes after `start`
            raise
        if error.headers.get("Content-Range", "").endswith(f"/{start}"):
            return  # for it was the whole
        part.unlink()
        raise
    with response:
        if not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            start = 0  # a server that knows no ranges sends the whole file again
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        bar = tqdm(desc=part.stem, initial=start, total=total, unit="B", unit_scale=True, file=sys.stdout)
        with bar, open(part, "ab" if start else "wb") as file:
            while chunk := response.read1(1 << 16):
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and (size := part.stat().st_size) < total:
        raise ConnectionError(f"{total - size:,} bytes are missing")


# ----------------------------------------------------------------------------------------------- the stand-in


def _stand_in(folder: Path) -> dict[str, np.ndarray]:
    """The drawn images, from the data folder if they are there, else drawn now and kept if they can be."""
    from utils import standin

    version = _sha256(Path(standin.__file__))[:8]  # when the drawing changes, images kept before are stale
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


@functools.cache  # once a process
def _announce_stand_in(reason: str) -> None:
    lines = ("These are NOT the CIFAR-10 images.",
             f"Why: {reason}.",
             "In their place: 10,000 training and 2,000 test images of the same ten classes, drawn by the course.",
             "The lab works, but its accuracies say nothing about photographs.",
             "For the real images: connect to the network, unset LABS_OFFLINE, restart the kernel, run again.")
    rule = "!" * 100
    plain = "\n".join([rule, "  STAND-IN DATA", *(f"  {line}" for line in lines), rule])
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        print(plain, flush=True)
        return
    from html import escape

    from IPython.display import display

    body = "".join(f"<div>{escape(line)}</div>" for line in lines)
    box = "background:#ffe14d;color:#000;border:4px solid #c00000;padding:12px 16px;line-height:1.5"
    html = (f'<div role="alert" style="{box}"><strong style="font-size:150%">STAND-IN DATA</strong>'
            f"{body}</div>")
    display({"text/html": html, "text/plain": plain}, raw=True)
