"""Submissions: which file is whose and of which lab; and of a notebook in any state, the cells to run.

Nothing of a student's is unpacked to disk, run or parsed as Python here: this is the process that knows the answers.
Who someone is follows from what the instructor or the platform named (the outer folders, the prefix of a file), never
from a name inside a student's own archive.
"""

import csv
import functools
import io
import json
import lzma
import os
import re
import stat
import struct
import textwrap
import time
import unicodedata
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

MAX_BYTES = 100 * 2**20  # of a notebook, outputs and all
MAX_VALUES = 5_000_000  # of JSON in a notebook; each takes up to 100 bytes of memory
MAX_CELLS = 5_000
MAX_CODE = 4_000_000  # characters, all cells together
MAX_TEXT = 100_000  # of a text cell; what is beyond is not looked at
MAX_SHOWN = 20_000  # characters of an answer, as kept for the feedback
MAX_ARCHIVE = 100 * 2**20  # bytes of an archive inside an archive
MAX_INNER = 20  # archives inside a student's archive
MAX_DEPTH = 3  # archives inside each other
MAX_MEMBERS = 100_000  # files in an archive
MAX_NAME = 255  # characters of a file's name


class Unreadable(Exception):
    """Why a submission cannot be read: one sentence for the student."""


class MappingError(ValueError):
    """What is wrong with the mapping file, and where."""


# ---------------------------------------------------------------------------------------------------- what was released


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
        return _squeezed(self.source)

    @functools.cached_property
    def names(self) -> set[str]:
        """The names that it defines."""
        return defined(self.source)


@dataclass(frozen=True)
class Release:
    """A lab as students got it."""

    lab: str  # "02"
    name: str  # "02_autograd"
    cells: dict[str, Cell]  # by id, in order
    exercises: dict[str, str]  # "02.1" -> id of its cell
    needs: dict[str, tuple[str, ...]]  # "02.1" -> names that the student defines
    written: dict[str, str]  # id of the cell of a written answer -> what is asked, Markdown

    @functools.cached_property
    def imports(self) -> Cell:
        """The cell with the lab's imports: the first code cell that is not the setup."""
        return next(cell for cell in self.cells.values() if cell.type == "code" and "setup" not in cell.tags)

    @functools.cached_property
    def by_source(self) -> dict[str, Cell]:
        cells = [cell for cell in self.cells.values() if cell.id not in self.written and cell.squeezed]
        return {cell.squeezed: cell for cell in cells}

    @functools.cached_property
    def shown(self) -> set[str]:
        """The names that the released demonstrations define."""
        return set().union(*(cell.names for cell in self.cells.values() if _is_show(cell.tags)))

    @functools.cached_property
    def needed(self) -> set[str]:
        return {name for names in self.needs.values() for name in names}

    def known(self, cell: Cell) -> Cell | None:
        """The released cell that a student's cell is a copy of, or was made from: by equal text, else by an id."""
        copied = self.by_source.get(cell.squeezed)
        return copied or next((self.cells[mark] for mark in (cell.id, *cell.marks) if mark in self.cells), None)

    def exercise_of(self, cell: Cell | None) -> str | None:
        """The exercise that a released cell sets."""
        return next((id for id, where in self.exercises.items() if cell and where == cell.id), None)

    def answered_by(self, cell: Cell) -> set[str]:
        """The exercises of which a student's cell defines a name, unless the cell is as it was released."""
        known = self.known(cell)
        if known and _same(cell, known):
            return set()
        here = cell.names
        return {id for id, names in self.needs.items() if here.intersection(names)}


def labs() -> dict[str, str]:
    """The released labs: {"02": "02_autograd", …}."""
    return {path.stem[:2]: path.stem for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))}


@functools.cache
def release(lab: str) -> Release:
    """What students got of a lab.

    Raises:
        ValueError: there is no such lab.
    """
    from utils import checks  # takes torch along

    if lab not in labs():
        raise ValueError(f"There is no lab {lab!r}; there are {', '.join(labs())}.")
    name = labs()[lab]
    cells, _ = read_notebook((ROOT / "notebooks" / f"{name}.ipynb").read_bytes())
    question, written = "", {}
    for cell in cells:
        if cell.id.startswith("written-"):
            written[cell.id] = question
        elif cell.type != "code":
            question = cell.source
    items = checks.exercises(lab)
    exercises = {id: f"exercise-{id.replace('.', '-')}" for id in items}
    return Release(lab, name, {cell.id: cell for cell in cells}, exercises,
                   {id: tuple(item.needs) for id, item in items.items()}, written)  # fmt: skip


