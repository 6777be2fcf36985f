"""Of a student's notebook in any state, the cells to run, the answers, and what is written; known by what was released.

Nothing of a student's is unpacked to disk, run or parsed as Python here: this is the process that knows the answers.
"""

import functools
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from .notebook import Cell, cut, defined, read_notebook, refuse_much_code, squeezed

ROOT = Path(__file__).resolve().parents[2]
MAX_SHOWN = 20_000  # characters of an answer, as kept for the feedback

_CALLS = re.compile(r"(?:(?:check|progress|hand_in)\([^()]*\);?)+")
_FENCED = re.compile(r"^[ \t]*(?:```|~~~)[^\n]*\n(.*?)^[ \t]*(?:```|~~~)", re.MULTILINE | re.DOTALL)

# ---------------------------------------------------------------------------------------------------- what was released


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
    written = {id: cut(text, MAX_SHOWN) for id, text in _written(cells, release).items()}
    cells = _retyped(_joined(cells, release, notes), release, notes)
    refuse_much_code(cells)
    run = _to_run(cells, release)
    other = "" if _likeness(cells, release) else lab_of(cells)
    if other:
        notes.append(f"This looks like the notebook of lab {other}; it was handed in for lab {release.lab}.")
    imports = {"id": release.imports.id, "source": release.imports.source}
    named, places, taken = [imports], {imports["id"]: "the lab's imports"}, {imports["id"]}
    for cell in run:
        is_usable = re.fullmatch(r"[\w-]{1,64}", cell.id, re.ASCII) and cell.id not in taken
        id = cell.id if is_usable else f"cell-{cell.number}"
        while id in taken:
            id += "-"
        taken.add(id)
        named.append({"id": id, "source": cell.source})
        places[id] = f"cell {cell.number}"
    return Work(named, _answers(run, release), written, notes, places)


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


def _same(cell: Cell, released: Cell) -> bool:
    return cell.squeezed == released.squeezed


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
    return {id: cut("\n\n".join(named[id] or own[id]), MAX_SHOWN) for id in release.exercises}


def _written(cells: list[Cell], release: Release) -> dict[str, str]:
    """The written answers: the cells that held them, and what the student added below until the next released cell."""
    found: dict[str, list[str]] = {id: [] for id in release.written}
    questions = {squeezed(question): id for id, question in release.written.items()}
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
