"""How an exercise is checked, in three parts that can run in three places.

`inputs(rng)` draws the cases, `probe(student, **inputs)` runs the student's code and reports *evidence* (tensors and plain
values, never a verdict), `judge(case, ...)` compares the evidence with torch. A notebook runs all three in one process.
"""

import contextlib
import copy
import hashlib
import inspect
import linecache
import random
import re
import textwrap
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from .panel import CORRECT, ERROR, NOT_ATTEMPTED, PARTLY, WRONG, Result


class NotAttempted(NotImplementedError):
    """Raised by the stub of an exercise that nobody has filled in yet."""


class Failed(Exception):
    """Ends a case; its text is what the student reads. `named` is True where it names a misconception."""

    def __init__(self, message: str, named: bool = False):
        super().__init__(message)
        self.named = named


@dataclass(frozen=True)
class Exercise:
    """One exercise: what `@exercise` makes of a check's class."""

    id: str
    title: str
    points: int
    needs: tuple[str, ...]
    inputs: Callable
    probe: Callable
    judge: Callable
    reference: str | None = None
    errors: dict[str, str] = field(default_factory=dict)  # part of "function: Type: message" -> what it usually means
    mutates: tuple[str, ...] = ()


REGISTRY: dict[str, Exercise] = {}


def exercise(id: str, points: int, needs: list[str], reference: str | None = None):
    """Class decorator: register a check.

    Args:
        id: "LAB.NUMBER", such as "02.1".
        points: of a correct answer; a partly correct one gets half.
        needs: names that the student defines.
        reference: "module:name" of the course's own answer, where a later cell of the lab needs one.
    """

    def register(cls):
        if id in REGISTRY and REGISTRY[id].inputs.__module__ != cls.__module__:
            raise ValueError(f"exercise {id} is registered twice: {cls.__module__} and {REGISTRY[id].inputs.__module__}")
        parts = vars(cls)
        REGISTRY[id] = Exercise(
            id=id,
            title=inspect.getdoc(cls).splitlines()[0].rstrip("."),
            points=points,
            needs=tuple(needs),
            inputs=parts["inputs"],
            probe=parts["probe"],
            judge=parts["judge"],
            reference=reference,
            errors=parts.get("errors", {}),
            mutates=tuple(parts.get("mutates", ())),
        )
        return cls

    return register


class Rng:
    """Seeded random inputs; the names are torch's. Every tensor is on the CPU."""

    def __init__(self, seed: int | str):
        digest = hashlib.sha256(str(seed).encode()).digest()
        self.generator = torch.Generator().manual_seed(int.from_bytes(digest[:6], "big"))

    def randn(self, *shape: int, dtype=torch.float32) -> torch.Tensor:
        return torch.randn(*shape, generator=self.generator, dtype=dtype)

    def rand(self, *shape: int, dtype=torch.float32) -> torch.Tensor:
        return torch.rand(*shape, generator=self.generator, dtype=dtype)

    def randint(self, low: int, high: int, shape, dtype=torch.int64) -> torch.Tensor:
        return torch.randint(low, high, tuple(shape), generator=self.generator, dtype=dtype)

    def randperm(self, n: int) -> torch.Tensor:
        return torch.randperm(n, generator=self.generator)

    def integer(self, low: int, high: int) -> int:
        """One int from low to high - 1."""
        return int(self.randint(low, high, (1,)))

    def choice(self, options):
        return options[self.integer(0, len(options))]


@dataclass(frozen=True)
class Strange:
    """Stands in evidence for a value that is neither a tensor nor plain; it does not travel itself."""

    type_name: str
    text: str