# ---------------------------------------------------------------------------------------------------- reading a notebook


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
            f"The notebook's format, {_cut(str(version), 20)}, is newer than this grader; it was read as format 4."
        )
    cells = [_cell(number, value) for number, value in enumerate(values, start=1) if isinstance(value, dict)]
    if len(cells) < len(values):
        notes.append(f"The notebook is damaged: {len(values) - len(cells)} of its cells are no cells.")
    if (size := sum(len(cell.source) for cell in cells if cell.type == "code")) > MAX_CODE:
        raise Unreadable(
            f"The code cells hold {size:,} characters; the limit is {MAX_CODE:,}: take data out of the code."
        )
    return cells, notes


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
        raise Unreadable(
            f"The file is not UTF-8 text (byte {error.start:,}), perhaps it is damaged: {_AGAIN}."
        ) from None
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
        f"The notebook has {'' if size > MAX_BYTES + 1 else 'more than '}{size / 2**20:,.0f} MB, the limit is {MAX_BYTES // 2**20} MB: "
        "clear its outputs (Edit → Clear Outputs of All Cells), save, and hand it in again."
    )


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
_CALLS = re.compile(r"(?:(?:check|progress|hand_in)\([^()]*\);?)+")
_FENCED = re.compile(r"^[ \t]*(?:```|~~~)[^\n]*\n(.*?)^[ \t]*(?:```|~~~)", re.MULTILINE | re.DOTALL)


def _squeezed(source: str) -> str:
    """Text without spaces, comments and kinds of quotes: equal where an editor or a formatter was at work."""
    return re.sub(r"#[^\n]*|\s+", "", source).replace("'", '"')


def _same(cell: Cell, released: Cell) -> bool:
    return cell.squeezed == released.squeezed


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


def _code_lines(source: str) -> list[str]:
    return [line for line in source.expandtabs().split("\n") if line.strip() and not line.lstrip().startswith("#")]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _opened_by(lines: list[str], before: Iterable[int] = ()) -> list[int]:
    """Indents of the blocks that are open at the end of code lines, outermost first."""
    blocks = list(before)
    for indent in map(_indent, lines):
        while blocks and blocks[-1] >= indent:
            blocks.pop()
        blocks.append(indent)
    return blocks


def _continues(blocks: list[int], last: str, lines: list[str]) -> bool:
    """Whether code starts inside a block of the code before it: one cell, split in two.

    Args:
        blocks, last: the open blocks and the last line of the code before.
    """
    if not blocks or not lines or not _indent(lines[0]):
        return False
    header = last.rstrip().endswith(":") and _indent(lines[0]) > _indent(last)
    return blocks[0] == 0 and (header or _indent(lines[0]) in blocks)


# ----------------------------------------------------------------------------------------------- what of it is to be run


@dataclass(frozen=True)
class Work:
    """What a student's notebook comes to."""

    cells: list[dict]  # {"id", "source"}, in the order to run; the lab's imports first
    answers: dict[str, str]  # "02.1" -> the student's own code for it; "" where there is none
    written: dict[str, str]  # id of the released cell -> text; "" where it was left as it was
    notes: list[str] = field(default_factory=list)  # sentences for the student
    places: dict[str, str] = field(default_factory=dict)  # id of a cell that runs -> "cell 7"


def prepare(raw: bytes, release: Release) -> Work:
    """The cells to run of a notebook in any state.

    Left out are demonstrations, checks, what is empty, and a stub after an answer to its exercise. Cells are known by
    their ids, else by their text; answers by the names that their exercise needs.

    Raises:
        Unreadable: with the reason, one sentence.
    """
    cells, notes = read_notebook(raw)
    written = {id: _cut(text) for id, text in _written(cells, release).items()}
    cells = _retyped(_joined(cells, release, notes), release, notes)
    if (size := sum(len(cell.source) for cell in cells if cell.type == "code")) > MAX_CODE:
        raise Unreadable(
            f"The code cells hold {size:,} characters; the limit is {MAX_CODE:,}: take data out of the code."
        )
    run = _to_run(cells, release)
    other = "" if _likeness(cells, release) else lab_of(cells)
    if other:
        notes.append(f"This looks like the notebook of lab {other}; it was handed in for lab {release.lab}.")
    named, places, taken = [], {}, {release.imports.id}
    for cell in run:
        id = (
            cell.id
            if re.fullmatch(r"[\w-]{1,64}", cell.id, re.ASCII) and cell.id not in taken
            else f"cell-{cell.number}"
        )
        while id in taken:
            id += "-"
        taken.add(id)
        named.append({"id": id, "source": cell.source})
        places[id] = f"cell {cell.number}"
    imports = {"id": release.imports.id, "source": release.imports.source}
    return Work(
        [imports, *named], _answers(run, release), written, notes, {imports["id"]: "the lab's imports", **places}
    )


