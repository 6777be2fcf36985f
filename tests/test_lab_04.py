"""Lab 04: its solutions agree with torch's own modules, in float32 and float64."""


import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from solutions import solutions_of
from torch import nn
from torch.nn import functional as F

from utils.widgets.lab_04_convolution import sizes_and_steps

DTYPES = [torch.float32, torch.float64]


SOLUTION = solutions_of("04_modules")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 3, 4)])
def test_dense_is_linear(dtype, shape):
    torch.manual_seed(0)
    mine, theirs = SOLUTION["Dense"](4, 3).to(dtype), nn.Linear(4, 3).to(dtype)
    theirs.load_state_dict(mine.state_dict())
    x = torch.randn(shape, dtype=dtype)
    torch.testing.assert_close(mine(x), theirs(x))
    for module in (mine, theirs):
        module(x).square().sum().backward()
    torch.testing.assert_close(mine.weight.grad, theirs.weight.grad)
    torch.testing.assert_close(mine.bias.grad, theirs.bias.grad)


def test_dense_starts_as_linear_does():
    torch.manual_seed(0)
    mine, theirs = SOLUTION["Dense"](400, 300), nn.Linear(400, 300)
    for name, p in mine.named_parameters():
        other = theirs.get_parameter(name)
        assert p.abs().max().item() == pytest.approx(other.abs().max().item(), rel=0.02)
        assert p.std().item() == pytest.approx(other.std().item(), rel=0.1)


@given(
    size=st.integers(1, 40),
    kernel=st.integers(1, 7),
    stride=st.integers(1, 5),
    padding=st.integers(0, 4),
    dilation=st.integers(1, 4),
)
@settings(deadline=None, max_examples=200)
def test_the_size_formula_is_torchs(size, kernel, stride, padding, dilation):
    assume(size + 2 * padding > dilation * (kernel - 1))
    got = SOLUTION["output_size"](size, kernel, stride, padding, dilation)
    x, weight = torch.zeros(1, 1, size, size), torch.zeros(1, 1, kernel, kernel)
    assert got == F.conv2d(x, weight, stride=stride, padding=padding, dilation=dilation).shape[-1]
    if padding <= kernel // 2:  # a pooling takes no more
        assert got == F.max_pool2d(x, kernel, stride, padding, dilation).shape[-1]
    assert got == sizes_and_steps(size, 1, kernel, stride, padding, dilation)[0][1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_class_is_the_sequential_network(dtype):
    torch.manual_seed(0)
    convolutions = [nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)]
    head = [nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]
    sequential = nn.Sequential(*convolutions, nn.Flatten(), *head).to(dtype)
    lenet = SOLUTION["LeNet"]().to(dtype)
    lenet.load_state_dict(dict(zip(lenet.state_dict(), sequential.state_dict().values())))
    x = torch.randn(3, 1, 32, 32, dtype=dtype)
    torch.testing.assert_close(lenet(x), sequential(x))
    assert sum(p.numel() for p in lenet.parameters()) == SOLUTION["total_count"] == 61_706


def test_the_mlp_is_a_sequential():
    mlp = SOLUTION["MLP"]([5, 4, 3])
    x = torch.randn(7, 5)
    torch.testing.assert_close(mlp(x), nn.Sequential(mlp.layers[0], nn.ReLU(), mlp.layers[1])(x))


@pytest.mark.parametrize("dtype", DTYPES)
def test_center_is_a_batch_norm_without_the_spread(dtype):
    torch.manual_seed(0)
    mine, norm = SOLUTION["Center"](4).to(dtype), nn.BatchNorm1d(4, affine=False, eps=1e-12).to(dtype)
    for _ in range(5):
        x = torch.randn(20, 4, dtype=dtype) + 3
        torch.testing.assert_close(mine(x) / x.std(0, correction=0), norm(x))
    torch.testing.assert_close(mine.mean, norm.running_mean)
    x = torch.randn(3, 4, dtype=dtype)
    torch.testing.assert_close(mine.eval()(x) / norm.running_var.sqrt(), norm.eval()(x))


def test_he_init_keeps_the_signals_size():
    torch.manual_seed(0)
    layers = [part for _ in range(20) for part in (nn.Linear(256, 256), nn.ReLU())]
    model = nn.Sequential(*layers)
    SOLUTION["he_init_"](model)
    theirs = nn.Linear(256, 256)
    nn.init.kaiming_normal_(theirs.weight, nonlinearity="relu")
    assert model[0].weight.std().item() == pytest.approx(theirs.weight.std().item(), rel=0.02)
    with torch.no_grad():
        out = model(torch.randn(200, 256))
    assert 0.3 < out.square().mean() < 3


def test_load_matching_leaves_out_what_does_not_fit():
    old, new = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))
    assert SOLUTION["load_matching"](new, old.state_dict()) == ["1.weight", "1.bias"]
    assert torch.equal(new[0].weight, old[0].weight)
