"""Evidence that knows nothing gets no points: the student's process may say what it likes, without any answer.

Each form keeps the names and the nesting of right evidence, and puts constants in the place of what is in it. CI looks at
some labs, LABS_HOSTILE=all at every one.
"""

import functools
import os
from pathlib import Path

import pytest
import torch
from solutions import solutions_of

from utils import checks
from utils.checks import engine

LABS = {path.stem[:2]: path.stem for path in sorted((Path(__file__).parents[3] / "labs_solutions").glob("[0-9][0-9]_*.py"))}
if os.environ.get("LABS_HOSTILE") != "all":
    LABS = {lab: LABS[lab] for lab in ("01", "02", "05")}
IDS = [id for lab in LABS for id in checks.exercises(lab)]


def filled_with(number: float, truth: bool, is_empty: bool = False):
    """What replaces each value of evidence."""

    def replace(value):
        if isinstance(value, torch.Tensor):
            if is_empty:
                return value.new_empty(0)
            is_real = value.is_floating_point() or value.is_complex()
            return torch.full_like(value, number if is_real or number == number else 0)
        if isinstance(value, list):
            return [] if is_empty else [replace(item) for item in value]
        if isinstance(value, dict):
            return {} if is_empty else {key: replace(item) for key, item in value.items()}
        if type(value) is bool:
            return truth
        if type(value) is str:
            return ""  # it may be the answer
        return number if type(value) in (int, float) else value

    return replace


FORMS = {
    "NaN and False": filled_with(float("nan"), False),
    "NaN and True": filled_with(float("nan"), True),
    "zero": filled_with(0.0, False),
    "one": filled_with(1.0, True),
    "nothing": filled_with(0.0, False, is_empty=True),
}


@functools.cache
def solved(lab: str) -> dict:
    return solutions_of(LABS[lab])


@pytest.mark.parametrize("id", IDS)
def test_evidence_without_knowledge_gets_nothing(id):
    item = checks.exercises(id[:2])[id]
    right = {}  # question -> reply, of the course's own solution
    for form, replace in FORMS.items():

        def ask(question, replace=replace):
            key = repr(question["inputs"])
            right[key] = right.get(key) or engine.reply(question, solved(id[:2]))
            evidence = {name: replace(value) for name, value in right[key]["evidence"].items()}
            return {"evidence": evidence, "after": right[key]["after"]}

        result = engine.run(item, ask, seed=7)
        assert result.points == 0, f"evidence of {form} gets {result.points} points"


@pytest.mark.parametrize("id", IDS)
def test_nan_agrees_with_nothing(id):
    """All that is no tensor is right; where both sides of a comparison come from evidence, nan would agree with nan."""
    item, seen = checks.exercises(id[:2])[id], []

    def replace(value):
        if isinstance(value, (list, dict)):
            return [replace(item) for item in value] if isinstance(value, list) else {key: replace(value[key]) for key in value}
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            seen.append(value)
            return torch.full_like(value, float("nan"))
        return value

    def ask(question):
        right = engine.reply(question, solved(id[:2]))
        return right | {"evidence": replace(right["evidence"])}

    result = engine.run(item, ask, seed=7)
    assert not seen or result.outcome != engine.CORRECT


def test_no_reply_is_a_fault_of_the_grader():
    """An error that an exercise's help seems to know, by the function's name alone."""
    for item in (item for lab in LABS for item in checks.exercises(lab).values()):
        for function in [None, "", "\n", *item.errors]:
            for text in ("", "\n", "x" * 100_000):
                reply = {"error": text, "function": function, "line": -1, "source": "", "hidden": ""}
                result = engine.run(item, lambda question, reply=reply: reply)
                assert result.points == 0
