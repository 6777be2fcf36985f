"""The widget of lab 03: a photograph under a random transform."""

import pytest
import torch

from utils.widgets import lab_03_augmentation as widgets

IMAGE = torch.randint(0, 256, (3, 120, 160), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
PLAIN = {"scale": (0.08, 1.0), "ratio": (0.75, 1.33), "p": 0.5, "strength": 0.3, "seed": 0}


@pytest.mark.parametrize("transform", widgets.TRANSFORMS)
def test_each_transform_draws_eight_images(transform):
    state = torch.get_rng_state()
    views = widgets.draws(IMAGE, transform, **PLAIN)
    assert views.shape == (8, 3, widgets.SIZE, widgets.SIZE) and views.dtype == torch.uint8
    assert torch.equal(views, widgets.draws(IMAGE, transform, **PLAIN))
    assert not torch.equal(views, widgets.draws(IMAGE, transform, **PLAIN | {"seed": 1}))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("transform", widgets.TRANSFORMS)
def test_the_text_names_the_parameters_in_use(transform):
    figure, alt = widgets.draw_augmentation(IMAGE, transform, **PLAIN)
    for name in ("scale", "ratio", "p", "strength"):
        used = name in widgets.TRANSFORMS[transform][0].split(", ")
        assert (f" {name} " in alt) == used
        assert (f" {name} " in figure.get_suptitle()) == used
    assert transform in alt and len(figure.axes) == 10


def test_p_is_the_probability_of_a_flip():
    never, always = (widgets.draws(IMAGE, "RandomHorizontalFlip", **PLAIN | {"p": p}) for p in (0.0, 1.0))
    assert torch.equal(never.flip(-1), always) and not torch.equal(never, always)
    assert len({view.numpy().tobytes() for view in never}) == 1


def test_scale_limits_the_crops():
    whole = widgets.draws(IMAGE[:, :, :120], "RandomResizedCrop", **PLAIN | {"scale": (1.0, 1.0), "ratio": (1.0, 1.0)})
    assert len({view.numpy().tobytes() for view in whole}) == 1
