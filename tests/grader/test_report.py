"""The pages: what they say, and that nothing of a student's takes effect in them; and all files of a grading together."""

from types import SimpleNamespace

import pytest
from gradings import COURSE, NAMES, exercise, files, graded, table
from hypothesis import given, settings
from hypothesis import strategies as st

from course.grader import report, results, tables
from course.grader.entries import Entry, entries_of, read_course
from course.grader.results import WrittenAnswer


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
    page = report.feedback_page("Ana", {"02": Entry(graded(exercises=items, notes=["A cell stopped."]))}, COURSE)
    for text in (
        "◐ Partly correct", "#E69F00", "1/2", "<code>x</code> is wrong.<br>Case 2.", "print(&#39;&lt;b&gt;&#39;)",
        "A cell stopped.", "Lab 02 · Autograd",
    ):
        assert text in page


def test_flags_are_the_instructors_alone():
    entries = entries_of([graded(flags={"attack": "A forged reply.", "odd": "Odd."})])
    assert "A forged reply." not in report.feedback_page("Ana", entries["Ana"], COURSE)
    page = report.overview_page(entries, [SimpleNamespace(origin="b/<i>.ipynb", reason="Whose is it?")], COURSE)
    assert "A forged reply." in page and "Odd" in page and "b/&lt;i&gt;.ipynb" in page and "Whose is it?" in page


def test_unsafe_is_said_on_every_page_that_it_concerns():
    entries = entries_of([graded("Ana", unsafe=True), graded("Bo")])
    assert "without a sandbox" in report.feedback_page("Ana", entries["Ana"], COURSE)
    assert "without a sandbox" not in report.feedback_page("Bo", entries["Bo"], COURSE)
    assert "1 of 2 submissions" in report.overview_page(entries, [], COURSE)


def test_misconceptions_come_with_counts_and_names_most_common_first():
    wrong = [exercise(points=0.0, outcome="wrong", misconception="It is σ.")]
    rare = [exercise(points=0.0, outcome="wrong", misconception="It is 1.")]
    entries = entries_of([graded("Bo", exercises=wrong), graded("Ana", exercises=wrong), graded("Cy", exercises=rare)])
    assert report.misconceptions(entries) == [("02.1", "It is σ.", ["Ana", "Bo"]), ("02.1", "It is 1.", ["Cy"])]
    assert [student for student, _ in report.stuck(entries)] == ["Ana", "Bo", "Cy"]
    assert report.by_exercise(entries)[0]["who"] == {"wrong": ["Ana", "Bo", "Cy"]}


def test_the_better_of_two_submissions_counts_and_the_other_is_named():
    entries = entries_of(
        [graded(exercises=[exercise(points=0.0, outcome="wrong")], origin="old.ipynb"), graded(origin="new.ipynb")]
    )
    assert entries["Ana"]["02"].points == 2 and len(table(tables.grades_csv(entries))) == 1
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
        "x", entries_of([graded("x", exercises=[exercise(message="m", answer="a")])])["x"], COURSE
    )
    page = report.feedback_page(name, entries_of([one])[name], COURSE)
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
        "Ana", {"02": Entry(graded(exercises=[exercise(answer="a = 1 # \u202e\u2066 tfel\x1b[31m")]))}, COURSE
    )
    assert "⟨U+202E⟩⟨U+2066⟩" in page and "␛[31m" in page and "\x1b" not in page


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


def test_nothing_graded_gives_files_all_the_same(tmp_path):
    report.write_all(tmp_path, [])
    assert {"grades.csv", "canvas.csv", "nbgrader.csv", "written.csv", "index.html"} <= set(files(tmp_path))


def test_the_course_is_read_from_the_notebooks():
    lab = read_course()["02"]
    assert (lab.name, lab.title) == ("02_autograd", "Autograd") and "NotAttempted" in lab.released["02.1"]
    assert "BEGIN SOLUTION" in lab.solutions["02.1"]