def _joined(cells: list[Cell], release: Release, notes: list[str]) -> list[Cell]:
    """The cells with the parts of a split exercise in one again."""
    groups: list[list[Cell]] = []
    blocks, last, is_answer = [], "", False  # at the end of the last group; whether it is an answer
    for cell in cells:
        lines = _code_lines(cell.source) if cell.type == "code" else []
        if cell.type == "code" and not cell.source.strip():
            continue
        if is_answer and _continues(blocks, last, lines):
            groups[-1].append(cell)
            blocks, last = _opened_by(lines, blocks), lines[-1]
            continue
        groups.append([cell])
        blocks, last = _opened_by(lines), lines[-1] if lines else ""
        is_answer = bool(lines) and bool(release.exercise_of(release.known(cell)) or release.needed & cell.names)
    for first, *others in groups:
        if len(others) == 1:
            notes.append(f"Cell {others[0].number} goes on inside cell {first.number}; both were run as one.")
        elif others:
            numbers = f"{others[0].number} to {others[-1].number}"
            notes.append(f"Cells {numbers} go on inside cell {first.number}; all were run as one.")
    return [replace(one[0], source="\n".join(cell.source for cell in one)) if one[1:] else one[0] for one in groups]


def _retyped(cells: list[Cell], release: Release, notes: list[str]) -> list[Cell]:
    """The cells, with an answer that stands in a text cell as code, where no code cell answers its exercise."""
    answered = set().union(*(release.answered_by(cell) for cell in cells if cell.type == "code"))
    result = []
    for cell in cells:
        if cell.type != "code" and (found := _answer_in_text(cell, release)) and not found[1] & answered:
            cell = replace(cell, type="code", source=found[0])
            notes.append(
                f"Cell {cell.number}, with your answer to {', '.join(sorted(found[1]))}, is a text cell; it was run as code."
            )
        result.append(cell)
    return result


def _answer_in_text(cell: Cell, release: Release) -> tuple[str, set[str]] | None:
    """(code, exercises) of a text cell that gives all that an exercise needs (or some, where it is the exercise's own)."""
    known = release.known(cell)
    own = release.exercise_of(known)
    if known and (not own or _same(cell, known)):
        return None
    fenced = "\n".join(_FENCED.findall(cell.source))
    code = fenced if release.needed & defined(fenced) else cell.source
    here = defined(code)
    found = {
        id for id, names in release.needs.items() if here.issuperset(names) or (id == own and here.intersection(names))
    }
    return (code, found) if found else None


def _to_run(cells: list[Cell], release: Release) -> list[Cell]:
    """The code cells that run, in order."""
    run, done = [], set()  # done: exercises of which no stub is to run any more
    for cell in cells:
        squeezed, known = cell.squeezed, release.known(cell)
        if cell.type != "code" or not squeezed or _CALLS.fullmatch(squeezed) or (known and known.id in release.written):
            continue
        if known and _same(cell, known):
            exercise = release.exercise_of(known)
            if exercise in done or known is release.imports or known.type != "code" or _is_show(known.tags):
                continue
            done |= {exercise} - {None}
        elif _is_no_answer(cell, known, release):
            continue
        done |= release.answered_by(cell)
        run.append(cell)
    return run


def _is_show(tags: Iterable[str]) -> bool:
    return not {"demo", "setup"}.isdisjoint(tags)


def _is_no_answer(cell: Cell, known: Cell | None, release: Release) -> bool:
    """Whether an edited cell is a demonstration, the setup or prose still: nothing in it has a new name."""
    here = cell.names
    if _is_show(cell.tags) or (known and _is_show(known.tags)):
        return not here - release.shown
    return bool(known) and known.type != "code" and not here


