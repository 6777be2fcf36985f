"""The tables and pages that come of grading: what they say, and that nothing of a student's takes effect in them."""

import csv
import io
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course import report, results
from course.report import Lab, SheetError
from course.results import FAULT, NOT_RUN, ExerciseResult, Graded, WrittenAnswer

RELEASED = 'def area(r: float) -> float:\n    """Area of a circle of radius r."""\n    # your code here\n    raise NotAttempted("02.1")'
SOLUTION = RELEASED.partition("    # your")[0] + "    return 3.14159 * r * r"
COURSE = {
    "02": Lab("02", "02_autograd", "Autograd", {"02.1": RELEASED}, {"02.1": SOLUTION}),
    "03": Lab("03", "03_data", "Data"),
}
NAMES = [
    "Ana",
    "ana",
    "<script>alert(1)</script>",
    "a/b/../c",
    "",
    " ",
    "N" * 300,
    "مريم",
    "con",
    "\ud800",
    "=1+1",
    "a\x00b",
]


def exercise(id="02.1", points=2.0, outcome="correct", **others) -> ExerciseResult:
    return ExerciseResult(id, "Area", points, 2, outcome, **others)


def graded(student="Ana", lab="02", exercises=None, **others) -> Graded:
    made = [exercise(f"{lab}.1")] if exercises is None else exercises
    return Graded(student, lab, others.pop("origin", f"{student}/{lab}.ipynb"), made, **others)


def table(text: str) -> list[dict]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def files(folder) -> dict:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# -------------------------------------------------------------------------------------------------------------- tables


def test_grades_have_a_row_for_each_exercise_in_order():
    items = [exercise("02.10", 1.0, "partly", misconception="It is σ."), exercise("02.9")]
    rows = table(report.grades_csv(report.entries_of([graded("Zoe"), graded("Ana", exercises=items)])))
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
    entries = report.entries_of(broken)
    assert [(row["student"], row["outcome"]) for row in table(report.grades_csv(entries))] == [
        ("Ana", NOT_RUN),
        ("Bo", NOT_RUN),
    ]
    assert table(report.canvas_csv(entries, COURSE))[1]["02_autograd"] == ""
    assert table(report.moodle_csv(entries, "02"))[0]["Grade"] == ""


def test_a_fault_of_the_grader_is_never_a_zero():
    entries = report.entries_of([graded(exercises=[exercise(), exercise("02.2", None, FAULT, message="It failed.")])])
    assert (
        table(report.grades_csv(entries))[1] | {"points": "", "outcome": FAULT} == table(report.grades_csv(entries))[1]
    )
    assert table(report.canvas_csv(entries, COURSE))[1]["02_autograd"] == ""
    assert table(report.nbgrader_csv(entries, COURSE))[0]["score"] == ""
    assert "2 + ?" in report.overview_page(entries, [], COURSE)


def test_canvas_gets_its_columns_ids_and_points():
    canvas = graded("doejane", origin="all.zip/doejane_LATE_4711_123456_02_autograd-1.ipynb")
    rows = table(
        report.canvas_csv(report.entries_of([canvas, graded("Bo", lab="03"), graded("Points Possible")]), COURSE)
    )
    assert list(rows[0]) == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "02_autograd", "03_data"]
    assert rows[0]["Student"].strip() == "Points Possible" and rows[0]["02_autograd"] == "2"
    by_name = {row["Student"]: row for row in rows[1:]}
    assert by_name["doejane"]["ID"] == "4711" and by_name["doejane"]["03_data"] == ""
    assert by_name["Bo"]["SIS Login ID"] == "Bo" and "Points-Possible" in by_name


def test_a_number_of_two_students_is_nobodys():
    """The second has named his file so that the first's grade becomes his."""
    both = [graded(name, origin=f"{name}_4711_123456_02.ipynb") for name in ("doejane", "thief")]
    assert [row["ID"] for row in table(report.canvas_csv(report.entries_of(both), COURSE))] == ["", "", ""]


