"""A notebook in any state, read as JSON: its cells, and the names that they define. Nothing of it is run or parsed."""

import functools
import json
import re
import textwrap
from dataclasses import dataclass

MAX_BYTES = 100 * 2**20  # of a notebook, outputs and all
MAX_VALUES = 5_000_000  # of JSON in a notebook; each takes up to 100 bytes of memory
MAX_CELLS = 5_000
MAX_CODE = 4_000_000  # characters, all cells together
MAX_TEXT = 100_000  # of a text cell; what is beyond is not looked at


class Unreadable(Exception):
    """Why a submission cannot be read: one sentence for the student."""


@dataclass(frozen=True)
class Cell:
    """A cell of a notebook, of whatever format."""

    id: str
    type: str  # "code"; else it is text
    source: str
    tags: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()  # other ids that it may carry: nbgrader's, Colab's, ours
    number: int = 0  # its place in the notebook, from 1

    @functools.cached_property
    def squeezed(self) -> str:
        return squeezed(self.source)

    @functools.cached_property
    def names(self) -> set[str]:
        """The names that it defines."""
        return defined(self.source)


def read_notebook(raw: bytes) -> tuple[list[Cell], list[str]]:
    """The cells of a notebook of any format, and notes on it; outputs are not looked at.

    nbformat's own readers refuse a notebook for one missing key; here only the cells and their text must be there.

    Raises:
        Unreadable: with the reason.
    """
    notes: list[str] = []
    notebook = _json(raw, notes)
    values = _cell_values(notebook)
    if values is None:
        raise Unreadable(
            "The file is JSON but no notebook, for it has no list of cells: hand in the .ipynb file itself."
        )
    if len(values) > MAX_CELLS:
        raise Unreadable(f"The notebook has {len(values):,} cells; the limit is {MAX_CELLS:,}.")
    version = notebook.get("nbformat")
    if isinstance(version, int) and not isinstance(version, bool) and version > 4:
        notes.append(
            f"The notebook's format, {cut(str(version), 20)}, is newer than this grader; it was read as format 4."
        )
    cells = [_cell(number, value) for number, value in enumerate(values, start=1) if isinstance(value, dict)]
    if len(cells) < len(values):
        notes.append(f"The notebook is damaged: {len(values) - len(cells)} of its cells are no cells.")
    refuse_much_code(cells)
    return cells, notes


def refuse_much_code(cells: list[Cell]) -> None:
    """Raise Unreadable where the code cells together are too long."""
    if (size := sum(len(cell.source) for cell in cells if cell.type == "code")) > MAX_CODE:
        raise Unreadable(
            f"The code cells hold {size:,} characters; the limit is {MAX_CODE:,}: take data out of the code."
        )


_AGAIN = "download the notebook once more and hand that in"
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_KINDS = {b"<": "a web page", b"%PDF": "a PDF", b"PK\3\4": "an archive or an Office document"}


def _values(raw: bytes) -> int:
    """About how many values a text of JSON holds, and those in its strings."""
    return sum(map(raw.count, (b",", b"[", b"{")))


def _decoded(raw: bytes, notes: list[str]) -> str:
    """The text of a notebook's file."""
    if len(raw) > MAX_BYTES:
        raise Unreadable(too_large(len(raw)))
    start = raw[:1000].removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start and not raw.strip():
        raise Unreadable("The file is empty: save the notebook, and hand it in again.")
    if kind := next((kind for mark, kind in _KINDS.items() if start.startswith(mark)), None):
        raise Unreadable(f"The file is {kind}, not a notebook: hand in the .ipynb file itself.")
    if _values(raw) > MAX_VALUES and _values(_STRING.sub(b"", raw)) > MAX_VALUES:
        raise Unreadable(
            f"The notebook holds more than {MAX_VALUES:,} values: clear its outputs, and hand it in again."
        )
    encoding = json.detect_encoding(raw)
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        where = f"byte {error.start:,}"
        raise Unreadable(f"The file is not UTF-8 text ({where}), perhaps it is damaged: {_AGAIN}.") from None
    if not encoding.startswith("utf-8"):
        notes.append(f"The notebook is {encoding.upper()} text, where UTF-8 belongs; it was read all the same.")
    return text


