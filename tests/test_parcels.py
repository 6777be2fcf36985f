"""The parcels: the same everywhere, aligned, and with the faults that lab 11 is about."""

import inspect

import numpy as np
import pytest
import torch

from utils import data, parcels

TRAIN, VAL, TEST = parcels.parcels()


def test_sizes_and_kinds():
    assert [len(part) for part in (TRAIN, VAL, TEST)] == [3000, 1000, 1000]
    for part in (TRAIN, VAL, TEST):
        assert part.images.dtype == torch.uint8 and part.images.shape == (len(part), 1, 28, 28)
        assert part.routes.dtype == torch.int64 and set(part.routes.tolist()) == set(range(len(parcels.ROUTES)))
        assert tuple(part.categories) == parcels.CATEGORIES and tuple(part.numbers) == parcels.NUMBERS
        assert all(len(column) == len(part) for column in (*part.categories.values(), *part.numbers.values()))
        assert all(column.dtype == np.float32 and not (column <= 0).any() for column in part.numbers.values())


def test_no_picture_is_in_two_parts():
    digits = data.mnist(full=False)
    assert torch.equal(torch.cat([TRAIN.images, VAL.images]), digits.train_images[:4000])
    assert torch.equal(TEST.images, digits.test_images[:1000])


def test_the_same_on_every_machine():
    again = parcels._parcels.__wrapped__()[0]
    assert torch.equal(again.routes, TRAIN.routes)
    assert torch.bincount(TRAIN.routes).tolist() == [795, 845, 673, 687]
    assert np.nansum(TRAIN.numbers["weight_kg"].astype(float)) == pytest.approx(24894.9, rel=1e-5)


def test_the_rule():
    digits = np.array([0, 0, 0, 0, 0, 0])
    country = np.array(["DE", "FR", "PL", "LI", "DE", "DE"])
    service = np.array(["standard", "economy", "standard", "standard", "express", "standard"])
    weight = np.array([1, 1, 20, 1, 1, 20.1])
    routes = [parcels.ROUTES[route] for route in parcels._route(digits, country, service, weight)]
    assert routes == ["hub north", "hub south", "hub west", "hub south", "courier", "courier"]


def test_most_parcels_follow_the_rule():
    digits = data.mnist(full=False).train_labels[:3000].numpy()
    weight = np.nan_to_num(TRAIN.numbers["weight_kg"], nan=99.0)
    known = (TRAIN.categories["country"] != "") & ~np.isnan(TRAIN.numbers["weight_kg"])
    want = parcels._route(digits, TRAIN.categories["country"], TRAIN.categories["service"], weight)
    share = (want == TRAIN.routes.numpy())[known].mean()
    assert 0.96 < share < 0.99  # 3 in 100 go astray, a quarter of them to where they should


def test_missing_weights_mean_something_and_missing_values_do_not():
    courier = TRAIN.routes.numpy() == parcels.ROUTES.index("courier")
    weight, value = (np.isnan(TRAIN.numbers[name]) for name in ("weight_kg", "value_eur"))
    assert 0.05 < weight.mean() < 0.15 and 0.05 < value.mean() < 0.15
    assert np.nanmax(TRAIN.numbers["weight_kg"]) <= parcels.END_OF_SCALE
    assert courier[weight].mean() > courier[~weight].mean() + 0.4
    assert abs(courier[value].mean() - courier[~value].mean()) < 0.08


def test_one_country_is_new_after_training():
    assert "LI" not in TRAIN.categories["country"] and "" in TRAIN.categories["country"]
    assert "LI" in VAL.categories["country"] and "LI" in TEST.categories["country"]


def test_the_program_is_short_enough_to_read():
    assert len(inspect.getsource(parcels).splitlines()) <= 120
