"""The grader as a whole: what a cohort gets, what is kept, and what happens when something dies or is full."""

import csv
import errno
import functools
import importlib
import json
import linecache
import os
import re
import resource
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cohort
import nbformat
import pytest
from filelock import FileLock
from typer.testing import CliRunner

from course.__main__ import app
from course.grader import grade, results, sandbox, submission
from course.grader.grade import GradeError, Job
from course.grader.results import FAULT, NOT_RUN, Graded
from course.grader.room import SandboxError
from course.grader.sandbox import Ended, Limits, Sandboxes
from utils import checks
from utils.checks import engine

LABS = submission.labs()
LONG = os.environ.get("LABS_LONG") == "1"  # the forms of tests that take half an hour
POINTS = {lab: sum(item.points for item in checks.exercises(lab).values()) for lab in LABS}


@pytest.fixture
def bubblewrap(system_program):
    cohort.need_bubblewrap(system_program)


def job(lab: str, notebook, mode: str = "fork", **limits) -> Job:
    return Job("ann", lab, "ann.ipynb", nbformat.writes(notebook).encode(), "7", Limits(**limits), mode)


@functools.cache
def solution(exercise: str) -> str:
    return cohort.exercise_cell(cohort.solved(exercise[:2]), exercise).source


def outcomes(graded: Graded) -> dict[str, str]:
    return {item.exercise: item.outcome for item in graded.exercises}


# ------------------------------------------------------------------------------------------------ in real sandboxes


def small_cohort(folder: Path) -> dict[tuple[str, str], float]:
    """Submissions to labs 01 and 02; (student, lab) -> points."""
    wanted = {}
    for lab in ("01", "02"):
        half = cohort.exercises(lab)[::2]
        notebooks = {"ann": cohort.solved(lab), "bea": cohort.untouched(lab), "cy": cohort.filled(lab, half)}
        for student, notebook in notebooks.items():
            cohort.submit(folder, student, lab, notebook)
        items = checks.exercises(lab)
        wanted |= {("ann", lab): POINTS[lab], ("bea", lab): 0, ("cy", lab): sum(items[id].points for id in half)}
    cohort.submit(folder, "dan", "02", '{"cells": [')
    return wanted | {("dan", "02"): 0}


