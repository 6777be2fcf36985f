"""The labs in a real JupyterLab: one runs unfilled from top to bottom, and every widget draws anew when it is moved."""

import pytest
from lab_page import run_all

STDERR = ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']"
WIDGETS = {  # notebook, widget -> what is moved: the number of a slider's handle, or of a menu and the option to take
    ("01_tensors", "broadcasting"): [0],
    ("02_autograd", "rolling_point"): [0, (0, "two valleys")],
    ("03_data", "augmentation"): [-1, (0, "ColorJitter")],
    ("04_modules", "convolution"): [2, 3],
    ("05_losses", "logits"): [0, 4],
    ("06_optimizers", "descent"): [0, (1, "Adam")],
    ("09_transfer", "intervals"): [0, 1],
    ("10_features", "feature_maps"): [0, (0, "small network, features.10")],
    ("11_mixed", "what_if"): [0, (0, "FR")],
}


@pytest.mark.parametrize(("notebook", "widget"), WIDGETS)
def test_a_widget_follows_its_controls(open_lab, notebook, widget):
    page, errors = open_lab(notebook, only=["from utils.checks import", f"widgets.{widget}()"])
    run_all(page)
    assert page.locator(STDERR).count() == 0
    box = page.locator(".widget-vbox:has(.widget-html img)").first
    picture = box.locator(".widget-html img")
    for move in WIDGETS[notebook, widget]:
        before = picture.get_attribute("src")
        assert before.startswith("data:image/webp;base64,") and picture.get_attribute("alt")
        if isinstance(move, int):
            handle = box.locator(".noUi-handle").nth(move)
            handle.focus()
            handle.press("ArrowRight")
        else:
            number, option = move
            box.locator("select").nth(number).select_option(option)
        page.wait_for_function(
            "([image, before]) => image.isConnected === false || image.src !== before",
            arg=[picture.element_handle(), before],
            timeout=20_000,
        )
        assert picture.get_attribute("src") != before
    assert errors == []


def test_a_lab_runs_unfilled(open_lab):
    page, errors = open_lab("01_tensors")
    run_all(page)
    assert page.locator(STDERR).count() == 0
    assert errors == []
