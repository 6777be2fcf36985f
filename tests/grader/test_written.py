"""The sheets that people fill in: whatever a spreadsheet makes of them, no mark is lost and none is another answer's."""

import csv
import io
import json
from types import SimpleNamespace

import pytest
from gradings import COURSE, graded, table

from course.grader import report, written
from course.grader.results import Graded, WrittenAnswer
from course.grader.written import SheetError


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
    assert written.merge_written(tmp_path, copy) == []
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
        assert written.merge_written(tmp_path, tmp_path / name) == []
    kept = {row[0]: row[3] for row in json.loads((tmp_path / written.MARKS).read_text())}
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
        written.merge_written(tmp_path, tmp_path / "bad.csv")
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
