"""Lab 11: the solutions agree with `utils.mixed`, and both with torch."""

import jupytext
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from solutions import LABS, solutions_of
from torch import nn
from torch.utils.data import default_collate

from utils import mixed, training
from utils.callbacks import Device, Metrics

SOLUTION = solutions_of("11_mixed")
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(n=12, dtype=torch.float32, seed=0) -> dict:
    g = seeded(seed)
    return {
        "image": torch.randn(n, 1, 28, 28, generator=g, dtype=dtype),
        "categories": torch.randint(4, (n, 2), generator=g),
        "numbers": torch.randn(n, 3, generator=g, dtype=dtype),
    }


def joint(source, dtype=torch.float32) -> nn.Module:
    torch.manual_seed(0)
    image = mixed.ImageBranch(6)
    return source["JointModel"](image, source["TableBranch"]([4, 4], [2, 3], 3, 5), 11, 16, 4).to(dtype)


@DTYPES
@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 20), columns=st.integers(1, 4), missing=st.floats(0, 0.8), seed=st.integers(0, 2**31))
def test_scalers_agree(dtype, n, columns, missing, seed):
    g = seeded(seed)
    numbers = 3 + 2 * torch.randn(n, columns, generator=g, dtype=dtype)
    numbers[1:][torch.rand(n - 1, columns, generator=g) < missing] = torch.nan  # one value in each column stays
    mine, theirs = (source.Scaler().fit(numbers) for source in (type("", (), SOLUTION), mixed))
    assert torch.allclose(mine.mean, theirs.mean) and torch.allclose(mine.std, theirs.std)
    assert torch.allclose(mine(numbers), theirs(numbers)) and theirs(numbers).dtype == dtype
    for column, mean, std in zip(numbers.T, theirs.mean, theirs.std):
        there = column[~column.isnan()]
        assert torch.allclose(mean, there.mean())
        assert torch.allclose(std, there.std(correction=0)) or (std == 1 and there.std(correction=0) < 1e-6)


@pytest.mark.parametrize("value", [0.1, 0.7, 1.1, 3.3])
def test_a_column_of_equal_values_has_std_1_though_its_mean_is_rounded(value):
    numbers = torch.full((100, 1), value)
    for scaler in (SOLUTION["Scaler"]().fit(numbers), mixed.Scaler().fit(numbers)):
        assert scaler.std.tolist() == [1.0] and scaler(numbers + 1)[0, 0] == pytest.approx(1, abs=1e-5)


def test_a_column_of_nothing_stays_finite_in_the_courses_own():
    numbers = torch.tensor([[1.0, torch.nan], [3.0, torch.nan]])
    assert mixed.Scaler().fit(numbers)(numbers).tolist() == [[-1, 0, 0, 1], [1, 0, 0, 1]]


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.sampled_from(["", "a", "b", "c", "d"])), new=st.lists(st.sampled_from(["", "a", "x"])),
       min_count=st.integers(1, 4))
def test_vocabularies_agree(texts, new, min_count):
    mine, theirs = SOLUTION["Vocabulary"](texts, min_count), mixed.Vocabulary(texts, min_count)
    assert len(mine) == len(theirs) and torch.equal(mine(new), theirs(new)) and theirs(new).dtype == torch.int64
    assert all(code < len(theirs) for code in theirs(texts + new).tolist())


@DTYPES
def test_datasets_and_collate_agree_with_torchs(dtype):
    x = batch(dtype=dtype)
    parts = x["image"], x["categories"], x["numbers"], torch.arange(12)
    mine, theirs = SOLUTION["MixedDataset"](*parts, torch.neg), mixed.MixedDataset(*parts, torch.neg)
    rows = [3, 0, 7]
    batches = [collate([dataset[i] for i in rows]) for dataset in (mine, theirs) for collate in (SOLUTION["collate"], default_collate)]
    for inputs, labels in batches:
        assert labels.tolist() == rows
        assert torch.equal(inputs["image"], -x["image"][rows]) and torch.equal(inputs["numbers"], x["numbers"][rows])
    for dataset in (SOLUTION["MixedDataset"], mixed.MixedDataset):
        with pytest.raises(ValueError):
            dataset(parts[0][1:], *parts[1:])


def test_the_image_branches_are_the_same():
    cell = next(cell for cell in jupytext.read(LABS / "11_mixed.py").cells if cell.source.startswith("class ImageBranch"))
    exec(cell.source, names := dict(SOLUTION))
    assert str(names["ImageBranch"](7)) == str(mixed.ImageBranch(7))


@DTYPES
def test_models_agree(dtype):
    mine, theirs = joint(SOLUTION, dtype).eval(), joint(vars(mixed), dtype).eval()
    theirs.load_state_dict(mine.state_dict())
    x = batch(dtype=dtype)
    assert torch.allclose(mine(x), theirs(x))


@DTYPES
def test_what_it_rests_on_agrees(dtype):
    model, x, y = joint(vars(mixed), dtype), batch(40, dtype), torch.arange(40) % 4
    order = torch.randperm(40, generator=seeded(1))
    for columns in ({"image": []}, {"numbers": [0, 2]}, {"categories": [], "numbers": [1]}):
        assert SOLUTION["permutation_drop"](model, x, y, columns, order) == mixed.permutation_drop(model, x, y, columns, order)
    mine, theirs = SOLUTION["branch_gradients"](model, x), mixed.branch_gradients(model, x)
    assert all(torch.allclose(mine[name], theirs[name]) for name in ("image", "table"))
    assert model.training and all(p.grad is None for p in model.parameters())


def test_the_gradients_are_torchs_on_a_linear_head():
    model = joint(vars(mixed), torch.float64).eval()
    model.head = nn.Linear(11, 4).double()
    x = batch(dtype=torch.float64)
    rows = model.head.weight[model(x).argmax(1)]  # of a linear head, the winning logit's gradient is its row
    want = (torch.cat([model.image(x), model.table(x)], 1) * rows).detach()
    got = mixed.branch_gradients(model, x)
    assert torch.allclose(got["image"], want[:, :6].norm(dim=1)) and torch.allclose(got["table"], want[:, 6:].norm(dim=1))


def test_the_learner_and_the_loops_take_dicts():
    model, x, y = joint(vars(mixed)), batch(), torch.arange(12) % 4
    batches, loss_fn = [(x, y)] * 2, nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    learner = training.Learner(model, batches, batches, loss_fn, optimizer, [Device("cpu"), Metrics(accuracy=training.accuracy)])
    history = learner.fit(2)
    assert history["train_loss"][1] < history["train_loss"][0]
    training.train(model, batches, loss_fn, optimizer)
    loss, accuracy = training.validate(model, batches, loss_fn)
    logits = training.predict(model, batches)
    assert accuracy == pytest.approx(training.accuracy(logits, torch.cat([y, y])))
