"""Lab 05 in a real JupyterLab: it runs unfilled, and its widget draws anew when a logit is moved."""

from lab_page import run_all


def test_the_logits_widget_follows_its_sliders(open_lab):
    page, errors = open_lab("05_losses.ipynb")
    run_all(page)
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0

    widget = page.locator(".widget-vbox:has(.widget-hslider):has(.widget-html img)").first
    widget.scroll_into_view_if_needed()
    picture = widget.locator(".widget-html img")
    for number in (0, 4):  # the first logit, the temperature
        before = picture.get_attribute("src")
        assert before.startswith("data:image/webp;base64,") and picture.get_attribute("alt")
        slider = widget.locator(".noUi-handle").nth(number)
        slider.focus()
        slider.press("ArrowRight")
        page.wait_for_function(
            "([image, before]) => image.isConnected === false || image.src !== before",
            arg=[picture.element_handle(), before],
            timeout=20_000,
        )
        assert picture.get_attribute("src") != before
    assert errors == []
