"""Where the code runs, how it is seeded, and how large a run is.

What repeats: with `seed_everything`, the same machine, the same number of threads and the same versions, a run on a
CPU gives the same numbers again. On a GPU, some kernels add in an order that varies, so the last digits do not repeat.
Between machines or torch versions nothing is promised beyond a few digits.
"""

import os
import random

import numpy as np
import torch


def device() -> torch.device:
    """The best device here: `cuda`, else `mps` (Apple), else `cpu`."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def seed_everything(seed: int = 0) -> torch.Generator:
    """Seed Python, NumPy and torch (all devices).

    Returns:
        a CPU generator with the same seed, for functions that take one (`torch.randperm(n, generator=g)`).
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 there: on GPUs since 2020, on CPUs with AMX or AVX512-BF16 (lab 08).

    Others have no unit for it: torch computes the same numbers there, but not sooner.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known = torch.cpu.get_capabilities() if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities") else {}
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def full() -> bool:
    """Whether the labs do their full-size run: `LABS_FULL=1`, or an accelerator is here and `LABS_FULL` is not 0."""
    wish = os.environ.get("LABS_FULL", "")
    return wish == "1" or (wish != "0" and device().type != "cpu")


def quick_or_full(quick, full_size):
    """`quick` on a CPU, `full_size` on an accelerator or with `LABS_FULL=1`."""
    return full_size if full() else quick
