"""Where CIFAR-10 comes from, and everything that can go wrong on the way: against a server on this machine."""

import errno
import hashlib
import http.server
import io
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from utils import data, standin

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


GOOD = archive()
SHA256 = hashlib.sha256(GOOD).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves `body` on 127.0.0.1. `plan` says what to do at the first, second … GET; after it all goes well.

    A step of the plan: an int (answer this status), ("cut", n) (break off after n bytes), ("stall", n) (send n bytes,
    then nothing), ("drip", n) (n bytes at a time), "no ranges" (send all whatever was asked), bytes (send these).
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.plan, self.asked = GOOD, [], []  # asked: the Range of each GET, None where there was none
        self.heads = threading.Semaphore(0)
        self.before_get = lambda: None
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/~kriz"

    def handle_error(self, request, client_address):
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()
        self.server.heads.release()

    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append(asked)
        step = server.plan.pop(0) if server.plan else None
        server.before_get()
        if self.path != f"/~kriz/{data.CIFAR10_FILE}":
            step = 404
        if isinstance(step, int):
            return self.send_error(step)
        body = step if isinstance(step, bytes) else server.body
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and step != "no ranges" else 0
        if start and start >= len(body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:]
        match step:
            case ("cut", n):
                self.wfile.write(rest[:n])
            case ("stall", n):
                self.wfile.write(rest[:n])
                server.released.wait(30)
            case ("drip", n):
                for i in range(0, len(rest), n):
                    self.wfile.write(rest[i:i + n])
                    time.sleep(0.01)
            case _:
                self.wfile.write(rest)


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.released.set()
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """A data folder of the test's own, short pauses, no proxy, nothing remembered."""
    for name in ("LABS_OFFLINE", "LABS_MIRROR", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LABS_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(data, "CIFAR10_SHA256", SHA256)
    monkeypatch.setattr(data, "TIMEOUT", 0.3)
    monkeypatch.setattr(data, "PAUSE", 0.01)
    forget()
    yield
    forget()


def forget():
    data._cifar10.cache_clear()
    data._announce_stand_in.cache_clear()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def online(server, monkeypatch):
    monkeypatch.setenv("LABS_MIRROR", server.url)
    return server


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
    """What lies in the folder, the lock aside."""
    return {path.name for path in folder.iterdir()} - {".cifar10.lock"}


def assert_good(folder: Path):
    """The next run works, and leaves the finished file and nothing else."""
    forget()
    got = data.cifar10()
    assert got.source == "CIFAR-10"
    assert len(got.train_images) == 40
    assert names(folder) == {"cifar10.npz"}


# ------------------------------------------------------------------------------------------------------- all goes well


def test_download_and_unpack(online, folder, recwarn, capsys):
    got = data.cifar10()
    assert [tuple(t.shape) for t in got[:4]] == [(40, 3, 32, 32), (40,), (8, 3, 32, 32), (8,)]
    assert [t.dtype for t in got[:4]] == [torch.uint8, torch.int64, torch.uint8, torch.int64]
    assert got.train_images.is_contiguous()
    assert got.classes[3] == "cat" and got.source == "CIFAR-10"
    pixels = np.random.default_rng(0).integers(0, 256, (8, 3072), dtype=np.uint8)  # the first part: order is kept
    assert torch.equal(got.train_images[:8], torch.from_numpy(pixels).view(8, 3, 32, 32))
    assert got.train_labels[:10].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 1, 2]
    assert got.test_labels.tolist() == [5, 6, 7, 8, 9, 0, 1, 2]
    assert names(folder) == {"cifar10.npz"}
    assert online.asked == [None]
    assert not recwarn.list
    assert capsys.readouterr().err == ""


def test_it_is_remembered_then_read_from_the_folder(online):
    first = data.cifar10()
    assert data.cifar10() is first
    forget()
    assert torch.equal(data.cifar10().train_images, first.train_images)
    assert len(online.asked) == 1


def test_an_archive_laid_there_by_hand_is_used(folder, server, monkeypatch):
    monkeypatch.setenv("LABS_MIRROR", closed_port())
    folder.mkdir()
    (folder / data.CIFAR10_FILE).write_bytes(GOOD)
    assert_good(folder)


