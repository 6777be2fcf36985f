"""Each benchmark in its short form: it runs (on the stand-in) and prints its table (no time is asserted)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(("name", "texts"), [
    ("pipeline", ["stand-in", "times as fast"]),
    ("lab_08", ["stand-in", "seconds  validation %  test %"]),
    ("cifar10", ["stand-in", "tutorial, two epochs", "GFLOP/s", "ResNet-18"]),
    ("growth", ["stand-in", "memory, MB"]),
    ("startup", ["torch, utils", "lab 01_tensors"]),
    ("labs", ["01_tensors", "together"]),
    ("cached_features", ["tutorial:", "times as fast"]),
    ("transfer", ["stand-in", "frozen features lead by"]),
    ("mixed", ["joint − best branch alone"]),  # its digits are always the real ones
    ("grading_attacks", ["unearned by nbgrader", "3 attacks by nbgrader, for 0 by ours"]),
    ("grading", ["ours, forked template grades", "grading process, MB", "forked: two jobs grade"]),
])  # fmt: skip
def test_the_short_form_runs(name, texts, system_program):
    if name.startswith("grading"):
        system_program("bwrap", "bubblewrap")
    ended = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--short"],
        env={**os.environ, "LABS_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert all(text in ended.stdout for text in texts), ended.stdout


def test_the_list_and_a_name_that_is_none():
    command = [sys.executable, "-m", "benchmarks"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert listed.count("\n") == len(list((ROOT / "benchmarks").glob("[a-z]*.py"))) and "\npipeline " in listed
    ended = subprocess.run([*command, "pipelin"], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1 and "There is no benchmark pipelin; there are" in ended.stderr
