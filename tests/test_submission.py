"""Submissions: any layout of files, any state of a notebook, and text that no notebook is.

Notebooks are made from the released ones. `test_fuzz_…` try a few hundred damaged notebooks and odd file names, the
same ones each time; for long:

    FUZZ_EXAMPLES=200000 pytest tests/test_submission.py -k fuzz

draws new ones. What that finds is kept here as an `@example`.
"""

import copy
import io
import json
import os
import random
import re
import stat
import zipfile
from pathlib import Path

import nbformat
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from course import submission
from course.submission import MappingError, Unreadable, defined, find, lab_of, prepare, read_notebook, release
from utils import checks
from utils.checks import engine

ROOT = Path(__file__).parents[1]
LONG = "FUZZ_EXAMPLES" in os.environ
FUZZ = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", 150)),
    deadline=None,
    derandomize=not LONG,
    database=None,
    suppress_health_check=list(HealthCheck),
)


# ------------------------------------------------------------------------------------------------------------ notebooks


def untouched(lab: str = "02") -> dict:
    return json.loads((ROOT / "notebooks" / f"{release(lab).name}.ipynb").read_text(encoding="utf-8"))


def solved(lab: str = "02") -> dict:
    """The released notebook with every exercise filled in."""
    notebook = untouched(lab)
    source = json.loads((ROOT / "labs_solutions" / f"{release(lab).name}.ipynb").read_text(encoding="utf-8"))
    solutions = {cell["id"]: cell["source"] for cell in source["cells"]}
    for cell in notebook["cells"]:
        if cell["id"].startswith("exercise-"):
            cell["source"] = solutions[cell["id"]]
    return notebook


def raw(notebook) -> bytes:
    return json.dumps(notebook).encode()


def text(cell: dict) -> str:
    return "".join(cell["source"])


def code(source: str, **more) -> dict:
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None, **more}


def is_exercise(cell: dict) -> bool:
    return cell.get("id", "").startswith("exercise-")


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


@pytest.mark.parametrize("lab", submission.labs())
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


@pytest.mark.parametrize("lab", submission.labs())
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


# ------------------------------------------------------------------------------------ states in which notebooks come in


def ids_lost(notebook: dict) -> dict:
    """As tools of format 4.4 and older save it, and tools that keep no metadata of a cell."""
    notebook = copy.deepcopy(notebook) | {"nbformat_minor": 2}
    for cell in notebook["cells"]:
        cell.pop("id")
        cell["metadata"] = {}
    return notebook


def moved(notebook):
    """The exercises first, the last of them first of all; then the rest."""
    cells = notebook["cells"]
    return notebook | {
        "cells": [*filter(is_exercise, reversed(cells)), *(cell for cell in cells if not is_exercise(cell))]
    }


def duplicated(notebook):
    return notebook | {"cells": [cell for cell in notebook["cells"] for _ in range(2)]}


def stubs_copied_below(notebook):
    stubs = [cell | {"id": f"copy{n}"} for n, cell in enumerate(untouched()["cells"]) if is_exercise(cell)]
    return notebook | {"cells": [*notebook["cells"], *stubs]}


def stubs_reformatted_below(notebook):
    stubs = [
        code(text(cell).replace('"', "'").replace("# your code here", "# TODO") + "\n\n")
        for cell in untouched()["cells"]
        if is_exercise(cell)
    ]
    return notebook | {"cells": [*notebook["cells"], *stubs]}


