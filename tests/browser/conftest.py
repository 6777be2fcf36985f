"""A notebook of the course, open in a real JupyterLab."""

import shutil
from pathlib import Path

import pytest
from lab_page import browser_page, open_notebook, server

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.fixture
def open_lab(tmp_path, system_program):
    """A function that opens a copy of a student's notebook; it gives the page and the list of its console errors."""
    chromium = system_program("chromium")
    with server(tmp_path, LABS_OFFLINE="1") as lab, browser_page(chromium) as page:
        errors = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))

        def open_copy(name: str):
            shutil.copy(NOTEBOOKS / name, tmp_path)
            open_notebook(page, lab, name)
            return page, errors

        yield open_copy