def plain(value, depth: int = 0):
    """A value as evidence: tensors detached and on the CPU, numbers, texts, lists and dicts of those; else `Strange`."""
    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided or value.device.type == "meta":
            return Strange(f"{value.layout} tensor", "")
        return value.detach().as_subclass(torch.Tensor).cpu().clone()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.generic):
        return plain(value.item(), depth + 1) if depth < 8 else Strange("numpy scalar", "")
    if isinstance(value, (torch.dtype, torch.device)):
        return str(value)
    if isinstance(value, (list, tuple)) and depth < 8:
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, dict) and depth < 8:
        return {key if type(key) in (str, int) else str(key): plain(item, depth + 1) for key, item in value.items()}
    try:
        text = repr(value)[:200]
    except Exception:  # a student's __repr__ may fail
        text = ""
    return Strange(f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins."), text)


def describe(value) -> str:
    """A value in a few words, for messages."""
    if isinstance(value, torch.Tensor):
        name = f"{str(value.dtype).removeprefix('torch.')} tensor of shape {tuple(value.shape)}"
        return f"{name}: {value.tolist()}" if value.numel() <= 6 else name
    if isinstance(value, Strange):
        return f"a {value.type_name}" + (f" ({value.text})" if value.text else "")
    if value is None:
        return "None"
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "…"


def _tolerance(dtype: torch.dtype) -> tuple[float, float]:
    """(rtol, atol): loose enough for another order of summation, tight enough for another formula."""
    return {torch.float64: (1e-7, 1e-9), torch.float32: (1e-4, 1e-5), torch.complex64: (1e-4, 1e-5)}.get(dtype, (1e-2, 1e-2))


def _close(got: torch.Tensor, want: torch.Tensor, rtol, atol) -> torch.Tensor:
    """bool tensor of `want`'s shape: which elements agree."""
    if not (got.is_floating_point() or got.is_complex() or want.is_floating_point() or want.is_complex()):
        return got == want
    default_rtol, default_atol = _tolerance(want.dtype)
    wide = torch.complex128 if got.is_complex() or want.is_complex() else torch.float64
    return torch.isclose(got.to(wide), want.to(wide), rtol=default_rtol if rtol is None else rtol,
                         atol=default_atol if atol is None else atol, equal_nan=True)


def _variants(wrong) -> list:
    return list(wrong) if isinstance(wrong, (list, tuple)) else [wrong]


class Case:
    """What a judge asks. The first question that the evidence fails ends the case with its message."""

    def close(self, got, want, what: str = "The result", mistakes: dict | None = None, rtol=None, atol=None,
              dtype: bool = True, finite: bool = True) -> None:
        """A tensor equals another up to rounding.

        Args:
            got: evidence.
            want: tensor (or number) that it should be.
            what: how to call it in a message.
            mistakes: message -> tensor (or a list of tensors) that this misconception gives.
            rtol, atol: tolerances; by default they follow the dtype of `want`.
            dtype: whether the dtypes must agree.
            finite: whether nan and inf are wrong even where `want` has them: it may have been computed from evidence.
        """
        want = torch.as_tensor(want)
        if not isinstance(got, torch.Tensor):
            hint = " Is a `return` missing?" if got is None else ""
            if isinstance(got, list) and len(got) == 1:
                hint = " The tensor is inside a tuple or a list: take `[0]`."
            raise Failed(f"{what} should be a torch.Tensor; it is {describe(got)}.{hint}")
        right_dtype = got.dtype == want.dtype or not dtype
        agree = _close(got, want, rtol, atol) if got.shape == want.shape else None
        if agree is not None and finite:
            agree &= got.isfinite()
        if agree is not None and right_dtype and agree.all():
            return
        for message, wrong in (mistakes or {}).items():
            for variant in map(torch.as_tensor, _variants(wrong)):
                if got.shape != variant.shape or not _close(got, variant, rtol, atol).all():
                    continue
                says_dtype = variant.dtype != want.dtype and got.dtype == variant.dtype
                says_values = variant.shape != want.shape or not _close(variant, want, rtol, atol).all()
                if says_dtype or says_values:
                    raise Failed(message, named=True)
        if got.shape != want.shape:
            raise Failed(f"{what} has shape {tuple(got.shape)}; wanted {tuple(want.shape)}.")
        if not right_dtype:
            raise Failed(f"{what} has dtype {got.dtype}; wanted {want.dtype}.")
        place = tuple((~agree).nonzero()[0].tolist())
        where = f" at {list(place)}" if place else ""
        count = f"{int((~agree).sum())} of {agree.numel()} values differ; " if agree.numel() > 1 else ""
        a, b = got[place].item(), want[place].item()
        digits = 6 if f"{a:.6g}" != f"{b:.6g}" else 12
        raise Failed(f"{what}: {count}got {a:.{digits}g}{where}, wanted {b:.{digits}g}.")

    def equal(self, got, want, what: str = "The result", mistakes: dict | None = None) -> None:
        """A plain value equals another (a list and a tuple with the same items are equal; so are 2 and 2.0)."""
        got, want = _normal(got), _normal(want)
        if _same(got, want):
            return
        for message, wrong in (mistakes or {}).items():
            if any(_same(got, _normal(variant)) for variant in _variants(wrong)) or _same(got, _normal(wrong)):
                raise Failed(message, named=True)
        raise Failed(f"{what} is {describe(got)}; wanted {describe(want)}.")

    def that(self, condition, message: str) -> None:
        """A condition holds, else the message (which should name the misconception)."""
        if not bool(condition):
            raise Failed(message, named=True)


def _normal(value):
    if isinstance(value, (list, tuple)):
        return [_normal(item) for item in value]
    if isinstance(value, dict):
        return {key: _normal(item) for key, item in value.items()}
    return value


def _same(got, want) -> bool:
    if isinstance(got, torch.Tensor) or isinstance(want, torch.Tensor):
        return isinstance(got, torch.Tensor) and isinstance(want, torch.Tensor) and got.dtype == want.dtype and torch.equal(got, want)
    if isinstance(got, list) and isinstance(want, list):
        return len(got) == len(want) and all(map(_same, got, want))
    if isinstance(got, dict) and isinstance(want, dict):
        return got.keys() == want.keys() and all(_same(got[key], want[key]) for key in want)
    if isinstance(got, bool) != isinstance(want, bool):  # True is not the number 1 here
        return False
    return got == want


class Student:
    """The student's names, as a probe sees them: `student.train` is what the notebook calls `train`."""

    def __init__(self, namespace: dict):
        self._namespace = namespace

    def __getattr__(self, name: str):
        if name not in self._namespace:
            raise NotAttempted(f"`{name}` is not defined: run the exercise's cell first.")
        value = self._namespace[name]
        if value is None or value is ...:
            raise NotAttempted(f"`{name}` has no value yet.")
        whose = {"utils": "the course's", "torch": "PyTorch's"}.get((getattr(value, "__module__", None) or "").split(".")[0])
        if whose and isinstance(value, (type, types.FunctionType)):
            raise NotAttempted(f"`{name}` is {whose} own, not yours.")
        return value


def probe_source(item: Exercise) -> str:
    """The probe's source, which is all of a check that a sandbox gets to see."""
    return textwrap.dedent(inspect.getsource(item.probe))


def _load_probe(source: str, id: str) -> Callable:
    """The probe compiled from its source alone: what it needs beyond `torch` it must import itself."""
    scope = {"torch": torch}
    exec(compile(source, f"<probe of {id}>", "exec"), scope)
    return scope["probe"]


@contextlib.contextmanager
def _as_it_was():
    """Run student code from a known random state, and leave the process as it was before."""
    states = random.getstate(), np.random.get_state(), torch.get_default_dtype()
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
            torch.set_default_dtype(states[2])


def draw_cases(item: Exercise, seed: int | str = 0) -> list[dict]:
    """All inputs of an exercise; names that start with an underscore stay with the judge."""
    with _as_it_was():
        return list(item.inputs(Rng(f"{seed}/{item.id}")))


def sent(case: dict) -> dict:
    """The part of a case that the probe gets."""
    return {name: value for name, value in case.items() if not name.startswith("_")}


def reply(question: dict, namespace: dict) -> dict:
    """Run the student's code on one case; in the grader's sandbox too. Raises nothing but KeyboardInterrupt.

    Args:
        question: of `ask_about`.
        namespace: the notebook's names.
    Returns:
        plain values: {"evidence", "after"} (the inputs as the student's code left them), {"missing", "function"} where
        the exercise is not attempted, or {"error", "function", "line", "source", "hidden"}.
    """
    inputs = copy.deepcopy(question["inputs"])
    student = Student(namespace)
    try:
        for name in question["needs"]:
            getattr(student, name)
        with _as_it_was():
            evidence = _load_probe(question["probe"], question["id"])(student, **inputs)
            return {"evidence": plain(evidence), "after": plain(inputs)}
    except KeyboardInterrupt:
        raise
    except NotAttempted as error:
        frames = student_frames(error, namespace)
        return {"missing": str(error), "function": frames[-1][0].co_name if frames else None}
    except BaseException as error:  # SystemExit too: `exit()` in an answer must not end the notebook
        return _report(error, namespace)


def ask_about(item: Exercise, case: dict) -> dict:
    """What the student's side needs to answer one case; it holds no answer."""
    return {"id": item.id, "needs": list(item.needs), "probe": probe_source(item), "inputs": sent(case)}


def judge_case(item: Exercise, case: dict, evidence: dict, after: dict) -> None:
    """Raise `Failed` unless the evidence of one case is right."""
    wanted = [name for name in inspect.signature(item.judge).parameters if name != "case"]
    try:
        known = evidence | case  # what the judge knows itself is never taken from a reply
        with _as_it_was():
            item.judge(Case(), **{name: known[name] for name in wanted})
    except Failed:
        raise
    except Exception as error:
        raise Failed(f"Your result could not be compared with the right one ({type(error).__name__}: {error}).") from error
    for name, value in sent(case).items():
        left = after.get(name)
        if name not in item.mutates and not _same(left, plain(value)) and not _nan_twins(left, value):
            kind, copied = {dict: ("dict", f"dict({name})"), list: ("list", f"list({name})")}.get(type(value), ("tensor", f"{name}.clone()"))
            raise Failed(f"The result is right, but your code changed its input `{name}` in place. Work on a new {kind} (for example `{name} = {copied}`).", named=True)


def _nan_twins(a, b) -> bool:
    """Whether two float tensors differ only in that NaN is not equal to itself."""
    return isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) and a.shape == b.shape and a.dtype == b.dtype and bool(_close(a, b, 0, 0).all())


