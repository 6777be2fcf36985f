"""The files of a folder and of the archives in it: nothing is unpacked to disk, no size that is claimed is believed."""

import functools
import io
import lzma
import os
import re
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .notebook import MAX_BYTES, Unreadable, cut, too_large

MAX_ARCHIVE = 100 * 2**20  # bytes of an archive inside an archive
MAX_INNER = 20  # archives inside a student's archive
MAX_DEPTH = 3  # archives inside each other
MAX_MEMBERS = 100_000  # files in an archive
MAX_NAME = 255  # characters of a file's name

_NBGRADER = {"autograded", "feedback", "release", "source"}  # beside submitted/


@dataclass(frozen=True)
class Unplaced:
    """A file that does not count, and why: one sentence for the instructor."""

    origin: str
    reason: str


@dataclass(frozen=True)
class File:
    """A file as it lies there. `parts`: the names on the way to it, archives without their .zip; last its own."""

    origin: str
    parts: tuple[str, ...]
    path: Path
    members: tuple[int, ...] = ()
    modified: int = 0  # seconds

    @property
    def is_notebook(self) -> bool:  # browsers add .txt or .json to a text that they save
        return bool(re.search(r"\.ipynb(?:\.(?:txt|json))?$", self.parts[-1], re.IGNORECASE))

    @property
    def stem(self) -> str:
        return re.sub(r"\.ipynb.*$|\.\w{1,5}$", "", self.parts[-1], flags=re.IGNORECASE)


def _is_junk(part: str) -> bool:
    return (part.startswith(".") and part != "..") or part in ("__MACOSX", "__pycache__", "Thumbs.db", "desktop.ini")


def _shown(path: str) -> str:
    """A path that can be written into a file and shown: no control characters, no bytes that are no text."""
    path = path.encode("utf-8", "replace").decode("utf-8")
    return "".join(char if char.isprintable() else "�" for char in path)


def files(folder: Path, unplaced: list[Unplaced]) -> Iterator[File]:
    """All files of a folder and of the archives in it, in order; what is no file, or no archive, is noted."""

    def note(error: OSError) -> None:
        path = _shown(os.path.relpath(error.filename, folder))
        unplaced.append(Unplaced(path, f"It cannot be read: {error.strerror}."))

    for here, folders, names in os.walk(folder, onerror=note):
        folders[:] = sorted(name for name in folders if not _is_junk(name))
        if Path(here) == folder and "submitted" in folders:
            folders[:] = [name for name in folders if name not in _NBGRADER]
        for name in sorted(names):
            path = Path(here, name)
            parts = tuple(map(_shown, path.relative_to(folder).parts))
            if _is_junk(name):
                continue
            try:
                status = path.lstat()
            except OSError as error:
                note(error)
                continue
            if not stat.S_ISREG(status.st_mode):
                unplaced.append(Unplaced("/".join(parts), "It is a link or no file at all: put the file itself there."))
                continue
            yield from _opened(File("/".join(parts), parts, path, (), int(status.st_mtime)), unplaced)
        links = [Path(here, name).relative_to(folder) for name in folders if Path(here, name).is_symlink()]
        unplaced += [Unplaced(_shown(str(link)), "It is a link: put the folder itself there.") for link in links]


def _opened(file: File, unplaced: list[Unplaced], budget: list[int] | None = None) -> Iterator[File]:
    """A file; of a .zip archive, the files in it."""
    suffix = Path(file.parts[-1]).suffix.lower()
    if suffix in (".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz"):
        reason = f"An archive of this kind ({suffix}) is not opened: unpack it there, or use .zip."
        unplaced.append(Unplaced(file.origin, reason))
    elif suffix != ".zip":
        yield file
    elif len(file.members) >= MAX_DEPTH:
        unplaced.append(Unplaced(file.origin, f"It is an archive in an archive, {MAX_DEPTH} times over: unpack it."))
    elif budget is not None and budget[0] <= 0:
        reason = f"The archive that it is in holds more than {MAX_INNER} others: unpack it."
        unplaced.append(Unplaced(file.origin, reason))
    else:
        if budget is not None:
            budget[0] -= 1
        try:
            archive = _archive(file.path, file.members)
            if len(archive.infolist()) > MAX_MEMBERS:
                raise Unreadable(f"It holds more than {MAX_MEMBERS:,} files.")
        except Unreadable as error:
            unplaced.append(Unplaced(file.origin, f"The archive cannot be read: {error}"))
            return
        yield from _members(file, archive, unplaced, budget)


