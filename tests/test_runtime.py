import random
import subprocess
import sys

import numpy as np
import pytest
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


@pytest.mark.parametrize(("known", "dtype"), [
    ({"avx2": True, "avx512_bf16": True}, torch.bfloat16),
    ({"amx_bf16": True}, torch.bfloat16),
    ({"avx2": True, "avx512_bf16": False}, None),
    ({}, None),
])  # fmt: skip
def test_half_precision_of_a_processor_is_what_it_has_units_for(known, dtype, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert runtime.half_precision(torch.device("cpu")) is dtype
    assert runtime.half_precision(torch.device("mps")) is None


@pytest.mark.parametrize(("has", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_half_precision_of_a_gpu_is_always_something(has, dtype, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has)
    assert runtime.half_precision(torch.device("cuda")) is dtype


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's C library")
def test_freed_memory_is_kept():
    """Seen in the pages that the system had to hand out: none for a block that has just been freed.

    Unless a small block took a corner of it: hence the best of five rounds.
    """
    program = """
import resource, torch
from utils import runtime
def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(500, 24, 31, 31)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
usual = pages()
assert runtime.keep_freed_memory()
print(usual, min(pages() for _ in range(5)))"""
    usual, kept = map(int, subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split())
    assert usual > 20 * kept


def test_other_systems_keep_their_ways(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert not runtime.keep_freed_memory()
