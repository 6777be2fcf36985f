"""`explore` without a browser (tests/browser moves the real sliders)."""

import ipywidgets
import pytest
from ipywidgets.widgets.widget import _instances  # ipywidgets keeps its register private

from utils import plotting
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


def test_the_picture_follows_the_control(shown):
    slider = ipywidgets.IntSlider(value=1, min=0, max=5)
    controls.explore(line, slope=slider)
    (bundle,) = shown
    model = bundle["application/vnd.jupyter.widget-view+json"]["model_id"]
    image = _instances[model].children[1]
    before = image.value
    slider.value = 4
    assert image.value != before and "a line of slope 4" in image.value


def test_a_static_picture_stands_in_its_place(shown):
    controls.explore(line, slope=ipywidgets.IntSlider(value=2, min=0, max=5))
    assert shown[0]["text/html"].startswith("<img") and "a line of slope 2" in shown[0]["text/html"]
