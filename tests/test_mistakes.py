"""Every check against its bank of answers: the solution, the untouched stub, constants, mistakes, and other right answers."""

import functools
import importlib
from pathlib import Path

import pytest

from course import build
from utils import checks
from utils.checks import engine

ROOT = Path(__file__).parents[1]
LABS = {path.stem[:2]: path for path in sorted((ROOT / "labs_solutions").glob("[0-9][0-9]_*.py"))}
BANKS = {lab: importlib.import_module(f"mistakes.lab_{path.stem}") for lab, path in LABS.items()}
EXERCISES = {id: item for lab in LABS for id, item in checks.exercises(lab).items()}
SEEDS = (0, 1, 2)  # a notebook uses 0, the grader draws its own


@functools.cache
def notebooks(lab: str) -> tuple:
    """(solution, student), as the build makes them from the source."""
    solution = build.solution_notebook(build.load(LABS[lab]), "")
    return solution, build.student_notebook(solution)


def namespace(lab: str, *codes: str) -> dict:
    """The names after the lab's import cell (its first code cell after the setup) and then these codes."""
    code_cells = [cell for cell in notebooks(lab)[0].cells if cell.cell_type == "code"]
    names = {"__name__": "__main__"}
    for code in (code_cells[1].source, *codes):
        exec(code, names)
    return names


def exercise_cells(notebook) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code" and "exercise" in cell.metadata]


@functools.cache
def solved(lab: str) -> dict:
    return namespace(lab, *exercise_cells(notebooks(lab)[0]))


@functools.cache
def untouched(lab: str) -> dict:
    return namespace(lab, *exercise_cells(notebooks(lab)[1]))


def run(id: str, names: dict, seed: int = 0) -> engine.Result:
    return engine.run_here(EXERCISES[id], names, seed)


def answers(kind: str) -> list:
    return [(id, answer) for bank in BANKS.values() for id, many in getattr(bank, kind).items() for answer in many]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("id", EXERCISES)
def test_the_solution_gets_full_marks(id, seed):
    result = run(id, solved(id[:2]), seed)
    assert result.outcome == engine.CORRECT, result


@pytest.mark.parametrize("id", EXERCISES)
def test_the_untouched_stub_is_not_attempted(id):
    result = run(id, untouched(id[:2]))
    assert (result.outcome, result.points) == (engine.NOT_ATTEMPTED, 0), result


@pytest.mark.parametrize("id", EXERCISES)
def test_constants_of_the_right_shape_get_nothing(id):
    result = run(id, namespace(id[:2], BANKS[id[:2]].CONSTANTS[id]))
    assert result.points == 0 and result.outcome == engine.WRONG, result


@pytest.mark.parametrize(("id", "mistake"), answers("MISTAKES"), ids=lambda value: value if isinstance(value, str) else value[1][:40])
def test_a_mistake_gets_its_message(id, mistake):
    code, message = mistake
    for seed in SEEDS:
        result = run(id, namespace(id[:2], code), seed)
        assert result.outcome in (engine.WRONG, engine.PARTLY, engine.ERROR), result
        assert message in result.message, result


@pytest.mark.parametrize(("id", "code"), answers("RIGHT"), ids=lambda value: value[:40])
def test_another_right_answer_is_accepted(id, code):
    for seed in SEEDS:
        result = run(id, namespace(id[:2], code), seed)
        assert result.outcome == engine.CORRECT, result


@pytest.mark.parametrize("id", EXERCISES)
def test_the_bank_is_full(id):
    bank = BANKS[id[:2]]
    assert len(bank.MISTAKES[id]) >= 4 and len(bank.RIGHT[id]) >= 1
    codes = [code for code, _ in bank.MISTAKES[id]]
    assert len(set(codes)) == len(codes)