def test_a_wrong_archive_in_the_folder_is_replaced(online, folder):
    folder.mkdir()
    (folder / data.CIFAR10_FILE).write_bytes(GOOD[:-1])
    assert_good(folder)
    assert online.asked == [None]


def test_slow_is_not_stalled(online, folder):
    online.plan = [("drip", len(GOOD) // 50)]
    assert_good(folder)
    assert len(online.asked) == 1


# ------------------------------------------------------------------------------------------------ a server that fails


@pytest.mark.parametrize("status, sentence", [
    (404, "404 Not Found. The file has moved. Save it by hand as .*cifar-10-python.tar.gz, or set LABS_MIRROR"),
    (403, "403 Forbidden. The server, or your network, forbids it. Save it by hand"),
])
def test_refused(online, folder, status, sentence):
    online.plan = [status]
    with pytest.raises(data.DataError, match=sentence) as caught:
        data.cifar10()
    assert "LABS_OFFLINE=1" in str(caught.value)
    assert len(online.asked) == 1  # asking again would not help
    assert_good(folder)


def test_busy_server_is_asked_again(online, folder, capsys):
    online.plan = [503, 500]
    assert_good(folder)
    assert "answered 503" in capsys.readouterr().out


def test_a_server_that_stays_busy(online, folder):
    online.plan = [503] * data.ATTEMPTS
    with pytest.raises(data.DataError, match="answered 503 .* Run the cell again in a while"):
        data.cifar10()
    assert_good(folder)


def test_a_truncated_body_is_completed(online, folder):
    online.plan = [("cut", 50_000), ("cut", 20_000)]
    assert_good(folder)
    assert online.asked == [None, "bytes=50000-", "bytes=70000-"]


def test_a_body_that_stays_truncated(online, folder):
    online.plan = [("cut", 1000)] * data.ATTEMPTS
    with pytest.raises(data.DataError, match="connection broke .* it goes on after the 4,000 bytes"):
        data.cifar10()
    assert names(folder) == {f"{data.CIFAR10_FILE}.part"}
    assert_good(folder)
    assert online.asked[-1] == "bytes=4000-"


def test_a_stalled_server(online, folder):
    online.plan = [("stall", 5000)] * data.ATTEMPTS
    with pytest.raises(data.DataError, match="sent nothing for 0.3 s"):
        data.cifar10()
    assert_good(folder)
    assert online.asked[-1] == "bytes=20000-"


def test_a_server_that_knows_no_ranges(online, folder):
    online.plan = [("cut", 50_000), "no ranges"]
    assert_good(folder)
    assert online.asked == [None, "bytes=50000-"]


def test_wrong_bytes_are_deleted_unopened(online, folder):
    online.plan = [archive(lambda parts: {**parts, "data_batch_1": Intruder()})]
    with pytest.raises(data.DataError, match="another file than expected .* login page"):
        data.cifar10()
    assert not MARKED
    assert names(folder) == set()
    assert_good(folder)


def test_the_intruder_would_have_been_noticed(tmp_path):
    (tmp_path / "bad").write_bytes(archive(lambda parts: {**parts, "data_batch_1": Intruder()}))
    with pytest.raises(TypeError):  # there is no array
        data._unpack_cifar10(tmp_path / "bad")
    assert MARKED.pop() == "unpickled"


def test_a_login_page(online, folder):
    online.plan = [b"<html>Welcome to the campus network</html>"]
    with pytest.raises(data.DataError, match="42 bytes, wrong SHA-256"):
        data.cifar10()
    assert_good(folder)


def test_pieces_of_two_files_are_not_joined(online, folder):
    folder.mkdir()
    (folder / f"{data.CIFAR10_FILE}.part").write_bytes(b"x" * 3000)
    assert_good(folder)
    assert online.asked == ["bytes=3000-", None]


@pytest.mark.parametrize("extra, requests", [(b"", 1), (b"too long", 2)])
def test_a_partial_file_that_has_everything(online, folder, extra, requests):
    folder.mkdir()
    (folder / f"{data.CIFAR10_FILE}.part").write_bytes(GOOD + extra)
    assert_good(folder)
    assert len(online.asked) == requests


def test_the_network_goes_away_half_way(online, folder, monkeypatch, drawn):
    """No stand-in then: the download can be finished."""
    online.plan = [("cut", 50_000)]
    monkeypatch.setattr(time, "sleep", lambda seconds: online.socket.close())
    with pytest.raises(data.DataError, match="no connection .* after the 50,000 bytes"):
        data.cifar10()
    assert not drawn


# ------------------------------------------------------------------------------------- a disk or a folder that refuses


LIMITED = """
import resource, sys
from utils import data
data.CIFAR10_SHA256, data.PAUSE = sys.argv[1], 0.01
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
data.cifar10()
"""


@posix
def test_no_room_for_the_download(online, folder):
    done = subprocess.run([sys.executable, "-c", LIMITED, SHA256], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "utils.data.DataError: No room in" in done.stderr
    assert "LABS_DATA" in done.stderr
    assert names(folder) == set()
    assert len(online.asked) == 1
    assert_good(folder)


def test_no_room_to_unpack(online, folder, monkeypatch):
    def fill(file, **arrays):
        file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", fill)
        with pytest.raises(data.DataError, match="No room in .* 360 MB"):
            data.cifar10()
    assert names(folder) == {data.CIFAR10_FILE}
    assert_good(folder)
    assert len(online.asked) == 1


@pytest.fixture(params=[0o555, 0o000], ids=["read only", "not even read"])
def closed_folder(request, monkeypatch):
    """A data folder that may not be written, not even by root: who is nobody for the while."""
    with tempfile.TemporaryDirectory() as name:
        monkeypatch.setenv("LABS_DATA", name)
        os.chmod(name, request.param)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(65534)
            if not os.access(data.__file__, os.R_OK, effective_ids=True):
                os.seteuid(0)
                pytest.skip("nobody but root may read this checkout")
        try:
            yield Path(name)
        finally:
            if is_root:
                os.seteuid(0)
            os.chmod(name, 0o755)
        assert list(Path(name).iterdir()) == []


@posix
def test_a_folder_that_cannot_be_written(online, closed_folder, monkeypatch, tmp_path):
    with pytest.raises(data.DataError, match=f"{closed_folder} cannot be written: Permission denied. .*LABS_DATA"):
        data.cifar10()
    if os.geteuid() != os.getuid():
        os.seteuid(0)
    monkeypatch.setenv("LABS_DATA", str(tmp_path / "mine"))
    assert_good(tmp_path / "mine")


@posix
def test_the_stand_in_needs_no_folder(closed_folder, monkeypatch, drawn):
    monkeypatch.setenv("LABS_OFFLINE", "1")
    assert data.cifar10().source == "stand-in"
    forget()
    monkeypatch.delenv("LABS_OFFLINE")
    monkeypatch.setenv("LABS_MIRROR", closed_port())
    assert data.cifar10().source == "stand-in"


def test_a_file_in_the_place_of_the_folder(online, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LABS_DATA", str(tmp_path / "file"))
    with pytest.raises(data.DataError, match="cannot be written"):
        data.cifar10()


@pytest.mark.parametrize("damage", [
    lambda good: good[: len(good) // 2],
    lambda good: b"",
    lambda good: b"text",
    lambda good: good[:40_000] + b"!!" + good[40_002:],
], ids=["half", "empty", "text", "two bytes"])
def test_a_damaged_file_is_named(online, folder, damage):
    data.cifar10()
    forget()
    path = folder / "cifar10.npz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(data.DataError, match="cifar10.npz is damaged .* Delete it and run the cell again"):
        data.cifar10()
    path.unlink()
    assert_good(folder)


# ------------------------------------------------------------------------------------------------- several processes


PROGRAM = """
import sys
from utils import data
data.CIFAR10_SHA256 = sys.argv[1]
got = data.cifar10()
print(got.source, len(got.train_images))
"""


def start() -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, SHA256], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_two_processes_at_once_download_once(online, folder):
    def wait_for_both():
        for _ in range(2):
            assert online.heads.acquire(timeout=40)
        time.sleep(0.3)  # the second has asked whether there is a network, and now comes to the lock

    online.before_get = wait_for_both
    both = [start(), start()]
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert all(out.strip().endswith("CIFAR-10 40") for out, _ in outputs)
    assert sum("waiting for it" in out for out, _ in outputs) == 1
    assert [err for _, err in outputs] == ["", ""]
    assert len(online.asked) == 1
    assert_good(folder)


@posix
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "killed"])
def test_broken_off_half_way_then_resumed(online, folder, how):
    online.plan = [("stall", 60_000)]
    process = start()
    part = folder / f"{data.CIFAR10_FILE}.part"
    give_up = time.monotonic() + 40
    while not (part.exists() and part.stat().st_size > 40_000):
        assert time.monotonic() < give_up and process.poll() is None
        time.sleep(0.02)
    process.send_signal(how)
    _, errors = process.communicate(timeout=30)
    assert process.returncode != 0
    assert ("KeyboardInterrupt" in errors) == (how == signal.SIGINT)
    kept = part.stat().st_size
    assert names(folder) == {part.name}
    assert_good(folder)
    assert online.asked == [None, f"bytes={kept}-"]


def test_ctrl_c_while_unpacking(online, folder, monkeypatch):
    def interrupt(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", interrupt)
        with pytest.raises(KeyboardInterrupt):
            data.cifar10()
    assert names(folder) == {data.CIFAR10_FILE}
    assert_good(folder)


# ------------------------------------------------------------------------------------------ no network: the stand-in


def closed_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_no_network_gives_the_stand_in_under_a_banner(folder, monkeypatch, drawn, capsys):
    monkeypatch.setenv("LABS_MIRROR", closed_port())
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    got = data.cifar10()
    assert got.source == "stand-in"
    assert got.train_images.shape == (30, 3, 32, 32) and got.train_labels.dtype == torch.int64
    assert got.classes == data.CLASSES
    said = capsys.readouterr()
    assert "STAND-IN DATA" in said.out and "NOT the CIFAR-10 images" in said.out
    assert "Connection refused" in said.out and "restart the kernel" in said.out
    assert said.err == ""
    assert len(pauses) <= 1
    assert [name[:8] for name in names(folder)] == ["standin-"]


def test_an_unknown_host_is_no_network(monkeypatch, drawn, capsys):
    monkeypatch.setenv("LABS_MIRROR", "http://nowhere.invalid")
    assert data.cifar10().source == "stand-in"
    assert "nowhere.invalid cannot be reached" in capsys.readouterr().out


def test_once_the_network_is_there_the_images_come(server, folder, monkeypatch, drawn):
    monkeypatch.setenv("LABS_MIRROR", closed_port())
    assert data.cifar10().source == "stand-in"
    forget()
    monkeypatch.setenv("LABS_MIRROR", server.url)
    assert data.cifar10().source == "CIFAR-10"


def test_labs_offline_wins_over_the_file_and_asks_nobody(online, folder, monkeypatch, drawn, capsys):
    data.cifar10()
    requests = len(online.asked)
    monkeypatch.setenv("LABS_OFFLINE", "1")
    assert data.cifar10().source == "stand-in"
    assert "LABS_OFFLINE=1 is set" in capsys.readouterr().out
    data.CIFAR10Dataset()
    assert "STAND-IN" not in capsys.readouterr().out  # once a process is enough
    assert len(online.asked) == requests
    monkeypatch.setenv("LABS_OFFLINE", "0")
    assert data.cifar10().source == "CIFAR-10"


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
    assert "STAND-IN DATA" in bundle["text/plain"]


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


# ---------------------------------------------------------------------------------------------- the folder, the Dataset


def test_the_data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("LABS_DATA", "~/somewhere")
    assert data.data_folder() == Path.home() / "somewhere"
    monkeypatch.delenv("LABS_DATA")
    assert data.data_folder() == ROOT / "data"
    monkeypatch.setattr(data, "__file__", str(tmp_path / "site-packages" / "utils" / "data.py"))
    assert data.data_folder().is_absolute() and tmp_path not in data.data_folder().parents
    assert "torch-labs" in data.data_folder().parts


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
