"""A tiny network with batch norm, its weights and its batches, for the judges of labs 07 and 08."""

import torch
from torch import nn


def tiny_network(state) -> nn.Module:
    """The network that the probes build; they cannot import this one: a probe stands alone."""
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).double()
    model.load_state_dict(state)
    return model


def tiny_state(rng) -> dict:
    """Weights for it, and running averages that differ from any batch's."""
    shapes = {"0.weight": (8, 6), "0.bias": (8,), "1.weight": (8,), "1.bias": (8,), "3.weight": (3, 8), "3.bias": (3,)}
    state = {name: rng.randn(*shape, dtype=torch.float64) for name, shape in shapes.items()}
    return state | {
        "1.running_mean": rng.randn(8, dtype=torch.float64),
        "1.running_var": rng.rand(8, dtype=torch.float64) + 0.5,
        "1.num_batches_tracked": torch.tensor(3),
    }


def tiny_batches(rng, sizes, classes=3) -> list:
    return [(rng.randn(size, 6, dtype=torch.float64), rng.randint(0, classes, (size,))) for size in sizes]
