"""Where the code runs, how it is seeded, and how large a run is.

What repeats: with `seed_everything`, the same machine, the same number of threads and the same versions, a run on a
CPU gives the same numbers again. On a GPU, some kernels add in an order that varies, so the last digits do not repeat.
Between machines or torch versions nothing is promised beyond a few digits.
"""

import ctypes
import os
import random
import sys

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


def half_precision(device: torch.device) -> torch.dtype | None:
    """The 16-bit floats that are faster than float32 there; None where none are (lab 08).

    bfloat16 on NVIDIA's GPUs since 2020 and on CPUs with AMX or AVX512-BF16, float16 on older GPUs. On other CPUs torch
    takes them too, but without a unit for it that is no sooner done.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    known = torch.cpu.get_capabilities() if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities") else {}
    return torch.bfloat16 if known.get("avx512_bf16") or known.get("amx_bf16") else None


def keep_freed_memory() -> bool:
    """Have the C library keep the large blocks that are freed, for the next ones; whether it can: Linux's can (lab 08).

    By default glibc returns blocks of 32 MB and more to the system, which hands out zeroed pages the next time. A
    training step frees and asks for hundreds of MB. https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    trim_threshold, mmap_threshold, most = -1, -3, 2**31 - 1
    return bool(mallopt and mallopt(mmap_threshold, most) and mallopt(trim_threshold, most))


def full() -> bool:
    """Whether the labs do their full-size run: `LABS_FULL=1`, or an accelerator is here and `LABS_FULL` is not 0."""
    wish = os.environ.get("LABS_FULL", "")
    return wish == "1" or (wish != "0" and device().type != "cpu")


def quick_or_full(quick, full_size):
    """`quick` on a CPU, `full_size` on an accelerator or with `LABS_FULL=1`."""
    return full_size if full() else quick