def test_moodle_gets_an_identifier_and_feedback_that_is_no_html_of_a_students():
    one = graded(
        "Jane Doe",
        exercises=[exercise(points=0.5, outcome="wrong", message='<img src=x onerror="f()">\nCase 1.')],
        origin="m.zip/Jane Doe_4711_assignsubmission_file_/02.ipynb",
    )
    (row,) = table(report.moodle_csv(report.entries_of([one]), "02"))
    assert (row["Identifier"], row["Full name"], row["Grade"], row["Maximum Grade"]) == (
        "Participant 4711",
        "Jane Doe",
        "0.5",
        "2",
    )
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
    ours = report.nbgrader_csv(report.entries_of([graded()]), COURSE)
    assert ours.splitlines()[0] == (tmp_path / "theirs.csv").read_text().splitlines()[0]
    assert [table(ours)[0][name] for name in ("assignment", "student_id", "score", "max_score")] == [
        "02_autograd",
        "Ana",
        "2",
        "2",
    ]


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "＝1+1", "x\n=1", "x;=1", "\ud800=", "\r=1"]
)
def test_no_cell_begins_as_a_formula(text):
    entries = report.entries_of(
        [
            graded(
                text,
                exercises=[exercise(misconception=text, answer=text)],
                written=[WrittenAnswer("written-1", text, text)],
            )
        ]
    )
    made = [
        report.grades_csv(entries),
        report.canvas_csv(entries, COURSE),
        report.moodle_csv(entries, "02"),
        report.nbgrader_csv(entries, COURSE),
        report.written_csv(entries),
    ]
    for cell in (cell for text in made for row in csv.reader(io.StringIO(text.removeprefix("\ufeff"))) for cell in row):
        assert not cell.strip().startswith(("=", "+", "-", "@", "＝"))
        assert not any(f"{cut}{sign}" in cell for cut in "\n;\t" for sign in "=+-@")


@pytest.mark.parametrize(
    "name",
    ["Ana Müller", "O'Brien", "'Abd al-Rahman", "Jean-Luc", "x=y", "a@b.org", "Müller-Lüdenscheidt, Ana", "مريم", "-"],
)
def test_honest_names_stay_as_they_are(name):
    assert table(report.grades_csv(report.entries_of([graded(name)])))[0]["student"] == name


# --------------------------------------------------------------------------------------------------------------- pages


def test_every_student_has_a_file_of_their_own_that_every_system_can_hold():
    names = [report.page_name(name) for name in NAMES]
    assert len({name.lower() for name in names}) == len(NAMES)
    for name in names:
        assert len(name) <= 80 and name.isascii() and "/" not in name and not name.startswith((".", "-", "con."))


