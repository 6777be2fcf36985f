"""The networks: shapes, sizes, and what each promises in its docstring."""

import pytest
import torch

from utils.data import normalize
from utils.models import FastNet, SevenConv, SmallCNN, linear, mlp

NETWORKS = (linear, mlp, SmallCNN, SevenConv, FastNet)


def parameters(model) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("make", NETWORKS)
def test_logits_for_any_batch_and_any_number_of_classes(make):
    model = make(num_classes=7).eval()
    x = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        batch, alone = model(x), torch.cat([model(image[None]) for image in x])
    assert batch.shape == (3, 7)
    torch.testing.assert_close(alone, batch, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", NETWORKS)
def test_the_same_seed_gives_the_same_network(make):
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(make().state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("make", NETWORKS)
def test_gradients_reach_all_that_learns(make):
    model = make()
    model(torch.randn(4, 3, 32, 32)).square().sum().backward()
    assert all((p.grad is not None) == p.requires_grad for p in model.parameters())


def test_the_seven_convolutions_have_the_articles_number_of_parameters():
    assert parameters(SevenConv(num_classes=2)) == 197_898
    assert parameters(SevenConv(num_classes=10)) == 198_930
    convolutions = [m for m in SevenConv().modules() if isinstance(m, torch.nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [8, 8, 32, 32, 128, 128, 10]


def test_small_networks_stay_small():
    assert parameters(SmallCNN()) < 50_000
    assert parameters(FastNet()) < parameters(SevenConv())


def test_whitening_makes_the_patches_uncorrelated_and_of_equal_size():
    torch.manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(400, 3, 9, 9), size=32, mode="bicubic").clamp(0, 1)
    x = normalize((255 * smooth).to(torch.uint8))
    model = FastNet().whiten(x, eps=0.0)
    with torch.no_grad():
        y = model.whitening(x)[:, :12].transpose(0, 1).flatten(1)
    torch.testing.assert_close(y @ y.T / y.shape[1], torch.eye(12), rtol=1e-2, atol=2e-2)


def test_the_whitening_layer_is_frozen_and_has_both_signs():
    model = FastNet().whiten(torch.randn(50, 3, 32, 32))
    weight = model.whitening.weight
    assert not weight.requires_grad
    torch.testing.assert_close(weight[:12], -weight[12:])


@pytest.mark.parametrize("side", [16, 24, 32, 48])
def test_fastnet_takes_images_of_other_sizes(side):
    assert FastNet()(torch.randn(2, 3, side, side)).shape == (2, 10)


def test_fastnet_learns_a_few_images_by_heart():
    torch.manual_seed(0)
    x, y = torch.randn(20, 3, 32, 32), torch.arange(20) % 10
    model = FastNet().whiten(x)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1, momentum=0.9)
    for _ in range(40):
        loss = torch.nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5
