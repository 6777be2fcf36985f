"""The widget of lab 11: one parcel."""

import pytest
import torch

from utils.widgets import lab_11_what_if as widgets


@pytest.fixture(scope="module", autouse=True)
def short_training():
    """A network of two epochs is enough for a picture."""
    small = widgets.Network(epochs=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(widgets, "network", lambda: small)
        yield small


def test_a_parcel_may_lack_everything(short_training):
    image = widgets.digit_images()[3]
    for country in widgets.COUNTRIES.values():
        p = short_training.probabilities(image, country, "express", float("nan"))
        assert p.shape == (4,) and p.sum().item() == pytest.approx(1, abs=1e-5) and p.isfinite().all()


def test_training_leaves_the_random_state_alone():
    state = torch.get_rng_state()
    widgets.Network(epochs=1)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("weighed", [True, False])
def test_the_text_says_what_the_picture_shows(short_training, weighed):
    figure, alt = widgets.draw_what_if(7, "FR", "economy", 12.5, weighed)
    p = short_training.probabilities(widgets.digit_images()[7], "FR", "economy", 12.5 if weighed else float("nan"))
    left, right = figure.axes
    assert [bar.get_width() for bar in right.patches] == pytest.approx(p.tolist())
    assert "digit 7, country FR, economy" in alt and ("12.5 kg" if weighed else "not weighed") in alt
    assert all(f"{value:.2f}" in alt for value in p.tolist())
    assert right.get_xlabel() and right.get_ylabel() and right.get_title() and left.get_title()
