"""The same attacks against nbgrader's autograde and against our grader: what each gives that was not earned.

    python -m benchmarks.grading_attacks [--short]

The attacks are those of tests/grader/hostile that do no harm. nbgrader runs students' code as who started it, so here it
runs in bubblewrap: no network, and nothing that it can write but a folder of its own. Attacks by signals, loops, forks,
memory, files, network and our own pipes are left out: there is nothing in nbgrader that would hold them back.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from nbgrader.api import Gradebook

from course.grader.grade import grade
from course.grader.room import find_bubblewrap
from course.grader.sandbox import Limits
from utils import checks

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "grader" / "hostile"))
from attacks import ATTACKS, Attack, filled  # noqa: E402

LAB = "02_autograd"
SHORT = ("patch-allclose", "redefine-check", "torch-function-subclass")


def submission(attack: Attack) -> str:
    """The notebook, without the demonstrations, which nbgrader would run for a long time."""
    made = filled(attack.honest, attack.answers, attack.cell)
    made["cells"] = [cell for cell in made["cells"] if "demo" not in cell["metadata"].get("tags", [])]
    return json.dumps(made)


def earned(attack: Attack) -> float:
    return sum(item.points for id, item in checks.exercises("02").items() if id in attack.honest)


def nbgrader(folder: Path, *arguments: str) -> None:
    """Run nbgrader in a course's folder, which is all that it may write."""
    (folder / "home").mkdir(exist_ok=True)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(folder / "home"), "TMPDIR": str(folder / "home"),
        "JUPYTER_CONFIG_DIR": str(folder / "home"), "LABS_OFFLINE": "1", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    command = [find_bubblewrap(), "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/", "/", "--proc", "/proc",
               "--dev", "/dev", "--bind", str(folder), str(folder), "--chdir", str(folder)]  # fmt: skip
    ended = subprocess.run([*command, sys.executable, "-m", "nbgrader", *arguments], env=environment, capture_output=True, text=True)
    if ended.returncode and arguments[0] != "autograde":  # it fails where one submission did
        raise SystemExit(ended.stdout + ended.stderr)


def by_nbgrader(attacks: list[Attack], folder: Path) -> dict[str, float]:
    """Points by attack; nothing for one that nbgrader could not grade."""
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    (folder / "source" / LAB).mkdir(parents=True)
    shutil.copy(ROOT / "labs_solutions" / f"{LAB}.ipynb", folder / "source" / LAB)
    nbgrader(folder, "generate_assignment", LAB)
    for attack in attacks:
        path = folder / "submitted" / attack.name / LAB / f"{LAB}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(submission(attack))
    nbgrader(folder, "autograde", LAB)
    with Gradebook(f"sqlite:///{folder}/gradebook.db") as gradebook:
        return {one.student.id: one.score for one in gradebook.assignment_submissions(LAB)}


def by_ours(attacks: list[Attack], folder: Path) -> dict[str, float]:
    (folder / "submissions").mkdir(parents=True)
    for attack in attacks:
        (folder / "submissions" / f"{attack.name}_{LAB}.ipynb").write_text(submission(attack))
    graded = grade(folder / "submissions", folder / "grades", "02", limits=Limits(cell_seconds=60, check_seconds=10), mode="fork")
    return {one.student: one.points for one in graded}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="three attacks")
    short = parser.parse_args().short
    attacks = [attack for attack in ATTACKS if attack.plain and (attack.name in SHORT or not short)]
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "nbgrader").mkdir()
        theirs, ours = by_nbgrader(attacks, Path(name) / "nbgrader"), by_ours(attacks, Path(name) / "ours")
    print("| attack | what it tries | unearned by nbgrader | unearned by ours |\n| --- | --- | --- | --- |")
    for attack in attacks:
        cells = [
            "not graded" if points.get(attack.name) is None else f"{max(0, points[attack.name] - earned(attack)):g}"
            for points in (theirs, ours)
        ]
        print(f"| {attack.name} | {attack.tries} | {cells[0]} | {cells[1]} |")
    unearned = [sum((points.get(attack.name) or 0) > earned(attack) for attack in attacks) for points in (theirs, ours)]
    print(f"\nunearned points for {unearned[0]} of {len(attacks)} attacks by nbgrader, for {unearned[1]} by ours")
    left_out = [attack.name for attack in ATTACKS if not attack.plain]
    print(f"{len(left_out)} attacks left out, which nbgrader would not survive or which aim at our own pipes: {', '.join(left_out)}")


if __name__ == "__main__":
    os.environ.setdefault("LABS_OFFLINE", "1")
    main()