def split(notebook):
    """Each exercise cut in three, inside a body where there is one, as Ctrl+Shift+Minus does."""
    cells = []
    for cell in notebook["cells"]:
        lines = text(cell).split("\n")
        cuts = [n for n in range(1, len(lines)) if lines[n].strip() and not lines[n].startswith(("     ", "    Args"))]
        if not is_exercise(cell) or len(cuts) < 2:
            cells.append(cell)
            continue
        a, b = cuts[len(cuts) // 3], cuts[-1]
        parts = ["\n".join(lines[:a]).rstrip("\n"), "\n".join(lines[a:b]).strip("\n"), "\n".join(lines[b:])]
        cells += [
            cell | {"source": part, "id": f"{cell['id']}{'bc'[n - 1] if n else ''}"}
            for n, part in enumerate(parts)
            if part
        ]
    return notebook | {"cells": cells}


def only_answers(notebook):
    return notebook | {"cells": [cell for cell in notebook["cells"] if is_exercise(cell)]}


def retyped(kind, make=str):
    def state(notebook):
        cells = [{"cell_type": kind, "metadata": {}, "id": cell["id"], "source": make(text(cell))} if is_exercise(cell) else cell
                 for cell in notebook["cells"]]  # fmt: skip
        return notebook | {"cells": cells}

    return state


def format_3(notebook):
    old = nbformat.convert(nbformat.reads(json.dumps(notebook), as_version=4), 3)
    return json.loads(nbformat.v3.writes_json(old))


def format_5(notebook):
    return notebook | {"nbformat": 5, "nbformat_minor": 1, "future": {"cells": 1}}


def colab(notebook):
    """Colab keeps a cell's id in its metadata, and adds its own."""
    notebook = copy.deepcopy(notebook) | {"nbformat": 4, "nbformat_minor": 0, "metadata": {"colab": {"provenance": []}}}
    for cell in notebook["cells"]:
        cell["metadata"] = {"id": cell.pop("id"), "colab": {"base_uri": "https://localhost:8080/"}, "outputId": "4711"}
    return notebook


def colab_new_ids(notebook):
    notebook = colab(notebook)
    for n, cell in enumerate(notebook["cells"]):
        cell["metadata"]["id"] = f"qX{n:04}yZ"
    return notebook


def kaggle(notebook):
    notebook = copy.deepcopy(notebook) | {"nbformat": 4, "nbformat_minor": 4}
    notebook["metadata"] = {"kaggle": {"accelerator": "none"}, "kernelspec": {"name": "python3"}, "papermill": {}}
    for cell in notebook["cells"]:
        cell.pop("id")
        cell["metadata"] = {
            "_uuid": "8f2839f25d086af736a60e9eeb907d3b93b6e0e5",
            "execution": {"iopub.status.busy": "2024"},
            "trusted": True,
        }
    return notebook


def checks_deleted(notebook):
    return notebook | {
        "cells": [cell for cell in notebook["cells"] if not cell["id"].startswith(("check-", "hand-in"))]
    }


def checks_edited(notebook):
    cells = [cell | {"source": f"def check(id):\n    return 'correct'\nprint({text(cell)})"} if cell["id"].startswith("check-") else cell
             for cell in notebook["cells"]]  # fmt: skip
    return notebook | {"cells": cells}


def answers_elsewhere(place):
    """The stubs are as they were; the answers stand in new cells, all before or all after."""

    def state(notebook):
        answers = [code(text(cell), id=f"new{n}") for n, cell in enumerate(notebook["cells"]) if is_exercise(cell)]
        return notebook | {
            "cells": answers + untouched()["cells"] if place == "above" else untouched()["cells"] + answers
        }

    return state


def answers_in_cells(prefix):
    """The stubs are as they were; the answers are written into cells that were something else."""

    def state(notebook):
        answers = [text(cell) for cell in notebook["cells"] if is_exercise(cell)]
        other = untouched()
        places = [cell for cell in other["cells"] if cell["cell_type"] == "code" and prefix(cell)]
        for cell, answer in zip(places, answers):
            cell["source"] = f"{text(cell)}\n\n\n{answer}"
        places[-1]["source"] = "\n\n\n".join([text(places[-1]), *answers[len(places) :]])
        return other

    return state


def magics(notebook):
    cells = [cell | {"source": f"%%time\n{text(cell)}"} if is_exercise(cell) else cell for cell in notebook["cells"]]
    return notebook | {
        "cells": [
            code("%pip --version"),
            code("!true\n%matplotlib inline\nimport math"),
            *cells,
            code("%unknown\n!false"),
        ]
    }


def fails_half_way(notebook):
    cells = []
    for cell in notebook["cells"]:
        cells.append(cell | {"source": f"{text(cell)}\n\n\nprint(undefined)\n1 / 0"} if is_exercise(cell) else cell)
        cells.append(code("raise SystemError('stop')"))
        cells.append(code("def broken(:"))
    return notebook | {"cells": cells}


def wrong_kernel(notebook):
    return notebook | {
        "metadata": {"kernelspec": {"name": "ir", "language": "R", "display_name": "R"}, "language_info": {"name": "R"}}
    }


def metadata_gone(notebook):
    return {"cells": [{key: cell[key] for key in ("cell_type", "source")} for cell in notebook["cells"]]}


def demos_edited(notebook):
    cells = [
        cell | {"source": f"print(undefined)\n{text(cell)}"} if "demo" in cell["metadata"].get("tags", []) else cell
        for cell in notebook["cells"]
    ]
    return notebook | {"cells": cells}


def reformatted(notebook):
    cells = [cell | {"source": text(cell).replace("\n", "\r\n") + "\r\n"} for cell in notebook["cells"]]
    return notebook | {"cells": cells}


def many_outputs(notebook):
    output = {"output_type": "stream", "name": "stdout", "text": ["epoch, loss: 1, 2, 3\n" * 200_000]}
    return notebook | {
        "cells": [cell | {"outputs": [output]} if is_exercise(cell) else cell for cell in notebook["cells"]]
    }


def damaged(notebook):
    strange = [None, 7, "text", [], {}, {"cell_type": "code"}, {"cell_type": 3, "source": 4},
               {"cell_type": "code", "source": [1, None, "x = 1"]},
               {"cell_type": "code", "metadata": [], "source": "y = 2", "id": 5}, code("\ud800 = 1\x00")]  # fmt: skip
    return notebook | {"cells": [*strange, *notebook["cells"]], "metadata": None, "nbformat": "four"}


STATES = {
    "as it should be": dict,
    "moved": moved,
    "duplicated": duplicated,
    "stubs copied below": stubs_copied_below,
    "stubs copied below and reformatted": stubs_reformatted_below,
    "split": split,
    "all but the answers deleted": only_answers,
    "Markdown": retyped("markdown"),
    "raw": retyped("raw"),
    "Markdown, fenced": retyped("markdown", lambda source: f"My answer:\n\n```python\n{source}\n```\n"),
    "ids lost": ids_lost,
    "Markdown, ids lost": lambda notebook: ids_lost(retyped("markdown")(notebook)),
    "split, ids lost": lambda notebook: ids_lost(split(notebook)),
    "format 3": format_3,
    "format 5": format_5,
    "Colab": colab,
    "Colab, new ids": colab_new_ids,
    "Kaggle": kaggle,
    "checks deleted": checks_deleted,
    "checks edited": checks_edited,
    "answers elsewhere, above": answers_elsewhere("above"),
    "answers elsewhere, below": answers_elsewhere("below"),
    "answers in demo cells": answers_in_cells(lambda cell: "demo" in cell["metadata"].get("tags", [])),
    "answers in check cells": answers_in_cells(lambda cell: cell["id"].startswith("check-")),
    "answers in the setup cell": answers_in_cells(lambda cell: cell["id"] == "setup"),
    "magics": magics,
    "cells fail half-way": fails_half_way,
    "wrong kernel": wrong_kernel,
    "metadata gone": metadata_gone,
    "demos edited": demos_edited,
    "line ends of Windows": reformatted,
    "40 MB of outputs": many_outputs,
    "damaged cells": damaged,
}


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
        code("print(1)"),
        code("    print(2)"),
        code("if True:\n    x = 1"),
        code("    y = 2"),
    ]
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


@pytest.mark.parametrize("lab, cell", [(lab, id) for lab in submission.labs() for id in release(lab).written])
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