@pytest.mark.parametrize("mode", [[], ["--fresh", "--jobs", "2"]], ids=["fork", "fresh, two jobs"])
def test_a_cohort_by_the_command(mode, tmp_path, bubblewrap):
    wanted = small_cohort(tmp_path / "submissions")
    printed = cohort.grade(tmp_path / "submissions", tmp_path / "grades", "--seed", "7", *mode)
    assert "7/7" in printed and "grades.csv" in printed
    with open(tmp_path / "grades" / "grades.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["student", "lab", "exercise", "points", "max_points", "outcome", "misconception"]
    got = {key: sum(float(row["points"]) for row in rows if (row["student"], row["lab"]) == key) for key in wanted}
    assert got == wanted
    unread = [row for row in rows if row["student"] == "dan"]
    assert [row["exercise"] for row in unread] == cohort.exercises("02") and {row["outcome"] for row in unread} == {NOT_RUN}
    pages = {path.stem for path in (tmp_path / "grades" / "feedback").glob("*.html")}
    assert pages == {"ann", "bea", "cy", "dan"} and (tmp_path / "grades" / "index.html").exists()
    assert not list((tmp_path / "grades").rglob("*.part"))


def test_code_that_ends_python_costs_its_own_exercise(bubblewrap):
    notebook = cohort.filled("02", cohort.exercises("02"))
    cohort.exercise_cell(notebook, "02.1").source = "import os\nos._exit(0)"
    cell = cohort.exercise_cell(notebook, "02.3")
    cell.source += "\n\ndef fit_line(*args):\n    import os\n    os.kill(os.getpid(), 9)\n"
    cohort.exercise_cell(notebook, "02.9").source += "\nwhile True:\n    pass"
    needs = {name: id for id, item in checks.exercises("02").items() for name in item.needs}
    graded = grade.grade_one(job("02", notebook, cell_seconds=20, check_seconds=10))
    lost = {"02.1", "02.9", needs["fit_line"]}
    assert {id for id, outcome in outcomes(graded).items() if outcome != engine.CORRECT} == lost, graded
    messages = {item.exercise: item.message for item in graded.exercises}
    assert "ended Python" in messages["02.1"] and "20 s" in messages["02.9"]
    assert sum("was left out" in note for note in graded.notes) == 2 and graded.flags.keys() == {"time-out"}


# ------------------------------------------------------------------------------------------ the banks of wrong answers


def as_in_a_notebook(*codes: str) -> dict:
    """The names after these cells; their lines can be shown in a message, as IPython sees to."""
    names = {"__name__": "__main__"}
    for code in codes:
        name = f"<cell {hash(code)}>"
        linecache.cache[name] = len(code), None, code.splitlines(keepends=True), name
        exec(compile(code, name, "exec"), names)
    return names


BORROWED = "from utils.training import Events"  # the bank's short cut, which a sandbox for lab 07 does not have


def bank(lab: str) -> list[tuple[str, str]]:
    """(exercise, code) of all answers in a lab's bank, right and wrong."""
    kept = importlib.import_module(f"mistakes.lab_{LABS[lab]}")
    wrong = [(id, code) for id, answers in kept.MISTAKES.items() for code, _ in answers]
    right = [(id, code) for id, codes in kept.RIGHT.items() for code in codes]
    return [(id, code.replace(BORROWED, solution("07.6"))) for id, code in [*wrong, *right, *kept.CONSTANTS.items()]]


def as_submitted(lab: str, exercise: str, code: str) -> bytes:
    """The answer alone in a notebook; in the long form, where the student's notebook has its place."""
    notebook = cohort.answered(lab, {exercise: code})
    if not LONG:
        notebook.cells = [cohort.exercise_cell(notebook, exercise)]
    return nbformat.writes(notebook).encode()


def steady(message: str) -> str:
    """A message without what differs from run to run: a speed by the real clock, the name of a temporary folder."""
    message = re.sub(r"[\d,]+ samples a second", "so many samples a second", message)
    return re.sub(r"(/\w+)+/tmp\w{8}/", "/tmp/", message)


@pytest.mark.parametrize("lab", LABS)
def test_an_answer_gets_what_it_gets_in_the_notebook(lab, bubblewrap):
    release, items, wrong = submission.release(lab), checks.exercises(lab), []
    with Sandboxes(lab, Limits(), "fork") as sandboxes:
        for id, code in bank(lab):
            want = engine.run_here(items[id], as_in_a_notebook(release.imports.source, code), "7")
            work = submission.prepare(as_submitted(lab, id, code), release)
            with grade.Attempts(sandboxes, work.cells, work.places) as attempts:
                got = attempts.grade(items[id], "7", work.answers[id])
            misconception = want.message.removeprefix(engine.LEAD).splitlines()[0] if want.named else ""
            wanted = (want.outcome, want.points, steady(want.message), steady(misconception))
            if (got.outcome, got.points, steady(got.message), steady(got.misconception)) != wanted:
                wrong.append((id, code, got, want))
    assert not wrong, f"{len(wrong)} answers, first: {wrong[0]}"


# ------------------------------------------------------------------------------------------ one submission, no sandbox


class Bare:
    """Stands in for `Sandboxes`: runs cells in this process. A cell or a function that says `die()` ends it."""

    made = 0

    def __init__(self, *which):
        pass

    def new(self):
        type(self).made += 1
        return BareSandbox()

    def close(self):
        pass


class BareSandbox:
    def __init__(self):
        self.names, self.cell = {"die": self.die}, None

    def die(self, kind="died"):
        raise EndedHere(kind)

    def run_cells(self, cells):
        ran = []
        for cell in cells:
            try:
                exec(cell["source"].replace("%matplotlib", "# "), self.names)
                ran.append({"id": cell["id"], "error": None})
            except EndedHere as end:
                raise Ended(str(end), "Your code ended Python.", cell["id"]) from None
            except Exception as error:
                ran.append({"id": cell["id"], "error": f"{type(error).__name__}: {error}"})
        return ran

    def ask(self, question):
        reply = engine.reply(question, self.names)
        if "EndedHere" in reply.get("error", ""):
            raise Ended(reply["error"].split()[-1], "Your code ended Python.")
        return reply

    def close(self):
        pass


class EndedHere(BaseException):
    pass


@pytest.fixture
def bare(monkeypatch):
    """No sandboxes: the grader without what takes its time."""
    monkeypatch.setattr(grade, "Sandboxes", Bare)
    monkeypatch.setattr(grade, "_open", {})
    monkeypatch.setattr(Bare, "made", 0)
    return Bare


def only(lab: str, answers: dict[str, str]):
    """A notebook that holds these answers and nothing else."""
    notebook = cohort.answered(lab, answers)
    notebook.cells = [cohort.exercise_cell(notebook, id) for id in answers]
    return notebook


def test_restarts_are_capped_and_the_rest_is_not_run(bare):
    items = checks.exercises("02")
    answers = {id: "\n".join(f"def {name}(*args, **kwargs):\n    die()" for name in item.needs) for id, item in items.items()}
    graded = grade.grade_one(job("02", only("02", answers)))
    assert bare.made == 1 + grade.RESTARTS
    assert list(outcomes(graded).values()).count(NOT_RUN) >= 1 and graded.points == 0
    assert graded.exercises[-1].message.startswith("Not run: your notebook ended Python")


def test_an_attack_is_flagged_and_costs_its_exercise(bare):
    answers = {id: solution(id) for id in cohort.exercises("02")}
    name = checks.exercises("02")["02.3"].needs[0]
    answers["02.3"] += f"\ndef {name}(*args, **kwargs):\n    die('protocol')\n"
    graded = grade.grade_one(job("02", only("02", answers)))
    assert graded.flags.keys() == {"attack"}
    assert graded.points == POINTS["02"] - checks.exercises("02")["02.3"].points, graded


def test_a_cell_that_fails_is_named(bare):
    graded = grade.grade_one(job("02", only("02", {"02.1": "1 / 0"})))
    assert graded.notes == ["Cell 1 stopped with ZeroDivisionError: division by zero"]


def test_what_cells_failed_with_is_cut(bare):
    notebook = only("02", {"02.1": "raise ValueError('x' * 10_000)"})
    notebook.cells += [nbformat.v4.new_code_cell(f"raise ValueError({number})") for number in range(100)]
    notes = grade.grade_one(job("02", notebook)).notes
    assert len(notes) == 20 and max(map(len, notes)) == 300


@pytest.mark.parametrize("where", ["prepare", "new", "run"])
def test_a_fault_of_the_grader_is_no_zero(where, bare, monkeypatch):
    def fail(*args):
        raise SandboxError("no room") if where == "new" else RuntimeError("a bug")

    monkeypatch.setattr(*{"prepare": (submission, "prepare"), "new": (Bare, "new"), "run": (engine, "run")}[where], fail)
    graded = grade.grade_one(job("02", cohort.untouched("02")))
    assert graded.points is None and set(outcomes(graded).values()) == {FAULT} and graded.flags.keys() == {"fault"}
    assert len(graded.exercises) == len(cohort.exercises("02"))


def test_an_unreadable_file_has_a_row_for_each_exercise(bare):
    graded = grade.grade_one(Job("ann", "02", "ann.ipynb", b"\x00", "7", Limits(), "fork"))
    assert [item.exercise for item in graded.exercises] == cohort.exercises("02")
    assert graded.points == 0 and set(outcomes(graded).values()) == {NOT_RUN} and graded.problem


def test_sandboxes_of_another_lab_are_closed(monkeypatch):
    closed = []
    monkeypatch.setattr(Bare, "close", lambda self: closed.append(self))
    monkeypatch.setattr(grade, "Sandboxes", Bare)
    monkeypatch.setattr(grade, "_open", {})
    first = grade._sandboxes("01", Limits(), "fork")
    assert grade._sandboxes("01", Limits(), "fork") is first and closed == []
    assert grade._sandboxes("02", Limits(), "fork") is not first and closed == [first]


# ------------------------------------------------------------------------------------------------------ what is kept


class Course:
    """Three submissions of two exercises each, graded in this process."""

    def __init__(self, folder: Path):
        self.submissions, self.out = folder / "submissions", folder / "grades"
        for student, answer in {"ann": solution("02.1"), "bea": "x = 1", "cy": "1 / 0"}.items():
            self.submit(student, answer)

    def submit(self, student: str, answer: str) -> None:
        cohort.submit(self.submissions, student, "02", only("02", {"02.1": answer}))

    def grade(self, **options) -> list[str]:
        """Grade; the students whose submissions were graded now."""
        here = cohort.Here()
        grade.grade(self.submissions, self.out, executor=lambda: here, **{"mode": "unsafe", **options})
        return sorted(job.student for job in here.jobs)

    def results(self) -> list[Path]:
        return sorted((self.out / "results").glob("*.json"))


@pytest.fixture
def course(tmp_path, bare):
    return Course(tmp_path)


def test_nothing_is_graded_twice_and_no_file_changes(course):
    assert course.grade() == ["ann", "bea", "cy"]
    before = {path: path.stat().st_mtime_ns for path in course.out.rglob("*") if path.is_file()}
    assert course.grade() == []
    assert {path: path.stat().st_mtime_ns for path in course.out.rglob("*") if path.is_file()} == before


def test_submissions_and_grades_are_hidden_from_the_sandbox(course):
    here = cohort.Here()
    grade.grade(course.submissions, course.out, executor=lambda: here, mode="unsafe")
    assert {job.hidden for job in here.jobs} == {(str(course.submissions.resolve()), str(course.out.resolve()))}


def test_a_changed_submission_is_graded_anew_and_going_back_is_free(course):
    course.grade()
    before = (course.out / "grades.csv").read_bytes()
    course.submit("bea", solution("02.1"))
    assert course.grade() == ["bea"]
    assert (course.out / "grades.csv").read_bytes() != before
    course.submit("bea", "x = 1")
    assert course.grade() == [] and (course.out / "grades.csv").read_bytes() == before


@pytest.mark.parametrize("change", [{"limits": Limits(check_seconds=3)}, {"mode": "fresh"}])
def test_another_limit_or_mode_grades_anew(course, change):
    course.grade()
    assert course.grade(**change) == ["ann", "bea", "cy"]


@pytest.fixture
def copy_of_the_course(tmp_path, monkeypatch):
    """What `version` reads, in a folder where it may be changed."""
    for path in ("utils/data.py", "utils/checks/engine.py", "utils/checks/lab_02_autograd.py", "utils/checks/lab_01_tensors.py",
                 "notebooks/02_autograd.ipynb", "course/grader/worker.py", "course/grader/tables.py"):  # fmt: skip
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("as it was")
    monkeypatch.setattr(grade, "__file__", str(tmp_path / "course" / "grader" / "grade.py"))
    return tmp_path


@pytest.mark.parametrize(("path", "counts"), [
    ("utils/checks/lab_02_autograd.py", True), ("utils/checks/engine.py", True), ("utils/data.py", True),
    ("notebooks/02_autograd.ipynb", True), ("course/grader/worker.py", True),
    ("utils/checks/lab_01_tensors.py", False), ("course/grader/tables.py", False),
])  # fmt: skip
def test_a_changed_check_or_grader_grades_anew_another_lab_or_page_does_not(copy_of_the_course, path, counts):
    before = grade.version.__wrapped__("02")
    (copy_of_the_course / path).write_text("changed")
    assert (grade.version.__wrapped__("02") != before) == counts


def test_another_version_grades_anew(course, monkeypatch):
    course.grade()
    monkeypatch.setattr(grade, "version", lambda lab: "changed")
    assert course.grade() == ["ann", "bea", "cy"]


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", "{}", "\udce4", '{"student": 1}'])
def test_a_damaged_or_lost_result_is_made_again(course, damage):
    course.grade()
    good = cohort.files(course.out)
    first, second, _ = course.results()
    students = sorted(json.loads(path.read_text(encoding="utf-8"))["student"] for path in (first, second))
    first.write_bytes(damage.encode("utf-8", "surrogateescape"))
    second.unlink()
    assert course.grade() == students
    assert cohort.files(course.out) == good


def test_a_fault_is_tried_again(course, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(submission, "prepare", lambda *args: 1 / 0)
        course.grade()
    assert "fault" in (course.out / "grades.csv").read_text(encoding="utf-8-sig")
    assert course.grade() == ["ann", "bea", "cy"]
    assert "fault" not in (course.out / "grades.csv").read_text(encoding="utf-8-sig")


def test_written_answers_come_into_the_grades_by_the_command(tmp_path, bare):
    """Results of an earlier state of a submission lie there too, and do not count."""
    lab = next(lab for lab in LABS if submission.release(lab).written)
    submissions, out, cell = tmp_path / "submissions", tmp_path / "grades", next(iter(submission.release(lab).written))
    (submissions / "odd.ipynb").parent.mkdir()
    (submissions / "odd.ipynb").write_text("{}")
    for text in ("an earlier answer", "an answer"):
        notebook = only(lab, {})
        notebook.cells = [nbformat.v4.new_markdown_cell(text, id=cell)]
        cohort.submit(submissions, "ann", lab, notebook)
        grade.grade(submissions, out, executor=cohort.Here, mode="unsafe")
    rows = list(csv.reader((out / "written.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert [row[4] for row in rows[1:] if row[2] == cell] == ["an answer"]
    place = rows[0].index("points")
    for row in rows[1:]:
        row[place] = "1.5" if row[2] == cell else "many"
    sheet = tmp_path / "filled.csv"
    sheet.write_text("\n".join(",".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in rows))
    printed = CliRunner().invoke(app, ["merge", str(sheet), "--out", str(out)])
    assert printed.exit_code == 0 and "grades.csv" in printed.output, printed.output
    assert printed.output.count("is not a number of points") == len(rows) - 2
    with open(out / "grades.csv", encoding="utf-8-sig", newline="") as file:
        assert [row["points"] for row in csv.DictReader(file) if row["exercise"] == cell] == ["1.5"]
    assert "odd.ipynb" in (out / "index.html").read_text()


def test_a_sheet_or_folder_that_is_none_is_a_sentence(course, tmp_path):
    course.grade()
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("a,b\n1,2\n")
    for where, said in ((course.out, "has no column"), (tmp_path, "is no folder of grades")):
        printed = CliRunner().invoke(app, ["merge", str(sheet), "--out", str(where)])
        assert printed.exit_code == 1 and said in printed.output and "Traceback" not in printed.output
    course.results()[0].write_text("{")
    (sheet := tmp_path / "written.csv").write_bytes((course.out / "written.csv").read_bytes())
    printed = CliRunner().invoke(app, ["merge", str(sheet), "--out", str(course.out)])
    assert printed.exit_code == 1 and "grade once more" in printed.output


def test_a_mapping_file_that_is_none_is_a_sentence(course, tmp_path):
    (tmp_path / "map.csv").write_text("a,b\n")
    with pytest.raises(GradeError, match="must name the columns"):
        course.grade(mapping=tmp_path / "map.csv")
    with pytest.raises(GradeError, match="There is no lab"):
        course.grade(lab="77")


def test_a_notebook_under_the_name_of_another_lab_is_graded_as_what_it_is(course):
    cohort.submit(course.submissions, "dan", "01", only("02", {"02.1": solution("02.1")}))
    assert course.grade() == ["ann", "bea", "cy", "dan"]
    [graded] = [one for path in course.results() if (one := grade._read(path)).student == "dan"]
    assert graded.lab == "02" and graded.points == checks.exercises("02")["02.1"].points
    assert graded.notes[0] == "The file's name says lab 01; it holds the cells of lab 02 and was graded as that."


def test_text_that_no_file_can_hold_is_kept(tmp_path):
    graded = Graded("\ud800", "02", "a\udcff.ipynb", notes=["\udfff"])
    results.write(tmp_path / "one.json", graded.to_json())
    assert grade._read(tmp_path / "one.json") == graded


def test_files_have_the_mode_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        results.write(tmp_path / "one", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o640


def test_a_misconception_is_named_alike_in_the_first_case_and_later(bare):
    named = engine.Result(checks.exercises("02")["02.1"], engine.PARTLY, 1.0, f"{engine.LEAD}It is σ.\nCase 2 of 5.", True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "run", lambda *arguments: named)
        item = grade.grade_one(job("02", only("02", {"02.1": "x = 1"}))).exercises[0]
    assert item.misconception == "It is σ." and item.message.startswith(engine.LEAD)


def test_what_a_killed_grader_left_half_written_is_removed(course):
    course.grade()
    for folder in ("", "results", "feedback"):
        (course.out / folder / ".seed.x1.part").write_text("half")
    course.grade()
    assert not list(course.out.rglob("*.part"))


def test_the_seed_is_drawn_once_kept_and_not_exchanged(course, tmp_path):
    course.grade()
    seed = (course.out / "seed").read_text().strip()
    assert len(seed) >= 16
    assert course.grade(seed=seed) == []
    with pytest.raises(GradeError, match="Name another folder"):
        course.grade(seed="other")
    other = Course(tmp_path / "other")
    other.grade(seed="mine")
    assert (other.out / "seed").read_text() == "mine\n"


# ----------------------------------------------------------------------------------------------------- what goes wrong


def test_two_graders_at_once_are_refused(course):
    course.out.mkdir()
    with FileLock(course.out / ".lock"):
        with pytest.raises(GradeError, match="Another process is grading"):
            course.grade()
    assert course.grade() == ["ann", "bea", "cy"]


def test_no_folder_of_submissions(course, tmp_path):
    with pytest.raises(GradeError, match="no folder"):
        grade.grade(tmp_path / "nowhere", course.out)


def test_a_folder_that_may_not_be_written(closed_folder):
    with pytest.raises(GradeError, match="Permission denied"):
        grade.grade(cohort.ROOT / "notebooks", closed_folder / "grades", mode="unsafe")


@pytest.mark.parametrize("good", range(8))
def test_a_full_disk_loses_nothing(course, good, monkeypatch):
    """The disk is full after so many files: the seed, results, pages, tables."""
    written, sync = [], os.fsync

    def fsync(descriptor):
        if len(written) >= good:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(sync(descriptor))

    with monkeypatch.context() as patch:
        patch.setattr(results.os, "fsync", fsync)
        with pytest.raises(GradeError, match="No space left.*goes on from there"):
            course.grade(seed="7")
    kept = len(course.results())
    assert kept == min(3, max(0, good - 1)) and not list(course.out.rglob("*.part"))
    assert len(course.grade(seed="7")) == 3 - kept
    undisturbed = course.out.rename(course.out.with_name("first"))
    course.grade(seed="7")
    assert cohort.files(undisturbed) == cohort.files(course.out)


FULL = """
set -u
out=$1; shift
head -c 1000000 /dev/zero > "$out/ballast" 2>/dev/null
"$@"; echo "ended with $?"
rm "$out/ballast"
"$@"; echo "ended with $?"
cp -r "$out/." "$KEEP"
"""


def test_a_disk_that_is_really_full(tmp_path, bubblewrap):
    """On a file system of 300 kB, filled up to the brim for the first run."""
    for student in ("ann", "bea"):
        cohort.submit(tmp_path / "submissions", student, "02", only("02", {"02.1": solution("02.1")}))
    for name in ("small", "keep"):
        (tmp_path / name).mkdir()
    command = [sys.executable, "-m", "course", "grade", str(tmp_path / "submissions"), "--out", str(tmp_path / "small"), "--unsafe"]
    ended = subprocess.run(
        ["bwrap", "--dev-bind", "/", "/", "--size", "300000", "--tmpfs", str(tmp_path / "small"),
         "sh", "-c", FULL, "sh", str(tmp_path / "small"), *command],
        cwd=cohort.ROOT, env={**os.environ, "PYTHONPATH": str(cohort.ROOT), "KEEP": str(tmp_path / "keep")},
        capture_output=True, text=True,
    )  # fmt: skip
    said = ended.stdout + ended.stderr
    assert "ended with 1" in said and "No space left" in said and "goes on from there" in said and "Traceback" not in said, said
    assert "ended with 0" in said and (tmp_path / "keep" / "index.html").exists(), said
    assert len(list((tmp_path / "keep" / "results").iterdir())) == 2


def test_a_process_that_dies_takes_no_other_submission_with_it(monkeypatch):
    """Of two processes one dies, and dies again with the same job; another job dies once and then goes well."""
    jobs = [cohort.Tiny(name) for name in ("ann", "killer", "bea", "once", "cy", "dan")]
    cohort.Tiny.once().unlink(missing_ok=True)
    monkeypatch.setattr(grade, "grade_one", cohort.grade_or_die)
    processes = functools.partial(ProcessPoolExecutor, 2, mp_context=get_context("spawn"))
    got = {job.student: graded for job, graded in grade.run_all(jobs, processes, window=4)}
    cohort.Tiny.once().unlink()
    assert got.keys() == {job.student for job in jobs}
    assert [name for name, graded in got.items() if graded.flags] == ["killer"]
    assert got["killer"].points is None and "died" in got["killer"].flags["fault"]


class Breaks(cohort.Here):
    """An executor whose processes die between two jobs, when nobody looks."""

    def submit(self, function, job):
        if len(self.jobs) == 2:
            raise grade.BrokenProcessPool("died")
        return super().submit(function, job)


def test_a_job_that_could_not_be_handed_over_is_not_lost(monkeypatch):
    monkeypatch.setattr(grade, "grade_one", cohort.grade_or_die)
    executors, jobs = [Breaks(), cohort.Here()], [cohort.Tiny(name) for name in "abcd"]
    got = [job.student for job, _ in grade.run_all(jobs, lambda: executors.pop(0), window=4)]
    assert sorted(got) == ["a", "b", "c", "d"]


# ----------------------------------------------------------------------------------------------------- no bubblewrap


def test_without_bubblewrap_it_refuses_and_unsafe_says_so_on_every_page(tmp_path, monkeypatch):
    cohort.submit(tmp_path / "submissions", "ann", "02", only("02", {"02.1": solution("02.1")}))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    arguments = ["grade", str(tmp_path / "submissions"), "--out", str(tmp_path / "grades")]
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 1 and "apt install bubblewrap" in refused.output and "--unsafe" in refused.output
    assert not (tmp_path / "grades").exists()
    done = CliRunner().invoke(app, [*arguments, "--unsafe"])
    assert done.exit_code == 0, done.output
    for page in (tmp_path / "grades" / "index.html", tmp_path / "grades" / "feedback" / "ann.html"):
        assert "without a sandbox" in page.read_text(encoding="utf-8")


def test_a_machine_without_memory_is_no_students_fault(monkeypatch, bubblewrap):
    monkeypatch.setattr(sandbox, "available", lambda: 0)
    notebook = only("02", {"02.1": solution("02.1") + "\nimport time\ntime.sleep(3)"})
    graded = grade.grade_one(job("02", notebook))
    assert graded.points is None and "ran out of memory" in graded.flags["fault"]


def limit_of_memory() -> int:
    return resource.getrlimit(resource.RLIMIT_DATA)[0]


def test_the_process_that_judges_has_a_limit_of_memory():
    """A few bytes of evidence could be broadcast to more than the machine has."""
    with grade.processes(1) as pool:
        assert pool.submit(limit_of_memory).result() <= grade.JUDGING
