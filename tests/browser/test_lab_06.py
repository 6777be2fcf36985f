"""Lab 06 in a real JupyterLab: it runs unfilled, and its widget draws anew when a control is moved."""

from lab_page import run_all


def test_the_descent_widget_follows_its_controls(open_lab):
    page, errors = open_lab("06_optimizers.ipynb")
    run_all(page)
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0

    widget = page.locator(".widget-vbox:has(.widget-hslider):has(.widget-html img)").first
    widget.scroll_into_view_if_needed()
    picture = widget.locator(".widget-html img")

    def redrawn(before):
        page.wait_for_function(
            "([image, before]) => image.isConnected === false || image.src !== before",
            arg=[picture.element_handle(), before],
            timeout=20_000,
        )
        return picture.get_attribute("src") != before

    first = picture.get_attribute("src")
    assert first.startswith("data:image/webp;base64,") and picture.get_attribute("alt")
    slider = widget.locator(".noUi-handle").first
    slider.focus()
    slider.press("ArrowRight")
    assert redrawn(first)
    second = picture.get_attribute("src")
    widget.locator("select").nth(1).select_option("Adam")
    assert redrawn(second)
    assert "Adam" in picture.get_attribute("alt")
    assert errors == []