@pytest.mark.parametrize(
    "source, names",
    [
        ("def f(x):\n    g = 1\nclass K: pass\nasync def h(): pass", {"f", "K", "h"}),
        ("a = 1; b: int = 2\nc, (d) = e = 3", {"a", "b", "e"}),
        ("(p, q) = 1, 2\nx.y = 1\nx[0] = 2\nx == 3\nf(z=1)\nx += 1", {"p", "q"}),
        ("    def f(x):\n        pass", {"f"}),
        ("%%time\n@decorated\ndef f(): pass", {"f"}),
        ("é = 1\nif x != 1: pass\nprint('a = 1')", {"é"}),
    ],
)
def test_names_are_found_without_parsing(source, names):
    assert defined(source) == names


# ------------------------------------------------------------------------------------------------- what no notebook is


def too_many(make) -> bytes:
    return raw({"cells": make})


BAD = {
    "empty": (b"", "is empty"),
    "blanks": (b" \n" * 5000, "is empty"),
    "cut short": (raw(solved())[:30_000], "not whole"),
    "no JSON": (b"import torch\nprint(1)", "not whole, or no notebook"),
    "a merge conflict": (raw(solved()).replace(b'"cells"', b"<<<<<<< HEAD\n", 1), "not whole"),
    "a web page": (b"\xef\xbb\xbf\n<!DOCTYPE html><html>", "is a web page"),
    "a PDF": (b"%PDF-1.7 \xff", "is a PDF"),
    "an archive": (b"PK\3\4....", "is an archive"),
    "a list": (b"[1, 2]", "JSON but no notebook"),
    "a number": (b"7", "JSON but no notebook"),
    "null": (b"null", "JSON but no notebook"),
    "an object": (b'{"a": 1}', "no list of cells"),
    "cells are no list": (b'{"cells": {"a": 1}}', "no list of cells"),
    "not UTF-8": ('{"cells": ["é"]}'.encode("latin-1"), "not UTF-8"),
    "half of UTF-16": (b"\xff\xfe{\0\0\xd8", "not UTF-8"),
    "binary": (bytes(range(256)) * 9, ""),
    "deeply nested": (b'{"cells": ' + b"[" * 100_000, "nested too deeply"),
    "deeply nested metadata": (
        b'{"cells": [], "metadata": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
        "nested too deeply",
    ),
    "a huge number": (b'{"cells": [], "n": ' + b"9" * 10_000 + b"}", "number that cannot be read"),
    "a million lists": (b'{"cells": [' + b"[]," * 3_000_000 + b"1]}", "more than 5,000,000 values"),
    "many cells": (too_many([{"cell_type": "code"}] * 6000), "6,000 cells"),
    "much code": (too_many([code("x = 1\n" * 1_000_000)]), "6,000,000 characters"),
    "much code in text": (
        too_many([{"cell_type": "markdown", "source": "Value = 1\n" + "#" * 90_000}] * 60),
        "characters",
    ),
    "500 MB of outputs": (bytes(100 * 2**20 + 1), "clear its outputs"),
}


def is_sentence(reason: str) -> bool:
    return bool(re.fullmatch(r"[A-Z][^\n]{10,400}\.", reason)) and reason.isprintable()


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_read_gets_a_sentence(what):
    data, fragment = BAD[what]
    with pytest.raises(Unreadable) as caught:
        prepare(data, release("02"))
    assert is_sentence(str(caught.value)) and fragment in str(caught.value)


def test_hostile_text_comes_to_an_end():
    """What is quadratic in these would run for hours."""
    lines = [
        "def " * 80_000,
        "=" * 300_000,
        "(" * 300_000,
        "a," * 140_000,
        "    \n" * 60_000,
        "```\n" * 20_000,
        " " * 300_000 + "x",
    ]
    for line in [*lines, '"' * 300_000, "x = '" * 60_000, "if a:\n    b\n" * 30_000]:
        for kind in ("code", "markdown"):
            prepare(raw({"cells": [{"cell_type": kind, "source": line}] * 2}), release("02"))


# ------------------------------------------------------------------------------------------------------------- layouts


NOTEBOOK = raw(only_answers(solved()))
OTHER = raw(only_answers(solved("01")))


def content(name: str) -> bytes:
    """A notebook of the lab that a file's name says."""
    return OTHER if re.search("01_tensors|Lab 01", name) else NOTEBOOK


def put(folder: Path, *names: str, data: bytes | None = None) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(name) if data is None else data)


