"""The build: faults named by file and line, the same bytes twice, and no change that `--check` does not see."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbgrader.nbgraderformat import MetadataValidator
from typer.testing import CliRunner

from course import build
from course.__main__ import app

ROOT = Path(__file__).parents[1]
SOURCE = '''\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 91 · A lab for the tests
#
# What it is for.

# %% tags=["setup"]
# (left empty: build writes the setup cell here, the same in every lab)

# %%
import sys

import ipywidgets
from IPython.display import display


class NotAttempted(Exception):
    pass

check = hand_in = print

# %% [markdown]
# ### Exercise 91.1 · Twice
# ●○○ · 6 min · 2 points
#
# Give twice the input.

# %% exercise="91.1"
def twice(x: float) -> float:
    """Twice `x`."""
    ### BEGIN SOLUTION
    the_result_of_doubling = x + x
    return the_result_of_doubling
    ### END SOLUTION

# %%
check("91.1")

# %% [markdown]
# ### Exercise 91.2 · A choice
# ●●○ · 3 min · 1 point

# %% exercise="91.2"
answer = ...
### BEGIN SOLUTION
answer = "the second of the three"
### END SOLUTION

# %%
check("91.2")

# %% [markdown]
# <!-- ### BEGIN SOLUTION -->
# What only an instructor reads.
# <!-- ### END SOLUTION -->

# %% tags=["demo"]
print("one")
print("two")
print("progress", file=sys.stderr)
display(ipywidgets.IntSlider())

# %%
print("one")

# %%
print("one")

# %%
hand_in("91")
'''


@pytest.fixture
def source(tmp_path, monkeypatch):
    """The path of a lab 91 of its own repository, its two checks registered."""
    points = {"91.1": SimpleNamespace(points=2), "91.2": SimpleNamespace(points=1)}
    monkeypatch.setattr(build.checks, "exercises", lambda lab: points)
    monkeypatch.setattr(build, "ROOT", tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "fixture"\n')
    path = tmp_path / "labs_solutions" / "91_fixture.py"
    path.parent.mkdir()
    path.write_text(SOURCE)
    return path


def made(source, run=False):
    """The solution and the student's notebook as just built."""
    build.build(source, run=run, say=lambda line: None)
    paths = source.with_suffix(".ipynb"), source.parents[1] / "notebooks" / "91_fixture.ipynb"
    return [nbformat.read(path, as_version=4) for path in paths]


def cells(notebook):
    return {cell.id: cell for cell in notebook.cells}


def test_the_student_gets_stubs_and_the_same_cells(source):
    solution, student = made(source)
    assert list(cells(solution)) == list(cells(student))
    given = cells(student)
    assert given["exercise-91-1"].source == (
        'def twice(x: float) -> float:\n    """Twice `x`."""\n    # your code here\n    raise NotAttempted("91.1")'
    )
    assert given["exercise-91-2"].source == "answer = ...\n# your code here"
    assert given["written-1"].source == "*Your answer here.*"
    assert cells(solution)["written-1"].source.count("SOLUTION") == 2
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in student.cells)


def test_both_notebooks_are_nbgrader_assignments(source):
    for notebook in made(source):
        nbformat.validate(notebook)
        MetadataValidator().validate_nb(notebook)
        marks = {cell.id: cell.metadata["nbgrader"] for cell in notebook.cells if "nbgrader" in cell.metadata}
        assert all(mark["grade_id"] == id and mark["schema_version"] == 3 for id, mark in marks.items())
        solutions = {"exercise-91-1", "exercise-91-2", "written-1"}
        assert {id for id, mark in marks.items() if mark["solution"]} == solutions
        points = {id: mark["points"] for id, mark in marks.items() if mark["locked"]}
        assert points == {"check-91-1": 2, "check-91-2": 1}


def test_ids_are_stable_and_unlike(source):
    ids = [cell.id for cell in made(source)[0].cells]
    assert {"setup", "exercise-91-1", "check-91-1", "hand-in"} <= set(ids) and len(set(ids)) == len(ids)
    repeated = [id for id in ids if id.endswith("-2") and "91" not in id]
    assert len(repeated) == 1 and repeated[0].removesuffix("-2") in ids
    source.write_text(SOURCE.replace("# What it is for.", "# What it is really for."))
    assert sum(old != new.id for old, new in zip(ids, made(source)[0].cells)) == 1


def test_building_twice_gives_the_same_bytes(source):
    paths = source.with_suffix(".ipynb"), source.parents[1] / "notebooks" / "91_fixture.ipynb"
    made(source)
    first = [path.read_bytes() for path in paths]
    made(source)
    assert [path.read_bytes() for path in paths] == first


