"""Lab 03 in a real JupyterLab: it runs unfilled, and its widget draws anew when a control is moved."""

from lab_page import run_all


def test_the_augmentation_widget_follows_its_controls(open_lab):
    page, errors = open_lab("03_data.ipynb")
    run_all(page)
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0

    widget = page.locator(".widget-vbox:has(.widget-dropdown):has(.widget-html img)").first
    widget.scroll_into_view_if_needed()
    picture = widget.locator(".widget-html img")
    assert picture.get_attribute("alt").startswith("A photograph and eight draws of RandomResizedCrop")

    def wait_for_another(before: str) -> None:
        page.wait_for_function(
            "([image, before]) => image.isConnected === false || image.src !== before",
            arg=[picture.element_handle(), before],
            timeout=20_000,
        )
        assert picture.get_attribute("src") != before

    first = picture.get_attribute("src")
    seed = widget.locator(".noUi-handle").last
    seed.focus()
    seed.press("ArrowRight")
    wait_for_another(first)

    second = picture.get_attribute("src")
    widget.locator("select").select_option("ColorJitter")
    wait_for_another(second)
    assert picture.get_attribute("alt").startswith("A photograph and eight draws of ColorJitter")
    assert errors == []