def archive(members: dict[str, bytes] | list[str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name in members:
            file.writestr(name, members[name] if isinstance(members, dict) else content(name))
    return buffer.getvalue()


def placed(folder: Path, *arguments, **more) -> list[tuple[str, str]]:
    return [(one.student, one.lab) for one in find(folder, *arguments, **more)[0]]


LAYOUTS = {
    "flat": (["jane_02_autograd.ipynb", "Li Wei_02_autograd.ipynb", "s0123_01_tensors.ipynb"],
     [("jane", "02"), ("Li Wei", "02"), ("s0123", "01")]),
    "flat, other ways": (
        ["Jane Doe - 02_autograd.ipynb", "02_autograd_li.ipynb", "bob-lab02.ipynb", "LAB 2 eve.ipynb", "2024_17_02-autograd final.ipynb",
         "12_02_autograd.IPYNB", "zoe_02_autograd.ipynb.txt"],
        [("Jane Doe", "02"), ("li", "02"), ("bob", "02"), ("eve", "02"), ("2024_17", "02"), ("12", "02"), ("zoe", "02")],
    ),
    "a folder a student": (
        ["Jane Doe/02_autograd.ipynb", "Jane Doe/01_tensors.ipynb", "li/Copy of 02_autograd.ipynb", "bob/02_autograd (1).ipynb",
         "02/02_autograd.ipynb", "eve/work/solution.ipynb", "eve/work/data/x.csv"],
        [("Jane Doe", "02"), ("Jane Doe", "01"), ("li", "02"), ("bob", "02"), ("02", "02"), ("eve", "02")],
    ),
    "nbgrader": (
        ["submitted/jane/02_autograd/02_autograd.ipynb", "submitted/jane/01_tensors/01_tensors.ipynb", "submitted/li/ps2/02_autograd.ipynb",
         "submitted/li/ps2/timestamp.txt", "source/02_autograd/02_autograd.ipynb", "release/02_autograd/02_autograd.ipynb",
         "autograded/jane/02_autograd/02_autograd.ipynb", "feedback/jane/02_autograd/02_autograd.html"],
        [("jane", "02"), ("jane", "01"), ("li", "02")],
    ),
    "nbgrader's submitted folder": (["jane/02_autograd/work.ipynb", "li/02_autograd/02_autograd.ipynb"], [("jane", "02"), ("li", "02")]),
    "a folder a lab": (["Lab 02/jane/a.ipynb", "Lab 02/li/a.ipynb", "Lab 01/li/a.ipynb"], [("jane", "02"), ("li", "02"), ("li", "01")]),
    "GitHub Classroom": (["lab02-submissions/lab02-jane/a.ipynb", "lab02-submissions/lab02-li/a.ipynb"], [("jane", "02"), ("li", "02")]),
    "sections": (["A/jane/02_autograd.ipynb", "A/li/02_autograd.ipynb", "B/bob/02_autograd.ipynb", "B/eve/02_autograd.ipynb"],
                 [("jane", "02"), ("li", "02"), ("bob", "02"), ("eve", "02")]),
    "flat in sections": (["Section A/jane_02_autograd.ipynb", "Section A/li_02_autograd.ipynb"], [("jane", "02"), ("li", "02")]),
    "Moodle, in folders": (
        ["Jane Doe_4711_assignsubmission_file_/02_autograd.ipynb", "José Núñez_4712_assignsubmission_file/sub/02_autograd.ipynb",
         "Jane Doe_4711_assignsubmission_onlinetext_/onlinetext.html"],
        [("Jane Doe", "02"), ("José Núñez", "02")],
    ),
    "Moodle, files": (["Jane Doe_4711_assignsubmission_file_02_autograd.ipynb", "Li_4712_assignsubmission_file_lab2 v3.ipynb"],
     [("Jane Doe", "02"), ("Li", "02")]),
    "Moodle, blind": (["Participant_1_assignsubmission_file_/02_autograd.ipynb", "Participant_2_assignsubmission_file_/02_autograd.ipynb"],
                      [("Participant 1", "02"), ("Participant 2", "02")]),
    "Moodle, groups": (["Group A_77_assignsubmission_file_/02_autograd.ipynb", "Default group_assignsubmission_file_/02_autograd.ipynb"],
                       [("Group A", "02"), ("Default group", "02")]),
    "Moodle, one name twice": (
        ["Jane Doe_1_assignsubmission_file_/02_autograd.ipynb", "Jane Doe_2_assignsubmission_file_/02_autograd.ipynb",
         "Li_3_assignsubmission_file_/02_autograd.ipynb", "Li_9_assignsubmission_file_/01_tensors.ipynb"],
        [("Jane Doe 1", "02"), ("Jane Doe 2", "02"), ("Li", "02"), ("Li", "01")],
    ),
    "Canvas": (
        ["doejane_12345_678901_02_autograd.ipynb", "liwei_LATE_12346_678902_02_autograd-1.ipynb", "núñezjosé_late_12347_678903_lab2.ipynb",
         "anon_aB3dE_678904_02_autograd.ipynb", "LATE_anon_xY9zW_678905_02_autograd.ipynb"],
        [("doejane", "02"), ("liwei", "02"), ("núñezjosé", "02"), ("anon aB3dE", "02"), ("anon xY9zW", "02")],
    ),
    "Canvas, the newest counts": (
        ["doejane_12345_678901_02_autograd.ipynb", "doejane_LATE_12345_678999_02_autograd-1.ipynb",
         "doejane_12345_678950_02_autograd-2.ipynb"],
        [("doejane", "02")],
    ),
    "Canvas, one name twice": (["doejane_1_1001_02_autograd.ipynb", "doejane_2_1002_01_tensors.ipynb"],
     [("doejane 1", "02"), ("doejane 2", "01")]),
    "Blackboard": (["Lab 02_jdoe_attempt_2024-01-30-20-30-10_work.ipynb", "Lab 02_jdoe_attempt_2024-02-01-20-30-10_work.ipynb"],
     [("jdoe", "02")]),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("wrap", ["folder", "zip", "zip in a folder"])
def test_layouts(tmp_path, layout, wrap):
    names, want = LAYOUTS[layout]
    if wrap == "folder":
        put(tmp_path, *names)
    else:
        put(
            tmp_path,
            "download.zip" if wrap == "zip" else "Lab submissions/CS101-Deep Learning-99.zip",
            data=archive(names),
        )
        if "source/02_autograd/02_autograd.ipynb" in names:
            pytest.skip("nobody zips a whole nbgrader course")
    assert sorted(placed(tmp_path)) == sorted(want)
    for one in find(tmp_path)[0]:
        assert one.read() in (NOTEBOOK, OTHER) and (tmp_path / one.origin.split(".zip")[0]).parent.exists()


def test_cells_count_more_than_the_name_of_a_file(tmp_path):
    put(tmp_path, "jane_01_tensors.ipynb", "submitted/li/01_tensors/01_tensors.ipynb", data=NOTEBOOK)
    put(tmp_path, "bob_01_tensors.ipynb")
    assert sorted(placed(tmp_path)) == [("bob", "01"), ("jane", "02"), ("li", "02")]
    found, unplaced = find(tmp_path, "01")
    assert [one.student for one in found] == ["bob"]
    assert [one.reason for one in unplaced] == ["Its name says lab 01, and it holds the cells of lab 02."] * 2
    assert [one.student for one in find(tmp_path, "02")[0]] == ["jane", "li"]
    for origin in ("jane_01_tensors.ipynb", "a.zip/01_tensors/01_tensors.ipynb"):
        assert is_sentence(submission.named_otherwise(origin, "02"))
        assert submission.named_otherwise(origin, "01") == ""
    assert submission.named_otherwise("jane/work.ipynb", "02") == ""


def test_what_the_mapping_says_counts_more_than_cells(tmp_path):
    put(tmp_path, "jane_01_tensors.ipynb", data=NOTEBOOK)
    (tmp_path / "map.csv").write_text("file,student,lab\njane_01_tensors.ipynb,,01\n")
    assert ("jane", "01") in placed(tmp_path, mapping=tmp_path / "map.csv")


def test_one_cell_of_another_lab_changes_nothing(tmp_path):
    notebook = only_answers(solved("01"))
    notebook["cells"].append(solved("02")["cells"][-3])
    put(tmp_path, "jane_01_tensors.ipynb", data=raw(notebook))
    assert placed(tmp_path) == [("jane", "01")]


def test_a_mapping_file_names_a_file_as_a_spreadsheet_may_hold_it(tmp_path):
    put(tmp_path, "=1+2.ipynb", "'quoted.ipynb")
    (tmp_path / "map.csv").write_text("file,student,lab\n'=1+2.ipynb,jane,02\n'quoted.ipynb,li,02\n")
    assert placed(tmp_path, mapping=tmp_path / "map.csv") == [("jane", "02"), ("li", "02")]


@pytest.mark.parametrize("name", ["a cell in parts", "statements on a line"])
def test_work_grows_no_faster_than_the_notebook(name, monkeypatch):
    """Counted in characters that are looked at for names, as time is not the same on any two machines."""
    looked = []
    count = submission.defined
    monkeypatch.setattr(submission, "defined", lambda source: looked.append(len(source)) or count(source))
    sources = {"a cell in parts": ["def sigmoid_grad(x):\n    a = 1", *["    a = 1"] * 1200], "statements on a line": ["a=1;" * 5000]}[name]
    cells = [{"cell_type": "code", "id": f"c{i}", "metadata": {}, "outputs": [], "source": source} for i, source in enumerate(sources)]
    submission.prepare(raw({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), release("02"))
    assert sum(looked) <= 5 * sum(map(len, sources))


def test_the_newest_of_several_counts_and_the_others_are_listed(tmp_path):
    put(tmp_path, *LAYOUTS["Canvas, the newest counts"][0])
    [one], unplaced = find(tmp_path)
    assert one.origin == "doejane_LATE_12345_678999_02_autograd-1.ipynb"
    assert [one.origin for one in unplaced] == [
        "doejane_12345_678901_02_autograd.ipynb",
        "doejane_12345_678950_02_autograd-2.ipynb",
    ]
    assert all("counts for doejane" in one.reason and is_sentence(one.reason.capitalize()) for one in unplaced)


@pytest.mark.parametrize(
    "older, newer",
    [
        ("02_autograd.ipynb", "02_autograd (1).ipynb"),
        ("02_autograd (9).ipynb", "02_autograd (10).ipynb"),
        ("02_autograd-1.ipynb", "02_autograd-2.ipynb"),
    ],
)
def test_numbered_downloads_count_up(tmp_path, older, newer):
    put(tmp_path, f"jane/{newer}", f"jane/{older}", "li/02_autograd.ipynb")
    assert {one.student: one.origin for one in find(tmp_path)[0]}["jane"] == f"jane/{newer}"


def test_of_copies_the_one_saved_last_counts(tmp_path):
    put(
        tmp_path,
        "jane/02_autograd.ipynb",
        "jane/02_autograd-Copy1.ipynb",
        "jane/backup/Copy of 02_autograd.ipynb",
        "li/02_autograd.ipynb",
    )
    os.utime(tmp_path / "jane/02_autograd-Copy1.ipynb", (2_000_000_000, 2_000_000_000))
    assert {one.student: one.origin for one in find(tmp_path)[0]}["jane"] == "jane/02_autograd-Copy1.ipynb"


def test_junk_is_passed_over(tmp_path):
    put(tmp_path, "jane/02_autograd.ipynb", "jane/.ipynb_checkpoints/02_autograd-checkpoint.ipynb", "__MACOSX/jane/._02_autograd.ipynb",
        "jane/._02_autograd.ipynb", ".git/02_autograd.ipynb", "li/timestamp.txt", "li/02_autograd.ipynb")  # fmt: skip
    put(
        tmp_path,
        "eve.zip",
        data=archive(
            ["02_autograd.ipynb", "__MACOSX/._02_autograd.ipynb", ".ipynb_checkpoints/02_autograd-checkpoint.ipynb"]
        ),
    )
    found, unplaced = find(tmp_path)
    assert [one.student for one in found] == ["eve", "jane", "li"] and unplaced == []


def test_what_cannot_be_placed_is_listed_and_can_be_mapped(tmp_path):
    put(
        tmp_path,
        "02_autograd.ipynb",
        "eve/essay.pdf",
        "eve/notes/plan.txt",
        "bob.rar",
        "li/02_autograd.ipynb",
        "zoe/broken.zip",
        "x/y.zip",
    )
    put(tmp_path, "ann/poem.ipynb", data=raw({"cells": [code("print('roses')")]}))
    found, unplaced = find(tmp_path)
    assert [(one.student, one.lab) for one in found] == [("li", "02")]
    reasons = {one.origin: one.reason for one in unplaced}
    assert sorted(reasons) == [
        "02_autograd.ipynb",
        "ann/poem.ipynb",
        "bob.rar",
        "eve/essay.pdf",
        "eve/notes/plan.txt",
        "x/y.zip",
        "zoe/broken.zip",
    ]
    assert "whose it is" in reasons["02_autograd.ipynb"] and "no cell of any lab" in reasons["ann/poem.ipynb"]
    assert (
        "no notebook" in reasons["eve/essay.pdf"]
        and "not opened" in reasons["bob.rar"]
        and "no whole .zip" in reasons["x/y.zip"]
    )
    assert all(map(is_sentence, reasons.values()))

    table = tmp_path.parent / f"{tmp_path.name}.csv"
    table.write_text(
        "file;student;lab\n02_autograd.ipynb;Jane Doe;\nann;Ann;02_autograd\nli;-;\ngone.ipynb;x;\n",
        encoding="utf-8-sig",
    )
    found, unplaced = find(tmp_path, mapping=table)
    assert [(one.student, one.lab) for one in found] == [("Ann", "02"), ("Jane Doe", "02")]
    assert "no such file" in {one.origin: one.reason for one in unplaced}["gone.ipynb"]


@pytest.mark.parametrize(
    "text, fragment",
    [
        ("a,b\n1,2\n", "file,student,lab"),
        ("file,student,lab\nx,y,77\n", "line 2: there is no lab 77"),
        ("", "file,student,lab"),
    ],
)
def test_a_wrong_mapping_file_is_refused(tmp_path, text, fragment):
    (tmp_path / "map.csv").write_text(text)
    with pytest.raises(MappingError, match=re.escape(fragment)):
        find(tmp_path, mapping=tmp_path / "map.csv")
    with pytest.raises(MappingError, match="cannot be read"):
        find(tmp_path, mapping=tmp_path / "none.csv")


def test_the_lab_is_told_from_the_cells_where_no_name_tells_it(tmp_path):
    for lab in submission.labs():
        put(tmp_path, f"jane{lab}/work.ipynb", data=raw(untouched(lab)))
        put(tmp_path, f"li{lab}/work.ipynb", data=raw(ids_lost(only_answers(solved(lab)))))
    assert {lab for student, lab in placed(tmp_path) if not student.endswith(lab)} == set()
    assert len(placed(tmp_path)) == 2 * len(submission.labs())


def test_one_lab_only(tmp_path):
    put(tmp_path, "jane/02_autograd.ipynb", "li/01_tensors.ipynb", "eve/lab 4.ipynb")
    put(tmp_path, "li/02_autograd.ipynb", "bob/lab 4.ipynb", data=raw(untouched("04")))
    put(tmp_path, "ann/poem.ipynb", data=b"{")
    assert placed(tmp_path, "02") == [("ann", "02"), ("eve", "02"), ("jane", "02")]  # li's is lab 04's
    assert [one.origin for one in find(tmp_path, "02")[1]] == ["li/02_autograd.ipynb"]
    with pytest.raises(ValueError, match="no lab '77'"):
        find(tmp_path, "77")


def test_broken_files_stay_their_students(tmp_path):
    put(tmp_path, "jane/02_autograd.ipynb", "li/work.ipynb", data=b"{")
    (tmp_path / "eve").mkdir()
    with (tmp_path / "eve/02_autograd.ipynb").open("wb") as file:
        file.truncate(500 * 2**20)
    found, unplaced = find(tmp_path)
    assert [(one.student, one.lab) for one in found] == [("li", ""), ("eve", "02"), ("jane", "02")] and unplaced == []
    with pytest.raises(Unreadable, match="not whole"):
        found[0].read()
    with pytest.raises(Unreadable, match="500 MB, the limit is 100 MB: clear its outputs"):
        found[1].read()
    (tmp_path / "jane/02_autograd.ipynb").unlink()
    with pytest.raises(Unreadable, match="No such file"):
        found[2].read()


def test_links_and_pipes_are_not_followed(tmp_path):
    (tmp_path / "in").mkdir()
    put(tmp_path, "secret_02_autograd.ipynb")
    (tmp_path / "in/jane_02_autograd.ipynb").symlink_to(tmp_path / "secret_02_autograd.ipynb")
    (tmp_path / "in/li").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "in/eve_02_autograd.ipynb")
    link = zipfile.ZipInfo("02_autograd.ipynb")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "in/bob.zip", "w") as file:
        file.writestr(link, "/etc/passwd")
    found, unplaced = find(tmp_path / "in")
    assert found == []
    assert [one.origin for one in unplaced] == [
        "bob.zip/02_autograd.ipynb",
        "eve_02_autograd.ipynb",
        "jane_02_autograd.ipynb",
        "li",
    ]


def test_what_may_not_be_read_is_said(tmp_path):
    put(tmp_path, "jane/02_autograd.ipynb", "li/02_autograd.ipynb")
    (tmp_path / "jane/02_autograd.ipynb").chmod(0)
    (tmp_path / "li").chmod(0)
    is_root = os.geteuid() == 0
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        if is_root and str(parent).startswith(os.path.realpath(os.environ.get("TMPDIR", "/tmp"))):
            parent.chmod(0o755)
    if is_root:
        os.seteuid(65534)
    try:
        found, unplaced = find(tmp_path)
        with pytest.raises(Unreadable, match="Permission denied"):
            found[0].read()
        assert [(one.origin, one.reason) for one in unplaced] == [("li", "It cannot be read: Permission denied.")]
    finally:
        if is_root:
            os.seteuid(0)
        (tmp_path / "li").chmod(0o755)


# ------------------------------------------------------------------------------------------------------------- archives


def test_archives_inside_folders_and_archives(tmp_path):
    inner = archive({"work/02_autograd.ipynb": NOTEBOOK, "again.zip": archive(["01_tensors.ipynb"])})
    put(tmp_path, "doejane_1_1001_homework.zip", data=inner)
    put(
        tmp_path,
        "canvas.zip",
        data=archive({"liwei_2_1002_homework.zip": inner, "bob_3_1003_02_autograd.ipynb": NOTEBOOK}),
    )
    found, unplaced = find(tmp_path)
    assert [(one.student, one.lab) for one in found] == [
        ("doejane", "01"),
        ("liwei", "01"),
        ("bob", "02"),
        ("doejane", "02"),
        ("liwei", "02"),
    ]
    assert all(one.read() == content(one.origin) for one in found) and unplaced == []


def test_names_in_an_archive_lead_nowhere(tmp_path):
    names = [
        "../../li/02_autograd.ipynb",
        "/etc/02_autograd.ipynb",
        "a\\..\\b\\01_tensors.ipynb",
        "C:\\x\\04_modules.ipynb",
        "\x1b[31m/06_optimizers.ipynb",
        "..",
        "/",
    ]
    put(tmp_path, "jane.zip", data=archive(names))
    put(tmp_path, "li/02_autograd.ipynb", "bob/02_autograd.ipynb", "eve/02_autograd.ipynb", data=raw(untouched()))
    found, _ = find(tmp_path)
    assert {one.student for one in found} == {"jane", "li", "bob", "eve"}
    assert {one.origin for one in found if one.student == "li"} == {"li/02_autograd.ipynb"}
    assert all(one.origin.isprintable() for one in found)
    assert sorted(path.name for path in tmp_path.parent.iterdir() if path.name.startswith("li")) == []


@pytest.mark.parametrize(
    "forged",
    [
        "li_2_1002_02_autograd.ipynb",
        "li/02_autograd.ipynb",
        "li_02_autograd.ipynb",
        "Li_2_assignsubmission_file_/02_autograd.ipynb",
        "submitted/li/02_autograd/a.ipynb",
    ],
)
@pytest.mark.parametrize("layout", ["flat", "folders", "Canvas", "Moodle"])
def test_no_student_can_hand_in_for_another(tmp_path, forged, layout):
    own = {"flat": "{}_02_autograd.ipynb", "folders": "{}/02_autograd.ipynb", "Canvas": "{}_{}_100{}_02_autograd.ipynb",
           "Moodle": "{}_{}_assignsubmission_file_/02_autograd.ipynb"}[layout]  # fmt: skip
    for number, name in enumerate(["bob", "li", "eve", "Li"]):
        put(tmp_path, own.format(name, number, number))
    theirs = {
        "flat": "mallory.zip",
        "folders": "mallory.zip",
        "Canvas": "mallory_9_1009_x.zip",
        "Moodle": "mallory_9_assignsubmission_file_/x.zip",
    }[layout]
    put(tmp_path, theirs, data=archive([forged, "mallory_02_autograd.ipynb"]))
    for path in tmp_path.rglob("*.ipynb"):
        os.utime(path, (1, 1))
    found, _ = find(tmp_path)
    honest = [one for one in found if one.student in ("li", "Li")]
    assert [one.student for one in found if ".zip" in one.origin] == ["mallory"]
    assert len(honest) == 2 and not [one for one in honest if ".zip" in one.origin]


def test_a_students_folders_are_not_other_students(tmp_path):
    put(
        tmp_path,
        "bob/02_autograd.ipynb",
        "eve/02_autograd.ipynb",
        "mallory/li/02_autograd.ipynb",
        "mallory/me/02_autograd.ipynb",
    )
    assert placed(tmp_path) == [("bob", "02"), ("eve", "02"), ("mallory", "02")]


def test_bombs_do_not_go_off(tmp_path):
    big = archive({"02_autograd.ipynb": bytes(300 * 2**20)})
    put(tmp_path, "jane.zip", data=big)
    liar = bytearray(archive({"02_autograd.ipynb": bytes(150 * 2**20)}))
    at = liar.rindex(b"PK\1\2")
    liar[at + 24 : at + 28] = (1000).to_bytes(4, "little")  # claims 1000 bytes
    put(tmp_path, "li.zip", data=bytes(liar))
    nest = NOTEBOOK
    for level in range(6):
        nest = archive({"02_autograd.ipynb" if not level else "inner.zip": nest})
    put(tmp_path, "bob.zip", data=nest)
    put(
        tmp_path,
        "eve.zip",
        data=archive({f"{n}.zip": archive({f"{m}.zip": archive([f"{m}.ipynb"]) for m in range(30)}) for n in range(2)}),
    )
    put(tmp_path, "zoe.zip", data=archive({"a.zip": archive({"inner.zip": bytes(101 * 2**20)})}))
    found, unplaced = find(tmp_path)
    reasons = [(one.origin, one.reason) for one in unplaced]
    for one in found:
        if one.student in ("jane", "li"):
            with pytest.raises(Unreadable, match="limit is 100 MB|does not give it back"):
                one.read()
    assert any("times over" in reason for origin, reason in reasons if origin.startswith("bob.zip"))
    assert any("holds more than 20 others" in reason for origin, reason in reasons if origin.startswith("eve.zip"))
    assert any("more than 100 MB" in reason for origin, reason in reasons if origin.startswith("zoe.zip"))


@pytest.mark.parametrize("damage", ["encrypted", "checksum", "cut", "method"])
def test_a_damaged_member_is_its_own_students(tmp_path, damage):
    data = bytearray(archive(["02_autograd.ipynb"]))
    entry = data.rindex(b"PK\1\2")
    if damage == "encrypted":
        data[6] |= 1
        data[entry + 8] |= 1
    elif damage == "checksum":
        data[entry + 16] ^= 255
        data[14] ^= 255
    elif damage == "method":
        data[8] = data[entry + 10] = 99
    else:
        data[100:200] = bytes(100)
    put(tmp_path, "jane.zip", data=bytes(data))
    put(tmp_path, "li.zip", data=archive(["02_autograd.ipynb"]))
    found, unplaced = find(tmp_path)
    assert [one.student for one in found] == ["jane", "li"] and found[1].read() == NOTEBOOK
    with pytest.raises(Unreadable) as caught:
        found[0].read()
    assert is_sentence(str(caught.value))


def test_names_that_are_no_utf_8(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"jos\xe9_02_autograd.ipynb")
    with open(path, "wb") as file:
        file.write(NOTEBOOK)
    put(tmp_path, "Jose\u0301 \u202e<script>alert(1)<\u2215script>_02_autograd.ipynb")
    found, _ = find(tmp_path)
    assert all(
        one.student.encode() and one.origin.encode() and one.student.isprintable() and one.read() == NOTEBOOK
        for one in found
    )
    assert any("<script>" in one.student and one.student.startswith("José ") for one in found) and len(found) == 2


def test_many_submissions_in_one_archive_take_linear_time(tmp_path):
    put(
        tmp_path,
        "moodle.zip",
        data=archive([f"Student {n}_{n}_assignsubmission_file_/02_autograd.ipynb" for n in range(1000)]),
    )
    submission._archive_at.cache_clear()
    found, unplaced = find(tmp_path)
    assert len({one.student for one in found}) == 1000 and unplaced == []
    assert all(one.read() == NOTEBOOK for one in found)
    assert submission._archive_at.cache_info().misses == 1


# ----------------------------------------------------------------------------------------------------------------- fuzz


def never_crashes(data: bytes, lab: str = "02") -> None:
    """Prepare gives work that can be sent, written and shown, or one sentence."""
    try:
        work = prepare(data, release(lab))
    except Unreadable as error:
        assert is_sentence(str(error)), str(error)
        return
    json.dumps([work.cells, work.answers, work.written, work.notes, work.places], ensure_ascii=False).encode("utf-8")
    ids = [cell["id"] for cell in work.cells]
    assert len(set(ids)) == len(ids) and set(ids) == set(work.places)
    assert work.cells[0]["source"] == release(lab).imports.source
    assert set(work.answers) == set(release(lab).exercises) and set(work.written) == set(release(lab).written)
    assert all(is_sentence(note) for note in work.notes), work.notes
    assert prepare(data, release(lab)) == work
    lab_of(read_notebook(data)[0])


SPICES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30),
    st.sampled_from(["code", "markdown", "raw", "exercise-02-1", "written-1", "setup", "02.1", ["demo"],
                     "def sigmoid_grad(x):\n", "    return x",
                     'check("02.1")', "```python\nsigmoid_grad = 1\n```", "\ud800", "\x00", "h_is_leaf: bool = (", "%%time\n"]),
)  # fmt: skip
VALUES = st.recursive(
    SPICES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=12,
)
KEYS = st.sampled_from(
    [
        "cell_type",
        "source",
        "input",
        "metadata",
        "id",
        "outputs",
        "tags",
        "nbgrader",
        "grade_id",
        "exercise",
        "cells",
        "worksheets",
        "nbformat",
    ]
)
CELLS = st.one_of(
    VALUES,
    st.dictionaries(KEYS, VALUES),
    st.fixed_dictionaries({"cell_type": st.sampled_from(["code", "markdown"]), "source": VALUES}),
)


