"""What counts for whom: of each student and lab the submission that counts, with its marks; and the labs themselves."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from .results import Graded

ROOT = Path(__file__).resolve().parents[2]
SHOWN = 20_000  # characters of one answer on a page


@dataclass(frozen=True)
class Lab:
    """What the pages need to know of a lab."""

    number: str
    name: str  # "02_autograd"
    title: str = ""
    released: dict[str, str] = field(default_factory=dict)  # exercise -> the cell that students were given
    solutions: dict[str, str] = field(default_factory=dict)  # exercise -> the course's own


@dataclass(frozen=True)
class Mark:
    """An instructor's judgement of a written answer. `digest` is of the answer that was judged."""

    points: float | None
    comment: str
    digest: str


def read_course(root: Path = ROOT) -> dict[str, Lab]:
    """All labs of a checkout, by number."""
    found = {}
    for path in sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        cells = _cells(path)
        lines = (line for cell in cells for line in "".join(cell["source"]).splitlines())
        title = next((line[2:] for line in lines if line[:2] == "# "), "")
        solved = root / "labs_solutions" / path.name
        solutions = _exercise_cells(_cells(solved)) if solved.exists() else {}
        number, _, short = title.partition(" · ")
        found[path.name[:2]] = Lab(path.name[:2], path.stem, short or number, _exercise_cells(cells), solutions)
    return found


def _cells(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def _exercise_cells(cells: list[dict]) -> dict[str, str]:
    return {cell["metadata"]["exercise"]: "".join(cell["source"]) for cell in cells if "exercise" in cell["metadata"]}


def by_number(exercise: str) -> tuple:
    """Sorts 02.10 after 02.9."""
    return tuple((int(part), "") if part.isascii() and part.isdigit() else (0, part) for part in exercise.split("."))


@dataclass(frozen=True)
class Entry:
    """A student's work in one lab: the submission that counts, and the others."""

    graded: Graded
    others: tuple[Graded, ...] = ()
    marks: dict[str, Mark] = field(default_factory=dict)  # cell -> of a written answer

    @property
    def known(self) -> float:
        """Points so far, of exercises and written answers."""
        return known(self.graded) + self.written

    @property
    def written(self) -> float:
        return sum(mark.points or 0 for mark in self.marks.values())

    @property
    def waiting(self) -> int:
        """Exercises without points until a person has looked."""
        return sum(item.points is None for item in self.graded.exercises)

    @property
    def points(self) -> float | None:
        """What a gradebook gets; None where a person must look first."""
        return None if self.waiting or self.graded.problem or not self.graded.exercises else self.known


def known(graded: Graded) -> float:
    return sum(item.points or 0 for item in graded.exercises)


def entries_of(graded: Iterable[Graded], marks: dict[tuple, Mark] | None = None) -> dict[str, dict[str, Entry]]:
    """student -> lab -> entry. Of several submissions for one lab the one with the most points counts."""
    groups = defaultdict(list)
    for one in graded:
        exercises = sorted(one.exercises, key=lambda item: by_number(item.exercise))
        groups[one.student, one.lab].append(replace(one, exercises=exercises))
    marked = defaultdict(dict)
    for (student, lab, cell), mark in (marks or {}).items():
        marked[student, lab][cell] = mark
    found: dict[str, dict[str, Entry]] = defaultdict(dict)
    for student, lab in sorted(groups, key=lambda key: (key[0].casefold(), key)):
        first, *others = sorted(groups[student, lab], key=lambda one: (bool(one.problem), -known(one), one.origin))
        cells = {answer.cell for answer in first.written}
        mine = {cell: mark for cell, mark in marked[student, lab].items() if cell in cells}
        found[student][lab] = Entry(first, tuple(others), mine)
    return dict(found)


def each(entries: dict) -> Iterator[tuple[str, str, Entry]]:
    for student, labs in entries.items():
        for lab, entry in labs.items():
            yield student, lab, entry


def labs_in(entries: dict) -> list[str]:
    return sorted({lab for _, lab, _ in each(entries)})


def lab_in(course: dict[str, Lab], lab: str) -> Lab:
    return course.get(lab) or Lab(lab, lab or "unknown lab")
