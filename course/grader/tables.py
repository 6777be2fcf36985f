"""Tables for gradebooks: grades.csv, Canvas's, Moodle's and nbgrader's; and texts made safe for any table or page.

Names, answers and messages come from students: in a table no cell begins as a formula.
"""

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from markupsafe import escape

from utils.checks import panel

from .entries import Entry, Lab, each, lab_in, labs_in
from .results import FAULT, NOT_RUN, ExerciseResult

IN_CELL = 30_000  # characters of one cell of a table; Excel cuts at 32,767

# The sign, the colour and the word of every outcome, a check's own and the grader's two.
OUTCOMES = {name: (*panel.SIGNS[name], panel.WORDS[name]) for name in panel.SIGNS}
OUTCOMES |= {NOT_RUN: ("–", "#56B4E9", "Not run"), FAULT: ("?", "#F0E442", "Fault of the grader")}


def outcome(name: str) -> tuple[str, str, str]:
    """(sign, colour, word)."""
    return OUTCOMES.get(name, ("?", "#888888", name))


# --------------------------------------------------------------------------------------------------------------- texts

# What no page and no table holds as it is: control characters, those that turn the order of letters on the page, and
# halves of surrogate pairs, which are no text at all.
VISIBLE = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"}
VISIBLE |= {0x7F: "␡", **dict.fromkeys(range(0x80, 0xA0), "\ufffd"), **dict.fromkeys(range(0xD800, 0xE000), "\ufffd")}
VISIBLE |= {code: f"⟨U+{code:04X}⟩" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
FORMULA = re.compile(r"\A(?=\s*'*\s*[=+\-@＝＋－＠]\s*\S)")  # or looks like one with our mark; a lone - is none
FORMULA_INSIDE = re.compile(r"(?<=[\n\t;])(?=[=+\-@＝＋－＠])")  # where a spreadsheet cuts at other places than we


def readable(text: str) -> str:
    """A text with every character visible."""
    return text.replace("\r\n", "\n").translate(VISIBLE)


def safe(text: str) -> str:
    """A text that no spreadsheet takes for a formula; others stay as they are."""
    return FORMULA_INSIDE.sub(" ", FORMULA.sub("'", readable(text)))


def shown(student: str) -> str:
    return student if student.strip() else "(no name)"


def number(points: float | None) -> str:
    """Points as a text; empty where there are none."""
    return "" if points is None else f"{round(points, 4):.12g}"


# ------------------------------------------------------------------------------------------------------------- tables


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """CSV of texts, none of which is a formula."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([safe(cell) for cell in row] for row in rows)
    return file.getvalue()


def grades_csv(entries: dict) -> str:
    """A row for each exercise; for a submission of no known lab one row with no exercise."""
    rows = []
    for student, lab, entry in each(entries):
        for item in entry.graded.exercises or [ExerciseResult("", "", None, 0, NOT_RUN)]:
            most = number(item.max_points) if item.exercise else ""
            rows.append((student, lab, item.exercise, number(item.points), most, item.outcome, item.misconception))
        for cell, mark in sorted(entry.marks.items()):
            rows.append((student, lab, cell, number(mark.points), "", "written answer", ""))
    return table(("student", "lab", "exercise", "points", "max_points", "outcome", "misconception"), rows)


def _most(entries: dict) -> dict[str, int]:
    """lab -> its points."""
    most = Counter()
    for _, lab, entry in each(entries):
        most[lab] = max(most[lab], entry.graded.max_points)
    return most


def _ids(entries: dict, platform: str) -> dict[tuple[str, str], str]:
    """(student, lab) -> the student's number on the platform; none where two students have the same."""
    owners, found = defaultdict(set), {}
    for student, lab, entry in each(entries):
        name, _, id = entry.graded.platform.partition(" ")
        if name == platform:
            found[student, lab] = id
            owners[id].add(student)
    return {key: id for key, id in found.items() if len(owners[id]) == 1}


def canvas_csv(entries: dict, course: dict[str, Lab]) -> str:
    """For Canvas's Grades → Import. It finds a student by ID, else by login, else by name; an empty grade changes nothing.

    Its own file names, `doejane_4711_123456_02_autograd.ipynb`, give the ID. Source: canvas-lms, lib/gradebook_importer.rb.
    """
    labs = [lab for lab in labs_in(entries) if lab]
    ids = {student: id for (student, _), id in _ids(entries, "canvas").items()}
    most = _most(entries)
    rows = [("    Points Possible", "", "", "", "", *(number(most[lab]) for lab in labs))]
    for student, by_lab in entries.items():
        if student.strip():
            # Canvas takes such a row for that of the points.
            name = student.replace("Points Possible", "Points-Possible")
            login = "" if re.search(r"\s", student) else student
            grades = (number(by_lab[lab].points) if lab in by_lab else "" for lab in labs)
            rows.append((name, ids.get(student, ""), "", login, "", *grades))
    columns = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section", *(lab_in(course, lab).name for lab in labs))
    return table(columns, rows)


def moodle_csv(entries: dict, lab: str) -> str:
    """One assignment's grades as Moodle's offline grading worksheet; a row with no Identifier or grade is left out there.

    Moodle's own file names, `Jane Doe_4711_assignsubmission_file_…`, give the Identifier. It needs "Identifier", "Grade"
    and "Last modified (grade)". Feedback comments are HTML. Source: moodle, mod/assign/feedback/offline/importgradeslib.php.
    """
    ids = _ids(entries, "moodle")
    columns = ("Identifier", "Full name", "Email address", "Status", "Grade", "Maximum Grade", "Grade can be changed",
               "Last modified (submission)", "Last modified (grade)", "Feedback comments")  # fmt: skip
    rows = []
    for student, by_lab in entries.items():
        if lab in by_lab:
            entry, id = by_lab[lab], ids.get((student, lab))
            # PHP reads \" as no end of a cell; html.escape leaves no " in the feedback.
            name = student.replace('"', "'").rstrip("\\")
            identifier, address = f"Participant {id}" if id else "", name if re.fullmatch(r"\S+@\S+\.\S+", name) else ""
            points, most = number(entry.points), number(entry.graded.max_points)
            rows.append((identifier, name, address, "", points, most, "Yes", "", "", _moodle_feedback(entry)))
    return table(columns, rows)


def _moodle_feedback(entry: Entry) -> str:
    """The outcomes and messages as HTML in one line."""
    graded = entry.graded
    parts = [graded.problem] if graded.problem else []
    for item in [] if graded.problem else graded.exercises:
        points = f"{number(item.points)}/{item.max_points}" if item.points is not None else "a person will look"
        parts.append(f"{item.exercise} {item.title}: {outcome(item.outcome)[2].lower()} ({points})")
        parts += [item.message] if item.message else []
    parts += [f"Written answer: {mark.comment}" for _, mark in sorted(entry.marks.items()) if mark.comment]
    lines = [str(escape(line)) for part in parts for line in readable(part).splitlines()]
    text = "<br>".join(lines)
    return text if len(text) <= IN_CELL else text[:IN_CELL].rpartition("<br>")[0] + "<br>…"


def nbgrader_csv(entries: dict, course: dict[str, Lab]) -> str:
    """The columns of `nbgrader export`, a row for each lab that was handed in."""
    columns = ("assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email", "raw_score",
               "late_submission_penalty", "score", "max_score")  # fmt: skip
    rows = []
    for lab in labs_in(entries):
        for student, by_lab in entries.items():
            if lab in by_lab:
                score, most = number(by_lab[lab].points), number(by_lab[lab].graded.max_points)
                rows.append((lab_in(course, lab).name, "", "", student, "", "", "", score, "0", score, most))
    return table(columns, rows)
