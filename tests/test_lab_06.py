"""Lab 06's solutions agree with torch's, in float32 and float64."""

import math

import pytest
import torch
from solutions import solutions_of
from torch import nn

from utils.checks import lab_06_optimizers as checks

DTYPES = (torch.float32, torch.float64)
ARGUMENTS = {
    "GradientDescent": [{}, {"lr": 0.1}, {"lr": 0.1, "maximize": True}],
    "SGD": [
        {}, {"lr": 0.1}, {"lr": 0.05, "momentum": 0.9}, {"lr": 0.05, "momentum": 0.9, "dampening": 0.4},
        {"lr": 0.05, "momentum": 0.9, "nesterov": True}, {"lr": 0.05, "weight_decay": 0.3},
        {"lr": 0.05, "momentum": 0.5, "weight_decay": 0.3, "maximize": True},
        {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1, "maximize": True},
    ],
    "RMSprop": [
        {}, {"lr": 0.05, "alpha": 0.5}, {"lr": 0.05, "alpha": 0.9, "eps": 0.1}, {"lr": 0.01, "momentum": 0.9},
        {"lr": 0.02, "eps": 1e-3, "centered": True}, {"lr": 0.05, "weight_decay": 0.3, "maximize": True},
        {"lr": 0.01, "alpha": 0.9, "eps": 1e-2, "centered": True, "momentum": 0.5, "weight_decay": 0.1},
    ],
    "Adam": [
        {}, {"lr": 0.1}, {"lr": 0.1, "betas": (0.5, 0.8)}, {"lr": 0.1, "betas": (0.0, 0.9)}, {"lr": 0.1, "eps": 0.1},
        {"lr": 0.1, "weight_decay": 0.3}, {"lr": 0.1, "weight_decay": 0.3, "maximize": True},
    ],
    "AdamW": [
        {}, {"lr": 0.1}, {"lr": 0.1, "betas": (0.5, 0.8)}, {"lr": 0.1, "eps": 0.1}, {"lr": 0.1, "weight_decay": 0.0},
        {"lr": 0.1, "weight_decay": 0.5}, {"lr": 0.1, "weight_decay": 0.5, "maximize": True},
    ],
}  # fmt: skip
COMBINATIONS = [(name, arguments) for name, many in ARGUMENTS.items() for arguments in many]


@pytest.fixture(scope="module")
def solution() -> dict:
    return solutions_of("06_optimizers")


def theirs(name: str):
    return getattr(torch.optim, "SGD" if name == "GradientDescent" else name)


