"""Lab 09's solution is the course's own code; both agree with torch, with statistics by brute force, and on the stand-in."""

import copy
import math

import numpy as np
import pytest
import torch
from PIL import Image
from solutions import solutions_of
from torch import nn
from torch.nn import functional as F

from utils import callbacks, insects, training, transfer
from utils.download import DataError
from utils.pretrained import imagenet_network


@pytest.fixture(scope="module")
def solution() -> dict:
    return solutions_of("09_transfer")


@pytest.fixture(scope="module")
def network():
    return imagenet_network("efficientnet_lite0")


class Small(nn.Module):
    """A body with a batch norm, and an output layer of a given name."""

    def __init__(self, head: str = "fc", outputs: int = 4):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.3))
        setattr(self, head, nn.Linear(6, outputs))
        self.head = head

    def forward(self, x):
        return getattr(self, self.head)(self.body(x))


def small(head="fc", outputs=4, dtype=torch.float32, seed=0) -> nn.Module:
    torch.manual_seed(seed)
    return Small(head, outputs).to(dtype)


def batches(dtype=torch.float32, classes=2) -> list:
    g = torch.Generator().manual_seed(1)
    return [(torch.randn(n, 5, generator=g).to(dtype), torch.randint(classes, (n,), generator=g)) for n in (6, 6, 3)]


@pytest.mark.parametrize("shape", [(300, 400), (400, 300), (100, 90)])
def test_preprocessing_is_that_of_torchvisions_weights(solution, shape):
    from torchvision.models import ResNet18_Weights

    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8))
    usual = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    mine, courses = (f(picture, 224, *usual) for f in (solution["preprocess"], transfer.preprocess))
    assert torch.equal(mine, courses) and type(mine) is torch.Tensor
    whole = ResNet18_Weights.DEFAULT.transforms()(picture)  # through PIL: rounded to whole grey levels
    assert (mine - whole).abs().max() < 0.05


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_labs_functions_and_the_courses_are_the_same(solution, dtype):
    logits = 3 * torch.randn(6, 9, dtype=dtype)
    assert solution["top_classes"](logits, "abcdefghi", 4) == transfer.top_classes(logits, "abcdefghi", 4)
    for head in ("fc", "classifier"):
        found = []
        for functions in (solution, vars(transfer)):
            torch.manual_seed(3)
            model = functions["new_head"](small(head, dtype=dtype), head, 2)
            features, labels = functions["extract_features"](model, head, batches(dtype))
            found.append((features, labels, getattr(model, head).weight))
            assert [name for name, p in model.named_parameters() if p.requires_grad] == [f"{head}.weight", f"{head}.bias"]
        assert all(torch.equal(a, b) for a, b in zip(*found))
        assert features.dtype == dtype and model.training
        with torch.no_grad():
            whole = torch.cat([model.eval()(x) for x, _ in batches(dtype)])
        torch.testing.assert_close(getattr(model, head)(features), whole)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_norms_stay_and_the_rest_trains(solution, dtype):
    states = []
    for still in (solution["StillNorms"], transfer.StillNorms):
        model = small(outputs=2, dtype=dtype)
        before = model.body[1].running_mean.clone()
        learner = training.Learner(model, batches(dtype), batches(dtype), nn.CrossEntropyLoss(),
                                   torch.optim.SGD(model.parameters(), lr=0.1), [callbacks.Metrics()])
        torch.manual_seed(0)
        learner.fit(2, [still()])
        assert torch.equal(model.body[1].running_mean, before) and all(m.training for m in model.modules())
        assert not torch.equal(model.body[1].weight, torch.ones_like(model.body[1].weight))
        states.append(model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_every_parameter_of_the_network_is_in_one_group(solution, network):
    model = network.model.requires_grad_(True)
    parts = transfer.stages(model)
    mine, courses = (f(parts, 0.1, 0.5, 0.01) for f in (solution["layer_groups"], transfer.layer_groups))
    assert [(g["lr"], g["weight_decay"], [id(p) for p in g["params"]]) for g in mine] == [
        (g["lr"], g["weight_decay"], [id(p) for p in g["params"]]) for g in courses]
    grouped = [id(p) for group in mine for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())
    rate = {id(p): group["lr"] for group in mine for p in group["params"]}
    assert rate[id(next(model.parameters()))] < 0.001 < rate[id(getattr(model, network.head).weight)] == 0.1
    assert all(p.ndim > 1 for group in mine if group["weight_decay"] for p in group["params"])


def test_the_stages_of_torchvisions_resnet_are_in_their_order():
    from torchvision.models import resnet18

    model = resnet18()
    parts = transfer.stages(model)
    assert parts[0] is model.conv1 and parts[-1] is model.fc and len(parts) == 2 + 8 + 1
    assert sum(p.numel() for part in parts for p in part.parameters()) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("right,n,z", [(144, 153, 1.96), (0, 7, 1.96), (7, 7, 2.576), (1, 1, 1.0)])
def test_wilsons_interval_ends_where_the_observed_share_is_z_deviations_away(solution, right, n, z):
    low, high = solution["wilson"](right, n, z)
    assert (low, high) == transfer.wilson(right, n, z)
    for end in (low, high):
        deviations = abs(right / n - end) / math.sqrt(max(end * (1 - end), 1e-300) / n)
        assert deviations == pytest.approx(z, rel=1e-6) or end in (0.0, 1.0)


def test_wilsons_interval_covers_the_truth():
    torch.manual_seed(0)
    seen = torch.binomial(torch.full((2000,), 153.0), torch.tensor(0.94)).int().tolist()
    covered = [low <= 0.94 <= high for low, high in (transfer.wilson(right, 153) for right in seen)]
    assert 0.92 < sum(covered) / len(covered) < 0.98


@pytest.mark.parametrize("only_a,only_b", [(9, 2), (2, 9), (5, 5), (0, 0), (1, 0)])
def test_mcnemars_p_is_the_share_of_coin_throws(solution, only_a, only_b):
    a = torch.tensor([True] * (only_a + 20) + [False] * (only_b + 3))
    b = torch.tensor([False] * only_a + [True] * (20 + only_b) + [False] * 3)
    found = solution["mcnemar"](a, b)
    assert found == transfer.mcnemar(a, b) and found[:2] == (only_a, only_b)
    n = only_a + only_b
    throws = [bin(i).count("1") for i in range(2**n)]
    uneven = sum(abs(2 * heads - n) >= abs(only_a - only_b) for heads in throws) / 2**n
    assert found[2] == pytest.approx(uneven)


def test_what_is_saved_predicts_the_same(solution, tmp_path):
    x = batches()[0][0]
    for functions in (solution, vars(transfer)):
        model, fresh = small().eval(), small(seed=5)
        functions["save_classifier"](tmp_path / "a.pt", model, ("ant", "bee", "cat", "dog"), 64, (0.5,) * 3, (0.25,) * 3)
        for reader in (solution, vars(transfer)):  # each reads the other's file
            facts = reader["load_classifier"](tmp_path / "a.pt", fresh)
            assert facts == {"classes": ["ant", "bee", "cat", "dog"], "size": 64, "mean": [0.5] * 3, "std": [0.25] * 3}
            assert not fresh.training and torch.equal(fresh(x), model(x))
        with pytest.raises((RuntimeError, DataError), match="size mismatch|another architecture"):
            functions["load_classifier"](tmp_path / "a.pt", small(outputs=2))


def test_batches_are_normalized_and_augmented_by_a_seed():
    images = torch.randint(0, 256, (10, 3, 40, 40), dtype=torch.uint8)
    labels = torch.arange(10)
    plain = transfer.PictureBatches(images, labels, 40, batch_size=4)
    x = torch.cat([x for x, _ in plain])
    torch.testing.assert_close(x, (images / 255 - 0.5) / 0.5)
    assert [len(y) for _, y in plain] == [4, 4, 2] and len(plain) == 3
    twice = [transfer.PictureBatches(images, labels, 32, batch_size=4, augment=True, seed=2) for _ in range(2)]
    first, again = ([(x, y) for x, y in b] for b in twice)
    assert all(torch.equal(a, b) and torch.equal(y, z) for (a, y), (b, z) in zip(first, again))
    assert sorted(torch.cat([y for _, y in first]).tolist()) == list(range(10)) and first[0][0].shape == (4, 3, 32, 32)
    assert not torch.equal(first[0][0], next(iter(twice[0]))[0])  # another epoch
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x, _ in first)


