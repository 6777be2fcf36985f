"""Parcels (lab 11): a real picture of a handwritten digit, and a simulated table. Where does each parcel go?

The picture is the last digit of the postcode: one of the 5,000 real digits of `data.mnist(full=False)`. All the rest is
made by the program below, the same numbers on every machine, so that it is known what there is to be found:

- express parcels, and those over 20 kg, go by courier, whatever the digit;
- the others go to one of three hubs; which hub a digit means differs from country to country;
- parcels from small countries go to hub south;
- the sorting office errs with 3 parcels in 100: they went to a route drawn at random;
- the shop and the declared value do not matter.

The table has the faults of real ones: weights over 30 kg are missing, because the scale ends there, and so are some
others by chance; a country or a value was not always written down; one country comes up only after training.
"""

import functools
from typing import NamedTuple

import numpy as np
import torch

from . import data

ROUTES = ("hub north", "hub south", "hub west", "courier")
CATEGORIES = ("country", "service", "shop")
NUMBERS = ("weight_kg", "value_eur")

HUB_OF_DIGIT = {  # digit -> route, for each large country
    "DE": (0, 0, 0, 0, 1, 1, 1, 2, 2, 2),
    "FR": (1, 1, 0, 2, 2, 1, 0, 0, 2, 1),
    "PL": (2, 2, 1, 0, 0, 0, 1, 1, 1, 2),
}
COUNTRIES = ("DE", "FR", "PL", "LU", "LI")
SHARES = {"train": (0.58, 0.24, 0.14, 0.04, 0.0), "later": (0.58, 0.24, 0.14, 0.02, 0.02)}
SERVICES = ("standard", "economy", "express")
SHOPS = tuple(f"shop {number:02d}" for number in range(1, 25))
HEAVY, END_OF_SCALE = 20.0, 30.0  # kg
COURIER = ROUTES.index("courier")
MIN_COUNT = (130, 130, 20)  # for each of CATEGORIES: a level with fewer training parcels is treated as unknown


class Parcels(NamedTuple):
    """N parcels. Row i of every part belongs to parcel i."""

    images: torch.Tensor  # uint8 (N, 1, 28, 28)
    categories: dict[str, np.ndarray]  # each name of CATEGORIES -> N texts; "" where nothing was written down
    numbers: dict[str, np.ndarray]  # each name of NUMBERS -> float32 (N,); NaN where it is missing
    routes: torch.Tensor  # int64 (N,), positions in ROUTES

    def __len__(self) -> int:
        """How many parcels: not, as for other tuples, how many parts."""
        return len(self.routes)


def parcels() -> tuple[Parcels, Parcels, Parcels]:
    """Training (3,000), validation (1,000) and test parcels (1,000); no digit's picture is in two of them."""
    return _parcels()


def logarithms(numbers: dict[str, np.ndarray]) -> torch.Tensor:
    """The columns of numbers as models get them, before scaling: logarithms, float32 (N, 2), NaN where missing."""
    return torch.stack([torch.from_numpy(numbers[name]) for name in NUMBERS], dim=1).log()


@functools.cache
def _parcels() -> tuple[Parcels, Parcels, Parcels]:
    digits = data.mnist(full=False)
    pictures = torch.cat([digits.train_images[:4000], digits.test_images[:1000]])
    labels = torch.cat([digits.train_labels[:4000], digits.test_labels[:1000]]).numpy()
    rng = np.random.RandomState(11)  # unlike default_rng's, its numbers are the same in every version of NumPy
    parts = (slice(0, 3000), "train"), (slice(3000, 4000), "later"), (slice(4000, 5000), "later")
    return tuple(_simulate(pictures[rows], labels[rows], SHARES[when], rng) for rows, when in parts)


def _simulate(images: torch.Tensor, digits: np.ndarray, shares, rng) -> Parcels:
    n = len(digits)
    country = rng.choice(COUNTRIES, n, p=shares)
    service = rng.choice(SERVICES, n, p=(0.64, 0.29, 0.07))
    shop = rng.choice(SHOPS, n)
    weight = rng.lognormal(np.log(8), 1.0, n)
    value = rng.lognormal(np.log(40), 1.3, n)
    routes = _route(digits, country, service, weight)
    astray = rng.uniform(size=n) < 0.03
    routes[astray] = rng.randint(len(ROUTES), size=astray.sum())

    not_weighed = (weight > END_OF_SCALE) | (rng.uniform(size=n) < 0.02)
    no_value, no_country = rng.uniform(size=n) < 0.10, rng.uniform(size=n) < 0.02
    return Parcels(
        images,
        {"country": np.where(no_country, "", country), "service": service, "shop": shop},
        {"weight_kg": np.where(not_weighed, np.nan, weight).round(1).astype(np.float32),
         "value_eur": np.where(no_value, np.nan, value).round(2).astype(np.float32)},
        torch.from_numpy(routes),
    )


def _route(digits: np.ndarray, country: np.ndarray, service: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The route of each parcel, before anyone errs: int64 (N,)."""
    routes = np.full(len(digits), ROUTES.index("hub south"), dtype=np.int64)
    for name, hubs in HUB_OF_DIGIT.items():
        routes[country == name] = np.array(hubs)[digits[country == name]]
    routes[(service == "express") | (weight > HEAVY)] = COURIER
    return routes
