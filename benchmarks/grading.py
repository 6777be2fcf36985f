"""Submissions graded a minute: our grader (`--fresh`, and the forked template) beside nbgrader 0.9.6, on honest lab 02.

    python -m benchmarks.grading [--short] [--repeats 3] [--only rates|thousand|jobs]

rates: the peer is `nbgrader autograde` of a whole class in one command. All get the same files, solved notebooks without
the demo cells (which we skip and nbgrader would run). They run in turn, so that a change in the machine's pace meets all.
"whole" is the command from its start to its end, for the number of submissions in the first column; "each further" leaves
the start out, it is the time from the first grade to the last. The ratios are of "each further" and of "whole".
thousand: 1,000 submissions; the time for each tenth of them, and the memory of the grading process (RSS) after it.
jobs: one job, held on one processor with all that it starts, and two, each on its own, in turn.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import psutil

ROOT = Path(__file__).parents[1]
NAME = "02_autograd"
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "LABS_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
}


@dataclass
class Run:
    """One command: how many submissions, when each was done (seconds from its start), and what its process took."""

    count: int
    whole: float
    done: list[float]
    memory: list[tuple[float, int]] = field(default_factory=list)  # seconds, bytes

    @property
    def each_further(self) -> float:
        return (self.done[-1] - self.done[0]) / (self.count - 1) if self.count > 1 else self.whole


def honest() -> str:
    """A solved notebook without demo cells."""
    notebook = nbformat.read(ROOT / "labs_solutions" / f"{NAME}.ipynb", as_version=4)
    notebook.cells = [cell for cell in notebook.cells if "demo" not in cell.metadata.get("tags", [])]
    return nbformat.writes(notebook)


def watch(process: subprocess.Popen, start: float, samples: list) -> None:
    """Note a process's memory twice a second, until it is over."""
    try:
        while True:
            samples.append((time.time() - start, psutil.Process(process.pid).memory_info().rss))
            time.sleep(0.5)
    except psutil.Error:
        return


def timed(command: list[str], folder: Path, count: int, grades: str, processors: set[int] | None = None) -> Run:
    """Run a command.

    Args:
        folder: its working directory.
        grades: pattern of the files in the folder, of which it writes one a submission.
        processors: those it may use.
    """
    samples, all_of_them = [], os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors or all_of_them)  # the command inherits it
    try:
        start = time.time()
        with open(folder / "log", "w+") as log:
            process = subprocess.Popen([sys.executable, "-m", *command], cwd=folder, env=ENVIRONMENT, stdout=log, stderr=log)
            os.sched_setaffinity(0, all_of_them)
            threading.Thread(target=watch, args=(process, start, samples), daemon=True).start()
            code = process.wait()
            whole = time.time() - start
            if code:
                log.seek(0)
                sys.exit(f"{' '.join(command)} ended with {code}:\n{log.read()[-3000:]}")
    finally:
        os.sched_setaffinity(0, all_of_them)
    done = sorted(path.stat().st_mtime - start for path in folder.glob(grades))
    assert len(done) == count, f"{len(done)} grades of {count}"
    return Run(count, whole, done, samples)


def nbgrader(notebook: str, count: int) -> Run:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(ROOT / "nbgrader_config.py", folder)
        (folder / "source" / NAME).mkdir(parents=True)
        shutil.copy(ROOT / "labs_solutions" / f"{NAME}.ipynb", folder / "source" / NAME)
        subprocess.run([sys.executable, "-m", "nbgrader", "generate_assignment", NAME], cwd=folder, env=ENVIRONMENT,
                       check=True, capture_output=True)  # fmt: skip
        release = nbformat.read(folder / "release" / NAME / f"{NAME}.ipynb", as_version=4)
        solutions = {cell.id: cell.source for cell in nbformat.reads(notebook, as_version=4).cells}
        release.cells = [cell for cell in release.cells if cell.id in solutions]
        for cell in release.cells:
            if cell.metadata.get("nbgrader", {}).get("solution"):
                cell.source = solutions[cell.id]
        for number in range(count):
            path = folder / "submitted" / f"student{number}" / NAME / f"{NAME}.ipynb"
            path.parent.mkdir(parents=True)
            nbformat.write(release, path)
        return timed(["nbgrader", "autograde", NAME], folder, count, f"autograded/*/{NAME}/{NAME}.ipynb")


def ours(notebook: str, count: int, *options: str, processors: set[int] | None = None) -> Run:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "submissions").mkdir()
        for number in range(count):
            (folder / "submissions" / f"student{number}_{NAME}.ipynb").write_text(notebook, encoding="utf-8")
        command = ["course", "grade", "submissions", "--out", "grades", *options]
        run = timed(command, folder, count, "grades/results/*.json", processors)
        full = (folder / "grades" / "grades.csv").read_text(encoding="utf-8-sig").count(",correct,")
        assert full == count * notebook.count('"exercise": "02.'), "an honest submission has lost points"
        return run


