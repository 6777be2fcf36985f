"""A folder of submissions → a grade for each, a page for each student, a page for the instructor.

This process reads the files and keeps the results; it runs no student's code, and neither do the processes of its
executor, which judge: they hold the inputs, the labels and the right answers, and send questions into a sandbox.
"""

import functools
import hashlib
import json
import multiprocessing
import os
import resource
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from . import finding, report, results, submission, written
from .archives import Unplaced
from .notebook import Unreadable
from .results import FAULT, NOT_RUN, ExerciseResult, Graded, WrittenAnswer
from .room import SandboxError, find_bubblewrap
from .sandbox import Ended, Limits, Sandbox, Sandboxes

RESTARTS = 4  # fresh sandboxes for one submission whose code ends its process again and again
ATTEMPTS = 3  # of a job whose process of the grader died
JUDGING = 8 * 2**30  # bytes of memory for the process that judges: what it is told may be made to take much
PAGES = ("alike.py", "entries.py", "report.py", "tables.py", "written.py")  # they make no grade
COUNTED = "counted.json"  # which results count, and the files that could not be placed


class GradeError(Exception):
    """Grading cannot go on; the message says why, and what to do."""


@dataclass(frozen=True)
class Job:
    """One submission to grade, with all that a process elsewhere needs for it."""

    student: str
    lab: str
    origin: str
    raw: bytes = field(repr=False)
    seed: str
    limits: Limits
    mode: str  # of `Sandboxes`
    hidden: tuple[str, ...] = ()  # folders that no submission may see
    platform: str = ""  # the student's number, as in `Found`

    @property
    def key(self) -> str:
        """Of its result's file: another submission, check, seed or limit has another one."""
        parts = (self.student, self.lab, self.origin, self.platform, self.seed, repr(self.limits), self.mode, version(self.lab))
        digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass"))
        digest.update(hashlib.sha256(self.raw).digest())
        return digest.hexdigest()[:32]


@functools.cache
def version(lab: str) -> str:
    """A hash of all that a lab's grades depend on beside the submission: its checks and notebook, `utils`, the grader."""
    root = Path(__file__).parents[2]
    others = {path for path in root.glob("utils/checks/lab_*.py") if not path.name.startswith(f"lab_{lab}_")}
    others |= {root / "course/grader" / name for name in PAGES}
    files = {*root.glob(f"notebooks/{lab}_*.ipynb"), *root.glob("utils/**/*.py"), *root.glob("course/grader/*.py")}
    hashes = (hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files - others))
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


# ------------------------------------------------------------------------------------------- one submission


_one_at_a_time = threading.Lock()  # a cluster's process may have several threads; torch's random state is one for all


def grade_one(job: Job) -> Graded:
    """Grade one submission. A fault of the grader is in the result; it raises nothing but KeyboardInterrupt."""
    with _one_at_a_time:
        return _grade_one(job)


def _grade_one(job: Job) -> Graded:
    graded = Graded(job.student, job.lab, job.origin, unsafe=job.mode == "unsafe", platform=job.platform)
    items = _exercises(job.lab)
    try:
        work = submission.prepare(job.raw, submission.release(job.lab))
    except Unreadable as error:
        return _unreadable(graded, error)
    except Exception as error:
        return _fault(graded, items, error)
    otherwise = finding.named_otherwise(job.origin, job.lab)
    graded.notes = [*([otherwise] if otherwise else []), *work.notes]
    questions = submission.release(job.lab).written
    graded.written = [WrittenAnswer(cell, questions.get(cell, ""), text) for cell, text in work.written.items()]
    try:
        with Attempts(_sandboxes(job.lab, job.limits, job.mode, job.hidden), work.cells, work.places) as attempts:
            for item in items.values():
                graded.exercises.append(attempts.grade(item, job.seed, work.answers.get(item.id, "")))
    except Exception as error:
        return _fault(graded, items, error)
    graded.notes += attempts.notes
    graded.flags |= attempts.flags
    return graded


