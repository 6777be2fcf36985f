"""Lab 01 in a real JupyterLab: it runs unfilled, and its widget draws anew when a slider is moved."""

from lab_page import run_all


def test_the_broadcasting_widget_follows_its_slider(open_lab):
    page, errors = open_lab("01_tensors.ipynb")
    run_all(page)
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0

    widget = page.locator(".widget-vbox:has(.widget-hslider):has(.widget-html img)").first
    widget.scroll_into_view_if_needed()
    picture, slider = widget.locator(".widget-html img"), widget.locator(".noUi-handle").first
    first = picture.get_attribute("src")
    assert first.startswith("data:image/webp;base64,") and picture.get_attribute("alt")
    slider.focus()
    slider.press("ArrowRight")
    page.wait_for_function(
        "([image, before]) => image.isConnected === false || image.src !== before",
        arg=[picture.element_handle(), first],
        timeout=20_000,
    )
    assert picture.get_attribute("src") != first
    assert errors == []