def _json(raw: bytes, notes: list[str]) -> dict:
    try:
        notebook = json.loads(_decoded(raw, notes))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno:,}, column {error.colno:,}: {error.msg}"
        raise Unreadable(f"The file is not whole, or no notebook; its JSON breaks off ({where}): {_AGAIN}.") from None
    except RecursionError:
        raise Unreadable(f"The file is no notebook: its JSON is nested too deeply; {_AGAIN}.") from None
    except ValueError:  # a number of more than 4300 digits
        raise Unreadable(f"The file is no notebook: it holds a number that cannot be read; {_AGAIN}.") from None
    if not isinstance(notebook, dict):
        raise Unreadable("The file is JSON but no notebook: hand in the .ipynb file itself.")
    return notebook


def too_large(size: int) -> str:
    """The sentence for a notebook above the limit."""
    return (
        f"The notebook has {'' if size > MAX_BYTES + 1 else 'more than '}{size / 2**20:,.0f} MB, "
        f"the limit is {MAX_BYTES // 2**20} MB: "
        "clear its outputs (Edit → Clear Outputs of All Cells), save, and hand it in again."
    )


def cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"


def _cell_values(notebook: dict) -> list | None:
    """The list of cells; until format 3 they were on worksheets."""
    if isinstance(notebook.get("cells"), list):
        return notebook["cells"]
    if not isinstance(notebook.get("worksheets"), list):
        return None
    sheets = [sheet for sheet in notebook["worksheets"] if isinstance(sheet, dict)]
    return [cell for sheet in sheets if isinstance(sheet.get("cells"), list) for cell in sheet["cells"]]


def _cell(number: int, value: dict) -> Cell:
    metadata = value.get("metadata") if isinstance(value.get("metadata"), dict) else {}
    nbgrader = metadata.get("nbgrader") if isinstance(metadata.get("nbgrader"), dict) else {}
    exercise = metadata.get("exercise")
    marks = [nbgrader.get("grade_id"), metadata.get("id"),
             f"exercise-{exercise.replace('.', '-')}" if isinstance(exercise, str) else None]  # fmt: skip
    tags = metadata.get("tags") if isinstance(metadata.get("tags"), list) else []
    is_code = value.get("cell_type") == "code" or ("cell_type" not in value and "outputs" in value)
    source = _text(value.get("source", value.get("input")))  # `input` until format 3
    return Cell(
        id=value["id"] if isinstance(value.get("id"), str) else "",
        type="code" if is_code else "markdown",
        source=source if is_code else source[:MAX_TEXT],
        tags=tuple(tag for tag in tags if isinstance(tag, str)),
        marks=tuple(mark for mark in marks if isinstance(mark, str)),
        number=number,
    )


def _text(value) -> str:
    """Text of a cell, a line or a list of lines; half a surrogate pair cannot be written to any file."""
    if isinstance(value, list):
        value = "".join(part for part in value if isinstance(part, str))
    if not isinstance(value, str):
        return ""
    return value.encode("utf-8", "replace").decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")


# -------------------------------------------------------------------------------- code, looked at without parsing it
# Python's parser is not made for hostile text (it can end the process), and who wrote this text may be hostile.

_DEFINITION = re.compile(r"(?:async[ \t]+def|def|class)[ \t]+(\w+)")
_EQUALS = re.compile(r"(?<![=!<>+\-*/%&|^@:])=(?!=)")
_TARGET = re.compile(r"\(?([\w\s,*]+)\)?")
_NAME = re.compile(r"[^\W\d]\w*")


def squeezed(source: str) -> str:
    """Text without spaces, comments and kinds of quotes: equal where an editor or a formatter was at work."""
    return re.sub(r"#[^\n]*|\s+", "", source).replace("'", '"')


def defined(source: str) -> set[str]:
    """The names that code defines at its outermost level: functions, classes, assignments."""
    names = set()
    for line in textwrap.dedent(source).split("\n"):
        if match := _DEFINITION.match(line):
            names.add(match[1])
        elif line[:1].isidentifier() or line[:1] == "(":
            for statement in line.split(";"):
                for target in _EQUALS.split(statement)[:-1]:
                    if match := _TARGET.fullmatch(target.partition(":")[0].strip()):
                        names.update(_NAME.findall(match[1]))
    return names
