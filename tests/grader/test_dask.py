"""The same work on a Dask cluster: two worker processes, of which one is killed in the middle."""

import os
import signal
import time

import cohort
import psutil
import pytest
from distributed import Client, LocalCluster
from typer.testing import CliRunner

from course.__main__ import app


@pytest.fixture
def cluster(system_program, monkeypatch):
    cohort.need_bubblewrap(system_program)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with LocalCluster(n_workers=2, threads_per_worker=2, processes=True, dashboard_address=None) as cluster:
        yield cluster


def test_a_cluster_of_which_a_worker_is_killed_gives_the_same_grades(cluster, tmp_path):
    submissions, out = tmp_path / "submissions", tmp_path / "on the cluster"
    ids = cohort.exercises("02")
    for number in range(12):
        notebook = cohort.filled("02", ids[: number % 4])
        notebook.cells = [cell for cell in notebook.cells if cell.id.startswith("exercise-")]
        cohort.submit(submissions, f"student {number}", "02", notebook)
    cohort.submit(submissions, "broken", "02", "{")
    with cohort.start_command(submissions, out, "--seed", "7", "--dask", cluster.scheduler_address) as command:
        while command.poll() is None and len(list(out.glob("results/*.json"))) < 3:
            time.sleep(0.01)
        with Client(cluster) as client:
            pids = client.run(os.getpid).values()
        family = psutil.Process(min(pids)).children(recursive=True)
        os.kill(min(pids), signal.SIGKILL)
        assert command.poll() is None, "it was over before the worker died"
        printed, _ = command.communicate()
    assert command.returncode == 0 and "13/13" in printed, printed
    assert cohort.survivors(family) == []
    cohort.grade(submissions, tmp_path / "here", "--seed", "7", "--jobs", "2")
    assert cohort.files(out) == cohort.files(tmp_path / "here")


def test_no_scheduler_there(tmp_path):
    result = CliRunner().invoke(app, ["grade", str(tmp_path), "--out", str(tmp_path / "grades"), "--dask", "tcp://127.0.0.1:9"])
    assert result.exit_code == 1 and "No Dask scheduler answers at tcp://127.0.0.1:9" in result.output