def test_a_run_keeps_tidy_outputs_and_no_run_keeps_them(source):
    demo = next(cell for cell in made(source, run=True)[0].cells if "demo" in cell.metadata.get("tags", []))
    assert [(output.output_type, output.text) for output in demo.outputs] == [("stream", "one\ntwo\n")]
    source.write_text(SOURCE.replace('check = hand_in = print', 'check = hand_in = str'))
    solution = made(source)[0]
    assert cells(solution)[demo.id].outputs == demo.outputs
    assert [cell.execution_count is None for cell in solution.cells if "ipywidgets" in cell.source][:1] == [True]
    assert "execution" not in solution.cells[2].metadata and "widgets" not in solution.metadata
    assert build.build(source, check=True) == []


def test_tidy_keeps_the_static_picture_of_a_widget():
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "VBox()"}
    picture = nbformat.v4.new_output("display_data", {**view, "text/html": "<img>"})
    bare = nbformat.v4.new_output("display_data", dict(view))
    bar = nbformat.v4.new_output("stream", name="stderr", text="3 it/s")
    kept, dropped = build.tidy([picture, bare, bar])
    assert [output.data for output in kept] == [{"text/plain": "VBox()", "text/html": "<img>"}]
    assert dropped == "3 it/s"


def test_a_cell_that_raises_is_named(source):
    source.write_text(SOURCE.replace('print("two")', "1 / 0"))
    with pytest.raises(build.SourceError, match=r"91_fixture.py:\d+: this cell raised ZeroDivisionError"):
        made(source, run=True)


def test_a_notebook_that_is_too_large_is_refused(source, monkeypatch):
    monkeypatch.setattr(build, "MAX_BYTES", 5000)
    with pytest.raises(build.SourceError, match="the limit is"):
        made(source)
    assert not source.with_suffix(".ipynb").exists()


BEGIN, END = "    ### BEGIN SOLUTION\n", "    ### END SOLUTION\n"
FAULTS = {
    "unclosed": (END, "", "### BEGIN", "never closed"),
    "unopened": (BEGIN, "", "### END", "no BEGIN SOLUTION before it"),
    "nested": ("    return the_result", BEGIN + "    return the_result", "### BEGIN SOLUTION\n    return", "inside"),
    "not in an exercise": ("# %%\nhand_in", "# %%\n### BEGIN SOLUTION\n### END SOLUTION\n# %%\nhand_in",
                           "### BEGIN SOLUTION\n### END", "a cell that is no exercise"),
    "id twice": ('exercise="91.2"', 'exercise="91.1"', 'exercise="91.1"\nanswer', "91.1 is there twice"),
    "another lab's id": ('exercise="91.1"', 'exercise="92.1"', 'exercise="92.1"', "not of the form 91.N"),
    "no check cell": ('check("91.1")', "pass", 'exercise="91.1"', "91.1 has no check cell"),
    "a check with more": ('check("91.1")', 'check("91.1")\npass', 'check("91.1")', "a check cell is one line"),
    "checked twice": ('print("two")', '# %%\ncheck("91.1")\n# %%', 'check("91.1")\n# %%\nprint', "checked twice"),
    "no such exercise": ('check("91.1")', 'check("91.3")', 'check("91.3")', "91.3, which is no exercise"),
    "not registered": ('check("91.1")', 'check("91.3")', 'check("91.3")', "no check of 91.3 is registered"),
    "other points": ("2 points", "3 points", "### Exercise 91.1", "says 3 points, the check 2"),
    "no card": ("### Exercise 91.1 ·", "### 91.1 ·", 'exercise="91.1"', "91.1 has no card"),
    "no points": ("●○○ · 6 min · 2 points", "●○○ · 6 min", 'exercise="91.1"', "91.1 has no card"),
    "no setup": ('# %% tags=["setup"]', "# %%", "# %% [markdown]", "one setup cell"),
    "code in setup": ("# (left empty", "import os  # (left empty", '# %% tags=["setup"]', "code in the setup cell"),
    "no hand_in": ('hand_in("91")', 'hand_in("90")', '# %%\nhand_in("90")', "the last code cell must be"),
    "no solution": (SOURCE[SOURCE.index(BEGIN):SOURCE.index(END) + len(END)], "    return 2\n", 'exercise="91.1"',
                    "has no solution"),
    "unknown mark": ('tags=["demo"]', 'exersise="91.1"', 'exersise="91.1"', "not exersise"),
    "no title": ("# # 91", "# 91", "# %% [markdown]", "start with the title"),
    "no kernel": ("#   kernelspec:", "#   kernel:", "# %% [markdown]", "names no kernelspec"),
    "a leak in code": ('print("two")', 'answer = "the second of the three"',
                       'answer = "the second of the three"\nprint', "a line of a solution"),
    "a leak in prose": ("Give twice", "`return the_result_of_doubling`", "`return the", "a line of a solution"),
    "text before the cells": ("# ---\n\n# %%", "# ---\n\nimport os\n\n# %%", "# ---", "before the first cell"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_its_line(source, fault):
    old, new, place, message = FAULTS[fault]
    assert old in SOURCE
    text = SOURCE.replace(old, new, 1)
    source.write_text(text)
    line = text[: text.index(place) + len(place.split("\n")[0])].count("\n") + 1
    if place.startswith("# %%\n"):
        line = text[: text.index(place)].count("\n") + 1
    with pytest.raises(build.SourceError) as error:
        build.load(source)
    lines = [re.match(r"labs_solutions/91_fixture.py:(\d+): (.*)", row) for row in str(error.value).splitlines()]
    assert (line, True) in [(int(match[1]), message in match[2]) for match in lines], str(error.value)


def test_check_sees_every_changed_character_of_a_source(source):
    made(source)
    for index in range(0, len(SOURCE), 41):
        source.write_text(SOURCE[:index] + ("#" if SOURCE[index] != "#" else "!") + SOURCE[index + 1:])
        try:
            assert build.build(source, check=True)
        except build.SourceError:
            pass  # the source is wrong now, which the build says too
    source.write_text(SOURCE + "\n")
    assert build.build(source, check=True)


def leaves(value, path=()):
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return [leaf for key, item in pairs for leaf in leaves(item, (*path, key))]
    return [path]


@pytest.mark.parametrize("folder", ["labs_solutions", "notebooks"])
def test_check_sees_every_changed_value_of_a_notebook(source, folder):
    made(source)
    path = source.parents[1] / folder / "91_fixture.ipynb"
    whole = path.read_text()
    changed = 0
    for leaf in leaves(json.loads(whole)):
        if leaf[-1] == "execution_count":
            continue
        notebook = json.loads(whole)
        at = notebook
        for key in leaf[:-1]:
            at = at[key]
        value = at[leaf[-1]]
        if isinstance(value, str) and leaf[-1] != "cell_type":
            at[leaf[-1]] = value + "x"
        elif isinstance(value, bool):
            at[leaf[-1]] = not value
        elif isinstance(value, int) and not str(leaf[-1]).startswith("nbformat"):
            at[leaf[-1]] = value + 1
        else:
            continue
        path.write_text(json.dumps(notebook))
        assert build.build(source, check=True), leaf
        changed += 1
    assert changed > 50


def test_check_sees_cells_added_removed_and_moved(source):
    made(source)
    path = source.with_suffix(".ipynb")
    whole = json.loads(path.read_text())
    for change in (lambda c: c.pop(4), lambda c: c.insert(4, {**c[0], "id": "new"}), lambda c: c.insert(4, c.pop(6))):
        notebook = json.loads(json.dumps(whole))
        change(notebook["cells"])
        path.write_text(json.dumps(notebook))
        assert build.build(source, check=True)
    path.write_text("{")
    assert "no notebook" in build.build(source, check=True)[0]
    path.unlink()
    assert "not built yet" in build.build(source, check=True)[0]


def test_outputs_are_not_compared_but_a_student_notebook_has_none(source):
    made(source)
    for folder, wanted in (("labs_solutions", 0), ("notebooks", 1)):
        path = source.parents[1] / folder / "91_fixture.ipynb"
        notebook = nbformat.read(path, as_version=4)
        notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="x")]
        notebook.cells[2].execution_count = 7
        nbformat.write(notebook, path)
        assert len(build.build(source, check=True)) == wanted


