"""What people read of a grading: tables for gradebooks, a page for each student, and one for the instructor.

`write_all` makes them all from the results; the same results give the same bytes. Names, answers and messages come from
students: on a page they are escaped and its policy lets nothing run or load, in a table no cell begins as a formula.
"""

import builtins
import csv
import functools
import hashlib
import io
import json
import keyword
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from utils.checks import panel

from . import results
from .results import FAULT, NOT_RUN, ExerciseResult, Graded

ROOT = Path(__file__).parents[1]
SHOWN = 20_000  # characters of one answer on a page
IN_CELL = 30_000  # characters of one cell of a table; Excel cuts at 32,767
MARKS = "written.json"  # what came back from the sheet of written answers

# The sign, the colour and the word of every outcome, a check's own and the grader's two.
OUTCOMES = {name: (*panel.SIGNS[name], panel.WORDS[name]) for name in panel.SIGNS}
OUTCOMES |= {NOT_RUN: ("–", "#56B4E9", "Not run"), FAULT: ("?", "#F0E442", "Fault of the grader")}
STUCK = (panel.WRONG, panel.ERROR, panel.PARTLY)


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
        title = next(
            (line[2:] for cell in cells for line in "".join(cell["source"]).splitlines() if line[:2] == "# "), ""
        )
        solved = root / "labs_solutions" / path.name
        solutions = _exercise_cells(_cells(solved)) if solved.exists() else {}
        number, _, short = title.partition(" · ")
        found[path.name[:2]] = Lab(path.name[:2], path.stem, short or number, _exercise_cells(cells), solutions)
    return found