class Attempts:
    """The sandbox of one submission, and a fresh one where its code ended the one before.

    Args:
        sandboxes: where they come from.
        cells: the notebook's cells, in the order to run.
        places: id of a cell -> what to call it, such as "cell 7".
    Attributes:
        notes: sentences for the student; flags: for the instructor.
    """

    def __init__(self, sandboxes: Sandboxes, cells: list[dict], places: dict[str, str]):
        self.sandboxes, self.cells, self.places = sandboxes, list(cells), places
        self.left_out: dict[str, str] = {}  # source of a cell -> why it does not run
        self.sandbox: Sandbox | None = None
        self.started, self.notes, self.flags = 0, [], {}

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def close(self) -> None:
        if self.sandbox:
            self.sandbox.close()
        self.sandbox = None

    def grade(self, item, seed: str, answer: str) -> ExerciseResult:
        """Judge one exercise; what ends the sandbox costs this exercise, and no other."""
        from utils.checks import engine

        problem = self._ready()
        if problem:
            return _result(item, 0.0, NOT_RUN, problem, answer=answer)
        try:
            result = engine.run(item, self.sandbox.ask, seed)
        except Ended as end:
            self._note(end)
            self.close()
            return _result(item, 0.0, engine.ERROR, str(end), answer=answer)
        if result.outcome == engine.NOT_ATTEMPTED:
            reason = next((reason for source, reason in self.left_out.items() if source and source in answer), "")
            if reason:
                return _result(item, 0.0, engine.ERROR, reason, answer=answer)
        misconception = result.message.removeprefix(engine.LEAD).partition("\n")[0] if result.named else ""
        return _result(item, result.points, result.outcome, result.message, misconception, answer)

    def _ready(self) -> str:
        """Have a sandbox in which the cells have run, without those that end it; "" or why there is none."""
        while self.sandbox is None:
            if self.started > RESTARTS:
                return f"Not run: your notebook ended Python {self.started} times before this exercise."
            self.started += 1
            self.sandbox = self.sandboxes.new()
            try:
                ran = self.sandbox.run_cells(self.cells)
            except Ended as end:
                self._note(end)
                self.close()
                if end.cell is None:
                    return f"Not run: {end}"
                self._leave_out(end)
                continue
            if self.started == 1:
                errors = [f"{self._place(cell['id'])} stopped with {cell['error']}" for cell in ran if cell["error"]]
                self.notes += [text if len(text) <= 300 else f"{text[:299]}…" for text in errors[:20]]
        return ""

    def _place(self, id: str) -> str:
        place = self.places.get(id, "a cell")
        return place[0].upper() + place[1:]

    def _leave_out(self, end: Ended) -> None:
        """The others run without the cell that ended the sandbox."""
        self.notes.append(f"{self._place(end.cell)} was left out, since it ended Python or did not come to an end: {end}")
        self.left_out |= {cell["source"].strip(): str(end) for cell in self.cells if cell["id"] == end.cell}
        self.cells = [cell for cell in self.cells if cell["id"] != end.cell]

    def _note(self, end: Ended) -> None:
        if end.kind == "machine":  # no zero for what others may have done: it is graded again with the next run
            raise SandboxError("the machine ran out of memory")
        kind = {"time": "time-out", "protocol": "attack"}.get(end.kind)
        if kind:
            self.flags[kind] = str(end)


def _result(item, points, outcome, message="", misconception="", answer="") -> ExerciseResult:
    return ExerciseResult(item.id, item.title, points, item.points, outcome, message, misconception, answer)


def _unreadable(graded: Graded, error: Exception) -> Graded:
    graded.problem = graded.flags["unreadable"] = str(error)
    graded.exercises = [_result(item, 0.0, NOT_RUN, str(error)) for item in _exercises(graded.lab).values()]
    return graded


def _fault(graded: Graded, items: dict, error: Exception) -> Graded:
    """No points and no zero: a person must look."""
    text = f"The grader failed on this submission ({type(error).__name__}: {error}). This is not the student's fault."
    graded.exercises = [_result(item, None, FAULT, text) for item in items.values()]
    graded.flags["fault"] = text
    return graded


@functools.cache
def _exercises(lab: str) -> dict:
    import torch

    from utils import checks

    torch.set_num_threads(1)  # several of these processes judge at once
    return checks.exercises(lab)


_open: dict[tuple, Sandboxes] = {}  # at most one: submissions come lab by lab


def _sandboxes(*which) -> Sandboxes:
    """This process's sandboxes for a lab, limits, mode and hidden folders; those for another lab are closed."""
    if which not in _open:
        while _open:
            _open.popitem()[1].close()
        _open[which] = Sandboxes(*which)
    return _open[which]


# ------------------------------------------------------------------------------------------ many submissions