def case_name(item: Exercise, case: dict, number: int, total: int) -> str:
    """How a message calls a case: its `_case` label, else what its tensors look like."""
    def words(name, value):
        note = "" if value.is_contiguous() else ", non-contiguous"
        return f"`{name}`: {str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}{note}"

    tensors = [words(name, value) for name, value in sent(case).items() if isinstance(value, torch.Tensor)]
    label = case.get("_case") or ", ".join(tensors[:3])
    return f"Case {number} of {total}" + (f" ({label})" if label else "")


def student_frames(error: BaseException, namespace: dict) -> list[tuple[types.CodeType, int]]:
    """The student's functions that an exception came through, outermost first: (code, line in its file)."""
    frames, trace = [], error.__traceback__
    while trace:
        if trace.tb_frame.f_globals is namespace:
            frames.append((trace.tb_frame.f_code, trace.tb_lineno))
        trace = trace.tb_next
    return frames


def _report(error: BaseException, namespace: dict) -> dict:
    """An exception of the student's code in plain values: what, where, and which of Python's names were overwritten."""
    frames = student_frames(error, namespace)
    try:
        text = f"{type(error).__name__}: {error}"
    except Exception:  # a student's __str__ may fail
        text = type(error).__name__
    report = {"error": text, "function": None, "line": 0, "source": "",
              "hidden": hidden_names(namespace, {name for code, _ in frames for name in code.co_names})}
    if frames:
        code, line = frames[-1]
        source = linecache.getline(code.co_filename, line).strip()
        report |= {"function": code.co_name, "line": line - code.co_firstlineno + 1, "source": source}
    return report


