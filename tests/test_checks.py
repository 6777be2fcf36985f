"""The engine of the checks, on exercises made for these tests."""

import copy
import dataclasses
import inspect
import json
import random
import types

import nbformat
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient

from utils import checks
from utils.checks import engine

DOUBLE = "99.1"


@checks.exercise(DOUBLE, points=2, needs=["double"], reference="utils.runtime:full")
class Double:
    """Twice the input."""

    errors = {"out of bounds": "You looked past the end."}

    def inputs(rng):
        yield {"x": rng.randn(4)}
        yield {"x": rng.randn(4, 3).t(), "_case": "transposed"}

    def probe(student, x):
        return {"y": student.double(x)}

    def judge(case, x, y):
        case.close(y, 2 * x, mistakes={"You squared `x`.": x * x, "That is float64.": (2 * x).double()})


@checks.exercise("99.2", points=1, needs=["choice"])
class Choice:
    """A choice."""

    def inputs(rng):
        yield {"_answer": "b"}

    def probe(student):
        return {"choice": student.choice}

    def judge(case, choice, _answer):
        case.equal(choice, _answer, mistakes={"(a) is the other one.": "a"})


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("LABS_STRICT", "LABS_GRADER", "NBGRADER_EXECUTION"):
        monkeypatch.delenv(name, raising=False)


def attempt(code: str, id: str = DOUBLE) -> engine.Result:
    namespace = {"torch": torch, "np": np, "NotAttempted": checks.NotAttempted, "__name__": "__main__"}
    exec(code, namespace)
    return checks.check(id, namespace)


@pytest.mark.parametrize(
    ("code", "outcome", "points", "fragment"),
    [
        ("", engine.NOT_ATTEMPTED, 0, "`double` is not defined"),
        ("double = None", engine.NOT_ATTEMPTED, 0, "`double` has no value yet"),
        ("double = ...", engine.NOT_ATTEMPTED, 0, "`double` has no value yet"),
        ("def double(x): raise NotAttempted('99.1')", engine.NOT_ATTEMPTED, 0, "Fill in `double`"),
        ("def double(x): raise NotAttempted('99.7')", engine.NOT_ATTEMPTED, 0, "calls exercise 99.7"),
        ("from utils.runtime import full as double", engine.NOT_ATTEMPTED, 0, "the course's own"),
        ("from torch.nn.functional import relu as double", engine.NOT_ATTEMPTED, 0, "PyTorch's own"),
        ("def double(x): return 2 * x", engine.CORRECT, 2, ""),
        ("def double(x): print('x', x); return x + x", engine.CORRECT, 2, ""),
        ("import warnings\ndef double(x): warnings.warn('careful'); return x + x", engine.CORRECT, 2, ""),
        ("def double(x): return x ** 2", engine.WRONG, 0, "You squared `x`."),
        ("def double(x): return (2 * x).double()", engine.WRONG, 0, "That is float64."),
        ("def double(x): return None", engine.WRONG, 0, "Is a `return` missing?"),
        ("def double(x): return (2 * x).numpy()", engine.WRONG, 0, "numpy.ndarray"),
        ("def double(x): return (2 * x)[:-1]", engine.WRONG, 0, "has shape (3,); wanted (4,)"),
        ("def double(x): return (2 * x).half()", engine.WRONG, 0, "has dtype torch.float16"),
        ("def double(x): return torch.zeros_like(x)", engine.WRONG, 0, "4 of 4 values differ"),
        ("def double(x): return x.mul_(2)", engine.WRONG, 0, "changed its input `x`"),
        ("def double(x): return 2 * x if x.ndim == 1 else x", engine.PARTLY, 1, "Case 2 of 2 (transposed)"),
        ("def double(x): return 2 * x if x.ndim == 1 else 1 / 0", engine.PARTLY, 1, "ZeroDivisionError"),
        ("def double(x): return x[9]", engine.ERROR, 0, "You looked past the end."),
        ("def double(x):\n    y = x\n    return y.nothing", engine.ERROR, 0, "In `double`, line 3"),
        ("def double(x): return double(x)", engine.ERROR, 0, "RecursionError"),
        ("def double(x): raise SystemExit", engine.ERROR, 0, "SystemExit"),
        ("def double(): return 1", engine.ERROR, 0, "TypeError"),
        ("def double(x): return (2 * x,)", engine.WRONG, 0, "take `[0]`"),
        ("max = 5\ndef double(x): return x.shape()", engine.ERROR, 0, "'torch.Size' object is not callable\nIn `double`"),
        ("sum = 3\ndef double(x): return sum([x, x])", engine.ERROR, 0, "hides Python's own `sum`"),
        ("def double(x): return torch.add(x, x)\ntorch = None", engine.ERROR, 0, "no longer the module `torch`"),
        ("class Odd:\n    def __repr__(self): raise ValueError\ndef double(x): return Odd()", engine.WRONG, 0, "Odd"),
        ("double = 5", engine.ERROR, 0, "not callable"),
    ],
)
def test_outcomes(code, outcome, points, fragment):
    result = attempt(code)
    assert (result.outcome, result.points) == (outcome, points)
    assert fragment in result.message


