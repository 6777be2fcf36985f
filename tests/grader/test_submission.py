"""Of a notebook in any state the cells to run, the answers and the written answers; each is judged as the grader would."""

import json
import re

import pytest
from IPython.core.interactiveshell import InteractiveShell
from states import (
    ROOT,
    STATES,
    code,
    damaged,
    format_5,
    ids_lost,
    is_exercise,
    raw,
    retyped,
    solved,
    split,
    text,
    untouched,
)  # fmt: skip
from traitlets.config import Config

from course.grader import notebook, submission
from course.grader.notebook import defined, read_notebook
from course.grader.submission import lab_of, labs, prepare, release
from utils import checks
from utils.checks import engine


def outcomes(notebook: bytes, lab: str = "02") -> dict[str, str]:
    """How the engine judges each exercise after the cells to run have run in IPython."""
    work = prepare(notebook, release(lab))
    shell = InteractiveShell(
        config=Config({"HistoryManager": {"enabled": False}, "InteractiveShell": {"colors": "nocolor"}})
    )
    for cell in work.cells:
        shell.run_cell(cell["source"])
    return {id: engine.run_here(item, shell.user_ns).outcome for id, item in checks.exercises(lab).items()}


def all_correct(notebook: bytes, lab: str = "02") -> bool:
    return set(outcomes(notebook, lab).values()) == {engine.CORRECT}


@pytest.mark.parametrize("lab", ["01", "02", "04"])
def test_a_solved_notebook_gets_full_marks_and_an_untouched_one_none(lab):
    assert all_correct(raw(solved(lab)), lab)
    assert all_correct((ROOT / "labs_solutions" / f"{release(lab).name}.ipynb").read_bytes(), lab)
    assert set(outcomes(raw(untouched(lab)), lab).values()) == {engine.NOT_ATTEMPTED}


@pytest.mark.parametrize("lab", labs())
def test_of_an_untouched_notebook_its_imports_stubs_and_what_is_between_run(lab):
    released = release(lab)
    work = prepare(raw(untouched(lab)), released)
    ids = [cell["id"] for cell in work.cells]
    assert ids[0] == released.imports.id and "import torch" in work.cells[0]["source"]
    assert [id for id in ids if id.startswith("exercise-")] == list(released.exercises.values())
    assert not [
        id for id in ids if submission._is_show(released.cells[id].tags) or id.startswith(("check-", "hand-in"))
    ]
    assert set(work.answers) == set(released.exercises) and not any(work.answers.values())
    assert not any(work.written.values()) and work.notes == []
    assert set(work.places) == set(ids)


@pytest.mark.parametrize("lab", labs())
def test_the_answers_of_a_solved_notebook_are_found_with_ids_and_without(lab):
    released = release(lab)
    with_ids = solved(lab)
    want = {
        id: text(next(cell for cell in with_ids["cells"] if cell["id"] == where)).strip("\n")
        for id, where in released.exercises.items()
    }
    assert prepare(raw(with_ids), released).answers == want
    assert prepare(raw(ids_lost(with_ids)), released).answers == want
    assert lab_of(read_notebook(raw(ids_lost(with_ids)))[0]) == lab


@pytest.mark.parametrize("state", STATES)
def test_a_solved_notebook_gets_full_marks_in_any_state(state):
    assert all_correct(raw(STATES[state](solved())))


@pytest.mark.parametrize("state", STATES)
def test_an_untouched_notebook_gets_nothing_in_any_state(state):
    found = outcomes(raw(STATES[state](untouched())))
    assert set(found.values()) == {engine.NOT_ATTEMPTED}


@pytest.mark.parametrize("encode", ["utf-8-sig", "utf-16", "utf-32"])
def test_other_encodings_of_unicode_are_read(encode):
    assert all_correct(json.dumps(solved(), ensure_ascii=False).encode(encode))


def test_a_student_reads_what_was_strange():
    released = release("02")
    assert "format, 5, is newer" in prepare(raw(format_5(solved())), released).notes[0]
    [note, *_] = prepare(raw(retyped("markdown")(solved())), released).notes
    assert re.fullmatch(r"Cell \d+, with your answer to 02\.1, is a text cell; it was run as code\.", note)
    assert "goes on inside cell" in prepare(raw(split(solved())), released).notes[0]
    assert "UTF-16" in prepare(json.dumps(solved()).encode("utf-16"), released).notes[0]
    assert prepare(raw(solved("01")), released).notes == [
        "This looks like the notebook of lab 01; it was handed in for lab 02."
    ]
    assert any(
        "7 of its cells" in note or "no cells" in note for note in prepare(raw(damaged(solved())), released).notes
    )


def test_a_deleted_exercise_costs_only_itself():
    notebook = solved()
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["id"] != "exercise-02-3"]
    found = outcomes(raw(notebook))
    assert found.pop("02.3") == engine.NOT_ATTEMPTED and set(found.values()) == {engine.CORRECT}
    assert prepare(raw(notebook), release("02")).answers["02.3"] == ""