@given(st.lists(st.text(max_size=80), unique=True, max_size=20))
@settings(deadline=None)
def test_file_names_are_unique_for_any_names(names):
    assert len({report.page_name(name).lower() for name in names}) == len(names)
    assert all(set(report.page_name(name)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-._~") for name in names)


def test_a_page_shows_answer_outcome_message_points_notes():
    items = [exercise(points=1.0, outcome="partly", message="The `x` is wrong.\nCase 2.", answer="print('<b>')")]
    page = report.feedback_page("Ana", {"02": report.Entry(graded(exercises=items, notes=["A cell stopped."]))}, COURSE)
    for text in (
        "◐ Partly correct",
        "#E69F00",
        "1/2",
        "<code>x</code> is wrong.<br>Case 2.",
        "print(&#39;&lt;b&gt;&#39;)",
        "A cell stopped.",
        "Lab 02 · Autograd",
    ):
        assert text in page


def test_flags_are_the_instructors_alone():
    entries = report.entries_of([graded(flags={"attack": "A forged reply.", "odd": "Odd."})])
    assert "A forged reply." not in report.feedback_page("Ana", entries["Ana"], COURSE)
    page = report.overview_page(entries, [SimpleNamespace(origin="b/<i>.ipynb", reason="Whose is it?")], COURSE)
    assert "A forged reply." in page and "Odd" in page and "b/&lt;i&gt;.ipynb" in page and "Whose is it?" in page


def test_unsafe_is_said_on_every_page_that_it_concerns():
    entries = report.entries_of([graded("Ana", unsafe=True), graded("Bo")])
    assert "without a sandbox" in report.feedback_page("Ana", entries["Ana"], COURSE)
    assert "without a sandbox" not in report.feedback_page("Bo", entries["Bo"], COURSE)
    assert "1 of 2 submissions" in report.overview_page(entries, [], COURSE)


def test_misconceptions_come_with_counts_and_names_most_common_first():
    wrong = [exercise(points=0.0, outcome="wrong", misconception="It is σ.")]
    rare = [exercise(points=0.0, outcome="wrong", misconception="It is 1.")]
    entries = report.entries_of(
        [graded("Bo", exercises=wrong), graded("Ana", exercises=wrong), graded("Cy", exercises=rare)]
    )
    assert report.misconceptions(entries) == [("02.1", "It is σ.", ["Ana", "Bo"]), ("02.1", "It is 1.", ["Cy"])]
    assert [student for student, _ in report.stuck(entries)] == ["Ana", "Bo", "Cy"]
    assert report.by_exercise(entries)[0]["who"] == {"wrong": ["Ana", "Bo", "Cy"]}


def test_the_better_of_two_submissions_counts_and_the_other_is_named():
    entries = report.entries_of(
        [graded(exercises=[exercise(points=0.0, outcome="wrong")], origin="old.ipynb"), graded(origin="new.ipynb")]
    )
    assert entries["Ana"]["02"].points == 2 and len(table(report.grades_csv(entries))) == 1
    assert "old.ipynb" in report.overview_page(entries, [], COURSE) and "old.ipynb" in report.feedback_page(
        "Ana", entries["Ana"], COURSE
    )


@given(st.text(), st.text(), st.text())
@settings(deadline=None, max_examples=50)
def test_no_text_of_a_student_becomes_a_tag(name, answer, message):
    item = exercise(outcome=message[:9], message=message, answer=answer, misconception=message)
    one = graded(
        name,
        exercises=[item],
        written=[WrittenAnswer("written-1", answer, message)],
        notes=[message],
        flags={answer[:9]: message},
    )
    plain = report.feedback_page(
        "x", report.entries_of([graded("x", exercises=[exercise(message="m", answer="a")])])["x"], COURSE
    )
    page = report.feedback_page(name, report.entries_of([one])[name], COURSE)
    page.encode()  # no half of a surrogate pair
    assert {tag for tag in _tags(page)} <= {tag for tag in _tags(plain)} | {"code", "br", "h4", "ul", "li", "div"}


def _tags(page: str) -> list[str]:
    from html.parser import HTMLParser

    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append(tag)
    parser.feed(page)
    return found


def test_characters_that_turn_or_hide_text_are_shown():
    page = report.feedback_page(
        "Ana", {"02": report.Entry(graded(exercises=[exercise(answer="a = 1 # \u202e\u2066 tfel\x1b[31m")]))}, COURSE
    )
    assert "⟨U+202E⟩⟨U+2066⟩" in page and "␛[31m" in page and "\x1b" not in page


# -------------------------------------------------------------------------------------------------------- look-alikes

LONG = (
    RELEASED.partition("    # your")[0]
    + """    # walk around the circle in small steps
    total, step = 0.0, 1e-3
    angle = 0.0
    while angle < 2 * math.pi:
        total += r * r * step / 2
        angle += step
    if total < 0:
        raise ValueError("negative")
    return total
"""
)
OTHER = (
    RELEASED.partition("    # your")[0]
    + """    points = [(x / 100 * r, y / 100 * r) for x in range(-100, 101) for y in range(-100, 101)]
    inside = sum(1 for x, y in points if math.hypot(x, y) <= r)
    square = (2 * r) ** 2
    return square * inside / len(points)
"""
)


def alike(answers: dict[str, str]) -> list:
    return report.alike_answers(answers, RELEASED, SOLUTION)


def test_a_copy_with_other_names_comments_and_layout_is_seen():
    copy = (
        LONG.replace("total", "summe")
        .replace("angle", "winkel")
        .replace("# walk around the circle in small steps", "# meine Idee")
        .replace("\n    return", "\n\n    return")
    )
    assert alike({"Ana": LONG, "Bo": copy, "Cy": OTHER}) == [(("Ana", "Bo"), False)]
    assert alike({"Ana": LONG, "Bo": LONG + "\n", "Cy": OTHER}) == [(("Ana", "Bo"), True)]


def test_a_line_more_does_not_hide_a_copy():
    assert alike({"Ana": LONG, "Bo": LONG.replace("    return", "    print(total)\n    return")}) == [
        (("Ana", "Bo"), False)
    ]


def test_what_is_alike_for_good_reasons_is_not_seen():
    short = SOLUTION.replace("3.14159 * r * r", "math.pi * r ** 2")
    assert alike({"Ana": short, "Bo": short, "Cy": RELEASED, "Di": RELEASED, "Ed": SOLUTION, "Fe": SOLUTION}) == []
    assert alike({f"s{i}": LONG for i in range(50)}) == []  # the whole class: the plain way, or a lecture's
    long_solution = {name: LONG.replace("total", name) for name in ("Ana", "Bo")}
    assert report.alike_answers(long_solution, RELEASED, LONG) == []


def test_a_shared_comment_in_the_solutions_way_is_seen():
    text = LONG.replace("# walk around", "# as uncle Bob says, walk around")
    assert report.alike_answers({"Ana": text, "Bo": text, "Cy": LONG}, RELEASED, LONG) == [(("Ana", "Bo"), True)]


@pytest.mark.parametrize(
    "source",
    ["(" * 200_000, "'''" * 60_000, "-" * 200_000 + "1", "f'{" * 60_000, "\\" * 99_999, "\x00\ud800", "%%bash\nrm"],
)
def test_no_answer_breaks_the_comparison(source):
    assert alike({"Ana": source, "Bo": OTHER}) == []


def test_look_alikes_are_gathered_by_people():
    def pair(text):
        return [exercise("02.1", answer=text), exercise("02.2", answer=text.replace("area", "length"))]

    entries = report.entries_of(
        [graded("Bo", exercises=pair(LONG)), graded("Ana", exercises=pair(LONG)), graded("Cy", exercises=pair(OTHER))]
    )
    (group,) = report.look_alikes(entries, COURSE)
    assert group.students == ("Ana", "Bo") and group.exercises == (("02.1", True), ("02.2", True))


# ----------------------------------------------------------------------------------------------------- written answers


def cohort() -> list[Graded]:
    answers = {"Ana": "It falls.\n- since the gradient is small", "Bo": "=cmd", "=Zoe": "x; y"}
    return [graded(name, written=[WrittenAnswer("written-1", "**Why?**", text)]) for name, text in answers.items()]


def fill(sheet, encoding="utf-8", delimiter=",", **marks):
    """Fill in a sheet as somebody with a spreadsheet would: student -> (points, comment)."""
    rows = list(csv.reader(io.StringIO(sheet.read_text(encoding="utf-8-sig"))))
    for row in rows[1:]:
        row[5:7] = marks.get(row[0].strip("'="), ("", ""))
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    sheet.write_bytes(out.getvalue().encode(encoding))


@pytest.mark.parametrize(
    ("encoding", "delimiter"), [("utf-8", ","), ("utf-8-sig", ";"), ("cp1252", ";"), ("utf-16", "\t")]
)
def test_the_sheet_comes_back_from_any_spreadsheet(tmp_path, encoding, delimiter):
    report.write_all(tmp_path, cohort(), [], COURSE)
    copy = tmp_path / "mine" / "copy.csv"
    copy.parent.mkdir()
    copy.write_bytes((tmp_path / "written.csv").read_bytes())
    fill(copy, encoding, delimiter, Ana=("1,5", "Schön <b>"), Zoe=("2", ""))
    assert report.merge_written(tmp_path, copy) == []
    report.write_all(tmp_path, cohort(), [], COURSE)
    page = (tmp_path / "feedback" / report.page_name("Ana")).read_text()
    assert "Schön &lt;b&gt;" in page and "1.5 points" in page and "3.5 of 2 points" in page
    assert {row["Student"]: row["02_autograd"] for row in table((tmp_path / "canvas.csv").read_text())[1:]} == {
        "'=Zoe": "4",
        "Ana": "3.5",
        "Bo": "2",
    }
    assert {
        row["student"]: row["points"]
        for row in table((tmp_path / "grades.csv").read_text())
        if row["exercise"] == "written-1"
    } == {"Ana": "1.5", "'=Zoe": "2"}
    assert "not the one" not in (tmp_path / "index.html").read_text()


def test_points_filled_in_in_place_are_not_lost(tmp_path):
    report.write_all(tmp_path, cohort(), [], COURSE)
    fill(tmp_path / "written.csv", Ana=("1", "Good."))
    report.write_all(tmp_path, cohort(), [], COURSE)
    report.write_all(tmp_path, cohort(), [], COURSE)
    assert {
        row["student"]: (row["points"], row["comment"])
        for row in table((tmp_path / "written.csv").read_text(encoding="utf-8"))
    }["Ana"] == ("1", "Good.")


def test_two_people_can_each_fill_in_a_copy(tmp_path):
    report.write_all(tmp_path, cohort(), [], COURSE)
    for name, marks in {
        "a.csv": {"Ana": ("1", "")},
        "b.csv": {"Bo": ("2", "")},
        "c.csv": {"Bo": ("-", "See me.")},
    }.items():
        (tmp_path / name).write_bytes((tmp_path / "written.csv").read_bytes())
        fill(tmp_path / name, **marks)
        assert report.merge_written(tmp_path, tmp_path / name) == []
    kept = {row[0]: row[3] for row in json.loads((tmp_path / report.MARKS).read_text())}
    assert kept["Ana"]["points"] == 1 and kept["Bo"] | {"points": None, "comment": "See me."} == kept["Bo"]


def test_a_row_that_cannot_be_used_is_named_and_the_rest_is_merged(tmp_path):
    report.write_all(tmp_path, cohort(), [], COURSE)
    fill(tmp_path / "written.csv", Ana=("two", ""), Bo=("1", ""))
    report.write_all(tmp_path, cohort(), [], COURSE)
    page = (tmp_path / "index.html").read_text()
    assert "“two” is not a number of points" in page
    (kept,) = tmp_path.glob("written-*.csv")
    assert "two" in kept.read_text() and kept.name in page
    assert {row["student"]: row["points"] for row in table((tmp_path / "written.csv").read_text())}["Bo"] == "1"


@pytest.mark.parametrize("raw", [b"", b"\x89PNG\r\n\x1a\n\x81", b"a,b\n1,2\n", b"PK\x03\x04\x8d"])
def test_a_sheet_that_is_none_loses_nothing(tmp_path, raw):
    report.write_all(tmp_path, cohort(), [], COURSE)
    (tmp_path / "bad.csv").write_bytes(raw)
    with pytest.raises(SheetError, match="bad.csv"):
        report.merge_written(tmp_path, tmp_path / "bad.csv")
    (tmp_path / "written.csv").write_bytes(raw)
    report.write_all(tmp_path, cohort(), [], COURSE)
    assert [path.read_bytes() for path in tmp_path.glob("written-*.csv")] == [raw]


def test_an_answer_that_changed_after_it_was_marked_is_shown_to_a_person(tmp_path):
    report.write_all(tmp_path, cohort(), [], COURSE)
    fill(tmp_path / "written.csv", Ana=("1", ""), Bo=("1", ""))
    again = cohort()
    again[0].written[0].text = "It rises."
    report.write_all(tmp_path, again[:1], [], COURSE)
    page = (tmp_path / "index.html").read_text()
    assert "is not the one that was marked" in page and "A mark for Bo" in page
    report.write_all(tmp_path, again[:1], [], COURSE)
    assert (tmp_path / "index.html").read_text() == page
    assert [row["points"] for row in table((tmp_path / "written.csv").read_text())] == [""]
    fill(tmp_path / "written.csv", Ana=("2", ""))
    report.write_all(tmp_path, again[:1], [], COURSE)
    assert "is not the one that was marked" not in (tmp_path / "index.html").read_text()


# ----------------------------------------------------------------------------------------------------------------- all


def test_the_same_results_give_the_same_bytes_in_any_order(tmp_path):
    some = [graded(name, lab) for name in NAMES for lab in ("02", "03")]
    lost = [SimpleNamespace(origin=name, reason="Whose?") for name in ("b", "a")]
    report.write_all(tmp_path / "one", some, lost, COURSE)
    report.write_all(tmp_path / "two", some[::-1], lost[::-1], COURSE)
    first = files(tmp_path / "one")
    assert first == files(tmp_path / "two")
    report.write_all(tmp_path / "one", some, lost, COURSE)
    assert files(tmp_path / "one") == first
    assert len([name for name in first if name.startswith("feedback")]) == len(NAMES)


def test_what_is_there_already_is_not_written_again(tmp_path, monkeypatch):
    report.write_all(tmp_path, [graded()], [], COURSE)
    monkeypatch.setattr(results, "write", lambda path, text: pytest.fail(f"{path.name} was written again"))
    report.write_all(tmp_path, [graded()], [], COURSE)


def test_a_page_of_nobody_goes_and_a_strangers_file_stays(tmp_path):
    report.write_all(tmp_path, [graded("Ana"), graded("Bo")], [], COURSE)
    (tmp_path / "feedback" / "mine.html").write_text("<p>notes</p>")
    report.write_all(tmp_path, [graded("Ana")], [], COURSE)
    assert {path.name for path in (tmp_path / "feedback").iterdir()} == {"mine.html", report.page_name("Ana")}


def test_the_mapping_file_keeps_what_was_filled_in(tmp_path):
    lost = [SimpleNamespace(origin=name, reason="Whose?") for name in ("x.ipynb", "y.ipynb")]
    report.write_all(tmp_path, [graded()], lost, COURSE)
    sheet = tmp_path / "unplaced.csv"
    assert table(sheet.read_text(encoding="utf-8")) == [
        {"file": name, "student": "", "lab": ""} for name in ("x.ipynb", "y.ipynb")
    ]
    sheet.write_text("file;student;lab\nx.ipynb;Ana;02\ny.ipynb;-;\n")
    report.write_all(tmp_path, [graded()], [SimpleNamespace(origin="z.ipynb", reason="Whose?")], COURSE)
    assert [tuple(row.values()) for row in table(sheet.read_text(encoding="utf-8"))] == [
        ("x.ipynb", "Ana", "02"),
        ("y.ipynb", "-", ""),
        ("z.ipynb", "", ""),
    ]
    sheet.write_text("my own notes")
    report.write_all(tmp_path, [graded()], lost, COURSE)
    assert sheet.read_text() == "my own notes"


def test_nothing_graded_gives_files_all_the_same(tmp_path):
    report.write_all(tmp_path, [])
    assert {"grades.csv", "canvas.csv", "nbgrader.csv", "written.csv", "index.html"} <= set(files(tmp_path))


def test_the_course_is_read_from_the_notebooks():
    lab = report.read_course()["02"]
    assert (lab.name, lab.title) == ("02_autograd", "Autograd") and "NotAttempted" in lab.released["02.1"]
    assert "BEGIN SOLUTION" in lab.solutions["02.1"]