def explain_error(item: Exercise, report: dict) -> Failed:
    """An exception of the student's code as a message: what, where, and what it usually means."""
    text, function, named, where = report["error"], report["function"], False, ""
    if function:
        where = f"\nIn `{function}`, line {report['line']} of it" + (f": `{report['source']}`" if report["source"] else "")
    full_text = f"{function}: {text}" if function else text
    for fragment, meaning in item.errors.items():
        if fragment in full_text:
            said = re.sub(r"\x1b\[\d*m", "", text.partition("\n")[0])  # torch's longest messages have colours and ten lines
            text, named = f"{meaning}\n(Python says: {said if len(said) <= 200 else said[:200] + '…'})", True
            break
    return Failed(text + where + (f"\n{report['hidden']}" if report["hidden"] else ""), named=named)


BUILTINS = "abs all any dict enumerate filter float input int iter len list map max min next object print range round set sorted str sum tuple type zip"
MODULES = {"torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional", "np": "numpy", "plt": "matplotlib.pyplot"}


def hidden_names(namespace: dict, used: set[str]) -> str:
    """A sentence about names of Python or torch that the code used and the notebook has overwritten, or an empty text."""
    lost = [name for name in BUILTINS.split() if name in namespace and name in used]
    broken = [name for name in MODULES if name in used and not isinstance(namespace.get(name, types), types.ModuleType)]
    notes = []
    if lost:
        notes.append(f"Your notebook has a variable `{lost[0]}`, which hides Python's own `{lost[0]}`: rename it, and run `del {lost[0]}`.")
    if broken:
        notes.append(f"In your notebook `{broken[0]}` is no longer the module `{MODULES[broken[0]]}`: run the import cell again.")
    return "\n".join(notes)