def _answers(run: list[Cell], release: Release) -> dict[str, str]:
    """What each exercise's feedback shows: the cells that define what it needs, else its own cell if it was edited."""
    named, own = defaultdict(list), defaultdict(list)
    for cell in run:
        for id in release.answered_by(cell):
            named[id].append(cell.source.strip("\n"))
        known = release.known(cell)
        if (id := release.exercise_of(known)) and not _same(cell, known):
            own[id].append(cell.source.strip("\n"))
    return {id: _cut("\n\n".join(named[id] or own[id])) for id in release.exercises}


def _written(cells: list[Cell], release: Release) -> dict[str, str]:
    """The written answers: the cells that held them, and what the student added below until the next released cell."""
    found: dict[str, list[str]] = {id: [] for id in release.written}
    questions = {_squeezed(question): id for id, question in release.written.items()}
    at = None  # the answer that text belongs to
    for cell in cells:
        known = release.known(cell)
        if known and known.id in found:
            at = known.id
        elif known:
            at = questions.get(known.squeezed) if known.type != "code" else None
            continue
        elif cell.type == "code":
            at = None
        if at:
            text = cell.source.replace(release.cells[at].source, "").strip()
            found[at] += [text] if text and not _answer_in_text(cell, release) else []
    return {id: "\n\n".join(texts) for id, texts in found.items()}


def _cut(text: str, limit: int = MAX_SHOWN) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"


def lab_of(cells: list[Cell]) -> str:
    """The lab that a notebook's cells are of, by ids, text, and what they define; "" where that is not clear."""
    scores = {lab: _likeness(cells, release(lab)) for lab in labs()}
    best = max(scores, key=scores.get, default="")
    return best if best and scores[best] and list(scores.values()).count(scores[best]) == 1 else ""


def _likeness(cells: list[Cell], release: Release) -> int:
    """How many cells and answers of a lab a notebook has; ids and text that all labs share do not count."""
    known = [release.known(cell) for cell in cells]
    common = {"setup", "hand-in", *release.written}
    names = set().union(*(cell.names for cell in cells if cell.type == "code"))
    calls = {match for cell in cells for match in re.findall(r'(?:check|hand_in)\("(\d\d)[."]', cell.source)}
    answers = sum(names.issuperset(needs) for needs in release.needs.values())
    return len({cell.id for cell in known if cell} - common) + answers + (release.lab in calls)


# ------------------------------------------------------------------------------------------------------ whose file it is


@dataclass(frozen=True)
class Found:
    """A notebook that is somebody's."""

    student: str
    lab: str  # "" where it is not known
    origin: str  # its path below the folder, through archives too
    path: Path = field(default=Path(), repr=False)
    members: tuple[int, ...] = field(default=(), repr=False)  # its place in the archive at `path`, and in those inside
    problem: str = ""  # why it cannot be read, where that is known

    def read(self) -> bytes:
        """Its bytes. Raises Unreadable, with one sentence."""
        if self.problem:
            raise Unreadable(self.problem)
        return _read(self.path, self.members)


@dataclass(frozen=True)
class Unplaced:
    """A file that does not count, and why: one sentence for the instructor."""

    origin: str
    reason: str


@dataclass(frozen=True)
class _File:
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


@dataclass(frozen=True)
class _Owned:
    """A file, and whose it is."""

    file: _File
    student: str
    lab: str
    newest: tuple[int, ...]  # the platform's number, the copy's, seconds: the greatest of several counts
    depth: int = 0  # of the part that names the student: a name further out beats it, which no student can forge
    number: str = ""  # of the student on the platform
    is_local: bool = False  # that number is of one assignment only


def find(
    folder: Path | str, lab: str | None = None, mapping: Path | str | None = None
) -> tuple[list[Found], list[Unplaced]]:
    """The notebooks in a folder, each with its student and lab, and the files that could not be placed.

    Known layouts: files `NAME_02_autograd.ipynb`, a folder a student, nbgrader's `submitted/STUDENT/LAB/`, downloads of
    Moodle, Canvas and Blackboard, zip archives of any of these and inside them. Of several files of a student for one
    lab the newest counts: by the platform's number, by ` (1)` or `-1`, by time.

    Args:
        folder: with the submissions.
        lab: only this one, "02"; a file that names no lab and shows none is taken for it.
        mapping: a .csv file with the columns `file,student,lab`: file is an `origin`, or a folder or archive on the way
            to it; where student or lab is empty it is found as ever; student `-` leaves the file out.
    Raises:
        MappingError, ValueError: the mapping file, or the lab, is none.
    """
    if lab is not None and lab not in labs():
        raise ValueError(f"There is no lab {lab!r}; there are {', '.join(labs())}.")
    unplaced: list[Unplaced] = []
    rows = read_mapping(mapping)
    files = list(_files(Path(folder).resolve(), unplaced))
    said = {file.origin: _mapped(file, rows) for file in files}
    files = [file for file in files if said[file.origin][0] != "-"]
    unused = [key for key in rows if not any(_below(file.origin, key) for file in files) and rows[key][0] != "-"]
    unplaced += [Unplaced(key, "The mapping file names it, but there is no such file.") for key in unused]
    owned = _owned(files, said)
    found, problems = [], {}
    for one in owned:
        if one.file.is_notebook:
            before, one = one, _with_lab(one, said[one.file.origin][1], lab, problems)
            if one.lab in (lab, "") or lab is None:
                found.append(one)
            elif lab == before.lab:
                reason = f"Its name says lab {lab}, and it holds the cells of lab {one.lab}."
                unplaced.append(Unplaced(one.file.origin, reason))
    return _chosen(found, owned, problems, unplaced), sorted(unplaced, key=lambda one: one.origin)


