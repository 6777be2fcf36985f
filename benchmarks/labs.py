"""Every solution notebook, one after another: seconds in all, to the first result and of the longest cell, and memory.

    python -m benchmarks.labs [--nbval] [--short]

A notebook runs in a kernel of its own, on the data that `utils.data` finds, quick runs, all cells, as a student would
run it from top to bottom. "first result" is the time from the start of the kernel to the end of the first cell after
the imports; memory is the kernel's peak. `--nbval` runs them once more, as CI does, and times each command.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
PEAK = "import resource\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"


def run(path: Path, most: int | None) -> dict:
    """Execute a notebook.

    Args:
        most: run so many code cells only.
    Returns:
        seconds in all, to the first result, of the longest cell; peak memory in MB.
    """
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"][:most]
    start = time.perf_counter()
    client = NotebookClient(notebook, timeout=1200, allow_errors=False, resources={"metadata": {"path": str(path.parent)}})
    with client.setup_kernel():
        ends = []
        for number, cell in enumerate(code):
            client.execute_cell(cell, notebook.cells.index(cell), execution_count=number + 1)
            ends.append(time.perf_counter() - start)
        last = nbformat.v4.new_code_cell(PEAK)
        notebook.cells.append(last)
        client.execute_cell(last, len(notebook.cells) - 1)
    longest = max(after - before for before, after in zip([0.0, *ends], ends))
    kilobytes = int(last.outputs[0].text) / (1 if sys.platform != "darwin" else 1024)
    return {"seconds": ends[-1], "first": ends[2], "longest": longest, "memory": kilobytes / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nbval", action="store_true", help="also by nbval, which takes as long again")
    parser.add_argument("--short", action="store_true", help="four cells of the first lab: does it run?")
    options = parser.parse_args()

    paths = sorted((ROOT / "labs_solutions").glob("[0-9][0-9]_*.ipynb"))[: 1 if options.short else None]
    print(f"{os.cpu_count()} CPU cores\n{'':20}{'seconds':>9}{'first result':>14}{'longest cell':>14}{'peak, MB':>10}{'nbval':>9}")
    totals = []
    for path in paths:
        row, by_nbval = run(path, 4 if options.short else None), ""
        if options.nbval:
            start = time.perf_counter()
            command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path)]
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            by_nbval = f"{time.perf_counter() - start:.1f}"
        totals.append((row["seconds"], float(by_nbval or 0)))
        numbers = "{seconds:9.1f}{first:14.1f}{longest:14.1f}{memory:10.0f}".format(**row)
        print(f"{path.stem:20}{numbers}{by_nbval:>9}", flush=True)
    alone, by_nbval = map(sum, zip(*totals))
    print(f"{'together':20}{alone:9.1f}{by_nbval:47.1f}")


if __name__ == "__main__":
    main()
