"""Lab 10's solutions agree with `utils.attribution` and with torch, on the networks that the lab uses; float32 and float64."""

import pytest
import torch
from solutions import LABS, solutions_of
from torch import nn

from utils import attribution
from utils.checks import exercises
from utils.models import SmallCNN
from utils.pretrained import cifar10_network

DTYPES = (torch.float32, torch.float64)


@pytest.fixture(scope="module")
def solution() -> dict:
    return solutions_of("10_features")


@pytest.fixture(scope="module", params=DTYPES, ids=str)
def case(request):
    """(network, images, classes); rectangles, since SmallCNN's linear layer wants 32 × 32, come in the checks."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 3, 32, 32, generator=generator, dtype=request.param)
    return cifar10_network().to(request.param), x, torch.tensor([3, 0, 9])


def test_feature_maps(solution, case):
    model, x, _ = case
    names = ["features.8", "features.0", "classifier"]
    mine, theirs = solution["feature_maps"](model, x, names), attribution.feature_maps(model, x, names)
    assert list(theirs) == names and mine.keys() == theirs.keys()
    for name in names:
        assert torch.equal(mine[name], theirs[name]) and not theirs[name].requires_grad
    assert torch.equal(theirs["classifier"], model(x))
    assert not any(module._forward_hooks for module in model.modules())


def test_pixels_seen(solution, case):
    model, x, _ = case
    for depth in (1, 5, 12):
        mine = solution["pixels_seen"](model.features[:depth], x, 1, 2)
        assert torch.equal(mine, attribution.pixels_seen(model.features[:depth], x, 1, 2)) and mine.any()


@pytest.mark.parametrize("name", ["saliency", "occlusion"])
def test_explanations(solution, case, name):
    torch.testing.assert_close(solution[name](*case), getattr(attribution, name)(*case))


def test_grad_cam(solution, case):
    model, x, target = case
    for layer in (2, 10, 11):
        mine = solution["grad_cam"](model, model.features[layer], x, target)
        torch.testing.assert_close(mine, attribution.grad_cam(model, model.features[layer], x, target))


def test_occlusion_does_not_depend_on_the_batch_size(case):
    whole = attribution.occlusion(*case, patch=7, stride=5, batch_size=1000)
    torch.testing.assert_close(attribution.occlusion(*case, patch=7, stride=5, batch_size=1), whole)


@pytest.mark.parametrize("dtype", DTYPES)
def test_channels_and_images(solution, dtype):
    generator = torch.Generator().manual_seed(1)
    maps, labels = torch.randn(20, 6, 3, 5, generator=generator, dtype=dtype), torch.arange(20) % 3
    for first, second in ((0, 1), (2, 0)):
        mine = solution["channel_gap"](maps, labels, first, second)
        torch.testing.assert_close(mine, attribution.channel_gap(maps, labels, first, second))
    for mine, theirs in zip(solution["top_images"](maps[:, 0], 4), attribution.top_images(maps[:, 0], 4)):
        assert torch.equal(mine, theirs)
    images, rows, columns = attribution.top_images(maps[:, 0], 20)
    assert torch.equal(maps[images, 0, rows, columns], maps[:, 0].amax((1, 2)).sort(descending=True).values)


@pytest.mark.parametrize("dtype", DTYPES)
def test_ascent(solution, dtype):
    generator = torch.Generator().manual_seed(2)
    weights = torch.randn(3, 8, 6, generator=generator, dtype=dtype)
    start = torch.randn(2, 3, 8, 6, generator=generator, dtype=dtype)

    def score(z):
        return -(z - weights).square().sum((1, 2, 3))

    shifts = [(0, 0), (1, -2), (3, 0)] * 5
    mine = solution["ascend"](score, start, shifts, lr=0.1, l2=0.01, blur=torch.tanh)
    torch.testing.assert_close(mine, attribution.ascend(score, start, shifts, lr=0.1, l2=0.01, blur=torch.tanh))
    assert (score(attribution.ascend(score, start, [(0, 0)] * 15)) > score(start)).all()


def test_accuracy_without(solution, case):
    model, x, _ = case
    labels = model(x).argmax(1)
    for box in ((0, 0, 1, 1), (28, 1, 3, 3), (0, 0, 32, 32)):
        assert solution["accuracy_without"](model, x, labels, box) == pytest.approx(attribution.accuracy_without(model, x, labels, box))


def test_each_module_keeps_its_own_mode_and_its_gradients():
    torch.manual_seed(0)
    model = SmallCNN().train()
    model.features[1].eval()  # a frozen batch norm in a network that trains
    modes = [module.training for module in model.modules()]
    average = model.features[5].running_mean.clone()
    x, target = torch.randn(2, 3, 32, 32), torch.tensor([1, 2])
    attribution.saliency(model, x, target)
    attribution.grad_cam(model, model.features[10], x, target)
    attribution.occlusion(model, x, target)
    attribution.feature_maps(model, x, ["features"])
    with pytest.raises(RuntimeError), attribution.evaluating(model):
        model(x[:, :1])
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(model.features[5].running_mean, average)
    assert all(p.grad is None for p in model.parameters()) and not x.requires_grad
    assert not any(module._forward_hooks for module in model.modules())


def test_an_in_place_relu_does_not_change_what_stands_before_it():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)]
    plain, in_place = nn.Sequential(*layers), nn.Sequential(*layers[:2], nn.ReLU(inplace=True), *layers[3:])
    x, target = torch.randn(2, 3, 9, 7), torch.tensor([0, 2])
    assert torch.equal(attribution.feature_maps(in_place, x, ["1"])["1"], attribution.feature_maps(plain, x, ["1"])["1"])
    for layer in (1, 2):
        theirs = attribution.grad_cam(plain, plain[layer], x, target)
        torch.testing.assert_close(attribution.grad_cam(in_place, in_place[layer], x, target), theirs)
    with pytest.raises(AttributeError):
        attribution.feature_maps(plain, x, ["no such layer"])


def test_the_judge_knows_where_the_mark_is():
    """Lab 10 draws the corner from this generator."""
    from utils.checks.lab_10_features import MARK

    assert exercises("10")["10.9"].points == 3
    assert list(MARK[:2]) == (1 + 27 * torch.randint(2, (2,), generator=torch.Generator().manual_seed(5))).tolist()
    source = (LABS / "10_features.py").read_text(encoding="utf-8")
    assert "torch.Generator().manual_seed(5)" in source
