"""`explore` without a browser (tests/browser moves the real sliders)."""

import ipywidgets
import pytest
from ipywidgets.widgets.widget import _instances  # ipywidgets keeps its register private

from utils import plotting, widgets
from utils.widgets import controls


@pytest.fixture
def shown(monkeypatch):
    bundles = []
    monkeypatch.setattr(controls, "display", lambda data, raw: bundles.append(data))
    return bundles


def line(slope: int):
    fig, ax = plotting.subplots()
    ax.plot([0, 1], [0, slope])
    return fig, f"a line of slope {slope}"


def parts(bundle: dict) -> tuple:
    """(the controls, the picture) of a widget that was shown."""
    row, image = _instances[bundle["application/vnd.jupyter.widget-view+json"]["model_id"]].children
    return row.children, image


def test_the_picture_follows_the_control(shown):
    controls.explore(line, slope=ipywidgets.IntSlider(value=1, min=0, max=5))
    (slider,), image = parts(shown[0])
    before = image.value
    slider.value = 4
    assert image.value != before and "a line of slope 4" in image.value


@pytest.mark.parametrize(("widget", "changes", "words"), [
    ("broadcasting", {}, "b of shape (3,) give (4, 3)"),
    ("rolling_point", {1: 1.05}, "diverges"),
    ("augmentation", {0: "ColorJitter", 5: 3}, "ColorJitter"),
    ("convolution", {3: 2}, "stride 2"),
    ("logits", {0: -6.0, 1: 6.0, 2: 1.0, 3: 2.0, 4: "dog", 5: 3.0, 6: 0.2}, "truth dog, temperature 3, smoothing 0.2"),
    ("descent", {0: "two minima", 1: "Adam", 2: 1.0, 3: 100}, "two minima"),
    ("intervals", {0: 1000, 1: 95.0, 2: 90.0, 3: 12.0}, "1000 images; a 95 %"),
    ("feature_maps", {1: 5, 2: 3}, "Image 3"),
    ("what_if", {0: 4, 1: "PL", 2: "express", 3: 29.0, 4: False}, "digit 4, country PL, express, not weighed"),
])  # fmt: skip
def test_every_control_of_a_lab_draws_a_new_picture(shown, monkeypatch, widget, changes, words):
    monkeypatch.setenv("LABS_OFFLINE", "1")
    getattr(widgets, widget)()
    assert shown[0]["text/html"].startswith("<img")  # for readers without widgets
    row, image = parts(shown[0])
    seen = {image.value}
    for number, value in changes.items():
        row[number].value = value
        assert image.value not in seen
        seen.add(image.value)
    assert words in image.value


def test_a_static_picture_stands_in_its_place(shown):
    controls.explore(line, slope=ipywidgets.IntSlider(value=2, min=0, max=5))
    assert shown[0]["text/html"].startswith("<img") and "a line of slope 2" in shown[0]["text/html"]