def _what_is_missing(item: Exercise, text: str, function: str | None) -> str:
    """The sentence for a `NotAttempted`; a stub's text is the id of its exercise, which may be another one."""
    if " " in text:
        return text
    if text not in ("", item.id):
        return f"Your answer calls exercise {text}, which is not attempted yet."
    what = f"`{function}`" if function else "the cell of this exercise"
    return f"Fill in {what} (its line `raise NotAttempted` must go), run the cell, then run this one."


LEAD = "The plain case works, another does not. "  # begins the message of a partly correct answer
LONGEST = 6000  # characters of a message: it may quote what came back


def run(item: Exercise, ask: Callable[[dict], dict], seed: int | str = 0, only_first: bool = False) -> Result:
    """Check one exercise.

    Args:
        ask: takes a question of `ask_about` to where the student's code is, and brings the `reply`.
        only_first: the first case only.
    Raises:
        nothing of its own; what `ask` raises.
    """
    cases = draw_cases(item, seed)
    passed, first_failure, outcome = 0, None, CORRECT
    for number, case in enumerate(cases[:1] if only_first else cases, start=1):
        answer = ask(ask_about(item, case))
        if "missing" in answer:
            return Result(item, NOT_ATTEMPTED, 0.0, _what_is_missing(item, answer["missing"], answer["function"]))
        try:
            if "error" in answer:
                raise explain_error(item, answer)
            judge_case(item, case, answer["evidence"], answer["after"])
            passed += 1
        except Failed as failure:
            label = case_name(item, case, number, len(cases))
            first_failure = Failed(f"{failure}\n{label}." if len(cases) > 1 else str(failure), failure.named)
            outcome = PARTLY if passed else ERROR if "error" in answer else WRONG
            break
    if outcome == CORRECT:
        return Result(item, CORRECT, float(item.points), "")
    message = (LEAD if outcome == PARTLY else "") + str(first_failure)
    if len(message) > LONGEST:
        message = message[:LONGEST] + "…"
    return Result(item, outcome, item.points / 2 if outcome == PARTLY else 0.0, message, first_failure.named)


def run_here(item: Exercise, namespace: dict, seed: int | str = 0, only_first: bool = False) -> Result:
    """Check one exercise against the names of this very process, as a notebook does."""
    return run(item, lambda question: reply(question, namespace), seed, only_first)
