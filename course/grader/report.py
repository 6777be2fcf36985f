"""What people read of a grading: tables for gradebooks, a page for each student, and one for the instructor.

`write_all` makes them all from the results; the same results give the same bytes. Names, answers and messages come from
students: on a page they are escaped and its policy lets nothing run or load, in a table no cell begins as a formula.
"""

import functools
import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from utils.checks import panel

from . import results
from .alike import look_alikes
from .entries import SHOWN, Entry, Lab, by_number, each, entries_of, lab_in, labs_in, read_course
from .results import ExerciseResult, Graded
from .tables import OUTCOMES, canvas_csv, grades_csv, moodle_csv, nbgrader_csv, number, outcome, readable, shown
from .written import take_back, unplaced_csv, written_csv

STUCK = (panel.WRONG, panel.ERROR, panel.PARTLY)


def page_name(student: str) -> str:
    """The name of a student's page: readable, safe on every file system, and no other student's."""
    if re.fullmatch(r"[a-z0-9]([a-z0-9._-]{0,58}[a-z0-9])?", student) and not _reserved(student):
        return f"{student}.html"
    ascii_text = unicodedata.normalize("NFKD", student).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9]+", "-", ascii_text)[:40].strip("-") or "student"
    # The name alone is not its own: Ana and ana are one file on a Mac. No plain name has a tilde.
    return f"{plain}~{hashlib.sha256(student.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}.html"


def _reserved(name: str) -> bool:
    return bool(re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name))  # Windows' devices


def _rich(text: str) -> Markup:
    return Markup(panel.rich(text))  # escapes; `code` in backticks


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}\n… (the first {SHOWN} of {len(text)} characters)"


@functools.cache
def _environment() -> Environment:
    loader = PackageLoader("course.grader")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters |= {"number": number, "outcome": outcome, "page": page_name}
    made.filters |= {"rich": _rich, "short": _short, "shown": shown}
    return made


def _page(template: str, **values) -> str:
    return readable(_environment().get_template(template).render(**values))


def feedback_page(student: str, labs: dict[str, Entry], course: dict[str, Lab]) -> str:
    """A student's page: each lab, each exercise with their own answer, its outcome, message and points."""
    rows = [(lab_in(course, lab), entry) for lab, entry in labs.items()]
    unsafe = any(one.unsafe for entry in labs.values() for one in (entry.graded, *entry.others))
    most = sum(entry.graded.max_points for entry in labs.values())
    return _page("feedback.html", student=student, labs=rows, unsafe=unsafe, most=most, folder=Path)


def overview_page(entries: dict, unplaced: Iterable, course: dict[str, Lab], notes: Iterable[str] = ()) -> str:
    """The instructor's page: the class as a table, by exercise, by misconception, and what needs a human eye."""
    submissions = [one for _, _, entry in each(entries) for one in (entry.graded, *entry.others)]
    return _page(
        "overview.html",
        entries=entries,
        labs=[lab_in(course, lab) for lab in labs_in(entries) if lab],
        submissions=len(submissions),
        unsafe=sum(one.unsafe for one in submissions),
        exercises=by_exercise(entries),
        misconceptions=misconceptions(entries),
        stuck=stuck(entries),
        alike=look_alikes(entries, course),
        flagged=flagged(entries),
        twice=[(student, lab, entry) for student, lab, entry in each(entries) if entry.others],
        unplaced=list(unplaced),
        notes=list(notes),
    )


def by_exercise(entries: dict) -> list[dict]:
    """For each exercise: its title, {outcome: students}, and the share of its points that the class has."""
    found: dict[str, dict] = {}
    for student, _, entry in each(entries):
        for item in entry.graded.exercises:
            fresh = {"id": item.exercise, "title": item.title, "most": item.max_points}
            row = found.setdefault(item.exercise, fresh | {"who": defaultdict(list), "points": []})
            row["who"][item.outcome].append(student)
            if item.points is not None and not entry.graded.problem:
                row["points"].append(item.points)
    for row in found.values():
        order = [*OUTCOMES, *sorted(set(row["who"]) - set(OUTCOMES))]
        row["who"] = {name: row["who"][name] for name in order if name in row["who"]}
        row["mean"] = sum(row["points"]) / len(row["points"]) if row["points"] else None
    return sorted(found.values(), key=lambda row: by_number(row["id"]))


