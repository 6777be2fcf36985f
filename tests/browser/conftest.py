"""A notebook of the course, open in a real JupyterLab."""

from pathlib import Path

import nbformat
import pytest
from lab_page import browser_page, open_notebook, server

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.fixture
def open_lab(tmp_path, system_program):
    """A function that opens a copy of a student's notebook; it gives the page and the list of its console errors.

    `only`: of the code cells, keep those that have one of these texts in them.
    """
    chromium = system_program("chromium")
    with server(tmp_path, LABS_OFFLINE="1") as lab, browser_page(chromium) as page:
        errors = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))

        def open_copy(name: str, only: list[str] | None = None):
            notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
            if only:
                code = (cell for cell in notebook.cells if cell.cell_type == "code")
                notebook.cells = [cell for cell in code if any(text in cell.source for text in only)]
            nbformat.write(notebook, tmp_path / f"{name}.ipynb")
            open_notebook(page, lab, f"{name}.ipynb")
            return page, errors

        yield open_copy