_EXERCISE_ID = re.compile(rb'"id"\s*:\s*"exercise-(\d\d)-\d+"')


def named_otherwise(origin: str, lab: str) -> str:
    """A sentence, where a file's name says another lab than the one that it was taken for; else ""."""
    said = _lab_in(origin.rpartition("/")[2])[0]
    if said in ("", lab):
        return ""
    return f"The file's name says lab {said}; it holds the cells of lab {lab} and was graded as that."


def _with_lab(one: _Owned, said: str, wanted: str | None, problems: dict[str, str]) -> _Owned:
    """The lab as the mapping says, else the file's name, else its cells, else the one that is wanted."""
    if said:
        return replace(one, lab=said)
    try:
        raw = _read(one.file.path, one.file.members)
        if one.lab and wanted in (None, one.lab) and set(_EXERCISE_ID.findall(raw)) <= {one.lab.encode()}:
            return one
        seen = lab_of(read_notebook(raw)[0])
    except Unreadable as error:
        problems[one.file.origin] = str(error)
        seen = ""
    if one.lab:  # its name and its cells say two labs, or not the wanted one
        return replace(one, lab=seen if seen and wanted in (None, one.lab, seen) else one.lab)
    return replace(one, lab=seen or wanted or "")


def _chosen(
    notebooks: list[_Owned], owned: list[_Owned], problems: dict[str, str], unplaced: list[Unplaced]
) -> list[Found]:
    """Of each student and lab the newest notebook; the rest is noted as unplaced."""
    groups: dict[tuple, list[_Owned]] = defaultdict(list)
    for one in _told_apart(notebooks):
        origin = one.file.origin
        if not one.student:
            unplaced.append(
                Unplaced(origin, "Neither its name nor its folder says whose it is: say so in a mapping file.")
            )
        elif not one.lab and origin not in problems:
            unplaced.append(Unplaced(origin, "It holds no cell of any lab: if it is one, say which in a mapping file."))
        else:
            groups[one.student, one.lab].append(one)
    chosen = []
    for (student, lab), ones in groups.items():
        *older, newest = sorted(ones, key=lambda one: (-one.depth, *one.newest, one.file.origin))
        file = newest.file
        chosen.append(Found(student, lab, file.origin, file.path, file.members, "" if lab else problems[file.origin]))
        reason = (
            f"{file.origin} counts for {student}; if this is the one, or another student's, say so in a mapping file."
        )
        unplaced += [Unplaced(one.file.origin, reason) for one in older]
    have = {one.student for one in notebooks} | {student for student, _ in groups}
    for one in owned:
        if not one.file.is_notebook and one.student and one.student not in have:
            unplaced.append(
                Unplaced(one.file.origin, f"It is no notebook (.ipynb), and {one.student} has handed in none.")
            )
    return sorted(chosen, key=lambda one: (one.lab, one.student, one.origin))


def _told_apart(ones: list[_Owned]) -> list[_Owned]:
    """Students of one name with the platform's number added, where the numbers show that they are several."""
    numbers = defaultdict(set)
    for one in ones:
        if one.number:
            numbers[one.student, one.lab if one.is_local else ""].add(one.number)
    several = {student for (student, _), those in numbers.items() if len(those) > 1}
    return [
        replace(one, student=f"{one.student} {one.number}") if one.student in several and one.number else one
        for one in ones
    ]


# -- names

