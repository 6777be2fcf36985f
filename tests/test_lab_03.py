"""Lab 03's solution against torch's own: samplers, collate, loader, crop."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from solutions import solutions_of
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler, WeightedRandomSampler, default_collate
from torchvision.transforms import v2

SOLUTION = solutions_of("03_data")  # (hypothesis wants no fixtures that live for one test)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def same(mine: list, theirs: list) -> bool:
    return len(mine) == len(theirs) and all(
        len(a) == len(b) and all(x.dtype == y.dtype and torch.equal(x, y) for x, y in zip(a, b)) for a, b in zip(mine, theirs)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 30), batch_size=st.integers(1, 12), drop_last=st.booleans(), seed=st.integers(0, 2**31),
       order=st.sampled_from(["none", "sequential", "shuffled", "balanced"]), own=st.booleans())
def test_the_loader_gives_torchs_batches(dtype, n, batch_size, drop_last, seed, order, own):
    generator = seeded(seed)
    labels = torch.randint(3, (n,), generator=generator)
    dataset = SOLUTION["ArrayDataset"](torch.randn(n, 2, 3, dtype=dtype, generator=generator), labels, lambda x: 2 * x)
    weights = 1 / labels.bincount().double()[labels]
    mine, theirs = {
        "none": (None, None),
        "sequential": (range(n), SequentialSampler(dataset)),
        "shuffled": (SOLUTION["ShuffledSampler"](dataset, seeded(seed)), RandomSampler(dataset, generator=seeded(seed))),
        "balanced": (SOLUTION["BalancedSampler"](labels, n + 3, seeded(seed)),
                     WeightedRandomSampler(weights, n + 3, generator=seeded(seed))),
    }[order]
    options = {"batch_size": batch_size, "drop_last": drop_last}
    if own:
        options["collate_fn"] = lambda samples: default_collate(samples[::-1])
    mine = SOLUTION["Loader"](dataset, sampler=mine, **options)
    theirs = DataLoader(dataset, sampler=theirs, **options)
    assert len(mine) == len(theirs)
    assert same(list(mine), list(theirs))


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 20), batch_size=st.integers(1, 7), seed=st.integers(0, 2**31))
def test_torch_takes_our_samplers_and_collate(n, batch_size, seed):
    dataset = SOLUTION["ArrayDataset"](torch.randn(n, 2), torch.arange(n))
    mine = SOLUTION["Loader"](dataset, batch_size, SOLUTION["ShuffledSampler"](dataset, seeded(seed)))
    theirs = DataLoader(dataset, batch_size, sampler=SOLUTION["ShuffledSampler"](dataset, seeded(seed)), collate_fn=SOLUTION["collate"])
    for _ in range(3):  # epochs
        assert same(list(mine), list(theirs))


def test_what_the_lab_says_of_torchs_generators():
    g = seeded(7)
    torch.empty((), dtype=torch.int64).random_(generator=g)
    shuffled = torch.cat(list(DataLoader(torch.arange(10), 5, shuffle=True, generator=seeded(7))))
    assert torch.equal(shuffled, torch.randperm(10, generator=g))
    g = seeded(7)
    draws = [torch.randperm(10, generator=g).tolist() for _ in range(3)]
    sampler = RandomSampler(range(10), generator=seeded(7))
    assert [list(sampler), list(sampler)] == [draws[0], draws[2]]


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=6), step=st.sampled_from([(), (2,), (2, 3)]),
       dtype=st.sampled_from([torch.float32, torch.float64, torch.int64]), padding=st.sampled_from([0, -1, 7]))
def test_pad_collate_is_pad_sequence(lengths, step, dtype, padding):
    samples = [(torch.ones(length, *step, dtype=dtype), k) for k, length in enumerate(lengths)]
    padded, found, labels = SOLUTION["pad_collate"](samples, padding)
    want = torch.nn.utils.rnn.pad_sequence([x for x, _ in samples], batch_first=True, padding_value=padding)
    assert padded.dtype == dtype and torch.equal(padded, want)
    assert found.tolist() == lengths and labels.tolist() == list(range(len(lengths)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_channel_stats_are_those_of_all_pixels(dtype):
    x = torch.rand(23, 3, 5, 6, dtype=dtype, generator=seeded(0)) + torch.linspace(0, 1, 23, dtype=dtype).view(-1, 1, 1, 1)
    loader = SOLUTION["Loader"](SOLUTION["ArrayDataset"](x, torch.zeros(23)), batch_size=8)
    mean, std = SOLUTION["channel_stats"](loader)
    torch.testing.assert_close(mean, x.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(std, x.std(dim=(0, 2, 3), correction=0))
    normalized = v2.functional.normalize(x, mean.tolist(), std.tolist())
    torch.testing.assert_close(SOLUTION["undo"](normalized, mean, std), x)


def test_crop_boxes_are_distributed_like_torchvisions():
    height, width, scale, ratio = 60, 90, (0.2, 0.8), (3 / 4, 4 / 3)
    crop = v2.RandomResizedCrop(8, scale, ratio)
    image = torch.zeros(3, height, width)
    torch.manual_seed(0)
    params = [crop.make_params([image]) for _ in range(4000)]
    theirs = torch.tensor([[p["top"], p["left"], p["height"], p["width"]] for p in params], dtype=torch.float64)
    g = seeded(0)
    mine = [SOLUTION["crop_box"](height, width, scale, ratio, g) for _ in range(4000)]
    mine = torch.tensor(mine, dtype=torch.float64)
    for a, b in zip(mine.T, theirs.T):
        assert abs(a.mean() - b.mean()) < 5 * math.sqrt(2) * b.std() / math.sqrt(4000)
        assert abs(a.std() / b.std() - 1) < 0.1
