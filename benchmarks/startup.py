"""How long an import takes beside torch's own: `utils`, and what each lab imports.

    python -m benchmarks.startup [--repeats 5] [--short]

Each import is a Python of its own, whose clock starts after Python's; they run in turn, after one round that only fills
the disk's cache. "beyond torch" is a lab's import less that of torch, in parts of torch's.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def seconds(code: str) -> float:
    program = f"import time\nstart = time.perf_counter()\n{code}\nprint(time.perf_counter() - start)"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return float(ended.stdout.splitlines()[-1])


def imports(path: Path) -> str:
    """What a lab imports: its first code cell after the setup."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code" and "setup" not in cell["metadata"].get("tags", [])]
    lines = "".join(code[0]["source"]).splitlines()
    return "\n".join(line for line in lines if not line.startswith("%"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--short", action="store_true", help="torch, utils and one lab, once: does it run?")
    options = parser.parse_args()

    programs = {"torch": "import torch", "torch, utils": "import torch\nimport utils"}
    labs = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))[: 1 if options.short else None]
    programs |= {f"lab {path.stem}": imports(path) for path in labs}
    times: dict[str, list[float]] = {name: [] for name in programs}
    for repeat in range(1 if options.short else options.repeats + 1):
        for name, code in programs.items():
            took = seconds(code)
            if repeat or options.short:
                times[name].append(took)
    torch = statistics.median(times["torch"])
    print(f"{'':24}{'median s':>10}{'beyond torch':>14}")
    for name, many in times.items():
        median = statistics.median(many)
        print(f"{name:24}{median:10.2f}{(median - torch) / torch:14.2f}")


if __name__ == "__main__":
    main()
