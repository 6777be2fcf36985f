"""Folders and archives of submissions."""

import io
import re
import zipfile
from pathlib import Path

from states import only_answers, raw, solved

from course.grader.finding import find

NOTEBOOK = raw(only_answers(solved()))
OTHER = raw(only_answers(solved("01")))


def content(name: str) -> bytes:
    """A notebook of the lab that a file's name says."""
    return OTHER if re.search("01_tensors|Lab 01", name) else NOTEBOOK


def put(folder: Path, *names: str, data: bytes | None = None) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(name) if data is None else data)


def archive(members: dict[str, bytes] | list[str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name in members:
            file.writestr(name, members[name] if isinstance(members, dict) else content(name))
    return buffer.getvalue()


def placed(folder: Path, *arguments, **more) -> list[tuple[str, str]]:
    return [(one.student, one.lab) for one in find(folder, *arguments, **more)[0]]
