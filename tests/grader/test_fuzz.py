"""Damaged notebooks and odd file names; what a long run finds is kept here as an `@example`."""

import copy
import json
import random

from folders import archive, put
from fuzzing import FUZZ
from hypothesis import example, given
from hypothesis import strategies as st
from states import is_sentence, raw, solved

from course.grader.finding import find
from course.grader.notebook import Unreadable, read_notebook
from course.grader.submission import lab_of, prepare, release


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
        "cell_type", "source", "input", "metadata", "id", "outputs", "tags", "nbgrader", "grade_id", "exercise",
        "cells", "worksheets", "nbformat",
    ]
)  # fmt: skip
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
        "Copy of .ipynb", "(1).ipynb", "_assignsubmission_file_.ipynb", "02_autograd.ipynb/x.ipynb", "..ipynb",
        ".ipynb",
    ],
    damage=b"",
)  # fmt: skip
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
