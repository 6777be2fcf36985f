"""The tables for gradebooks: their columns, and that no cell of a student's is a formula."""

import csv
import io
import os
import sys
from pathlib import Path

import pytest
from gradings import COURSE, exercise, graded, table
from hypothesis import given
from hypothesis import strategies as st

from course.grader import report, tables, written
from course.grader.entries import entries_of
from course.grader.results import FAULT, NOT_RUN, Graded, WrittenAnswer


def test_grades_have_a_row_for_each_exercise_in_order():
    items = [exercise("02.10", 1.0, "partly", misconception="It is σ."), exercise("02.9")]
    rows = table(tables.grades_csv(entries_of([graded("Zoe"), graded("Ana", exercises=items)])))
    assert list(rows[0]) == ["student", "lab", "exercise", "points", "max_points", "outcome", "misconception"]
    assert [(row["student"], row["exercise"], row["points"]) for row in rows] == [
        ("Ana", "02.9", "2"),
        ("Ana", "02.10", "1"),
        ("Zoe", "02.1", "2"),
    ]
    assert rows[1] | {"misconception": "It is σ.", "max_points": "2", "outcome": "partly"} == rows[1]


def test_an_unreadable_submission_has_a_row_and_no_zero_in_a_gradebook():
    broken = [
        graded("Ana", exercises=[exercise(points=0.0, outcome=NOT_RUN)], problem="No notebook."),
        Graded("Bo", "", "x", problem="No lab."),
    ]
    entries = entries_of(broken)
    assert [(row["student"], row["outcome"]) for row in table(tables.grades_csv(entries))] == [
        ("Ana", NOT_RUN),
        ("Bo", NOT_RUN),
    ]
    assert table(tables.canvas_csv(entries, COURSE))[1]["02_autograd"] == ""
    assert table(tables.moodle_csv(entries, "02"))[0]["Grade"] == ""


def test_a_fault_of_the_grader_is_never_a_zero():
    entries = entries_of([graded(exercises=[exercise(), exercise("02.2", None, FAULT, message="It failed.")])])
    assert (
        table(tables.grades_csv(entries))[1] | {"points": "", "outcome": FAULT} == table(tables.grades_csv(entries))[1]
    )
    assert table(tables.canvas_csv(entries, COURSE))[1]["02_autograd"] == ""
    assert table(tables.nbgrader_csv(entries, COURSE))[0]["score"] == ""
    assert "2 + ?" in report.overview_page(entries, [], COURSE)


def test_canvas_gets_its_columns_ids_and_points():
    canvas = graded("doejane", platform="canvas 4711")
    rows = table(tables.canvas_csv(entries_of([canvas, graded("Bo", lab="03"), graded("Points Possible")]), COURSE))
    assert list(rows[0]) == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "02_autograd", "03_data"]
    assert rows[0]["Student"].strip() == "Points Possible" and rows[0]["02_autograd"] == "2"
    by_name = {row["Student"]: row for row in rows[1:]}
    assert by_name["doejane"]["ID"] == "4711" and by_name["doejane"]["03_data"] == ""
    assert by_name["Bo"]["SIS Login ID"] == "Bo" and "Points-Possible" in by_name


def test_a_number_of_two_students_is_nobodys():
    """In a folder of loose files the second may have named his file so that the first's grade becomes his."""
    both = [graded(name, platform="canvas 4711") for name in ("doejane", "thief")]
    assert [row["ID"] for row in table(tables.canvas_csv(entries_of(both), COURSE))] == ["", "", ""]


def test_moodle_gets_an_identifier_and_feedback_that_is_no_html_of_a_students():
    one = graded(
        "Jane Doe",
        exercises=[exercise(points=0.5, outcome="wrong", message='<img src=x onerror="f()">\nCase 1.')],
        platform="moodle 4711",
    )
    (row,) = table(tables.moodle_csv(entries_of([one]), "02"))
    assert (row["Identifier"], row["Full name"], row["Grade"], row["Maximum Grade"]) == (
        "Participant 4711", "Jane Doe", "0.5", "2",
    )  # fmt: skip
    assert "Last modified (grade)" in row and "Email address" in row
    assert (
        "<br>&lt;img" in row["Feedback comments"]
        and '"' not in row["Feedback comments"]
        and "\n" not in row["Feedback comments"]
    )


def test_nbgrader_gets_the_columns_of_its_export(tmp_path, monkeypatch):
    from nbgrader.api import Gradebook
    from nbgrader.plugins import CsvExportPlugin

    monkeypatch.setenv(
        "PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )  # it starts alembic by name
    with Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}") as gradebook:
        CsvExportPlugin(to=str(tmp_path / "theirs.csv")).export(gradebook)
    ours = tables.nbgrader_csv(entries_of([graded()]), COURSE)
    assert ours.splitlines()[0] == (tmp_path / "theirs.csv").read_text().splitlines()[0]
    assert [table(ours)[0][name] for name in ("assignment", "student_id", "score", "max_score")] == [
        "02_autograd", "Ana", "2", "2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "＝1+1", "x\n=1", "x;=1", "\ud800=", "\r=1"]
)
def test_no_cell_begins_as_a_formula(text):
    entries = entries_of(
        [
            graded(
                text,
                exercises=[exercise(misconception=text, answer=text)],
                written=[WrittenAnswer("written-1", text, text)],
            )
        ]
    )
    made = [
        tables.grades_csv(entries), tables.canvas_csv(entries, COURSE), tables.moodle_csv(entries, "02"),
        tables.nbgrader_csv(entries, COURSE), written.written_csv(entries),
    ]  # fmt: skip
    for cell in (cell for text in made for row in csv.reader(io.StringIO(text.removeprefix("\ufeff"))) for cell in row):
        assert not cell.strip().startswith(("=", "+", "-", "@", "＝"))
        assert not any(f"{cut}{sign}" in cell for cut in "\n;\t" for sign in "=+-@")


@pytest.mark.parametrize(
    "name",
    ["Ana Müller", "O'Brien", "'Abd al-Rahman", "Jean-Luc", "x=y", "a@b.org", "Müller-Lüdenscheidt, Ana", "مريم", "-"],
)
def test_honest_names_stay_as_they_are(name):
    assert table(tables.grades_csv(entries_of([graded(name)])))[0]["student"] == name


@given(st.text(alphabet="'=+-@a ", max_size=6), st.text(alphabet="'=+-@a ", max_size=6))
def test_no_two_names_are_one_in_a_table(a, b):
    assert (tables.safe(a) == tables.safe(b)) == (a == b)
