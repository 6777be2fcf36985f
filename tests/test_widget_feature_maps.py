"""The widget of lab 10 shows the maps that the networks give."""

import pytest
import torch

from utils import attribution, data
from utils.pretrained import cifar10_network
from utils.widgets import lab_10_feature_maps as widget


@pytest.fixture(autouse=True)
def drawn_images(monkeypatch):
    """As in test_widgets: the widget keeps its images, and both files may run in one process."""
    monkeypatch.setenv("LABS_OFFLINE", "1")


def test_the_maps_are_those_of_the_network():
    x = data.normalize(data.cifar10().test_images[: widget.IMAGES])
    model = cifar10_network()
    with torch.no_grad():
        torch.testing.assert_close(widget._maps("small", "features.10"), model.features[:11](x))


@pytest.mark.parametrize(
    ("layer", "channel", "words"),
    [
        (("small", "features.0"), 5, "channel 5 of 32: a map of 32 by 32"),
        (("small", "features.11"), 127, "channel 127 of 128: a map of 4 by 4"),
        (("small", "features.2"), 100, "channel 31 of 32"),  # the slider goes further than this layer
    ],
)
def test_the_text_says_what_the_picture_shows(layer, channel, words):
    figure, alt = widget.draw_feature_maps(layer, channel, 3)
    assert words in alt and all(ax.get_title() for ax in figure.axes[:3])


def test_the_large_network_has_layers_of_falling_resolution():
    sides = [widget._maps("large", name).shape[2] for name in widget.large_layers()]
    assert sides == sorted(sides, reverse=True) and sides[0] == 112 and sides[-1] == 7
    figure, alt = widget.draw_feature_maps(("large", widget.large_layers()[1]), 3, 2)
    assert "56 by 56" in alt


def test_stages_names_the_last_layer_of_each_resolution():
    names = attribution.stages(cifar10_network(), torch.zeros(1, 3, 32, 32))
    assert names == {32: "features.2", 16: "features.6", 8: "features.10", 4: "features.11"}