def test_an_address_gives_every_lab_a_badge_and_a_way_to_install(source):
    student = made(source)[1]
    assert "Colab" not in student.cells[0].source and "%pip" not in cells(student)["setup"].source
    (source.parents[1] / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[project.urls]\nRepository = "https://github.com/some/labs"\n')
    student = made(source)[1]
    assert "/github/some/labs/blob/main/notebooks/91_fixture.ipynb" in student.cells[0].source.splitlines()[2]
    assert "%pip install --quiet --no-deps git+https://github.com/some/labs" in cells(student)["setup"].source


def test_the_command_line(source):
    run = CliRunner().invoke
    assert run(app, ["build", "--no-run"]).exit_code == 0
    assert run(app, ["build", "--check", "91"]).exit_code == 0
    wrong = run(app, ["build", "--check", "17"])
    assert wrong.exit_code == 1 and "91_fixture" in wrong.output
    source.write_text(SOURCE.replace("What it is for", "What it was for"))
    stale = run(app, ["build", "--check"])
    assert stale.exit_code == 1 and "labs_solutions/91_fixture.ipynb" in stale.output and "notebooks/91" in stale.output
    source.write_text(SOURCE.replace(END, ""))
    assert "91_fixture.py:38: BEGIN SOLUTION is never closed" in run(app, ["build"]).output


@pytest.mark.parametrize("path", build.sources(ROOT, []), ids=lambda path: path.stem)
def test_the_committed_notebooks_are_those_of_their_sources(path):
    assert build.build(path, check=True) == []
    assert path.with_suffix(".ipynb").stat().st_size <= build.MAX_BYTES
