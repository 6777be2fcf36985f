"""The labs as nbgrader 0.9.6 assignments: release, validation, and the marks, which are those of our own grader.

The labs run on the stand-in here, and without their demo cells, which hold the long runs (nbval runs those): the marks
are those of the checks, which bring their own inputs. Each submission runs once.
"""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook

from course.grader import grade
from course.grader.sandbox import Limits
from utils import checks

ROOT = Path(__file__).parents[1]
SOLUTIONS = sorted((ROOT / "labs_solutions").glob("*.ipynb"))


@pytest.fixture(scope="module", params=SOLUTIONS, ids=lambda path: path.stem)
def lab(request, tmp_path_factory):
    """(the lab's name, the folder of an nbgrader course in which it is released)."""
    folder = tmp_path_factory.mktemp("nbgrader")
    name = request.param.stem
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    (folder / "source" / name).mkdir(parents=True)
    shutil.copy(request.param, folder / "source" / name)
    nbgrader(folder, "generate_assignment", name)
    return name, folder


def nbgrader(folder: Path, *arguments: str) -> str:
    """Run a command of nbgrader in a course; give what it printed."""
    ended = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=folder,
        env={
            **os.environ,
            "LABS_OFFLINE": "1",
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",  # it starts alembic by name
        },
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def released(lab) -> nbformat.NotebookNode:
    name, folder = lab
    return nbformat.read(folder / "release" / name / f"{name}.ipynb", as_version=4)


def solved(lab) -> nbformat.NotebookNode:
    """The released notebook with every exercise filled in."""
    name, folder = lab
    source = nbformat.read(folder / "source" / name / f"{name}.ipynb", as_version=4)
    solutions = {cell.id: cell.source for cell in source.cells}
    notebook = released(lab)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = solutions[cell.id]
    return notebook


def submit(lab, student: str, notebook: nbformat.NotebookNode) -> None:
    """Hand in the notebook without its demo cells."""
    name, folder = lab
    kept = [cell for cell in notebook.cells if "demo" not in cell.metadata.get("tags", [])]
    path = folder / "submitted" / student / name / f"{name}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(nbformat.from_dict({**notebook, "cells": kept}), path)


def test_the_release_is_the_student_notebook(lab):
    built = nbformat.read(ROOT / "notebooks" / f"{lab[0]}.ipynb", as_version=4)
    assert [(cell.id, cell.source) for cell in released(lab).cells] == [(cell.id, cell.source) for cell in built.cells]


def half(lab, which: int) -> nbformat.NotebookNode:
    """The released notebook with every other exercise filled in, and the rest with an answer of its bank, mostly wrong."""
    notebook, solution = released(lab), {cell.id: cell.source for cell in solved(lab).cells}
    bank = importlib.import_module(f"mistakes.lab_{lab[0]}").MISTAKES
    for number, (id, mistakes) in enumerate(bank.items()):
        cell = next(cell for cell in notebook.cells if cell.id == f"exercise-{id.replace('.', '-')}")
        cell.source = solution[cell.id] if number % 2 == which else mistakes[-number - 1 if number < len(mistakes) else 0][0]
    return notebook


def marks(folder: Path, name: str, student: str) -> dict[str, float]:
    """nbgrader's points of the checks: {"02.1": 2.0, …}; written answers wait for a person."""
    with Gradebook(f"sqlite:///{folder}/gradebook.db") as gradebook:
        notebook = gradebook.find_submission_notebook(name, name, student)
        scores = {grade.cell.name: grade.score for grade in notebook.grades}
    return {name.removeprefix("check-").replace("-", "."): score for name, score in scores.items() if name.startswith("check-")}


def test_autograding_gives_what_our_grader_gives(lab, system_program):
    """All points for the solution, none for the untouched notebook; labs 01 and 02 are half-filled in two ways, too."""
    system_program("bwrap", "bubblewrap")
    name, folder = lab
    notebooks = {"solved": solved(lab), "untouched": released(lab)}
    if name[:2] in ("01", "02"):
        notebooks |= {"first half": half(lab, 0), "second half": half(lab, 1)}
    for student, notebook in notebooks.items():
        submit(lab, student, notebook)
    nbgrader(folder, "autograde", name)
    items = checks.exercises(name[:2]).values()
    with Gradebook(f"sqlite:///{folder}/gradebook.db") as gradebook:
        assert gradebook.find_assignment(name).max_score == sum(item.points for item in items)
    theirs = {student: marks(folder, name, student) for student in notebooks}
    assert theirs["solved"] == {item.id: item.points for item in items}
    assert theirs["untouched"] == {item.id: 0 for item in items}
    for student, notebook in notebooks.items():
        content = nbformat.writes(notebook).encode()  # whole: our grader leaves the demo cells out by itself
        ours = grade.grade_one(grade.Job(student, name[:2], f"{name}.ipynb", content, "0", Limits(), "fork"))
        assert {item.exercise: item.points for item in ours.exercises} == theirs[student], student
        assert (ours.max_points, ours.flags) == (sum(item.points for item in items), {}), student


@pytest.mark.parametrize("lab", SOLUTIONS[:1], indirect=True, ids=lambda path: path.stem)  # it only runs it once more
def test_the_validator_passes_on_a_solved_notebook(lab):
    path = lab[1] / "to_validate.ipynb"
    nbformat.write(solved(lab), path)
    assert "Success! Your notebook passes all the tests." in nbgrader(lab[1], "validate", path.name)
