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


def full() -> bool:
    """Whether the labs do their full-size run: `LABS_FULL=1`, or an accelerator is here and `LABS_FULL` is not 0."""
    wish = os.environ.get("LABS_FULL", "")
    return wish == "1" or (wish != "0" and device().type != "cpu")


def quick_or_full(quick, full_size):
    """`quick` on a CPU, `full_size` on an accelerator or with `LABS_FULL=1`."""
    return full_size if full() else quick