# Moodle's mod/assign/classes/downloader.php; Canvas's lib/content_zipper.rb; Blackboard as nbgrader's manual shows it.
_MOODLE = re.compile(r"(?P<student>.+?)(?:_(?P<number>\d+))?_assignsubmission_[a-z]+(?:_(?P<rest>.*))?")
_CANVAS = re.compile(r"(?P<student>\w+?)(?:_(?:LATE|late))?_(?P<number>\d+)_(?P<stamp>\d{3,})_(?P<rest>.+)")
_CANVAS_ANONYMOUS = re.compile(r"(?:LATE_)?(?P<student>anon)_(?P<number>[A-Za-z0-9]+)_(?P<stamp>\d{3,})_(?P<rest>.+)")
_BLACKBOARD = re.compile(r"(?P<task>.+)_(?P<student>[^_]+)_attempt_(?P<stamp>\d{4}(?:-\d\d){5})(?:_(?P<rest>.+))?")

_COPY = re.compile(
    r"^(?:copy of|copy_of_|kopie von|copie de|copia de)[ _]*|[ _-]*(?<![^\W_])copy ?\d*$|[ _]*\((?P<number>\d{1,3})\)$",
    re.I,
)
_NUMBERED = re.compile(r"[ _-]*\(?(\d{1,3})\)?")
_ENDING = r"final|finished|done|solutions?|solved|answers?|submission|v\d{1,2}"
_TAIL = re.compile(rf"(?:[ _.-]+(?:{_ENDING}))+$", re.I)
_NOISE = re.compile(rf"(?:(?:{_ENDING}|untitled\d*|notebook\w*|student|version|new|my|copy)(?:[ _.-]+|$))+", re.I)
_GENERIC = re.compile(
    r"(?:submitted|submissions?|downloads?|archives?|all|late|assignments?|hand[ _-]?ins?|notebooks?|labs?|homeworks?"
    r"|inbound|collected|students?|moodle|canvas|blackboard)\d*|.*[ _-]submissions|submissions[ _-].*",
    re.I,
)
_NBGRADER = {"autograded", "feedback", "release", "source"}  # beside submitted/


@functools.cache
def _lab_patterns() -> dict[str, re.Pattern]:
    gap = "[ _.-]*"
    patterns = {}
    for lab, name in labs().items():
        words = gap.join(map(re.escape, name.split("_")[1:]))
        patterns[lab] = re.compile(
            rf"(?<![^\W_])(?:lab{gap})?(?:0?{int(lab)}{gap}{words}|lab{gap}0?{int(lab)})(?![^\W_])", re.I
        )
    return patterns


def _lab_in(text: str) -> tuple[str, str, str]:
    """(lab, text before its name, text after it); ("", text, "") where it names none, or two."""
    found = {lab: match for lab, pattern in _lab_patterns().items() if (match := pattern.search(text))}
    if len(found) != 1:
        return "", text, ""
    [(lab, match)] = found.items()
    return lab, text[: match.start()], text[match.end() :]


def _of_stem(stem: str) -> tuple[str, str, int]:
    """(lab, student's name, number of the copy) as the name of a file says; "", "" and 0 where it does not."""
    number = 0
    while match := _COPY.search(stem):
        number = max(number, int(match["number"] or 0))
        stem = stem[: match.start()] + stem[match.end() :]
    lab, before, after = _lab_in(stem)
    if lab and (match := _NUMBERED.fullmatch(after)):
        number, after = max(number, int(match[1])), ""
    names = (_TAIL.sub("", part).strip(" _.-,") for part in (before, after))
    return lab, next((name for name in names if name and not _NOISE.fullmatch(name)), ""), number


def _of_platform(file: _File) -> _Owned | None:
    """Whose a file is, where a learning platform named it or a folder on the way. The outermost name is the platform's."""
    for place, part in enumerate(file.parts):
        for pattern in (_MOODLE, _CANVAS_ANONYMOUS, _CANVAS, _BLACKBOARD):
            if match := pattern.fullmatch(part):
                groups = match.groupdict()
                own = groups.get("rest") or part if place == len(file.parts) - 1 else file.parts[-1]
                lab, _, copy = _of_stem(replace(file, parts=(own,)).stem)
                stamp = int(re.sub(r"\D", "", groups.get("stamp") or "") or 0)
                student = _tidy(groups["student"])
                number = groups.get("number") or ""
                if student.casefold() == "participant" or student == "anon":
                    student, number = f"{student} {number}", ""
                # Moodle counts anew in each assignment.
                return _Owned(
                    file,
                    student,
                    lab or _lab_around(file),
                    (stamp, copy, file.modified),
                    place,
                    number,
                    pattern is _MOODLE,
                )
    return None