def misconceptions(entries: dict) -> list[tuple[str, str, list[str]]]:
    """(exercise, what was misunderstood, by whom), the most common first."""
    found = defaultdict(list)
    for student, _, entry in each(entries):
        for item in entry.graded.exercises:
            if item.misconception:
                found[item.exercise, item.misconception].append(student)
    rows = [(exercise, text, sorted(set(who))) for (exercise, text), who in found.items()]
    return sorted(rows, key=lambda row: (-len(row[2]), by_number(row[0]), row[1]))


def stuck(entries: dict) -> list[tuple[str, list[ExerciseResult]]]:
    """(student, the exercises that they tried and have not solved), who has most first."""
    rows = []
    for student, labs in entries.items():
        items = [item for entry in labs.values() for item in entry.graded.exercises if item.outcome in STUCK]
        rows += [(student, items)] if items else []
    return sorted(rows, key=lambda row: (-len(row[1]), row[0]))


FLAGS = {
    "fault": "Faults of the grader",
    "attack": "Attacks",
    "unreadable": "Could not be read",
    "time-out": "Ran out of time",
}


def flagged(entries: dict) -> list[tuple[str, list[tuple[str, str, str, str]]]]:
    """(heading, [(student, lab, file, sentence)]) for each kind of flag."""
    found = defaultdict(list)
    for student, lab, entry in each(entries):
        for one in (entry.graded, *entry.others):
            flags = one.flags | ({"unreadable": one.problem} if one.problem else {})
            if any(item.points is None for item in one.exercises):
                flags.setdefault("fault", next(item.message for item in one.exercises if item.points is None))
            for kind, text in flags.items():
                found[kind].append((student, lab, one.origin, text))
    kinds = [*FLAGS, *sorted(set(found) - set(FLAGS))]
    return [(FLAGS.get(kind, kind.capitalize()), found[kind]) for kind in kinds if kind in found]


# ----------------------------------------------------------------------------------------------------------------- all


def _is_ours(page: Path) -> bool:
    return "<!-- torch-labs: made by" in page.read_text(encoding="utf-8", errors="replace")[:200]


def write_all(
    folder: Path, graded: list[Graded], unplaced: Iterable = (), course: dict[str, Lab] | None = None
) -> None:
    """Write the tables and pages of a grading; a page of ours that belongs to nobody any more goes.

    Args:
        folder: gets grades.csv, canvas.csv, moodle_NN.csv for each lab (Moodle takes one assignment at a time),
            nbgrader.csv, written.csv, unplaced.csv, index.html and feedback/.
        graded: all results, in any order.
        unplaced: files with an `origin` and a `reason`.
        course: of `read_course`; by default this checkout's.
    Raises:
        OSError: the folder cannot be written.
    """
    course = read_course() if course is None else course
    marks, notes = take_back(folder, graded)
    entries = entries_of(graded, marks)
    pages = {page_name(student): student for student in entries}
    with ThreadPoolExecutor(8) as pool:  # a file is on the disk when it is written: one at a time that is slow
        waiting = [
            pool.submit(results.update, folder / "feedback" / name, feedback_page(student, entries[student], course))
            for name, student in pages.items()
        ]
    for page in waiting:
        page.result()
    for path in (folder / "feedback").glob("*.html"):
        if path.name not in pages and _is_ours(path):
            path.unlink()
    for lab in filter(None, labs_in(entries)):
        results.update(folder / f"moodle_{lab}.csv", moodle_csv(entries, lab))
    results.update(folder / "canvas.csv", canvas_csv(entries, course))
    results.update(folder / "nbgrader.csv", nbgrader_csv(entries, course))
    results.update(folder / "written.csv", written_csv(entries))
    results.update(folder / "grades.csv", grades_csv(entries))
    unplaced = sorted(unplaced, key=lambda one: one.origin)
    if (mapping := unplaced_csv(folder / "unplaced.csv", unplaced)) is not None:
        results.update(folder / "unplaced.csv", mapping)
    results.update(folder / "index.html", overview_page(entries, unplaced, course, notes))
