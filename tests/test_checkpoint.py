"""The small trained network that ships with the course, and the command that makes it."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from course import checkpoint
from utils import data, training
from utils.download import DataError
from utils.models import SmallCNN
from utils.pretrained import CIFAR10_WEIGHTS, CIFAR10_WIDTHS, cifar10_network, read_facts

ROOT = Path(__file__).parents[1]
README = CIFAR10_WEIGHTS.with_name("README.md")


def command(*args, **environment) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "course", "checkpoint", *map(str, args)], capture_output=True, text=True,
                          env={**os.environ, "LABS_OFFLINE": "1", **environment})


# ---------------------------------------------------------------------------------------- the file that ships


def test_the_file_is_small_and_float32():
    assert CIFAR10_WEIGHTS.stat().st_size < 3_000_000
    assert {t.dtype for name, t in load_file(CIFAR10_WEIGHTS).items() if "batches" not in name} == {torch.float32}


def test_it_loads_into_the_network_of_lab_08():
    model = cifar10_network()
    assert type(model) is SmallCNN and not any(module.training for module in model.modules())
    model.load_state_dict(load_file(CIFAR10_WEIGHTS), strict=True)
    logits = model(torch.randn(2, 3, 32, 32))
    assert logits.shape == (2, 10) and logits.isfinite().all()
    assert all(p.requires_grad and p.device.type == "cpu" for p in model.parameters())


def test_header_readme_and_docstring_agree():
    facts, text = read_facts(), README.read_text(encoding="utf-8")
    accuracy = f"{facts['test_accuracy']:.2%}"
    assert facts["test_accuracy"] >= 0.80 and facts["data"] == "CIFAR-10"
    assert f"| test accuracy | {accuracy}," in text
    assert f"| validation accuracy | {facts['validation_accuracy']:.2%} |" in text
    assert f"{facts['test_accuracy']:.1%} of the test images" in cifar10_network.__doc__.replace(" %", "%")
    assert hashlib.sha256(CIFAR10_WEIGHTS.read_bytes()).hexdigest() in text
    assert text == checkpoint.readme(facts, CIFAR10_WEIGHTS.read_bytes())
    assert "MIT" in text and "python -m course checkpoint" in text


def test_it_is_as_good_as_it_says(notebook_environment, monkeypatch):
    if notebook_environment(ROOT / "labs_solutions" / "10.ipynb")["LABS_OFFLINE"] == "1":
        pytest.skip(f"not both cifar10.npz and hymenoptera_data in {data.data_folder()} (LABS_DATA)")
    monkeypatch.setenv("LABS_OFFLINE", "0")
    images = data.cifar10()
    batches = data.Batches(images.test_images[:2000], images.test_labels[:2000])
    _, accuracy = training.validate(cifar10_network(), batches, torch.nn.CrossEntropyLoss())
    assert accuracy >= 0.80
    assert accuracy == pytest.approx(read_facts()["test_accuracy"], abs=0.02)


# ------------------------------------------------------------------------------------------ a file that is bad


def test_no_file(tmp_path):
    with pytest.raises(DataError, match=r"There is no file .*missing.*python -m course checkpoint"):
        cifar10_network(tmp_path / "missing.safetensors")
    with pytest.raises(DataError, match="There is no file"):
        read_facts(tmp_path / "missing.safetensors")


@pytest.mark.parametrize("kept", [0, 4, 500, 100_000, -1])
def test_a_truncated_file(tmp_path, kept):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(CIFAR10_WEIGHTS.read_bytes()[:kept])
    with pytest.raises(DataError, match=r"cut.safetensors.*damaged.*python -m course checkpoint"):
        cifar10_network(path)
    with pytest.raises(DataError, match="damaged"):
        read_facts(path)


@pytest.mark.parametrize("name, value", [("architecture", "FastNet"), ("classes", ["cat", "dog"]), ("mean", [0.5] * 3)])
def test_a_header_that_says_something_else(tmp_path, name, value):
    path = tmp_path / "other.safetensors"
    header = {key: json.dumps(its) for key, its in {**read_facts(), name: value}.items()}
    save_file(load_file(CIFAR10_WEIGHTS), path, header)
    with pytest.raises(DataError, match=f"another network: its header says {name} = {re.escape(str(value))}"):
        cifar10_network(path)


def test_a_file_without_a_header_and_one_of_another_width(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file(load_file(CIFAR10_WEIGHTS), path)
    with pytest.raises(DataError, match="architecture = None"):
        cifar10_network(path)
    save_file(SmallCNN(widths=(8, 8, 8)).state_dict(), path)
    with pytest.raises(DataError, match=r"another architecture.*\(8, 3, 3, 3\)"):
        cifar10_network(path)


# ------------------------------------------------------------------------------------------------ the command


def test_the_short_form_writes_both_files(tmp_path):
    before = CIFAR10_WEIGHTS.read_bytes()
    ended = command("--short", "--out", tmp_path / "new" / "folder")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert sorted(p.name for p in (tmp_path / "new/folder").iterdir()) == ["README.md", CIFAR10_WEIGHTS.name]
    path = tmp_path / "new/folder" / CIFAR10_WEIGHTS.name
    facts = read_facts(path)
    assert facts["data"] == "stand-in" and facts["epochs"] == 1 and facts["widths"] == list(CIFAR10_WIDTHS)
    assert cifar10_network(path)(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
    assert f"{facts['test_accuracy']:.2%}" in path.with_name("README.md").read_text(encoding="utf-8")
    assert CIFAR10_WEIGHTS.read_bytes() == before


def test_refusals(tmp_path):
    ended = command("--out", tmp_path / "new")
    assert ended.returncode == 1 and "The data is the stand-in" in ended.stderr and "Traceback" not in ended.stderr
    ended = command("--short")
    assert ended.returncode == 1 and "--short needs --out" in ended.stderr
    assert not (tmp_path / "new").exists()


def test_a_network_that_is_not_good_enough_is_not_written(tmp_path, monkeypatch):
    images = data.ImageData(*(torch.zeros(20, 3, 32, 32, dtype=torch.uint8), torch.zeros(20, dtype=torch.int64)) * 2,
                            data.CLASSES, "CIFAR-10")
    monkeypatch.setattr(data, "cifar10", lambda: images)
    monkeypatch.setattr(checkpoint, "train", lambda *args: (SmallCNN(), 0.7994))
    with pytest.raises(checkpoint.CheckpointError, match="nothing was written"):
        checkpoint.make(tmp_path / "new")
    assert not (tmp_path / "new").exists()
