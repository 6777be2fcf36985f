"""nbval runs the notebooks themselves (see the root conftest.py); here, what it ran them on is reported."""

from pathlib import Path

import pytest

from utils import data

ROOT = Path(__file__).parents[1]


def test_strict_for_solutions_and_offline_for_students(notebook_environment):
    assert notebook_environment(ROOT / "notebooks" / "08.ipynb") == {"LABS_STRICT": "0", "LABS_OFFLINE": "1"}
    assert notebook_environment(ROOT / "labs_solutions" / "08.ipynb")["LABS_STRICT"] == "1"


def test_the_solution_notebooks_run_on_the_real_images(notebook_environment, monkeypatch):
    environment = notebook_environment(ROOT / "labs_solutions" / "08.ipynb")
    if environment["LABS_OFFLINE"] == "1":
        pytest.skip(f"not both cifar10.npz and hymenoptera_data in {data.data_folder()} (LABS_DATA): "
                    "the solution notebooks run on the stand-ins")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    images = data.cifar10()
    assert images.source == "CIFAR-10" and len(images.train_images) == 50_000


def test_the_student_notebooks_run_on_the_stand_in(notebook_environment, monkeypatch):
    for name, value in notebook_environment(ROOT / "notebooks" / "08.ipynb").items():
        monkeypatch.setenv(name, value)
    assert data.cifar10().source == "stand-in"