def test_what_is_held_out_is_a_share_of_each_class():
    labels = torch.tensor([0] * 50 + [1] * 30)
    keep, held = transfer.split_off(labels, 0.2)
    assert labels[held].bincount().tolist() == [10, 6]
    assert sorted(torch.cat([keep, held]).tolist()) == list(range(80))


def test_on_drawings_frozen_features_beat_scratch_by_ten_points(network, tmp_path):
    """Few images a class, three seeds, 24 drawings that were not trained on."""
    insects.write(tmp_path)
    parts = {part: transfer.load_pictures(tmp_path / part, 160)[:2] for part in ("train", "val")}
    (images, labels), (val_images, val_labels) = parts["train"], parts["val"]
    (features, _), (val_features, _) = (transfer.extract_features(network.model, network.head, transfer.PictureBatches(
        x, y, 160, network.mean, network.std)) for x, y in parts.values())
    leads = []
    for seed in range(3):
        rows = torch.cat([(labels == c).nonzero().flatten()[torch.randperm(24, generator=torch.Generator().manual_seed(seed))[:4]]
                          for c in (0, 1)])
        frozen = transfer.train_head(features[rows], labels[rows], seed=seed)(val_features)
        learning = transfer.PictureBatches(images[rows], labels[rows], 64, augment=True, seed=seed)
        scratch = training.predict(transfer.from_scratch(learning, 100, seed), transfer.PictureBatches(val_images, val_labels, 64))
        leads.append(training.accuracy(frozen, val_labels) - training.accuracy(scratch, val_labels))
    assert sum(leads) / 3 >= 0.10, leads


def test_fine_tuning_moves_all_layers_and_lowers_the_loss(network):
    torch.manual_seed(0)
    model = transfer.new_head(copy.deepcopy(network.model), network.head, 2)
    before = {name: p.clone() for name, p in model.named_parameters()}
    norm = next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d)).running_mean
    kept = norm.clone()
    images, labels = torch.randint(0, 256, (16, 3, 64, 64), dtype=torch.uint8), torch.arange(16) % 2
    images[labels == 1] //= 2
    learning = transfer.PictureBatches(images, labels, 64, batch_size=8)
    loss_before = training.validate(model, learning, F.cross_entropy)[0]
    history = transfer.fine_tune(model, learning, None, epochs=4, lr=1e-3)
    assert all(not torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert torch.equal(norm, kept) and len(history["train_loss"]) == 4
    assert training.validate(model, learning, F.cross_entropy)[0] < loss_before


def test_the_notebooks_first_cells_need_nothing_that_the_lab_builds():
    """The sandbox of the grader has no utils.transfer: only demo cells may import it."""
    import jupytext
    from solutions import LABS

    cells = [cell for cell in jupytext.read(LABS / "09_transfer.py").cells if cell.cell_type == "code"]
    others = [cell.source for cell in cells if "demo" not in cell.metadata.get("tags", [])]
    assert not any("transfer." in source or "import transfer" in source for source in others)