def _tidy(name: str) -> str:
    """A name as it is kept: one form of its accents, no control characters, no strange spaces."""
    name = "".join(char if char.isprintable() else " " for char in unicodedata.normalize("NFC", name))
    return " ".join(name.split()).strip(" _.-,")


def _owned(files: list[_File], said: dict[str, tuple[str, str]]) -> list[_Owned]:
    """Whose each file is: as the mapping says, as its platform says, else by the layout of the rest."""
    owned, rest = [], []
    for file in files:
        student, _ = said[file.origin]
        one = _of_platform(file)
        if student:
            lab, _, copy = _of_stem(file.stem)
            one = one or _Owned(file, "", lab, (0, copy, file.modified))
            owned.append(replace(one, student=student, number="", depth=-1))
        elif one:
            owned.append(one)
        else:
            rest.append(file)
    return owned + _by_layout(rest)


def _by_layout(files: list[_File]) -> list[_Owned]:
    """Whose each file is, by the names of folders and files: the outermost name is the student's, unless it holds many."""
    ones, names = [], []
    for file in files:
        lab, own, copy = _of_stem(file.stem)
        those = []
        for depth, part in enumerate(file.parts[:-1]):
            _, before, after = _lab_in(part)
            name = _tidy(_TAIL.sub("", before.strip(" _.-,") or after.strip(" _.-,")))
            those += [(name, depth)] if name and not _GENERIC.fullmatch(name) else []
        if own := _tidy(own):
            those.append((own, len(file.parts) - 1))
        ones.append(_Owned(file, "", lab or _lab_around(file), (0, copy, file.modified)))
        names.append(those)
    told = [
        (one.lab, [name for name, _ in those]) for one, those in zip(ones, names, strict=True) if one.file.is_notebook
    ]
    level = 0
    while _holds_many(told, level):
        level += 1
    for place, those in enumerate(names):
        if those:
            student, depth = those[min(level, len(those) - 1)]
            ones[place] = replace(ones[place], student=student, depth=depth)
    return ones


def _lab_around(file: _File) -> str:
    """The lab that the nearest folder names, of those that name one."""
    return next((lab for part in reversed(file.parts[:-1]) if (lab := _lab_in(part)[0])), "")


def _holds_many(notebooks: list[tuple[str, list[str]]], level: int) -> bool:
    """Whether most names at a level stand for several students: each has notebooks of one lab under several names.

    Most, and not some: else one student could make a folder in the name of another.
    """
    below = defaultdict(lambda: defaultdict(set))
    for lab, names in notebooks:
        if len(names) > level:
            below[tuple(names[: level + 1])][lab].add(names[level + 1] if len(names) > level + 1 else "")
    if len(below) == 1:  # one folder around all, perhaps another one in it
        those = set().union(*next(iter(below.values())).values())
        return "" not in those and (len(those) > 1 or _holds_many(notebooks, level + 1))
    many = [any(len(those) > 1 and "" not in those for those in by_lab.values()) for by_lab in below.values()]
    return sum(many) > len(many) / 2


# -- the mapping file


def read_mapping(path: Path | str | None) -> dict[str, tuple[str, str]]:
    """A mapping file: {file: (student, lab)}.

    Raises:
        MappingError: with the line.
    """
    if path is None:
        return {}
    name = Path(path).name
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise MappingError(
            f"The mapping file {name} cannot be read: {getattr(error, 'strerror', None) or error}."
        ) from None
    header = text.partition("\n")[0]
    lines = csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=header.count))
    if not {"file", "student", "lab"} <= set(lines.fieldnames or ()):
        raise MappingError(f"The first line of {name} must name the columns: file,student,lab.")
    rows = {}
    for row in lines:
        file, student, lab = (_unguarded((row[key] or "").strip()) for key in ("file", "student", "lab"))
        lab = lab.zfill(2) if lab else ""
        lab = next((number for number, full in labs().items() if lab in (number, full)), None) if lab else ""
        if lab is None:
            raise MappingError(
                f"{name}, line {lines.line_num}: there is no lab {row['lab']}; there are {', '.join(labs())}."
            )
        if file:
            rows[file.replace("\\", "/").rstrip("/")] = (_tidy(student) if student != "-" else "-", lab)
    return rows


