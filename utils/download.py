"""Downloads: a file is there whole and checked, or not at all, whatever the network, the disk or the user does.

`obtain` makes a dataset from downloaded files, one process at a time; `download` brings one file. `LABS_MIRROR` names
an address to download from in the place of the usual ones: a folder that holds all the files.
"""

import errno
import hashlib
import http.client
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import certifi
from filelock import FileLock, Timeout
from tqdm.auto import tqdm

TIMEOUT = 15  # seconds without a byte before a server counts as stalled
ATTEMPTS = 4
PAUSE = 1.0  # seconds before the second attempt; doubled before each next one
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
OTHER_FOLDER = "To choose another folder, put `%env LABS_DATA=~/labs-data` in a cell above and run both."


class DataError(RuntimeError):
    """A dataset could not be had. The message says why, and what to do; the next call tries again."""


class NoNetwork(DataError):
    """No server can be reached from here."""


def obtain(target: Path, base: str, files: dict[str, str], unpack: Callable, megabytes: int, instead: str) -> None:
    """Download files and make `target` of them, unless it is there; of several processes, one does it.

    Args:
        target: a file or a folder.
        base: address of the folder at the server; `LABS_MIRROR` overrides it.
        files: the SHA-256 of each file, by its name. They are kept beside `target` until it is made.
        unpack: called with the paths of the files, in their order; makes `target`, whole or not at all.
        megabytes: that all this takes for a moment.
        instead: what the lab goes on with where there is no network, for the messages.
    Raises:
        NoNetwork: no server answers.
        DataError: the download failed or cannot be kept; the message says why, and what to do.
    """
    if os.path.exists(target):  # (unlike target.exists(), False in a folder that may not be entered)
        return
    folder, base = target.parent, os.environ.get("LABS_MIRROR") or base
    if not all(os.path.exists(folder / name) for name in files):
        _require_network(base)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with lock(folder / f".{target.stem}.lock"):
            if target.exists():  # another process has brought it
                return
            paths = [download(name, sha256, base, folder) for name, sha256 in files.items()]
            unpack(*paths)
            for path in paths:
                path.unlink(missing_ok=True)  # where unpacking was moving
    except DataError as error:
        raise DataError(f"{error} To go on at once with {instead}, put `%env LABS_OFFLINE=1` in a cell above and run "
                        f"both.") from None
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise DataError(f"{folder} cannot be written: {error.strerror}. {OTHER_FOLDER}") from None
        for name in files:
            (folder / f"{name}.part").unlink(missing_ok=True)  # leave room to save the notebook
        raise DataError(f"No room in {folder}: the disk is full, or your share of it is. {target.name} needs "
                        f"{megabytes} MB. Make room and run the cell again. {OTHER_FOLDER}") from None


@contextmanager
def lock(path: Path):
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
    if target.exists() and sha256_of(target) == sha256:
        return target
    resumed = part.exists()
    _fetch(url, part)
    if resumed and sha256_of(part) != sha256:  # the two pieces may be of two files: once more, from the start
        part.unlink()
        _fetch(url, part)
    if sha256_of(part) != sha256:
        size = part.stat().st_size
        part.unlink()
        raise DataError(f"What came from {url} is another file than expected ({size:,} bytes, wrong SHA-256); it was "
                        f"deleted unopened. Perhaps your network answered with a login page: open the address in a "
                        f"browser, then run the cell again.")
    os.replace(part, target)
    return target


def sha256_of(path: Path) -> str:
    """The hexadecimal hash of a file."""
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
                                f"to an address that has it.") from None
        except urllib.error.URLError as error:
            problem = f"{url}: no connection ({error.reason})"
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise DataError(f"{problem}. Does your network want a login? Is the computer's clock right? "
                                f"Run the cell again then.") from None
        except TimeoutError:
            problem = f"{url}: the server sent nothing for {TIMEOUT} s"
        except (OSError, http.client.HTTPException) as error:
            if getattr(error, "errno", None) in (*FULL_DISK, errno.EACCES, errno.EPERM, errno.EROFS):
                raise  # writing failed, not reading
            problem = f"{url}: the connection broke ({error})"
    kept = part.stat().st_size if part.exists() else 0
    raise DataError(f"{problem}. That was attempt {ATTEMPTS} of {ATTEMPTS}. Run the cell again in a while: it goes on "
                    f"after the {kept:,} bytes that have come.")


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


