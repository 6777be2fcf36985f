"""The drawn stand-in for CIFAR-10."""

import hashlib
import random

import numpy as np
import pytest

from benchmarks import standin_ranks
from utils import data, standin


@pytest.fixture(scope="module")
def train():
    return standin.images("train", 600)


@pytest.fixture(scope="module")
def test():
    return standin.images("test", 300)


def hashes(images: np.ndarray) -> set[str]:
    return {hashlib.sha256(image.tobytes()).hexdigest() for image in images}


def test_shapes_dtypes_and_names(train):
    x, y = train
    assert x.shape == (600, 32, 32, 3) and x.dtype == np.uint8
    assert y.shape == (600,) and y.dtype == np.int64
    assert standin.CLASSES == data.CLASSES
    assert standin.COUNTS == {"train": 10_000, "test": 2_000}


def test_the_same_seed_draws_the_same_images(train):
    x, y = standin.images("train", 50)
    assert np.array_equal(x, train[0][:50]) and np.array_equal(y, train[1][:50])  # and whatever the count


def test_pythons_global_generators_are_neither_used_nor_moved(train):
    random.seed(1), np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].copy()
    x, _ = standin.images("train", 20)
    assert np.array_equal(x, train[0][:20])
    assert random.getstate() == before[0] and np.array_equal(np.random.get_state()[1], before[1])


def test_another_seed_draws_others(train):
    x, y = standin.images("train", 100, seed=1)
    assert not hashes(x) & hashes(train[0])
    assert not np.array_equal(y, train[1][:100])


@pytest.mark.parametrize("count", [0, 1, 7, 10, 95])
def test_classes_are_balanced_within_one_and_shuffled(count):
    x, y = standin.images("train", count)
    assert len(x) == len(y) == count
    counts = np.bincount(y, minlength=10)
    assert counts.max() - counts.min() <= 1
    if count > 20:
        assert len({tuple(y[i : i + 10]) for i in range(0, count - 9, 10)}) > 5


def test_no_image_comes_twice_and_none_is_in_both_splits(train, test):
    assert len(hashes(train[0])) == 600 and len(hashes(test[0])) == 300
    assert not hashes(train[0]) & hashes(test[0])
    assert not np.array_equal(train[1][:300], test[1])


def test_what_is_drawn_differs_from_class_to_class_and_within_one(train):
    x, y = train
    means = np.stack([x[y == k].mean(axis=0) for k in range(10)])
    for k in range(10):
        assert x[y == k].std(axis=0).mean() > 20
        assert all(np.abs(means[k] - means[other]).mean() > 2 for other in range(k))


@pytest.mark.parametrize("name", standin.CLASSES)
def test_each_class_leaves_a_mark_on_its_background(name):
    """The same random numbers with and without the drawing: a good part of the pixels change."""
    shares = []
    for i in range(20):
        draw, _ = standin.DRAWINGS[name]
        canvas = standin.Canvas(random.Random(i))
        standin.plain(canvas)
        before = np.asarray(canvas.image).copy()
        canvas.put_object()
        draw(canvas)
        shares.append((np.asarray(canvas.image) != before).any(axis=2).mean())
    assert 0.05 < np.mean(shares) < 0.8


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="'train' or 'test', not 'val'"):
        standin.images("val")
    with pytest.raises(ValueError, match="negative"):
        standin.images("test", -1)


def test_a_network_beats_a_linear_model():
    """A glance at the ranking; `python -m benchmarks.standin_ranks` measures it."""
    images = standin_ranks.stand_in(2000, 500)
    linear, cnn = (standin_ranks.accuracy(name, images, 10_000, seed=0, batch_size=100) for name in ("linear", "small CNN"))
    assert linear > 15
    assert cnn > linear + 5


def test_the_benchmark_runs_and_says_which_column_is_missing(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("LABS_DATA", str(tmp_path))
    monkeypatch.setattr(standin_ranks, "SHORT", (500, 1000))
    columns = standin_ranks.main(["--short"])
    assert list(columns) == ["stand-in, 500"]
    printed = capsys.readouterr().out
    assert "No column of real images" in printed and "| small CNN |" in printed and "minutes" in printed
    assert all(0 <= value <= 100 for values in columns["stand-in, 500"].values() for value in values)


def test_the_verdict():
    good = {"a": [30.0, 31.0], "b": [40.0], "c": [70.0], "d": [80.0]}
    assert standin_ranks.teaches_the_lesson(good)
    assert not standin_ranks.teaches_the_lesson({**good, "c": [78.0]})  # a step of 2
    assert not standin_ranks.teaches_the_lesson({**good, "d": [93.0]})
