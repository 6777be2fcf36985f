"""Each benchmark in its short form: it runs on the stand-in and prints its table (no time is asserted)."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("name", "text"), [("pipeline", "times as fast"), ("lab_08", "seconds  validation %  test %"),
                                            ("transfer", "frozen features lead by"),
                                            ("mixed", "joint − best branch alone")])
def test_the_short_form_runs(name, text):
    ended = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--short"],
        env={**os.environ, "LABS_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert text in ended.stdout and (name == "mixed" or "stand-in" in ended.stdout)  # its digits are always the real ones
