"""For authors: run a notebook in a real JupyterLab and photograph it from top to bottom.

    python tests/browser/screenshot.py notebooks/01_tensors.ipynb FOLDER     FOLDER/01_tensors-01.png, -02.png …

The notebook is copied first; LABS_* variables reach its kernel.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from lab_page import browser_page, open_notebook, run_all, server

HEIGHT = 1600  # pixels of one picture


def photograph(notebook: Path, target: Path) -> list[Path]:
    """Run a copy of the notebook; return the files of its pictures in order."""
    chromium = shutil.which("chromium") or sys.exit("chromium is missing: sudo apt-get install -y chromium")
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(notebook, folder)
        with server(Path(folder)) as lab, browser_page(chromium, height=HEIGHT) as page:
            open_notebook(page, lab, notebook.name)
            run_all(page)
            page.wait_for_timeout(2000)  # pictures and formulas settle
            view = page.locator(".jp-WindowedPanel-outer").first
            whole, step = view.evaluate("view => [view.scrollHeight, view.clientHeight]")
            files = []
            for top in range(0, whole, step):
                view.evaluate("(view, top) => view.scrollTo(0, top)", top)
                page.wait_for_timeout(200)
                files.append(target / f"{notebook.stem}-{len(files) + 1:02}.png")
                view.screenshot(path=files[-1])
            return files


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    for file in photograph(Path(sys.argv[1]), Path(sys.argv[2])):
        print(file)
