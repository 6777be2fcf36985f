"""`kill -9` of the grader at random moments, and of one of its processes: the grades are those of an undisturbed run.

Three kills; fifty with LABS_LONG=1.
"""

import json
import os
import random
import time
from pathlib import Path

import cohort
import psutil
import pytest

KILLS = 50 if os.environ.get("LABS_LONG") == "1" else 3
OPTIONS = "--seed", "7", "--jobs", "2"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, system_program):
    """(a folder of submissions, the files that grading it gives)."""
    cohort.need_bubblewrap(system_program)
    folder = tmp_path_factory.mktemp("kill")
    submissions = folder / "submissions"
    ids = cohort.exercises("02")
    for number in range(10):
        notebook = cohort.filled("02", ids[: number % 4])
        notebook.cells = [cell for cell in notebook.cells if cell.id.startswith(("exercise-", "written-"))]
        if number == 4:
            cohort.exercise_cell(notebook, "02.8").source = "import os\nos.abort()"
        cohort.submit(submissions, f"student {number}", "02", notebook)
    cohort.submit(submissions, "broken", "02", "{")
    cohort.grade(submissions, folder / "grades", *OPTIONS)
    files = cohort.files(folder / "grades")
    assert len([name for name in files if name.startswith("results/")]) == 11
    return submissions, files


def finished(out: Path) -> dict[str, int]:
    """Results that are there, each whole: name -> when it was written."""
    paths = list((out / "results").glob("*.json"))
    assert all(json.loads(path.read_text(encoding="utf-8"))["student"] for path in paths)
    return {path.name: path.stat().st_mtime_ns for path in paths}


def wait_for(command, moment: float, count: int, out: Path) -> bool:
    """Wait until so many files are there, and then some seconds more; whether the command still runs."""
    while command.poll() is None:
        if not count or (out.is_dir() and len(list(out.rglob("*"))) >= count):
            break
        time.sleep(0.005)
    until = time.monotonic() + moment
    while command.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    return command.poll() is None


def grade_with_kills(submissions: Path, out: Path, rng: random.Random, kills: int) -> int:
    """Start the command until it comes to its end, killing it on the way; how many kills it took."""
    done, before = 0, {}
    while True:
        with cohort.start_command(submissions, out, *OPTIONS) as command:
            # Among the results, among the pages, and at any time (which is mostly the start).
            moments = (rng.uniform(0, 0.2), rng.randrange(4, 13)), (rng.uniform(0, 0.1), rng.randrange(15, 34)), (rng.uniform(0, 8), 0)
            if done == kills or not wait_for(command, *moments[done % 3], out):
                printed, _ = command.communicate()
                assert command.returncode == 0, printed
                break
            family = cohort.kill(command)
        done += 1
        assert cohort.survivors(family) == []
        now = finished(out)
        assert before.items() <= now.items(), "a finished result was made again"
        before = now
    assert before.items() <= finished(out).items()
    return done


def test_killed_and_resumed_it_gives_the_same_files(undisturbed, tmp_path):
    submissions, files = undisturbed
    rng, left, round = random.Random(5), KILLS, 0
    while left > 0:
        out, round = tmp_path / f"grades {round}", round + 1
        left -= grade_with_kills(submissions, out, rng, left)
        assert cohort.files(out) == files


def test_one_of_its_processes_killed(undisturbed, tmp_path):
    submissions, files = undisturbed
    with cohort.start_command(submissions, tmp_path / "grades", *OPTIONS) as command:
        assert wait_for(command, 0, 8, tmp_path / "grades")
        jobs = [one for one in psutil.Process(command.pid).children() if "spawn_main" in " ".join(one.cmdline())]
        family = [jobs[0], *jobs[0].children(recursive=True)]
        jobs[0].kill()
        printed, _ = command.communicate()
    assert command.returncode == 0, printed
    assert cohort.survivors(family) == [] and cohort.files(tmp_path / "grades") == files