def _unguarded(text: str) -> str:
    """A cell of a table without the mark that keeps a spreadsheet from taking it for a formula."""
    return text[1:] if re.match(r"'\s*[=+\-@＝＋－＠]", text) else text


def _below(origin: str, key: str) -> bool:
    return origin == key or origin.startswith(f"{key}/")


def _mapped(file: _File, rows: dict[str, tuple[str, str]]) -> tuple[str, str]:
    """(student, lab) of the longest path in the mapping that leads to a file; "" for what it does not say."""
    keys = [key for key in rows if _below(file.origin, key)]
    return rows[max(keys, key=len)] if keys else ("", "")


# -- files and archives


def _is_junk(part: str) -> bool:
    return (part.startswith(".") and part != "..") or part in ("__MACOSX", "__pycache__", "Thumbs.db", "desktop.ini")


def _shown(path: str) -> str:
    """A path that can be written into a file and shown: no control characters, no bytes that are no text."""
    path = path.encode("utf-8", "replace").decode("utf-8")
    return "".join(char if char.isprintable() else "�" for char in path)


def _files(folder: Path, unplaced: list[Unplaced]) -> Iterator[_File]:
    """All files of a folder and of the archives in it, in order; what is no file, or no archive, is noted."""

    def note(error: OSError) -> None:
        unplaced.append(
            Unplaced(_shown(os.path.relpath(error.filename, folder)), f"It cannot be read: {error.strerror}.")
        )

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
            yield from _opened(_File("/".join(parts), parts, path, (), int(status.st_mtime)), unplaced)
        links = [Path(here, name).relative_to(folder) for name in folders if Path(here, name).is_symlink()]
        unplaced += [Unplaced(_shown(str(link)), "It is a link: put the folder itself there.") for link in links]


def _opened(file: _File, unplaced: list[Unplaced], budget: list[int] | None = None) -> Iterator[_File]:
    """A file; of a .zip archive, the files in it."""
    suffix = Path(file.parts[-1]).suffix.lower()
    if suffix in (".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz"):
        unplaced.append(
            Unplaced(file.origin, f"An archive of this kind ({suffix}) is not opened: unpack it there, or use .zip.")
        )
    elif suffix != ".zip":
        yield file
    elif len(file.members) >= MAX_DEPTH:
        unplaced.append(Unplaced(file.origin, f"It is an archive in an archive, {MAX_DEPTH} times over: unpack it."))
    elif budget is not None and budget[0] <= 0:
        unplaced.append(
            Unplaced(file.origin, f"The archive that it is in holds more than {MAX_INNER} others: unpack it.")
        )
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
    file: _File, archive: zipfile.ZipFile, unplaced: list[Unplaced], budget: list[int] | None
) -> Iterator[_File]:
    outer = (*file.parts[:-1], re.sub(r"\.zip$", "", file.parts[-1], flags=re.IGNORECASE))
    for index, info in enumerate(archive.infolist()):
        parts = tuple(part for part in re.split(r"[\\/]+", _shown(_member_name(info))) if part not in ("", ".", ".."))
        if info.is_dir() or not parts or any(map(_is_junk, parts)):
            continue
        origin = _cut("/".join((file.origin, *parts)), 1000)
        if max(map(len, parts)) > MAX_NAME or stat.S_ISLNK(info.external_attr >> 16):
            unplaced.append(Unplaced(origin, "It is a link, or its name is too long."))
            continue
        inner = _File(origin, (*outer, *parts), file.path, (*file.members, index), _modified(info))
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


def _archive(path: Path, members: tuple[int, ...]) -> zipfile.ZipFile:
    status = path.stat()
    return _archive_at(path, members, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=3)  # the members of an archive are read one after another
def _archive_at(path: Path, members: tuple[int, ...], modified: int, size: int) -> zipfile.ZipFile:
    try:
        if not members:
            return zipfile.ZipFile(path)
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


def _read(path: Path, members: Iterable[int]) -> bytes:
    """The bytes of a notebook, in a file or in an archive. Raises Unreadable."""
    if members:
        data, size = _member(path, tuple(members), MAX_BYTES), 0
    else:
        try:
            with path.open("rb") as file:
                data, size = file.read(MAX_BYTES + 1), os.fstat(file.fileno()).st_size
        except OSError as error:
            raise Unreadable(f"The file cannot be read: {_reason(error)}.") from None
    if len(data) > MAX_BYTES:
        raise Unreadable(too_large(max(size, len(data))))
    return data