def test_a_choice():
    assert attempt("choice = 'b'", "99.2").outcome == engine.CORRECT
    assert "(a) is the other one" in attempt("choice = 'a'", "99.2").message
    assert attempt("choice = ...", "99.2").outcome == engine.NOT_ATTEMPTED


def test_an_interrupt_gets_through():
    with pytest.raises(KeyboardInterrupt):
        attempt("def double(x): raise KeyboardInterrupt")


def test_the_process_is_left_as_it_was():
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    expected = [torch.rand(1), random.random(), np.random.rand()]
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    result = attempt(
        "import random\n"
        "def double(x):\n"
        "    torch.manual_seed(9); random.seed(9); np.random.seed(9); torch.set_grad_enabled(False)\n"
        "    torch.set_default_dtype(torch.float64); return 2 * x"
    )
    assert result.outcome == engine.CORRECT
    assert [torch.rand(1), random.random(), np.random.rand()] == expected
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32


def test_prints_are_folded_into_the_panel_and_escaped():
    result = attempt("def double(x): print('<script>'); return x")
    assert "<script>" in result.printed
    assert "&lt;script&gt;" in result._repr_html_() and "<script>" not in result._repr_html_()


def test_figures_left_open_by_an_answer_are_closed():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    attempt("import matplotlib.pyplot as plt\ndef double(x): plt.figure(); return 2 * x")
    assert plt.get_fignums() == before


@pytest.mark.parametrize(
    ("before", "after", "advice"),
    [
        (torch.zeros(2), torch.ones(2), "`x = x.clone()`"),
        ({"a": 1}, {}, "`x = dict(x)`"),
        ([1, 2], [2], "`x = list(x)`"),
    ],
)
def test_a_changed_input_comes_with_the_copy_of_its_kind(before, after, advice):
    item = dataclasses.replace(engine.REGISTRY[DOUBLE], judge=lambda case: None)
    with pytest.raises(engine.Failed) as failed:
        engine.judge_case(item, {"x": before}, {}, {"x": after})
    assert "your code changed its input `x`" in str(failed.value) and advice in str(failed.value)


def test_a_private_input_is_not_sent():
    item = engine.REGISTRY["99.2"]
    (case,) = engine.draw_cases(item)
    assert "_answer" in case and engine.sent(case) == {}


def test_evidence_cannot_stand_in_for_what_the_judge_knows():
    forged = {"choice": "a", "_answer": "a"}
    with pytest.raises(engine.Failed):
        engine.judge_case(engine.REGISTRY["99.2"], {"_answer": "b"}, forged, {})