def _begin(queue) -> None:
    """Begin a job's process: it ends with the command, killed or not, and keeps to its processor if it got one."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (JUDGING if hard == resource.RLIM_INFINITY else min(JUDGING, hard), hard))
    core = queue.get()
    if core is not None:
        os.sched_setaffinity(0, {core})  # with all that it starts: two jobs do not disturb each other


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)  # its sandboxes end with it


def processes(jobs: int) -> Executor:
    """An executor of `jobs` processes on this machine; of several each has a processor of its own, while there are enough."""
    context = multiprocessing.get_context("spawn")
    can_pin = jobs > 1 and hasattr(os, "sched_setaffinity")
    cores = sorted(os.sched_getaffinity(0)) if can_pin else [None]
    queue = context.SimpleQueue()
    for number in range(jobs):
        queue.put(cores[number % len(cores)])
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(queue,))


def on_cluster(address: str) -> tuple[Callable[[], Executor], int]:
    """What makes an executor of a Dask cluster, and the number of its processes; it must have this package installed.

    Raises:
        GradeError: no scheduler answers there, or Dask is not installed.
    """
    try:
        from distributed import Client
    except ImportError:
        raise GradeError("--dask needs Dask: pip install distributed") from None
    try:
        client = Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise GradeError(f"No Dask scheduler answers at {address}: {error}") from None
    return functools.partial(client.get_executor, retries=ATTEMPTS, pure=False), max(1, len(client.nthreads()))


def run_all(jobs: Iterable[Job], executor: Callable[[], Executor], window: int) -> Iterator[tuple[Job, Graded]]:
    """Grade jobs as they come, at most `window` at once; a process that dies takes no other submission with it.

    Args:
        executor: makes one; called again when its processes died.
    """
    coming, again, tries = iter(jobs), [], {}
    while True:
        with executor() as pool:
            pending: dict[Future, Job] = {}
            try:
                while True:
                    while len(pending) < _at_once(again, pending.values(), tries, window) and (
                        job := again.pop() if again else next(coming, None)
                    ):
                        try:
                            pending[pool.submit(grade_one, job)] = job
                        except BrokenProcessPool:  # a death since we last looked, of which this job is innocent
                            again.append(job)
                            raise
                    if not pending:
                        return
                    for future in wait(pending, return_when=FIRST_COMPLETED).done:
                        try:
                            graded = future.result()
                        except BrokenProcessPool:
                            raise
                        except Exception as error:  # a cluster's own: its worker was lost again and again
                            graded = _lost(pending[future], error)
                        yield pending.pop(future), graded
            except BrokenProcessPool:
                for future in [future for future in pending if future.done() and not future.exception()]:
                    yield pending.pop(future), future.result()
                for job in pending.values():
                    tries[job.key] = tries.get(job.key, 0) + 1
                    if tries[job.key] < ATTEMPTS:
                        again.append(job)
                    else:
                        yield job, _lost(job, SandboxError("the process that judged it died"))


def _at_once(again: list[Job], running: Iterable[Job], tries: dict[str, int], window: int) -> int:
    """How many jobs may run: after a death one, while a job that ran then is left, so that the one who did it is found."""
    return 1 if again or any(job.key in tries for job in running) else window


def _lost(job: Job, error: Exception) -> Graded:
    return _fault(Graded(job.student, job.lab, job.origin, platform=job.platform), _exercises(job.lab), error)


def grade(submissions: Path, out: Path, lab: str | None = None, mapping: Path | None = None, seed: str | None = None,
          limits: Limits | None = None, mode: str = "fork", executor: Callable[[], Executor] | None = None,
          jobs: int = 1) -> list[Graded]:
    """Grade a folder of submissions into a folder of grades; what is graded there already is not graded again.

    Args:
        submissions: a folder, in any layout that `finding.find` knows.
        out: gets `results/` (a file a submission), `seed`, and what `report.write_all` writes.
        lab: grade this lab only.
        executor: makes what runs `grade_one`; by default `jobs` processes on this machine.
    Raises:
        GradeError: with the reason, and what to do.
    """
    limits = limits or Limits()
    if mode != "unsafe" and executor is None:
        find_bubblewrap()  # better now than a fault for each submission
    if not submissions.is_dir():
        raise GradeError(f"There is no folder {submissions}.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with FileLock(out / ".lock", timeout=0):
            _sweep(out)
            seed = _seed(out, seed)
            found, unplaced = _find(submissions, lab, mapping)
            shared = seed, limits, mode, (str(submissions.resolve()), str(out.resolve()))
            paths = _kept(found, out, shared, executor or functools.partial(processes, jobs), jobs)
            counted = {"results": [path.name for path in paths], "unplaced": [[one.origin, one.reason] for one in unplaced]}
            results.update(out / COUNTED, json.dumps(counted, indent=1) + "\n")
            return _report(out)
    except Timeout:
        raise GradeError(f"Another process is grading into {out}. Wait for it, or stop it.") from None
    except OSError as error:
        raise GradeError(f"{error}. What is graded is kept in {out}: the same command goes on from there.") from error


def _find(*arguments) -> tuple[list, list]:
    try:
        return finding.find(*arguments)
    except ValueError as error:  # a MappingError too
        raise GradeError(str(error)) from None


def merge(out: Path, sheet: Path) -> list[str]:
    """Take a filled-in sheet of written answers into a folder of grades, and write its pages and tables anew.

    Returns:
        one sentence for each row that could not be used.
    Raises:
        GradeError, written.SheetError: with the reason, and what to do.
    """
    if not (out / COUNTED).exists():
        raise GradeError(f"{out} is no folder of grades: name the one that `grade --out` made.")
    try:
        with FileLock(out / ".lock", timeout=0):
            problems = written.merge_written(out, sheet)
            _report(out)
            return problems
    except Timeout:
        raise GradeError(f"Another process is grading into {out}. Wait for it, or stop it.") from None
    except OSError as error:
        raise GradeError(f"{error}. Nothing is lost: the same command does the rest.") from error


def _report(out: Path) -> list[Graded]:
    """Write pages and tables of the results that count: `out` may keep others, of an earlier state of a submission."""
    try:
        counted = json.loads((out / COUNTED).read_text(encoding="utf-8"))
        graded = [_read(out / "results" / name) for name in counted["results"]]
        unplaced = [Unplaced(*one) for one in counted["unplaced"]]
    except (ValueError, KeyError, TypeError):
        graded = [None]
    if None in graded:
        raise GradeError(f"A result in {out} is lost or damaged: grade once more, which makes only that one anew.")
    report.write_all(out, graded, unplaced)
    return graded


def _sweep(out: Path) -> None:
    """Remove what a grader that was killed had half written."""
    for folder in (out, out / "results", out / "feedback"):
        for path in folder.glob(".*.part"):
            path.unlink()


def _seed(out: Path, wanted: str | None) -> str:
    """The seed of a folder of grades: drawn once, secret from students, the same whenever grading goes on."""
    path = out / "seed"
    if path.exists():
        stored = path.read_text(encoding="utf-8").strip()
        if wanted not in (None, stored):
            raise GradeError(f"{out} was graded with the seed {stored}, not {wanted}. Name another folder for other seeds.")
        return stored
    results.write(path, f"{wanted or secrets.token_hex(8)}\n")
    return path.read_text(encoding="utf-8").strip()


def _kept(found, out: Path, shared: tuple, executor, jobs: int) -> list[Path]:
    """The files with the results of all submissions, in order: those that are in `out` already, and the rest graded now.

    Args:
        shared: what all jobs have in common: seed, limits, mode, hidden folders.
    """
    paths = []

    def missing() -> Iterator[Job]:
        for one in found:
            job = _job(one, *shared)
            paths.append(_path(out, job))
            if isinstance(job, Job):
                before = _read(paths[-1])
                if before is None or "fault" in before.flags:  # perhaps it goes well now
                    yield job
                    continue
            else:
                results.write(paths[-1], job.to_json())
            bar.update()

    with tqdm(total=len(found), unit=" submissions", desc="grading") as bar:
        for job, graded in run_all(missing(), executor, window=2 * jobs):
            results.write(_path(out, job), graded.to_json())
            bar.update()
    return paths


def _job(one, *shared) -> Job | Graded:
    try:
        return Job(one.student, one.lab, one.origin, one.read(), *shared, platform=one.platform)
    except Unreadable as error:
        return _unreadable(Graded(one.student, one.lab, one.origin, platform=one.platform), error)


def _path(out: Path, job: Job | Graded) -> Path:
    key = job.key if isinstance(job, Job) else hashlib.sha256(job.to_json().encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return out / "results" / f"{key}.json"


def _read(path: Path) -> Graded | None:
    """A result that was kept; None where there is none, or it is damaged."""
    try:
        return Graded.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