def _cells(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def _exercise_cells(cells: list[dict]) -> dict[str, str]:
    return {cell["metadata"]["exercise"]: "".join(cell["source"]) for cell in cells if "exercise" in cell["metadata"]}


# --------------------------------------------------------------------------------------------------------------- texts

# What no page and no table holds as it is: control characters, those that turn the order of letters on the page, and
# halves of surrogate pairs, which are no text at all.
VISIBLE = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"}
VISIBLE |= {0x7F: "␡", **dict.fromkeys(range(0x80, 0xA0), "\ufffd"), **dict.fromkeys(range(0xD800, 0xE000), "\ufffd")}
VISIBLE |= {code: f"⟨U+{code:04X}⟩" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
FORMULA = re.compile(r"\A(?=\s*[=+\-@＝＋－＠]\s*\S)")  # a lone - is none
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


def by_number(exercise: str) -> tuple:
    """Sorts 02.10 after 02.9."""
    return tuple((int(part), "") if part.isascii() and part.isdigit() else (0, part) for part in exercise.split("."))


# ------------------------------------------------------------------------------------------------- what counts for whom


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
        groups[one.student, one.lab].append(
            replace(one, exercises=sorted(one.exercises, key=lambda item: by_number(item.exercise)))
        )
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
    for student, lab, entry in _each(entries):
        for item in entry.graded.exercises or [ExerciseResult("", "", None, 0, NOT_RUN)]:
            most = number(item.max_points) if item.exercise else ""
            rows.append((student, lab, item.exercise, number(item.points), most, item.outcome, item.misconception))
        for cell, mark in sorted(entry.marks.items()):
            rows.append((student, lab, cell, number(mark.points), "", "written answer", ""))
    return table(("student", "lab", "exercise", "points", "max_points", "outcome", "misconception"), rows)


def _each(entries: dict) -> Iterator[tuple[str, str, Entry]]:
    for student, labs in entries.items():
        for lab, entry in labs.items():
            yield student, lab, entry


def _labs(entries: dict) -> list[str]:
    return sorted({lab for _, lab, _ in _each(entries)})


def _lab(course: dict[str, Lab], lab: str) -> Lab:
    return course.get(lab) or Lab(lab, lab or "unknown lab")


def _most(entries: dict) -> dict[str, int]:
    """lab -> its points."""
    most = Counter()
    for _, lab, entry in _each(entries):
        most[lab] = max(most[lab], entry.graded.max_points)
    return most


def _ids(entries: dict, pattern: str) -> dict[tuple[str, str], str]:
    """(student, lab) -> the number that a platform wrote into the file's name; none where two students have the same.

    A file's name may be the student's own invention, and a number in it another student's.
    """
    owners, found = defaultdict(set), {}
    for student, lab, entry in _each(entries):
        if match := re.search(pattern, entry.graded.origin.replace("\\", "/")):
            found[student, lab] = match["id"]
            owners[match["id"]].add(student)
    return {key: id for key, id in found.items() if len(owners[id]) == 1}


def canvas_csv(entries: dict, course: dict[str, Lab]) -> str:
    """For Canvas's Grades → Import. It finds a student by ID, else by login, else by name; an empty grade changes nothing.

    Its own file names, `doejane_4711_123456_02_autograd.ipynb`, give the ID. Source: canvas-lms, lib/gradebook_importer.rb.
    """
    labs = [lab for lab in _labs(entries) if lab]
    ids = {
        student: id
        for (student, _), id in _ids(entries, r"(?:^|[/:])[^/:_\s]+(?:_LATE)?_(?P<id>\d{2,})_\d{4,}_[^/]*$").items()
    }
    most = _most(entries)
    rows = [("    Points Possible", "", "", "", "", *(number(most[lab]) for lab in labs))]
    for student, by_lab in entries.items():
        if student.strip():
            name = student.replace(
                "Points Possible", "Points-Possible"
            )  # Canvas takes such a row for that of the points
            login = "" if re.search(r"\s", student) else student
            grades = (number(by_lab[lab].points) if lab in by_lab else "" for lab in labs)
            rows.append((name, ids.get(student, ""), "", login, "", *grades))
    columns = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section", *(_lab(course, lab).name for lab in labs))
    return table(columns, rows)


def moodle_csv(entries: dict, lab: str) -> str:
    """One assignment's grades as Moodle's offline grading worksheet; a row with no Identifier or grade is left out there.

    Moodle's own file names, `Jane Doe_4711_assignsubmission_file_…`, give the Identifier. It needs "Identifier", "Grade"
    and "Last modified (grade)". Feedback comments are HTML. Source: moodle, mod/assign/feedback/offline/importgradeslib.php.
    """
    ids = _ids(entries, r"_(?P<id>\d+)_assignsubmission_")
    columns = (
        "Identifier",
        "Full name",
        "Email address",
        "Status",
        "Grade",
        "Maximum Grade",
        "Grade can be changed",
        "Last modified (submission)",
        "Last modified (grade)",
        "Feedback comments",
    )
    rows = []
    for student, by_lab in entries.items():
        if lab in by_lab:
            entry, id = by_lab[lab], ids.get((student, lab))
            # PHP reads \" as no end of a cell; html.escape leaves no " in the feedback.
            name = student.replace('"', "'").rstrip("\\")
            rows.append(
                (
                    f"Participant {id}" if id else "",
                    name,
                    name if re.fullmatch(r"\S+@\S+\.\S+", name) else "",
                    "",
                    number(entry.points),
                    number(entry.graded.max_points),
                    "Yes",
                    "",
                    "",
                    _moodle_feedback(entry),
                )
            )
    return table(columns, rows)


def _moodle_feedback(entry: Entry) -> str:
    """The outcomes and messages as HTML in one line."""
    graded = entry.graded
    parts = [graded.problem] if graded.problem else []
    for item in [] if graded.problem else graded.exercises:
        points = f"{number(item.points)}/{item.max_points}" if item.points is not None else "a person will look"
        parts.append(f"{item.exercise} {item.title}: {_outcome(item.outcome)[2].lower()} ({points})")
        parts += [item.message] if item.message else []
    parts += [f"Written answer: {mark.comment}" for _, mark in sorted(entry.marks.items()) if mark.comment]
    lines = [str(escape(line)) for part in parts for line in readable(part).splitlines()]
    text = "<br>".join(lines)
    return text if len(text) <= IN_CELL else text[:IN_CELL].rpartition("<br>")[0] + "<br>…"


def nbgrader_csv(entries: dict, course: dict[str, Lab]) -> str:
    """The columns of `nbgrader export`, a row for each lab that was handed in."""
    columns = (
        "assignment",
        "duedate",
        "timestamp",
        "student_id",
        "last_name",
        "first_name",
        "email",
        "raw_score",
        "late_submission_penalty",
        "score",
        "max_score",
    )
    rows = []
    for lab in _labs(entries):
        for student, by_lab in entries.items():
            if lab in by_lab:
                score, most = number(by_lab[lab].points), number(by_lab[lab].graded.max_points)
                rows.append((_lab(course, lab).name, "", "", student, "", "", "", score, "0", score, most))
    return table(columns, rows)


# ------------------------------------------------------------------------------------------------------ written answers

SHEET = ("student", "lab", "cell", "question", "answer", "points", "comment")


class SheetError(Exception):
    """A sheet of written answers that cannot be read; the message says what is wrong."""


def digest(answer: str) -> str:
    """Of an answer's letters alone: a spreadsheet changes line ends, blanks and what begins as a formula."""
    letters = re.sub(r"[\W_]+", "", readable(answer)[: IN_CELL - 100])
    return hashlib.sha256(letters.encode()).hexdigest()[:16]


def _cut(text: str) -> str:
    text = safe(text)
    return text if len(text) <= IN_CELL - 100 else text[: IN_CELL - 100] + "\n… (all of it is on the student's page)"


def written_csv(entries: dict) -> str:
    """The sheet of written answers: fill in points and comment. Its first character tells Excel that it is UTF-8."""
    rows = []
    for student, lab, entry in _each(entries):
        for answer in entry.graded.written:
            mark = entry.marks.get(answer.cell, Mark(None, "", ""))
            row = (
                student,
                lab,
                answer.cell,
                _cut(answer.question),
                _cut(answer.text),
                number(mark.points),
                mark.comment,
            )
            rows.append(row)
    return "\ufeff" + table(SHEET, rows)


def merge_written(folder: Path, sheet: Path) -> list[str]:
    """Take the points and comments of a filled-in sheet of written answers into a folder of grades.

    The pages and tables show them after the next `write_all`. An empty cell leaves what was merged before (so several
    people can each fill in a copy), a `-` takes it back. Points may be written with a comma.

    Args:
        folder: of grades.
        sheet: a copy of its written.csv, saved by any spreadsheet as CSV.
    Returns:
        one sentence for each row that could not be used.
    Raises:
        SheetError: the sheet is no such table; nothing is merged.
    """
    marks, problems = _read_marks(folder), []
    for line, row in _rows(sheet):
        points, comment = row["points"].strip(), row["comment"].strip()
        if not points and not comment:
            continue
        lab = row["lab"].strip().zfill(2) if row["lab"].strip() else ""  # a spreadsheet makes 2 of 02
        key = (row["student"], lab, row["cell"].strip())
        before = marks.get(key, Mark(None, "", ""))
        value = None if points == "-" else before.points if not points else _points(points)
        if isinstance(value, str):
            problems.append(f"{sheet.name}, row {line} ({shown(row['student'])}): {value}")
            continue
        text = "" if comment in ("-", "'-") else comment or before.comment
        marks[key] = Mark(value, text, digest(row["answer"]))
    kept = [[*key, asdict(mark)] for key, mark in sorted(marks.items()) if mark.points is not None or mark.comment]
    if kept or (folder / MARKS).exists():
        write(folder / MARKS, json.dumps(kept, indent=1) + "\n")
    return problems


def _points(text: str) -> float | str:
    """Points, or what is wrong with them."""
    try:
        points = float(text.replace(",", "."))
    except ValueError:
        return f"“{text}” is not a number of points."
    return points if 0 <= points <= 1000 else f"{text} points are not between 0 and 1000."


def _rows(sheet: Path, wanted: tuple[str, ...] = SHEET) -> Iterator[tuple[int, dict[str, str]]]:
    """(row number, its cells by column) of a sheet as Excel, LibreOffice or Google saves it.

    Raises:
        SheetError: it is no table with the wanted columns.
    """
    text = _decoded(sheet)
    head = text.partition("\n")[0].lower()
    delimiter = max(",;\t", key=head.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise SheetError(f"{sheet.name} is no table of CSV: {error}.") from None
    columns = [name.strip().lower() for name in rows[0]] if rows else []
    if missing := [name for name in wanted if name not in columns]:
        raise SheetError(
            f"{sheet.name} has no column {', '.join(missing)}. Fill in the file that the grader wrote, and save it as CSV."
        )
    for line, row in enumerate(rows[1:], start=2):
        if any(row):
            yield line, dict(zip(columns, [*row, *[""] * len(columns)]))


def _decoded(sheet: Path) -> str:
    try:
        raw = sheet.read_bytes()
    except OSError as error:
        raise SheetError(f"{sheet} cannot be read: {error.strerror}.") from None
    for encoding in (
        ("utf-16", "utf-8-sig", "cp1252") if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252")
    ):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise SheetError(f"{sheet.name} is no text in UTF-8. Save it as “CSV UTF-8”.")


def _read_marks(folder: Path) -> dict[tuple[str, str, str], Mark]:
    """What was merged before; keys are as they stand in the sheet."""
    try:
        return {tuple(key): Mark(**mark) for *key, mark in json.loads((folder / MARKS).read_text(encoding="utf-8"))}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        raise SheetError(f"{folder / MARKS} is damaged ({error}). Delete it, and merge the sheet again.") from None


def _take_back(folder: Path, graded: list[Graded]) -> tuple[dict[tuple, Mark], list[str]]:
    """The marks of written answers by student, lab and cell, and what a person should know about them.

    Whoever filled in GRADES/written.csv itself loses nothing: it is merged before it is written anew, and kept under
    another name if a part of it could not be used.
    """
    sheet, notes = folder / "written.csv", []
    try:
        notes = merge_written(folder, sheet) if sheet.exists() else []
    except SheetError as error:
        notes = [str(error)]
    if notes:
        kept = folder / f"written-{hashlib.sha256(sheet.read_bytes()).hexdigest()[:8]}.csv"
        kept.write_bytes(sheet.read_bytes())
        notes.append(f"The sheet as it was is kept as {kept.name}: mend it, and merge it again.")
    try:
        marks = _read_marks(folder)
    except SheetError as error:
        return {}, [*notes, str(error)]
    answers = {(safe(one.student), one.lab, answer.cell): (one, answer) for one in graded for answer in one.written}
    found = {}
    for key, mark in marks.items():
        if key not in answers:
            notes.append(f"A mark for {shown(key[0])}, lab {key[1]}, {key[2]} belongs to no answer that is here.")
            continue
        one, answer = answers[key]
        if digest(_cut(answer.text)) == mark.digest:
            found[one.student, one.lab, answer.cell] = mark
        else:
            notes.append(
                f"{shown(one.student)}, lab {one.lab}: the written answer {answer.cell} is not the one that was marked: mark it again."
            )
    return found, notes


# ------------------------------------------------------------------------------------------------------ unplaced files

MAPPING = ("file", "student", "lab")


def unplaced_csv(sheet: Path, unplaced: Iterable) -> str | None:
    """The mapping file: a line for each file that could not be placed, after the lines that are filled in already.

    None where there is nothing to write, or where a file of that name is there and is no such table: it stays as it is.
    """
    try:
        rows = [tuple(row[name] for name in MAPPING) for _, row in _rows(sheet, MAPPING)] if sheet.exists() else []
    except SheetError:
        return None
    filled = [row for row in rows if row[1].strip() or row[2].strip()]
    there = {safe(row[0]) for row in filled}
    fresh = sorted({one.origin for one in unplaced if safe(one.origin) not in there})
    if not (rows or fresh):
        return None
    return "\ufeff" + table(MAPPING, [*filled, *((origin, "", "") for origin in fresh)])


# -------------------------------------------------------------------------------------------------------- look-alikes

TOKEN = re.compile(
    r"(?P<comment>\#[^\n]*)"
    r"|(?P<text>(?i:\b[rbfu]{1,2})?(?:\"\"\"[\s\S]*?(?:\"\"\"|\Z)|'''[\s\S]*?(?:'''|\Z)|\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?))"
    r"|(?P<attribute>\.\s*[^\W\d]\w*)|(?P<name>[^\W\d]\w*)|(?P<other>\d[\w.]*|[^\w\s])"
)
KNOWN = {*keyword.kwlist, *dir(builtins), "self", "torch", "nn", "F", "np", "plt", "utils"}
WINDOW = 4  # tokens that are compared together
OWN = 25  # windows that are the student's own: a shorter answer is alike by chance
ALIKE = 0.8  # share of windows that two near-identical answers have in common


@dataclass(frozen=True)
class Alike:
    """Students whose answers to some exercises are near-identical."""

    students: tuple[str, ...]
    exercises: tuple[tuple[str, bool], ...]  # exercise, whether the answers are the same to the letter
    sample: str


def windows(source: str, names: Iterable[str] = ()) -> frozenset[tuple[str, ...]]:
    """What stays of an answer when comments, layout, texts and names of its own are taken away: its runs of tokens.

    Not by Python's parser: what students wrote may be no Python, or made to break it.

    Args:
        names: that are not the student's own.
    """
    keep, tokens = KNOWN | set(names), []
    for match in TOKEN.finditer(source[:SHOWN]):
        kind, text = match.lastgroup, match[0]
        if kind == "text":
            tokens.append('"')
        elif kind == "name":
            tokens.append(text if text in keep else "v")
        elif kind != "comment":
            tokens.append(re.sub(r"\s", "", text))
    return frozenset(zip(*(tokens[start:] for start in range(WINDOW))))


def _letters(source: str) -> str:
    return "".join(source.split())


def _comments(source: str) -> set[str]:
    return {_letters(match[0]) for match in TOKEN.finditer(source[:SHOWN]) if match.lastgroup == "comment"}


def _likeness(a: frozenset, b: frozenset) -> float:
    """The share of windows in common: from 0 to 1."""
    if min(len(a), len(b)) < ALIKE * max(len(a), len(b)):
        return 0.0  # it would be below ALIKE
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared) if a else 1.0


def _groups(forms: list[frozenset]) -> list[list[int]]:
    """The indices of the forms, those together that are alike, if only by way of others between them.

    Only those are compared that share one of their rarest windows, as two sets with a share of ALIKE in common must
    (prefix filtering), and that are not together already: in a class where all write alike that is few.
    """
    count = Counter(window for form in forms for window in form)
    order = {
        window: place for place, (window, _) in enumerate(sorted(count.items(), key=lambda pair: (pair[1], pair[0])))
    }
    owners: dict[tuple, list[int]] = defaultdict(list)
    group = [[index] for index in range(len(forms))]  # of each form the list that it is in
    for index, form in enumerate(forms):
        rare = sorted(form, key=order.__getitem__)[: len(form) - int(ALIKE * len(form) + 0.999) + 1]
        for other in dict.fromkeys(owner for window in rare for owner in owners[window]):
            if group[other] is not group[index] and _likeness(form, forms[other]) >= ALIKE:
                small, large = sorted((group[index], group[other]), key=len)
                large += small
                for moved in small:
                    group[moved] = large
        for window in rare:
            owners[window].append(index)
    return [sorted(together) for index, together in enumerate(group) if index == min(together)]


def alike_answers(
    answers: dict[str, str], released: str = "", solution: str = ""
) -> list[tuple[tuple[str, ...], bool]]:
    """Groups of students with near-identical answers to one exercise, and whether they are so to the letter.

    Left out: short answers, what equals the released text or the course's solution (but for the same comments, which
    nobody finds by chance), and what more than a tenth of the class writes alike: that is the plain way to write it.
    """
    names = re.findall(r"[^\W\d]\w*", released)
    solution = re.sub(r"^\s*### (BEGIN|END) SOLUTION.*$", "", solution, flags=re.MULTILINE)
    given, right = windows(released, names), windows(solution, names)
    by_letters = defaultdict(list)
    for student, answer in sorted(answers.items()):
        by_letters[_letters(answer)].append(student)
    known_letters, known_comments = {_letters(released), _letters(solution)}, _comments(released) | _comments(solution)
    texts = []  # (windows of their own, students, whether it is the solution's way)
    for letters, students in sorted(by_letters.items()):
        source = answers[students[0]]
        form = windows(source, names) - given
        usual = _likeness(form, right - given) >= ALIKE
        if letters not in known_letters and len(form) >= OWN and not (usual and _comments(source) <= known_comments):
            texts.append((form, students, usual))
    fresh = [index for index, (_, _, usual) in enumerate(texts) if not usual]
    groups = [[fresh[place] for place in group] for group in _groups([texts[index][0] for index in fresh])]
    groups += [[index] for index, (_, _, usual) in enumerate(texts) if usual]
    many, found = max(4, len(answers) // 10), []
    for group in groups:
        together = sorted(student for index in group for student in texts[index][1])
        if 1 < len(together) <= many:
            found.append((tuple(together), len(group) == 1))
        elif len(together) > many:
            found += [(tuple(texts[i][1]), True) for i in group if 1 < len(texts[i][1]) <= many]
    return found


def look_alikes(entries: dict, course: dict[str, Lab]) -> list[Alike]:
    """Near-identical answers of all exercises, a record for each group of students, the most striking first."""
    answers: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for student, lab, entry in _each(entries):
        for item in entry.graded.exercises:
            if item.answer.strip():
                answers[lab, item.exercise][student] = item.answer
    found = defaultdict(list)
    for (lab, exercise), by_student in sorted(answers.items()):
        facts = _lab(course, lab)
        texts = facts.released.get(exercise, ""), facts.solutions.get(exercise, "")
        for students, letters in alike_answers(by_student, *texts):
            found[students].append((exercise, letters, by_student[students[0]]))
    groups = [
        Alike(
            students,
            tuple((exercise, letters) for exercise, letters, _ in hits),
            max((hit[2] for hit in hits), key=len),
        )
        for students, hits in found.items()
    ]
    return sorted(groups, key=lambda one: (-len(one.exercises), -sum(same for _, same in one.exercises), one.students))


# --------------------------------------------------------------------------------------------------------------- pages


def _outcome(name: str) -> tuple[str, str, str]:
    """(sign, colour, word)."""
    return OUTCOMES.get(name, ("?", "#888888", name))


def _rich(text: str) -> Markup:
    return Markup(panel.rich(text))  # escapes; `code` in backticks


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}\n… (the first {SHOWN} of {len(text)} characters)"


@functools.cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("course"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {
        "number": number,
        "outcome": _outcome,
        "page": page_name,
        "rich": _rich,
        "short": _short,
        "shown": shown,
    }
    return made


def feedback_page(student: str, labs: dict[str, Entry], course: dict[str, Lab]) -> str:
    """A student's page: each lab, each exercise with their own answer, its outcome, message and points."""
    rows = [(_lab(course, lab), entry) for lab, entry in labs.items()]
    unsafe = any(one.unsafe for entry in labs.values() for one in (entry.graded, *entry.others))
    page = (
        _environment()
        .get_template("feedback.html")
        .render(
            student=student,
            labs=rows,
            unsafe=unsafe,
            most=sum(entry.graded.max_points for entry in labs.values()),
            folder=Path,
        )
    )
    return readable(page)


def overview_page(entries: dict, unplaced: Iterable, course: dict[str, Lab], notes: Iterable[str] = ()) -> str:
    """The instructor's page: the class as a table, by exercise, by misconception, and what needs a human eye."""
    submissions = [one for _, _, entry in _each(entries) for one in (entry.graded, *entry.others)]
    page = (
        _environment()
        .get_template("overview.html")
        .render(
            entries=entries,
            labs=[_lab(course, lab) for lab in _labs(entries) if lab],
            submissions=len(submissions),
            unsafe=sum(one.unsafe for one in submissions),
            exercises=by_exercise(entries),
            misconceptions=misconceptions(entries),
            stuck=stuck(entries),
            alike=look_alikes(entries, course),
            flagged=flagged(entries),
            twice=[(student, lab, entry) for student, lab, entry in _each(entries) if entry.others],
            unplaced=list(unplaced),
            notes=list(notes),
        )
    )
    return readable(page)


def by_exercise(entries: dict) -> list[dict]:
    """For each exercise: its title, {outcome: students}, and the share of its points that the class has."""
    found: dict[str, dict] = {}
    for student, _, entry in _each(entries):
        for item in entry.graded.exercises:
            row = found.setdefault(
                item.exercise,
                {
                    "id": item.exercise,
                    "title": item.title,
                    "who": defaultdict(list),
                    "points": [],
                    "most": item.max_points,
                },
            )
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
    for student, _, entry in _each(entries):
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
    for student, lab, entry in _each(entries):
        for one in (entry.graded, *entry.others):
            flags = one.flags | ({"unreadable": one.problem} if one.problem else {})
            if any(item.points is None for item in one.exercises):
                flags.setdefault("fault", next(item.message for item in one.exercises if item.points is None))
            for kind, text in flags.items():
                found[kind].append((student, lab, one.origin, text))
    kinds = [*FLAGS, *sorted(set(found) - set(FLAGS))]
    return [(FLAGS.get(kind, kind.capitalize()), found[kind]) for kind in kinds if kind in found]


# ----------------------------------------------------------------------------------------------------------------- all


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
    marks, notes = _take_back(folder, graded)
    entries = entries_of(graded, marks)
    pages = {page_name(student): student for student in entries}
    with ThreadPoolExecutor(8) as pool:  # a file is on the disk when it is written: one at a time that is slow
        waiting = [
            pool.submit(write, folder / "feedback" / name, feedback_page(student, entries[student], course))
            for name, student in pages.items()
        ]
    for page in waiting:
        page.result()
    for path in (folder / "feedback").glob("*.html"):
        if (
            path.name not in pages
            and "<!-- torch-labs: made by" in path.read_text(encoding="utf-8", errors="replace")[:200]
        ):
            path.unlink()
    for lab in filter(None, _labs(entries)):
        write(folder / f"moodle_{lab}.csv", moodle_csv(entries, lab))
    write(folder / "canvas.csv", canvas_csv(entries, course))
    write(folder / "nbgrader.csv", nbgrader_csv(entries, course))
    write(folder / "written.csv", written_csv(entries))
    write(folder / "grades.csv", grades_csv(entries))
    unplaced = sorted(unplaced, key=lambda one: one.origin)
    if (mapping := unplaced_csv(folder / "unplaced.csv", unplaced)) is not None:
        write(folder / "unplaced.csv", mapping)
    write(folder / "index.html", overview_page(entries, unplaced, course, notes))


def write(path: Path, text: str) -> None:
    """Write a file unless it is there already."""
    if not path.exists() or path.read_bytes() != text.encode():
        results.write(path, text)
