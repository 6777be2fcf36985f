"""The sheets that people fill in: written.csv, for points of written answers, and unplaced.csv, the mapping file."""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from . import results
from .entries import Mark, each
from .results import Graded
from .tables import IN_CELL, number, readable, safe, shown, table

MARKS = "written.json"  # what came back from the sheet of written answers
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
    for student, lab, entry in each(entries):
        for answer in entry.graded.written:
            mark = entry.marks.get(answer.cell, Mark(None, "", ""))
            texts = _cut(answer.question), _cut(answer.text)
            rows.append((student, lab, answer.cell, *texts, number(mark.points), mark.comment))
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
        results.update(folder / MARKS, json.dumps(kept, indent=1) + "\n")
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
            f"{sheet.name} has no column {', '.join(missing)}. "
            "Fill in the file that the grader wrote, and save it as CSV."
        )
    for line, row in enumerate(rows[1:], start=2):
        if any(row):
            yield line, dict(zip(columns, [*row, *[""] * len(columns)]))


def _decoded(sheet: Path) -> str:
    try:
        raw = sheet.read_bytes()
    except OSError as error:
        raise SheetError(f"{sheet} cannot be read: {error.strerror}.") from None
    marked = ("utf-16",) if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ()
    for encoding in (*marked, "utf-8-sig", "cp1252"):
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


def take_back(folder: Path, graded: list[Graded]) -> tuple[dict[tuple, Mark], list[str]]:
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
                f"{shown(one.student)}, lab {one.lab}: the written answer {answer.cell} is not the one that was marked: "
                "mark it again."
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