def _members(
    file: File, archive: zipfile.ZipFile, unplaced: list[Unplaced], budget: list[int] | None
) -> Iterator[File]:
    outer = (*file.parts[:-1], re.sub(r"\.zip$", "", file.parts[-1], flags=re.IGNORECASE))
    for index, info in enumerate(archive.infolist()):
        parts = tuple(part for part in re.split(r"[\\/]+", _shown(_member_name(info))) if part not in ("", ".", ".."))
        if not parts or info.is_dir() or any(map(_is_junk, parts)):  # a name may be empty, which `is_dir` cannot bear
            continue
        origin = cut("/".join((file.origin, *parts)), 1000)
        if max(map(len, parts)) > MAX_NAME or stat.S_ISLNK(info.external_attr >> 16):
            unplaced.append(Unplaced(origin, "It is a link, or its name is too long."))
            continue
        inner = File(origin, (*outer, *parts), file.path, (*file.members, index), _modified(info))
        # Below the download of a platform each archive is a student's, with a budget of its own.
        yield from _opened(inner, unplaced, [MAX_INNER] if budget is None else budget)


def _member_name(info: zipfile.ZipInfo) -> str:
    """A member's name; macOS writes UTF-8 and does not say so."""
    if not info.flag_bits & 0x800:
        try:
            return info.filename.encode("cp437").decode("utf-8")
        except UnicodeError:
            pass
    return info.filename


def _modified(info: zipfile.ZipInfo) -> int:
    try:
        return int(time.mktime((*info.date_time, 0, 0, -1)))
    except (ValueError, OverflowError):
        return 0


_BROKEN = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, struct.error,
           OSError, EOFError, RuntimeError, NotImplementedError, ValueError, OverflowError)  # fmt: skip


def _open(path: Path):
    """A file to read; in the place of which no link or pipe may have come since it was listed."""
    file = open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError("it is no file any more")
    return file


def _archive(path: Path, members: tuple[int, ...]) -> zipfile.ZipFile:
    status = path.stat()
    return _archive_at(path, members, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=3)  # the members of an archive are read one after another
def _archive_at(path: Path, members: tuple[int, ...], modified: int, size: int) -> zipfile.ZipFile:
    try:
        if not members:
            return zipfile.ZipFile(_open(path))
        data = _member(path, members, MAX_ARCHIVE)
        if len(data) > MAX_ARCHIVE:
            raise Unreadable(f"It has more than {MAX_ARCHIVE // 2**20} MB.")
        return zipfile.ZipFile(io.BytesIO(data))
    except _BROKEN as error:
        raise Unreadable(f"It is no whole .zip archive ({_reason(error)}).") from None


def _member(path: Path, members: tuple[int, ...], limit: int) -> bytes:
    """A member of an archive, at most one byte more than the limit: what it claims of its size is not believed."""
    archive = _archive(path, members[:-1])
    try:
        info = archive.infolist()[members[-1]]
        with archive.open(info) as file:
            data = file.read(limit + 1)
    except IndexError:
        raise Unreadable("The archive has changed since it was looked at.") from None
    except _BROKEN as error:
        raise Unreadable(f"The archive does not give it back ({_reason(error)}): hand it in once more.") from None
    return data


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error or type(error).__name__).split())[:200].rstrip(".")


def read(path: Path, members: Iterable[int]) -> bytes:
    """The bytes of a notebook, in a file or in an archive. Raises Unreadable."""
    if members:
        data, size = _member(path, tuple(members), MAX_BYTES), 0
    else:
        try:
            with _open(path) as file:
                data, size = file.read(MAX_BYTES + 1), os.fstat(file.fileno()).st_size
        except OSError as error:
            raise Unreadable(f"The file cannot be read: {_reason(error)}.") from None
    if len(data) > MAX_BYTES:
        raise Unreadable(too_large(max(size, len(data))))
    return data
