"""Lab 04 in a real JupyterLab: it runs unfilled, and its widget draws anew when a slider is moved."""

from lab_page import run_all


def test_the_convolution_widget_follows_its_sliders(open_lab):
    page, errors = open_lab("04_modules.ipynb")
    run_all(page)
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0

    widget = page.locator(".widget-vbox:has(.widget-hslider):has(.widget-html img)").first
    widget.scroll_into_view_if_needed()
    picture, handles = widget.locator(".widget-html img"), widget.locator(".noUi-handle")
    assert "Kernel 3, stride 1" in picture.get_attribute("alt")
    for handle, words in ((2, "Kernel 4, stride 1"), (3, "Kernel 4, stride 2")):  # kernel, then stride
        before = picture.get_attribute("src")
        assert before.startswith("data:image/webp;base64,")
        handles.nth(handle).focus()
        handles.nth(handle).press("ArrowRight")
        page.wait_for_function(
            "([image, before]) => image.isConnected === false || image.src !== before",
            arg=[picture.element_handle(), before],
            timeout=20_000,
        )
        assert words in picture.get_attribute("alt")
    assert errors == []