def ratio(theirs: list[Run], mine: list[Run], what: str) -> str:
    ratios = [getattr(a, what) / getattr(b, what) for a, b in zip(theirs, mine)]
    return f"{statistics.median(ratios):.1f} (lowest {min(ratios):.1f}, highest {max(ratios):.1f})"


def show(runs: dict[str, list[Run]]) -> None:
    print(f"\n{'':24}{'submissions':>12}{'whole, s':>10}{'a minute':>10}{'each further, s':>17}{'a minute':>10}")
    for name, many in runs.items():
        whole, further = (statistics.median(getattr(run, what) for run in many) for what in ("whole", "each_further"))
        count = many[0].count
        print(f"{name:24}{count:12}{whole:10.1f}{60 * count / whole:10.1f}{further:17.2f}{60 / further:10.1f}", flush=True)


def rates(notebook: str, repeats: int, counts: dict[str, int]) -> None:
    ways = {
        "nbgrader 0.9.6": nbgrader,
        "ours, --fresh": lambda notebook, count: ours(notebook, count, "--fresh"),
        "ours, forked template": ours,
    }
    runs = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            runs[name].append(way(notebook, counts[name]))
    show(runs)
    theirs, *mine = runs
    for name in mine:
        whole = [Run(1, run.whole / run.count, []) for run in runs[name]]
        whole_theirs = [Run(1, run.whole / run.count, []) for run in runs[theirs]]
        print(f"{name} grades {ratio(runs[theirs], runs[name], 'each_further')} times as many; "
              f"of whole commands {ratio(whole_theirs, whole, 'whole')}")


def thousand(notebook: str, count: int) -> None:
    run = ours(notebook, count)
    print(f"\n{count:,} submissions, forked template, one job: {run.whole:.0f} s, {60 * count / run.whole:.0f} a minute")
    print(f"{'done':>6}{'at, s':>9}{'ms each':>9}{'grading process, MB':>21}")
    before = 0
    for tenth in range(1, 11):
        number = count * tenth // 10
        at, since = run.done[number - 1], run.done[max(before - 1, 0)]
        memory = min(run.memory, key=lambda sample: abs(sample[0] - at))[1]
        print(f"{number:6}{at:9.1f}{1000 * (at - since) / max(1, number - max(before, 1)):9.0f}{memory / 2**20:21.0f}")
        before = number
    grading = [memory for at, memory in run.memory if run.done[0] <= at <= run.done[-1]]
    print(f"while it graded: {min(grading) / 2**20:.0f} to {max(grading) / 2**20:.0f} MB; with the pages at the end, "
          f"which took {run.whole - run.done[-1]:.1f} s: {max(memory for _, memory in run.memory) / 2**20:.0f} MB")


def jobs(notebook: str, repeats: int, count: int, modes: tuple[str, ...] = ("forked", "fresh")) -> None:
    processors = sorted(os.sched_getaffinity(0))
    runs = {f"{mode}, {number} jobs": [] for mode in modes for number in (1, 2)}
    for _ in range(repeats):
        for name, many in runs.items():
            mode, number = name.split(", ")
            options = ["--jobs", number[0], *(["--fresh"] if mode == "fresh" else [])]
            some = max(3, count // 6) if mode == "fresh" else count
            many.append(ours(notebook, some, *options, processors=set(processors[: int(number[0])])))
    show(runs)
    for mode in modes:
        print(f"{mode}: two jobs grade {ratio(runs[f'{mode}, 1 jobs'], runs[f'{mode}, 2 jobs'], 'each_further')} times as many as one")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="a few submissions, once: does it run?")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=["rates", "thousand", "jobs"])
    options = parser.parse_args()
    notebook, repeats = honest(), 1 if options.short else options.repeats
    names = "nbgrader 0.9.6", "ours, --fresh", "ours, forked template"
    counts = dict(zip(names, (2, 2, 3) if options.short else (8, 20, 100)))
    print(f"{os.cpu_count()} processors; honest submissions of lab 02, {len(notebook) / 1000:.0f} kB each")
    if options.only in (None, "rates"):
        rates(notebook, repeats, counts)
    if options.only in (None, "thousand"):
        thousand(notebook, 10 if options.short else 1000)
    if options.only in (None, "jobs"):
        jobs(notebook, repeats, *((3, ("forked",)) if options.short else (100,)))


if __name__ == "__main__":
    main()
