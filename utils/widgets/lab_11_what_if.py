"""One parcel, and what a joint model makes of it (lab 11)."""

import functools

import ipywidgets
import numpy as np
import torch
from torch.nn import functional as F

from utils import data, plotting, training
from utils.parcels import CATEGORIES, END_OF_SCALE, MIN_COUNT, ROUTES, SERVICES, logarithms, parcels

from .controls import explore

NOT_WEIGHED, NO_COUNTRY, NEW_COUNTRY = "not weighed", "not written down", "a new one"
COUNTRIES = {"DE": "DE", "FR": "FR", "PL": "PL", NEW_COUNTRY: "??", NO_COUNTRY: ""}


class Network:
    """A joint model with what prepares its inputs, trained on the training parcels in a few seconds."""

    def __init__(self, epochs: int = 10):
        from utils import mixed  # here: what a lab builds is not at hand wherever the lab's exercises are judged

        train, *_ = parcels()
        self.vocabularies = [mixed.Vocabulary(train.categories[name], min_count) for name, min_count in zip(CATEGORIES, MIN_COUNT)]
        self.scaler = mixed.Scaler().fit(logarithms(train.numbers))
        x = self.prepare(train.images, train.categories, train.numbers)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            table = mixed.TableBranch([len(v) for v in self.vocabularies], [4, 2, 4], 4, 32)
            self.model = mixed.JointModel(mixed.ImageBranch(64), table, 96, 128, len(ROUTES))
            self._fit(x, train.routes, epochs)

    def prepare(self, images: torch.Tensor, categories: dict, numbers: dict) -> dict[str, torch.Tensor]:
        codes = [vocabulary(categories[name]) for vocabulary, name in zip(self.vocabularies, CATEGORIES)]
        image = data.normalize(images, (data.MNIST_MEAN,), (data.MNIST_STD,))
        return {"image": image, "categories": torch.stack(codes, dim=1), "numbers": self.scaler(logarithms(numbers))}

    def _fit(self, x: dict, y: torch.Tensor, epochs: int) -> None:
        size, black = 64, -data.MNIST_MEAN / data.MNIST_STD
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=epochs * -(-len(y) // size))
        padded = F.pad(x["image"], (2, 2, 2, 2), value=black)

        def batches():
            for rows in torch.randperm(len(y)).split(size):
                top, left = torch.randint(5, (2,)).tolist()
                image = padded[rows, :, top : top + 28, left : left + 28]
                yield {name: part[rows] for name, part in x.items()} | {"image": image}, y[rows]

        for _ in range(epochs):
            training.train(self.model, batches(), F.cross_entropy, optimizer, schedule)
        self.model.eval()

    @torch.no_grad()
    def probabilities(self, image: torch.Tensor, country: str, service: str, weight: float) -> torch.Tensor:
        """Of the routes, float (4,), for one parcel: image uint8 (1, 28, 28), weight in kg or NaN."""
        categories = {"country": [country], "service": [service], "shop": ["shop 01"]}
        numbers = {"weight_kg": np.array([weight], dtype=np.float32), "value_eur": np.array([40], dtype=np.float32)}
        return self.model(self.prepare(image[None], categories, numbers))[0].softmax(0)


@functools.cache
def network() -> Network:
    """The widget's own, trained once a session."""
    return Network()


@functools.cache
def digit_images() -> dict[int, torch.Tensor]:
    """For each digit one that no network was trained on: uint8 (1, 28, 28)."""
    digits = data.mnist(full=False)
    return {digit: digits.test_images[(digits.test_labels == digit).nonzero()[0, 0]] for digit in range(10)}


def draw_what_if(digit: int, country: str, service: str, weight: float, weighed: bool):
    """The picture of `what_if`: (figure, alternative text)."""
    image, kilograms = digit_images()[digit], weight if weighed else float("nan")
    p = network().probabilities(image, COUNTRIES[country], service, kilograms)
    fig, (left, right) = plotting.subplots(1, 2, size=(8, 3.2), width_ratios=(1, 2))
    left.imshow(image[0].numpy(), cmap="gray", interpolation="nearest")
    told = f"{weight:g} kg" if weighed else NOT_WEIGHED
    left.set(xticks=[], yticks=[], title="Last digit of the postcode", xlabel=f"country {country},\n{service}, {told}")
    best = int(p.argmax())
    right.barh(ROUTES, p.tolist(), color=[plotting.PALETTE[1 if i == best else 0] for i in range(len(p))])
    for place, value in enumerate(p.tolist()):
        right.annotate(f"{value:.2f}", (value, place), (4, 0), textcoords="offset points", va="center", fontsize=9)
    right.set(xlim=(0, 1.12), xlabel="probability", ylabel="route", title=f"The model says: {ROUTES[best]}")
    right.invert_yaxis()
    row = ", ".join(f"{name} {value:.2f}" for name, value in zip(ROUTES, p.tolist()))
    return fig, f"A parcel with digit {digit}, country {country}, {service}, {told}. Predicted: {row}."


def what_if() -> None:
    """Digit, country, service and weight are yours; see where the parcel would go. Lab 11."""
    explore(
        draw_what_if,
        digit=ipywidgets.IntSlider(1, min=0, max=9, description="digit", continuous_update=False),
        country=ipywidgets.Dropdown(options=list(COUNTRIES), value="DE", description="country"),
        service=ipywidgets.Dropdown(options=SERVICES, value="standard", description="service"),
        weight=ipywidgets.FloatSlider(5.0, min=0.5, max=END_OF_SCALE, step=0.5, description="weight, kg", continuous_update=False),
        weighed=ipywidgets.Checkbox(True, description="weighed", indent=False),
    )