@FUZZ
@given(
    st.one_of(
        VALUES,
        st.dictionaries(KEYS, VALUES),
        st.fixed_dictionaries({"cells": st.lists(CELLS, max_size=8)}, optional={"nbformat": VALUES}),
    )
)
@example({"cells": [{"cell_type": "code", "source": "x = '\ud800'", "id": "\udfff"}]})
@example({"cells": [{"cell_type": "code", "source": "# only a comment", "id": ""}]})
@example({"worksheets": [{"cells": [{"cell_type": "code", "input": ["x = ", 1]}]}, None]})
@example({"cells": [], "nbformat": 10**4000})
@example({"cells": [], "nbformat": float("inf")})
def test_fuzz_any_json(notebook):
    never_crashes(json.dumps(notebook).encode())


@FUZZ
@given(st.data())
def test_fuzz_mutated_notebooks(data):
    """A solved notebook with cells exchanged, and values at random places replaced."""
    notebook = solved("05")
    random.Random(data.draw(st.integers(0, 9999))).shuffle(notebook["cells"])
    notebook["cells"] = notebook["cells"][: data.draw(st.integers(1, 40))]
    for _ in range(data.draw(st.integers(1, 12))):
        place = notebook
        for _ in range(data.draw(st.integers(0, 4))):
            keys = list(place) if isinstance(place, dict) else range(len(place)) if isinstance(place, list) else []
            inner = [key for key in keys if isinstance(place[key], (dict, list)) and place[key]]
            if not inner:
                break
            place = place[data.draw(st.sampled_from(inner))]
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        place[key] = copy.deepcopy(data.draw(VALUES))  # a later round may change it
    never_crashes(json.dumps(notebook).encode(), "05")


