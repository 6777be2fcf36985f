"""Each benchmark in its short form: it runs (on the stand-in) and prints its table (no time is asserted)."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("name", "texts"), [
    ("pipeline", ["stand-in", "times as fast"]),
    ("lab_08", ["stand-in", "seconds  validation %  test %"]),
    ("transfer", ["stand-in", "frozen features lead by"]),
    ("mixed", ["joint − best branch alone"]),  # its digits are always the real ones
    ("grading_attacks", ["unearned by nbgrader", "3 attacks by nbgrader, for 0 by ours"]),
    ("grading", ["ours, forked template grades", "grading process, MB", "fresh: two jobs grade"]),
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