def descend(optimizer_class, arguments: dict, dtype: torch.dtype, schedule=None) -> list[torch.Tensor]:
    """All weights, laid end to end, after each of twenty steps on a real loss; two groups, one idle weight."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((4, 3), (3,), (2, 3), ())
    params = [torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes]
    x = torch.randn(16, 4, generator=generator, dtype=dtype)
    optimizer = optimizer_class([{"params": params[:2]}, {"params": params[2:], "lr": 0.03}], **arguments)
    scheduler = schedule(optimizer) if schedule else None
    path = []
    for step in range(20):
        optimizer.zero_grad()
        hidden = torch.tanh(x @ params[0] + params[1])
        target = hidden @ params[2].T if step % 3 else hidden[:, :2]  # the third weight is idle now and then
        ((target - x[:, :2]) ** 2).mean().backward()
        optimizer.step()
        if scheduler:
            scheduler.step()
        path.append(torch.cat([p.detach().flatten() for p in params]))
    return path


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "arguments"), COMBINATIONS)
def test_an_optimizer_agrees_with_torch(solution, name, arguments, dtype):
    mine, torchs = (descend(cls, arguments, dtype) for cls in (solution[name], theirs(name)))
    for got, want in zip(mine, torchs):
        torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_what_a_check_calls_right_is_what_torch_does(name):
    """The rules that the checks derive misconceptions from are right where there is no misconception."""
    rule = {
        "GradientDescent": lambda p, g, s, o: (1 if o.get("maximize") else -1) * o["lr"] * g,
        "SGD": checks._momentum(),
        "RMSprop": checks._rmsprop(),
        "Adam": checks._adam(),
        "AdamW": checks._adam(decoupled=True),
    }[name]
    for arguments in ARGUMENTS[name]:
        defaults = {"lr": {"RMSprop": 1e-2}.get(name, 1e-3)} | arguments
        mine = descend(lambda groups, defaults=defaults: checks.Slip(groups, defaults, rule), {}, torch.float64)
        torch.testing.assert_close(mine, descend(theirs(name), arguments, torch.float64), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_schedule_and_a_checkpoint_take_the_optimizer(solution, name):
    def schedule(optimizer):
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: solution["warmup_cosine"](step, 5, 18))

    mine, torchs = (descend(cls, {"lr": 0.05}, torch.float64, schedule) for cls in (solution[name], theirs(name)))
    torch.testing.assert_close(mine, torchs, rtol=1e-6, atol=1e-12)

    w = torch.ones(3, requires_grad=True)
    optimizer = solution[name]([w], lr=0.1)
    for part in (1, 2):
        w.grad = torch.tensor([1.0, -2.0, 3.0]) * part
        optimizer.step()
    copy = w.detach().clone().requires_grad_()
    resumed = solution[name]([copy], lr=0.5)
    resumed.load_state_dict(optimizer.state_dict())
    for weights, stepper in ((w, optimizer), (copy, resumed)):
        weights.grad = torch.ones(3)
        stepper.step()
    assert torch.equal(w, copy)


@pytest.mark.parametrize(("warmup", "total", "floor"), [(5, 20, 0.0), (1, 7, 0.1), (10, 60, 0.01)])
def test_the_schedule_agrees_with_torchs(solution, warmup, total, floor):
    def optimizer():
        return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)

    mine = [solution["warmup_cosine"](step, warmup, total, floor) for step in range(total + 1)]
    first, second, lambdas = optimizer(), optimizer(), optimizer()
    climb = torch.optim.lr_scheduler.LinearLR(first, 1 / warmup, total_iters=max(warmup - 1, 1))
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(second, total - warmup, eta_min=floor)
    plugged = torch.optim.lr_scheduler.LambdaLR(lambdas, lambda step: mine[min(step, total)])
    for step in range(total + 1):
        source, scheduler = (first, climb) if step < warmup else (second, fall)
        assert mine[step] == pytest.approx(source.param_groups[0]["lr"], abs=1e-9)
        assert lambdas.param_groups[0]["lr"] == mine[step]
        source.step()
        scheduler.step()
        lambdas.step()
        plugged.step()
    assert solution["warmup_cosine"](10 * total, warmup, total, floor) == floor


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("max_norm", [0.1, 1.0, 1e6])
def test_clipping_agrees_with_torchs(solution, dtype, max_norm):
    torch.manual_seed(0)
    models = [nn.Sequential(nn.Linear(5, 7), nn.Linear(7, 2)).to(dtype) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    x = torch.randn(8, 5, dtype=dtype)
    norms = []
    for model, clip in zip(models, (solution["clip_by_norm"], nn.utils.clip_grad_norm_)):
        model[1](10 * model[0](x)).square().sum().backward()
        norms.append(clip(model.parameters(), max_norm))
    torch.testing.assert_close(*norms)
    for mine, torchs in zip(models[0].parameters(), models[1].parameters()):
        torch.testing.assert_close(mine.grad, torchs.grad, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
def test_dropout_has_the_statistics_of_torchs(solution, p, dtype):
    torch.manual_seed(0)
    x = torch.rand(100, 1000, dtype=dtype) + 0.5
    for module in (solution["Dropout"](p), nn.Dropout(p)):
        y = module(x)
        kept = y != 0
        assert y.dtype == dtype
        assert abs((~kept).double().mean().item() - p) <= 5 * math.sqrt(p * (1 - p) / x.numel())
        torch.testing.assert_close(y[kept], x[kept] / (1 - p))
        assert p == 0 or not torch.equal(module(x) != 0, kept)
        assert torch.equal(module.eval()(x), x)