@FUZZ
@given(
    st.lists(st.tuples(st.integers(0, 40_000), st.binary(max_size=6), st.integers(0, 50)), max_size=6),
    st.integers(100, 60_000),
)
def test_fuzz_damaged_bytes(changes, length):
    data = bytearray(raw(solved()))
    for at, put_there, taken in changes:
        data[at : at + taken] = put_there
    never_crashes(bytes(data[:length] if length % 2 else data))


@FUZZ
@given(
    names=st.lists(st.one_of(st.text(max_size=40), st.from_regex(r"\A[\w ./\\()-]{0,40}\Z")), max_size=8),
    damage=st.binary(max_size=8),
)
@example(
    names=[
        "Copy of .ipynb",
        "(1).ipynb",
        "_assignsubmission_file_.ipynb",
        "02_autograd.ipynb/x.ipynb",
        "..ipynb",
        ".ipynb",
    ],
    damage=b"",
)
def test_fuzz_names_in_an_archive(names, damage, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    members = {f"{name}.ipynb".encode("utf-8", "replace").decode().replace("\0", ""): b"{}" for name in names}
    data = bytearray(archive({name: members[name] for name in members if len(name) < 1000}))
    if damage:
        at = sum(damage) * 7 % len(data)
        data[at : at + len(damage)] = damage
    put(folder, "jane.zip", data=bytes(data))
    found, unplaced = find(folder, "02")
    for one in (*found, *unplaced):
        one.origin.encode("utf-8")
    assert all(one.student and one.student.isprintable() for one in found)
