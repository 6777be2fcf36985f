"""Checks: ask here, judge there.

In a notebook: `check("02.1")` after each exercise, `progress("02")`, `mine_or_reference("07.2", train)`, and
`hand_in("02")` at the end. One module a lab (`lab_02_autograd.py`) holds that lab's checks, written with `@exercise`.
"""

import contextlib
import importlib
import json
import os
import pkgutil
import sys
from pathlib import Path

from IPython.core.getipython import get_ipython
from IPython.display import display
from IPython.utils.capture import capture_output

from .engine import REGISTRY, Case, Exercise, NotAttempted, Strange, exercise, run_here
from .panel import CORRECT, NOT_ATTEMPTED, Note, Result, Table, result_text

__all__ = ["Case", "Exercise", "NotAttempted", "Result", "Strange", "check", "exercise", "exercises", "hand_in", "mine_or_reference", "progress"]

_results: dict[str, Result] = {}  # the last result of each exercise in this session


def labs() -> list[str]:
    """The numbers of the labs that have checks: ["01", "02", ...]."""
    return sorted(module.name.split("_")[1] for module in pkgutil.iter_modules(__path__) if module.name.startswith("lab_"))


def exercises(lab: str) -> dict[str, Exercise]:
    """The exercises of a lab by id, in order; empty where there is no such lab."""
    for module in pkgutil.iter_modules(__path__):
        if module.name.startswith(f"lab_{lab}_"):
            importlib.import_module(f"{__name__}.{module.name}")
    found = {id: item for id, item in REGISTRY.items() if id.split(".")[0] == lab}
    return dict(sorted(found.items(), key=lambda pair: int(pair[0].split(".")[1])))


def _namespace() -> dict:
    """The notebook's names; in plain Python, those of the script."""
    shell = get_ipython()
    return shell.user_ns if shell else vars(sys.modules["__main__"])


def _unknown(id) -> Note:
    lab = str(id).split(".")[0].zfill(2)
    there = list(exercises(lab))
    kind = "exercise" if "." in str(id) else "lab"
    return Note(f"There is no {kind} {id!r}. " + (f"Lab {lab} has {', '.join(there)}." if there else f"Labs with exercises: {', '.join(labs())}."), "#D55E00")


@contextlib.contextmanager
def _figures_closed():
    """Close pyplot figures that a student's function left open, so that they are not drawn under the check."""
    plt = sys.modules.get("matplotlib.pyplot")
    before = set(plt.get_fignums()) if plt else set()
    try:
        yield
    finally:
        plt = sys.modules.get("matplotlib.pyplot")
        for number in set(plt.get_fignums()) - before if plt else ():
            plt.close(number)


def _run(item: Exercise, namespace: dict) -> Result:
    with _figures_closed(), capture_output() as captured:
        result = run_here(item, namespace)
    printed = captured.stdout + captured.stderr
    result.printed = printed if len(printed) <= 2000 else printed[:2000] + f"\n… ({len(printed)} characters in all)"
    return result


def check(id: str, namespace: dict | None = None):
    """Check one exercise and show what came of it. Never raises in a notebook, except when interrupted.

    Args:
        id: such as "02.1".
        namespace: where the answers are; the notebook's names by default.

    Returns:
        a `Result` that shows itself. Under nbgrader: the points as a float. With `LABS_STRICT=1` it raises
        `AssertionError` unless the answer is fully correct.
    """
    if os.environ.get("LABS_GRADER"):
        return Note(f"Check {id}: not run here; the grader runs it outside.")
    item = exercises(str(id).split(".")[0]).get(id)
    strict = os.environ.get("LABS_STRICT") == "1"
    if item is None:
        if strict:
            raise AssertionError(repr(_unknown(id)))
        return _unknown(id)
    result = _results[id] = _run(item, _namespace() if namespace is None else namespace)
    if strict and result.outcome != CORRECT:
        raise AssertionError(result_text(result))
    if os.environ.get("NBGRADER_EXECUTION"):
        display(result)
        return result.points
    return result


def mine_or_reference(id: str, mine):
    """Your answer to an exercise once you have attempted it, else the course's own or PyTorch's, with a note that says so.

    Args:
        id: of the exercise.
        mine: what you defined: `train = mine_or_reference("07.2", train)`.
    """
    item = exercises(id.split(".")[0]).get(id)
    if item is None or item.reference is None:
        return mine
    namespace = dict(_namespace())
    namespace[item.needs[0]] = mine
    with _figures_closed(), capture_output():
        result = run_here(item, namespace, only_first=True)
    if result.outcome != NOT_ATTEMPTED:
        return mine
    module, name = item.reference.split(":")
    whose = "the course's own" if module.startswith("utils") else "PyTorch's"
    display(Note(f"Exercise {id} is not attempted yet: from here on the lab uses {whose} `{name}` (from `{module}`). Solve it, and this cell takes yours."))
    return getattr(importlib.import_module(module), name)


def progress(lab: str) -> Table | Note:
    """The exercises of a lab with the outcome of their last check in this session."""
    items = exercises(lab)
    if not items:
        return _unknown(lab)
    return Table(lab, [_results.get(id) or Result(item, NOT_ATTEMPTED, 0.0, "") for id, item in items.items()], [])


def _notebook_file() -> Path | None:
    """The notebook's file, where the front-end tells (JupyterLab, VS Code)."""
    name = os.environ.get("JPY_SESSION_NAME") or _namespace().get("__vsc_ipynb_file__")
    return Path(name) if name and Path(name).suffix == ".ipynb" and Path(name).exists() else None


def _unsaved(file: Path, items: dict[str, Exercise]) -> list[str]:
    """Exercises whose cell on disk is not what was run in this session (not saved, or saved but not run)."""
    shell = get_ipython()
    ran = {source.strip() for source in (shell.user_ns.get("In", []) if shell else [])}
    cells = {cell.get("id"): "".join(cell["source"]) for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]}
    ids = {id: f"exercise-{id.replace('.', '-')}" for id in items}
    return [id for id, cell in ids.items() if cell in cells and cells[cell].strip() not in ran]


def hand_in(lab: str) -> Table | Note:
    """Check all exercises of a lab once more, and say what is missing, what is unsaved, and which file to hand in."""
    items = exercises(lab)
    if os.environ.get("LABS_GRADER") or not items:
        return _unknown(lab) if not items else Note("hand_in: not run here.")
    for id, item in items.items():
        _results[id] = _run(item, _namespace())
    results = [_results[id] for id in items]
    open_ids = [r.exercise.id for r in results if r.outcome == NOT_ATTEMPTED]
    notes = [f"Not attempted: {', '.join(open_ids)}."] if open_ids else []
    file = _notebook_file()
    if file is None:
        notes.append("Save this notebook (Colab: File → Download → Download .ipynb) and hand in that one .ipynb file.")
        return Table(lab, results, notes)
    unsaved = _unsaved(file, items)
    if unsaved:
        notes.append(f"The file on disk differs from what you ran in {', '.join(unsaved)}: run those cells, save (Ctrl+S or ⌘S), then run this cell again.")
    notes.append(f"Save, then hand in this one file: `{file}`")
    return Table(lab, results, notes)
