"""Lab 05's solutions agree with torch's losses and activations: values and gradients, float32 and float64."""


import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from solutions import solutions_of
from torch import nn
from torch.nn import functional as F

DTYPES = (torch.float32, torch.float64)
REDUCTIONS = ("none", "sum", "mean")


@pytest.fixture(scope="module")
def solution() -> dict:
    return solutions_of("05_losses")


def agree(mine, theirs, x: torch.Tensor, *rest, **options) -> None:
    """Two functions give the same value, dtype and shape, and the same gradient for the first argument."""
    results = []
    for function in (mine, theirs):
        leaf = x.clone().requires_grad_()
        y = function(leaf, *rest, **options)
        weights = torch.linspace(0.5, 2, y.numel(), dtype=y.dtype).reshape(y.shape)  # a plain sum would hide mistakes
        results.append((y.detach(), torch.autograd.grad((y * weights).sum(), leaf)[0]))
    for got, want in zip(*results):
        torch.testing.assert_close(got, want, equal_nan=True)


def randoms(seed: int):
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape, dtype=torch.float32: torch.randn(*shape, generator=generator, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("delta", [0.1, 1.0, 7.5])
def test_huber(solution, dtype, reduction, delta):
    randn = randoms(0)
    x, y = 5 * randn(6, 4, dtype=dtype).t(), randn(4, 6, dtype=dtype)
    x[0, 0] = y[0, 0]  # an error of exactly 0
    agree(solution["huber_loss"], F.huber_loss, x, y, reduction=reduction, delta=delta)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1, 1000])
@pytest.mark.parametrize(("shape", "dim"), [((5,), 0), ((3, 4), 0), ((3, 4), 1), ((2, 3, 4), 1), ((2, 3, 4), -1)])
def test_log_softmax(solution, dtype, scale, shape, dim):
    x = scale * randoms(1)(*shape, dtype=dtype)
    agree(solution["log_softmax"], F.log_softmax, x, dim)
    assert solution["log_softmax"](x, dim).isfinite().all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("scale", [0, 1, 1000])
@pytest.mark.parametrize("weight", [None, (0.5, 3.0, 20.0)])
def test_binary_cross_entropy(solution, dtype, reduction, scale, weight):
    x = scale * randoms(2)(8, 3, dtype=dtype)
    y = torch.rand(8, 3, generator=torch.Generator().manual_seed(3), dtype=dtype)
    y[:4] = y[:4].round()
    pos_weight = None if weight is None else torch.tensor(weight, dtype=dtype)
    theirs = F.binary_cross_entropy_with_logits
    agree(solution["bce_with_logits"], theirs, x, y, pos_weight=pos_weight, reduction=reduction)
    assert solution["bce_with_logits"](x, y, pos_weight=pos_weight, reduction=reduction).isfinite().all()


@settings(deadline=None, max_examples=200)
@given(
    dtype=st.sampled_from(DTYPES),
    size=st.tuples(st.integers(1, 9), st.integers(2, 6)),
    reduction=st.sampled_from(REDUCTIONS),
    weighted=st.booleans(),
    ignore_index=st.sampled_from([-100, -1, 255, 0, 1]),
    ignored=st.integers(0, 9),
    label_smoothing=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    scale=st.sampled_from([1, 30, 1000]),
    seed=st.integers(0, 1000),
)
def test_cross_entropy_with_all_its_options(
    solution, dtype, size, reduction, weighted, ignore_index, ignored, label_smoothing, scale, seed
):
    randn = randoms(seed)
    x = scale * randn(*size[::-1], dtype=dtype).t()
    target = torch.randint(size[1], (size[0],), generator=torch.Generator().manual_seed(seed))
    target[:ignored] = ignore_index
    weight = 0.1 + randn(size[1], dtype=dtype).abs() if weighted else None
    options = {"weight": weight, "ignore_index": ignore_index, "reduction": reduction}
    # (All labels ignored: the mean of nothing is nan, as torch's is.)
    agree(solution["cross_entropy"], F.cross_entropy, x, target, label_smoothing=label_smoothing, **options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_cross_entropy_of_extreme_logits_is_finite(solution, dtype, label_smoothing):
    x = torch.tensor([[1000.0, -1000.0, 0.0], [-1000.0, -1000.0, -1000.0], [0.0, 1000.0, 1000.0]], dtype=dtype)
    for target in (torch.tensor([0, 1, 2]), torch.tensor([1, -100, 0])):
        agree(solution["cross_entropy"], F.cross_entropy, x, target, label_smoothing=label_smoothing)
        assert solution["cross_entropy"](x, target, label_smoothing=label_smoothing).isfinite()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1, 1000])
def test_mean_cross_entropy_and_its_gradient(solution, dtype, scale):
    x = scale * randoms(4)(7, 5, dtype=dtype)
    target = torch.tensor([0, 4, 2, 2, 1, 3, 0])
    agree(solution["mean_cross_entropy"], F.cross_entropy, x, target)
    for temperature in (0.5, 1.0, 3.0):
        leaf = x.clone().requires_grad_()
        (want,) = torch.autograd.grad(F.cross_entropy(leaf / temperature, target), leaf)
        torch.testing.assert_close(solution["cross_entropy_grad"](x, target, temperature), want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1, 1000])
def test_activations(solution, dtype, scale):
    x = scale * randoms(5)(6, 7, dtype=dtype).t()
    agree(solution["leaky_relu"], F.leaky_relu, x, 0.2)
    agree(solution["leaky_relu"], F.leaky_relu, x)
    agree(solution["silu"], F.silu, x)
    agree(solution["gelu"], F.gelu, x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dead_units_get_no_gradient(solution, dtype):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 30), nn.ReLU(), nn.Linear(30, 20), nn.ReLU(), nn.Linear(20, 2)).to(dtype)
    with torch.no_grad():
        model[0].bias[:7] = -100
        model[2].bias[:3] = -100
    x = torch.randn(200, 4, dtype=dtype)
    model(x).square().sum().backward()
    still = [int((model[i].weight.grad == 0).all(dim=1).sum()) for i in (0, 2)]
    assert solution["dead_units"](model, x) == still
    assert still[0] >= 7 and still[1] >= 3