def test_inputs_follow_the_seed():
    item = engine.REGISTRY[DOUBLE]
    first, again, other = (engine.draw_cases(item, seed)[0]["x"] for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_strides_of_inputs_reach_the_student():
    case = engine.draw_cases(engine.REGISTRY[DOUBLE])[1]
    seen = {}
    namespace = {"double": lambda x: seen.update(strides=x.stride()) or 2 * x}
    engine.reply(engine.ask_about(engine.REGISTRY[DOUBLE], case), namespace)
    assert seen["strides"] == case["x"].stride() == (1, 3)


def test_where_it_runs(monkeypatch):
    right, wrong = "def double(x): return 2 * x", "def double(x): return x"
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert attempt(right) == 2.0 and attempt(wrong) == 0.0 and isinstance(attempt(right), float)
    monkeypatch.delenv("NBGRADER_EXECUTION")
    monkeypatch.setenv("LABS_STRICT", "1")
    assert attempt(right).outcome == engine.CORRECT
    with pytest.raises(AssertionError, match="not yet"):
        attempt(wrong)
    monkeypatch.delenv("LABS_STRICT")
    monkeypatch.setenv("LABS_GRADER", "1")
    assert "not run here" in repr(attempt(right))


def test_a_name_that_was_overwritten_is_blamed_only_where_it_is_used():
    assert "hides" not in attempt("max = 5\ndef double(x): return x.shape()").message


def test_an_error_may_be_named_by_the_function_that_raised():
    item = dataclasses.replace(engine.REGISTRY[DOUBLE], errors={"g: ValueError": "g is wrong", "double: ValueError": "it is wrong"})
    names = {}
    exec("def double(x):\n    raise ValueError('no')", names)
    result = engine.run_here(item, names)
    assert result.message.startswith("it is wrong\n(Python says: ValueError: no)\nIn `double`")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=20)
    | st.builds(engine.Strange, st.text(max_size=5), st.text(max_size=5))
    | st.builds(torch.full, st.lists(st.integers(0, 4), max_size=3), st.floats(width=32) | st.booleans() | st.integers(-9, 9))
    | st.sampled_from([torch.zeros(4, dtype=torch.complex64), torch.ones(4, dtype=torch.uint64), torch.zeros(3, 0, dtype=torch.bfloat16)]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5) | st.integers(0, 5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
TEXTS = st.text(max_size=30) | st.sampled_from(["", "\n", "out of bounds", "\r\nout of bounds", "\x1b[1m", "x" * 5_000, "99.1", "01.1"])
MAYBE = st.none() | TEXTS
FUNCTIONS = st.sampled_from([fragment for lab in ("01", "02") for item in checks.exercises(lab).values() for fragment in item.errors])


@st.composite
def hostile_replies(draw, item):
    form = draw(st.sampled_from(["evidence", "evidence", "missing", "error"]))
    if form == "missing":
        return {"missing": draw(TEXTS), "function": draw(MAYBE)}
    if form == "error":
        where = {"function": draw(MAYBE | FUNCTIONS), "line": draw(st.integers()), "source": draw(TEXTS)}
        return {"error": draw(TEXTS), "hidden": draw(TEXTS)} | where
    names = inspect.signature(item.judge).parameters
    others = draw(st.dictionaries(st.text(max_size=3) | st.integers(), VALUES, max_size=2))
    evidence = {name: draw(VALUES) for name in names if name != "case"} | others
    return {"evidence": evidence, "after": draw(st.dictionaries(st.sampled_from([*names, "z"]), VALUES, max_size=4))}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_no_reply_breaks_the_judge(data):
    """A sandbox's reply has the right form; what is in it is a student's."""
    item = data.draw(st.sampled_from([engine.REGISTRY[DOUBLE], *checks.exercises("01").values(), *checks.exercises("02").values()]))
    result = engine.run(item, lambda question: data.draw(hostile_replies(item)), only_first=True)
    assert 0 <= result.points <= item.points
    assert len(result.message) <= engine.LONGEST + 1


def test_a_wrong_id_says_which_there_are(monkeypatch):
    assert "99.1, 99.2" in repr(checks.check("99.8", {}))
    assert "Labs with exercises" in repr(checks.check("77.1", {}))
    assert "no exercise 2.1" in repr(checks.check(2.1, {}))
    monkeypatch.setenv("LABS_STRICT", "1")
    with pytest.raises(AssertionError, match="99.1, 99.2"):
        checks.check("99.8", {})


def test_mine_or_reference(capsys):
    from utils.runtime import full

    def stub(x):
        raise checks.NotAttempted(DOUBLE)

    def mistaken(x):
        return x

    assert checks.mine_or_reference(DOUBLE, stub) is full
    assert "course's own full" in capsys.readouterr().out
    assert checks.mine_or_reference(DOUBLE, mistaken) is mistaken
    assert checks.mine_or_reference("99.2", 3) == 3  # no reference is needed there


def test_progress_counts():
    attempt("def double(x): return 2 * x")
    table = checks.progress("99")
    assert "2 of 3 points" in repr(table) and "2 of 3 points" in table._repr_html_()
    assert "no lab '77'. Labs with exercises" in repr(checks.progress("77"))


def test_hand_in_names_what_is_not_saved(tmp_path, monkeypatch):
    """A real kernel: exercise 01.1 runs as it is on disk, 01.2 was edited after it ran."""
    first, second = list(checks.exercises("01").values())[:2]
    stub = "def {0}(*args):\n    return {1}"
    cells = [
        nbformat.v4.new_code_cell(stub.format(item.needs[0], 1), id=f"exercise-{item.id.replace('.', '-')}") for item in (first, second)
    ]
    notebook = nbformat.v4.new_notebook(cells=[*cells, nbformat.v4.new_code_cell("from utils.checks import hand_in\nhand_in('01')")])
    saved = copy.deepcopy(notebook)
    saved.cells[1].source = stub.format(second.needs[0], 2)
    file = tmp_path / "01_tensors.ipynb"
    file.write_text(json.dumps(saved))
    monkeypatch.setenv("JPY_SESSION_NAME", str(file))
    NotebookClient(notebook, kernel_name="python3").execute()
    text = notebook.cells[-1].outputs[-1]["data"]["text/plain"]
    assert f"differs from what you ran in {second.id}:" in text and str(file) in text


def test_an_answer_that_never_returns_can_be_interrupted(tmp_path):
    """A real kernel: the interrupt button ends the check, and the next one works."""
    first = next(iter(checks.exercises("01").values()))
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
    try:
        endless = "import _thread\n    _thread.interrupt_main()\n    while True: pass"  # as the interrupt button does
        client.execute_interactive(f"def {first.needs[0]}(*args, **kwargs):\n    {endless}")
        client.execute(f"from utils.checks import check\ncheck({first.id!r})", stop_on_error=False)  # the next cell is run
        assert client.get_shell_msg(timeout=60)["content"]["ename"] == "KeyboardInterrupt"
        client.execute(f"del {first.needs[0]}\ncheck({first.id!r})")
        assert client.get_shell_msg(timeout=60)["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
evidence = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=8
)


@given(evidence)
def test_plain_values_pass_unchanged(value):
    def depth(item):
        children = item if isinstance(item, list) else item.values() if isinstance(item, dict) else ()
        return 1 + max(map(depth, children), default=0)

    if depth(value) < 8:
        assert engine.plain(value) == value


STRANGE = [object(), torch.nn.Linear(1, 1), lambda: 0, np.zeros(2), types.SimpleNamespace(), {1, 2}, torch.eye(2).to_sparse()]


@pytest.mark.parametrize("value", STRANGE)
def test_what_is_not_plain_becomes_strange(value):
    assert isinstance(engine.plain(value), engine.Strange)


def test_evidence_holds_no_graph_and_no_subclass():
    parameter = torch.nn.Parameter(torch.ones(2))
    assert type(engine.plain(parameter)) is torch.Tensor and not engine.plain(parameter * 2).requires_grad


@given(st.integers(0, 11), st.sampled_from([torch.float32, torch.float64, torch.int64]))
def test_close_finds_one_wrong_value(index, dtype):
    want = torch.arange(12, dtype=dtype).reshape(3, 4)
    engine.Case().close(want.clone(), want)
    got = want.clone()
    got.view(-1)[index] += 1
    with pytest.raises(engine.Failed, match=rf"1 of 12 values differ; .* at \[{index // 4}, {index % 4}\]"):
        engine.Case().close(got, want)


def test_close_tells_nan_from_a_number():
    nan = torch.tensor([float("nan"), 1.0])
    engine.Case().close(nan, nan, finite=False)
    with pytest.raises(engine.Failed):
        engine.Case().close(nan, torch.ones(2), finite=False)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_evidence_that_is_no_number_agrees_with_nothing(value):
    """Where what is right is computed from evidence, nan would agree with itself."""
    with pytest.raises(engine.Failed, match="1 of 2 values differ"):
        engine.Case().close(torch.tensor([value, 1.0]), torch.tensor([value, 1.0]))
