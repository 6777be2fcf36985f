"""Submissions to grade, and ways to grade them, for the tests of the grader and its benchmark."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil

from course.grader.results import Graded

ROOT = Path(__file__).parents[2]
NAMES = {path.stem[:2]: path.stem for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))}


def solved(lab: str) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "labs_solutions" / f"{NAMES[lab]}.ipynb", as_version=4)


def untouched(lab: str) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "notebooks" / f"{NAMES[lab]}.ipynb", as_version=4)


def exercise_cell(notebook: nbformat.NotebookNode, exercise: str) -> nbformat.NotebookNode:
    return next(cell for cell in notebook.cells if cell.id == f"exercise-{exercise.replace('.', '-')}")


def exercises(lab: str) -> list[str]:
    """The ids of a lab's exercises, in order: ["02.1", …]."""
    ids = [cell.id.removeprefix("exercise-") for cell in untouched(lab).cells if cell.id.startswith("exercise-")]
    return [id.replace("-", ".") for id in ids]


def filled(lab: str, which: list[str]) -> nbformat.NotebookNode:
    """The student's notebook with the solutions of some exercises."""
    notebook, solution = untouched(lab), solved(lab)
    for exercise in which:
        exercise_cell(notebook, exercise).source = exercise_cell(solution, exercise).source
    return notebook


def answered(lab: str, answers: dict[str, str]) -> nbformat.NotebookNode:
    """The student's notebook with some cells of exercises replaced by code."""
    notebook = untouched(lab)
    for exercise, code in answers.items():
        exercise_cell(notebook, exercise).source = code
    return notebook


def submit(folder: Path, student: str, lab: str, notebook: nbformat.NotebookNode | str) -> Path:
    """Write NAME_NN_name.ipynb; a text is written as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{student}_{NAMES[lab]}.ipynb"
    path.write_text(notebook if isinstance(notebook, str) else nbformat.writes(notebook), encoding="utf-8")
    return path


class Here(Executor):
    """Runs each job at once, in this process; `jobs` are those it ran."""

    def __init__(self):
        self.jobs = []

    def submit(self, function, job):
        self.jobs.append(job)
        future = Future()
        future.set_result(function(job))
        return future


def start_command(submissions: Path, out: Path, *options: str, **more) -> subprocess.Popen:
    """`python -m course grade`, begun."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "course", "grade", str(submissions), "--out", str(out), *options]
    return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)


def grade(submissions: Path, out: Path, *options: str) -> str:
    """Run the command to its end; what it printed."""
    with start_command(submissions, out, *options) as command:
        printed, _ = command.communicate()
    assert command.returncode == 0, printed
    return printed


def kill(command: subprocess.Popen) -> list[psutil.Process]:
    """`kill -9` of the command alone; the processes that it had started, in whatever session they are."""
    try:
        family = psutil.Process(command.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    os.kill(command.pid, signal.SIGKILL)
    command.wait()  # its output is not read: a process that lives on would keep it open
    return family


def survivors(family: list[psutil.Process]) -> list[psutil.Process]:
    """Those that live on after 20 s."""
    return [one for one in psutil.wait_procs(family, timeout=20)[1] if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def files(folder: Path) -> dict[str, bytes]:
    """All files in a folder, but the lock: path in it -> content."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def need_bubblewrap(system_program) -> None:
    """Skip a test where there is none; with CI=true fail."""
    assert shutil.which(system_program("bwrap", "bubblewrap"))


@dataclass(frozen=True)
class Tiny:
    """Stands in for `course.grader.grade.Job`, where a job only has to die or not."""

    student: str
    lab: str = "02"
    origin: str = ""
    platform: str = ""

    @property
    def key(self) -> str:
        return self.student

    @staticmethod
    def once() -> Path:
        """A file that is there when the student "once" has died."""
        return Path(tempfile.gettempdir()) / f"torch-labs-once-{os.getuid()}"


def grade_or_die(job: Tiny) -> Graded:
    """Stands in for `course.grader.grade.grade_one`."""
    first = job.student == "once" and not Tiny.once().exists()
    if first:
        Tiny.once().touch()
    if first or job.student == "killer":
        os.kill(os.getpid(), signal.SIGKILL)
    return Graded(job.student, job.lab, job.origin)