def test_a_text_cell_does_not_override_a_code_cell():
    notebook = solved()
    notebook["cells"].append(
        {"cell_type": "markdown", "metadata": {}, "id": "note", "source": "def sigmoid_grad(x):\n    return 0 * x"}
    )
    work = prepare(raw(notebook), release("02"))
    assert all_correct(raw(notebook)) and work.notes == [] and "0 * x" not in work.answers["02.1"]


def test_of_two_answers_the_lower_counts_as_in_the_notebook():
    notebook = solved()
    notebook["cells"].append(code("def sigmoid_grad(x):\n    return 0 * x"))
    assert outcomes(raw(notebook))["02.1"] != engine.CORRECT
    assert prepare(raw(notebook), release("02")).answers["02.1"].endswith("return 0 * x")


def test_an_edited_demonstration_runs_only_for_a_name_of_its_own():
    notebook = untouched()
    demo = next(cell for cell in notebook["cells"] if "demo" in cell["metadata"].get("tags", []))
    demo["source"] = text(demo) + "\nprint('edited')"
    assert demo["id"] not in [cell["id"] for cell in prepare(raw(notebook), release("02")).cells]
    demo["source"] += "\ndef my_helper(x):\n    return x"
    assert demo["id"] in [cell["id"] for cell in prepare(raw(notebook), release("02")).cells]


def test_a_cell_is_not_joined_to_one_that_is_whole():
    notebook = solved()
    at = next(n for n, cell in enumerate(notebook["cells"]) if is_exercise(cell))
    notebook["cells"][at + 1 : at + 1] = [
        code("print(1)"), code("    print(2)"), code("if True:\n    x = 1"), code("    y = 2"),
    ]  # fmt: skip
    assert all_correct(raw(notebook))


def test_ids_are_unique_and_each_has_a_place():
    cells = [
        code(f"x = {n}", id=id) for n, id in enumerate(["a", "a", "", "cell-3", "<b>", "ü" * 9, "x" * 99, "cell-2"])
    ]
    work = prepare(raw({"cells": cells}), release("02"))
    ids = [cell["id"] for cell in work.cells]
    assert len(set(ids)) == len(ids) == 9 and all(re.fullmatch(r"[\w-]{1,70}", id, re.ASCII) for id in ids)
    assert list(work.places.values())[1:] == [f"cell {n}" for n in range(1, 9)]


WRITTEN = "MSE punishes what is **wrong**.\n\nSee <b>below</b>."


@pytest.mark.parametrize("lab, cell", [(lab, id) for lab in labs() for id in release(lab).written])
@pytest.mark.parametrize(
    "state", ["as it should be", "ids lost", "moved", "duplicated", "format 3", "Colab", "metadata gone"]
)
def test_written_answers_are_found(lab, cell, state):
    notebook = untouched(lab)
    next(one for one in notebook["cells"] if one["id"] == cell)["source"] = WRITTEN
    written = prepare(raw(STATES[state](notebook)), release(lab)).written
    assert written.pop(cell).startswith(WRITTEN)
    assert not any(written.values())
    assert release(lab).written[cell].strip()


def test_a_written_answer_may_stand_in_a_cell_below_or_in_a_code_cell():
    notebook = untouched("05")
    at = next(n for n, one in enumerate(notebook["cells"]) if one["id"] == "written-1")
    notebook["cells"].insert(at + 1, {"cell_type": "markdown", "metadata": {}, "source": "Below."})
    assert prepare(raw(notebook), release("05")).written["written-1"] == "Below."
    notebook["cells"][at] |= {"cell_type": "code", "source": "It is the median."}
    work = prepare(raw(notebook), release("05"))
    assert work.written["written-1"] == "It is the median.\n\nBelow."
    assert "It is the median." not in [cell["source"] for cell in work.cells]


def test_hostile_text_comes_to_an_end():
    """What is quadratic in these would run for hours."""
    lines = [
        "def " * 80_000, "=" * 300_000, "(" * 300_000, "a," * 140_000, "    \n" * 60_000, "```\n" * 20_000,
        " " * 300_000 + "x",
    ]  # fmt: skip
    for line in [*lines, '"' * 300_000, "x = '" * 60_000, "if a:\n    b\n" * 30_000]:
        for kind in ("code", "markdown"):
            prepare(raw({"cells": [{"cell_type": kind, "source": line}] * 2}), release("02"))


@pytest.mark.parametrize("name", ["a cell in parts", "statements on a line"])
def test_work_grows_no_faster_than_the_notebook(name, monkeypatch):
    """Counted in characters that are looked at for names, as time is not the same on any two machines."""
    looked = []
    for module in (notebook, submission):
        monkeypatch.setattr(module, "defined", lambda source: looked.append(len(source)) or defined(source))
    sources = {
        "a cell in parts": ["def sigmoid_grad(x):\n    a = 1", *["    a = 1"] * 1200],
        "statements on a line": ["a=1;" * 5000],
    }[name]
    cells = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "outputs": [], "source": source}
        for i, source in enumerate(sources)
    ]
    prepare(raw({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), release("02"))
    assert sum(looked) <= 5 * sum(map(len, sources))
