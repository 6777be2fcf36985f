import random

import numpy as np
import torch

from utils import runtime


def test_one_seed_for_all():
    def draw():
        generator = runtime.seed_everything(7)
        return random.random(), np.random.rand(), torch.rand(1).item(), torch.rand(1, generator=generator).item()

    assert draw() == draw()


def test_quick_or_full(monkeypatch):
    monkeypatch.setattr(runtime, "device", lambda: torch.device("cpu"))
    monkeypatch.delenv("LABS_FULL", raising=False)
    assert runtime.quick_or_full(1, 2) == 1
    monkeypatch.setenv("LABS_FULL", "1")
    assert runtime.quick_or_full(1, 2) == 2
    monkeypatch.setattr(runtime, "device", lambda: torch.device("cuda"))
    monkeypatch.delenv("LABS_FULL")
    assert runtime.quick_or_full(1, 2) == 2
    monkeypatch.setenv("LABS_FULL", "0")
    assert runtime.quick_or_full(1, 2) == 1
