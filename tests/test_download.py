"""`obtain` and `download`, and everything that can go wrong on the way: against a server on this machine."""

import errno
import hashlib
import http.server
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from utils import download
from utils.download import DataError, NoNetwork

ROOT = Path(download.__file__).parents[1]
posix = pytest.mark.skipif(os.name == "nt", reason="needs POSIX")
FILE, SECOND, TARGET = "set.tar.gz", "more.gz", "set.npz"
GOOD = random.Random(0).randbytes(150_000)
SHA256 = hashlib.sha256(GOOD).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` on 127.0.0.1. `plan` says what to do at the first, second … GET; after it all goes well.

    A step of the plan: an int (answer this status), ("cut", n) (break off after n bytes), ("stall", n) (send n bytes,
    then nothing), ("drip", n) (n bytes at a time), "no ranges" (send all whatever was asked), bytes (send these).
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {FILE: GOOD, SECOND: b"second"}
        self.plan, self.asked = [], []  # asked: the Range of each GET, None where there was none
        self.heads = threading.Semaphore(0)
        self.before_get = lambda: None
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/sets"

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
        name = self.path.removeprefix("/sets/")
        if name not in server.files:
            step = 404
        if isinstance(step, int):
            return self.send_error(step)
        body = step if isinstance(step, bytes) else server.files[name]
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
def surroundings(monkeypatch):
    """Short pauses, no proxy, no mirror."""
    for name in ("LABS_MIRROR", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    monkeypatch.setattr(download, "PAUSE", 0.01)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def online(server, monkeypatch):
    monkeypatch.setenv("LABS_MIRROR", server.url)
    return server


def get(folder: Path, unpack=None, files=None) -> None:
    """Obtain a dataset whose one file is unpacked by copying it."""
    download.obtain(folder / TARGET, "http://127.0.0.1:9", files or {FILE: SHA256}, megabytes=360,
                    instead="drawn images", unpack=unpack or (lambda *paths: shutil.copy(paths[0], folder / TARGET)))


def names(folder: Path) -> set[str]:
    """What lies in the folder, the lock aside."""
    return {path.name for path in folder.iterdir()} - {".set.lock"}


def assert_good(folder: Path):
    """The next run works, and leaves what was made and nothing else."""
    get(folder)
    assert (folder / TARGET).read_bytes() == GOOD
    assert names(folder) == {TARGET}


def closed_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


# ------------------------------------------------------------------------------------------------------- all goes well


def test_it_is_downloaded_once(online, folder, monkeypatch, recwarn, capsys):
    assert_good(folder)
    monkeypatch.setenv("LABS_MIRROR", closed_port())
    assert_good(folder)
    assert online.asked == [None]
    assert not recwarn.list
    assert capsys.readouterr().err == ""


def test_the_usual_address_where_no_mirror_is_named(server, folder):
    download.obtain(folder / TARGET, server.url, {FILE: SHA256}, lambda path: shutil.copy(path, folder / TARGET), 1, "")
    assert (folder / TARGET).read_bytes() == GOOD


def test_several_files_come_in_their_order(online, folder):
    files = {SECOND: hashlib.sha256(b"second").hexdigest(), FILE: SHA256}
    got = []
    get(folder, lambda *paths: got.extend(path.read_bytes() for path in paths), files)
    assert got == [b"second", GOOD]
    assert names(folder) == set()


def test_of_several_files_those_that_came_are_kept(online, folder):
    files = {FILE: SHA256, SECOND: hashlib.sha256(b"second").hexdigest()}
    online.plan = [None, 404]
    with pytest.raises(DataError, match="404 Not Found"):
        get(folder, files=files)
    assert names(folder) == {FILE}
    get(folder, files=files)
    assert len(online.asked) == 3
    assert names(folder) == {TARGET}


def test_a_file_laid_there_by_hand_is_used(folder, monkeypatch):
    monkeypatch.setenv("LABS_MIRROR", closed_port())
    folder.mkdir()
    (folder / FILE).write_bytes(GOOD)
    assert_good(folder)


def test_a_wrong_file_in_the_folder_is_replaced(online, folder):
    folder.mkdir()
    (folder / FILE).write_bytes(GOOD[:-1])
    assert_good(folder)
    assert online.asked == [None]


def test_slow_is_not_stalled(online, folder):
    online.plan = [("drip", len(GOOD) // 50)]
    assert_good(folder)
    assert len(online.asked) == 1


# ------------------------------------------------------------------------------------------------ a server that fails


@pytest.mark.parametrize("status, sentence", [
    (404, "404 Not Found. The file has moved. Save it by hand as .*set.tar.gz, or set LABS_MIRROR"),
    (403, "403 Forbidden. The server, or your network, forbids it. Save it by hand"),
])
def test_refused(online, folder, status, sentence):
    online.plan = [status]
    with pytest.raises(DataError, match=sentence) as caught:
        get(folder)
    assert "LABS_OFFLINE=1" in str(caught.value)
    assert len(online.asked) == 1  # asking again would not help
    assert_good(folder)


def test_busy_server_is_asked_again(online, folder, capsys):
    online.plan = [503, 500]
    assert_good(folder)
    assert "answered 503" in capsys.readouterr().out


def test_a_server_that_stays_busy(online, folder):
    online.plan = [503] * download.ATTEMPTS
    with pytest.raises(DataError, match="answered 503 .* Run the cell again in a while"):
        get(folder)
    assert_good(folder)


def test_a_truncated_body_is_completed(online, folder):
    online.plan = [("cut", 50_000), ("cut", 20_000)]
    assert_good(folder)
    assert online.asked == [None, "bytes=50000-", "bytes=70000-"]


def test_a_body_that_stays_truncated(online, folder):
    online.plan = [("cut", 1000)] * download.ATTEMPTS
    with pytest.raises(DataError, match="connection broke .* it goes on after the 4,000 bytes"):
        get(folder)
    assert names(folder) == {f"{FILE}.part"}
    assert_good(folder)
    assert online.asked[-1] == "bytes=4000-"


def test_a_stalled_server(online, folder):
    online.plan = [("stall", 5000)] * download.ATTEMPTS
    with pytest.raises(DataError, match="sent nothing for 0.3 s"):
        get(folder)
    assert_good(folder)
    assert online.asked[-1] == "bytes=20000-"


def test_a_server_that_knows_no_ranges(online, folder):
    online.plan = [("cut", 50_000), "no ranges"]
    assert_good(folder)
    assert online.asked == [None, "bytes=50000-"]


def test_wrong_bytes_are_deleted_unopened(online, folder):
    online.plan = [GOOD[:-1] + b"!"]
    with pytest.raises(DataError, match="another file than expected .* login page"):
        get(folder)
    assert names(folder) == set()
    assert_good(folder)


def test_a_login_page(online, folder):
    online.plan = [b"<html>Welcome to the campus network</html>"]
    with pytest.raises(DataError, match="42 bytes, wrong SHA-256"):
        get(folder)
    assert_good(folder)


def test_pieces_of_two_files_are_not_joined(online, folder):
    folder.mkdir()
    (folder / f"{FILE}.part").write_bytes(b"x" * 3000)
    assert_good(folder)
    assert online.asked == ["bytes=3000-", None]


@pytest.mark.parametrize("extra, requests", [(b"", 1), (b"too long", 2)])
def test_a_partial_file_that_has_everything(online, folder, extra, requests):
    folder.mkdir()
    (folder / f"{FILE}.part").write_bytes(GOOD + extra)
    assert_good(folder)
    assert len(online.asked) == requests


def test_the_network_goes_away_half_way(online, folder, monkeypatch):
    """No stand-in then (that is for NoNetwork): the download can be finished."""
    online.plan = [("cut", 50_000)]
    monkeypatch.setattr(time, "sleep", lambda seconds: online.socket.close())
    with pytest.raises(DataError, match="no connection .* after the 50,000 bytes") as caught:
        get(folder)
    assert not isinstance(caught.value, NoNetwork)


# ------------------------------------------------------------------------------------- a disk or a folder that refuses


PROGRAM = """
import shutil, sys
from pathlib import Path
from utils import download
download.PAUSE = 0.01
target = Path(sys.argv[1])
download.obtain(target, "", {"set.tar.gz": sys.argv[2]}, lambda path: shutil.copy(path, target), 360, "drawn images")
print(target.stat().st_size)
"""
LIMIT = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
"""


def start(folder: Path, program: str = PROGRAM) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", program, str(folder / TARGET), SHA256], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@posix
def test_no_room_for_the_download(online, folder):
    _, errors = start(folder, LIMIT + PROGRAM).communicate(timeout=60)
    assert "utils.download.DataError: No room in" in errors
    assert "set.npz needs 360 MB" in errors and "LABS_DATA" in errors
    assert names(folder) == set()
    assert len(online.asked) == 1
    assert_good(folder)


def test_no_room_to_unpack(online, folder):
    def fill(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(DataError, match="No room in .* 360 MB"):
        get(folder, fill)
    assert names(folder) == {FILE}
    assert_good(folder)
    assert len(online.asked) == 1


@posix
def test_a_folder_that_cannot_be_written(online, closed_folder):
    with pytest.raises(DataError, match=f"{closed_folder} cannot be written: Permission denied. .*LABS_DATA"):
        get(closed_folder)
    assert online.asked == []


def test_a_file_in_the_place_of_the_folder(online, folder):
    folder.write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        get(folder)


# ------------------------------------------------------------------------------------------------- several processes


def test_two_processes_at_once_download_once(online, folder):
    def wait_for_both():
        for _ in range(2):
            assert online.heads.acquire(timeout=40)
        time.sleep(0.3)  # the second has asked whether there is a network, and now comes to the lock

    online.before_get = wait_for_both
    both = [start(folder), start(folder)]
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert all(out.strip().endswith("150000") for out, _ in outputs)
    assert sum("waiting for it" in out for out, _ in outputs) == 1
    assert [err for _, err in outputs] == ["", ""]
    assert len(online.asked) == 1
    assert_good(folder)


@posix
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "killed"])
def test_broken_off_half_way_then_resumed(online, folder, how):
    online.plan = [("stall", 60_000)]
    process = start(folder)
    part = folder / f"{FILE}.part"
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


def test_ctrl_c_while_unpacking(online, folder):
    def interrupt(path):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(folder, interrupt)
    assert names(folder) == {FILE}
    assert_good(folder)
    assert len(online.asked) == 1


# --------------------------------------------------------------------------------------------------------- no network


def test_no_network_is_said_and_leaves_nothing(folder, monkeypatch):
    monkeypatch.setenv("LABS_MIRROR", closed_port())
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with pytest.raises(NoNetwork, match="cannot be reached: .*Connection refused"):
        get(folder)
    assert len(pauses) <= 1
    assert not folder.exists()


def test_one_of_several_files_does_not_do_without_network(folder, monkeypatch):
    monkeypatch.setenv("LABS_MIRROR", closed_port())
    folder.mkdir()
    (folder / FILE).write_bytes(GOOD)
    with pytest.raises(NoNetwork):
        get(folder, files={FILE: SHA256, SECOND: SHA256})


def test_an_unknown_host_is_no_network(folder, monkeypatch):
    monkeypatch.setenv("LABS_MIRROR", "http://nowhere.invalid")
    with pytest.raises(NoNetwork, match="nowhere.invalid cannot be reached"):
        get(folder)


# ------------------------------------------------------------------------------------------------ whatever the server does


def steps():
    """What a server may do at one request; see `Server`."""
    amounts = st.integers(0, len(GOOD))
    return st.one_of(st.none(), st.sampled_from([500, 503, 408, 429, 403, 404]), st.just("no ranges"),
                     st.tuples(st.just("cut"), amounts), st.binary(min_size=1, max_size=200))


@settings(deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=st.lists(steps(), max_size=8), before=st.integers(0, len(GOOD)))
def test_the_file_is_there_whole_or_not_at_all(online, monkeypatch, plan, before):
    monkeypatch.setattr(download, "PAUSE", 0)
    online.plan = list(plan)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / f"{FILE}.part").write_bytes(GOOD[:before])  # of a download that was broken off
        while online.plan:  # run the cell again
            try:
                get(folder)
            except DataError:
                assert not (folder / TARGET).exists() and not (folder / FILE).exists()
            else:
                break
        online.plan = []
        assert_good(folder)
