"""The first code cell of every notebook: in an empty folder, beside a foreign `utils`, and on (a likeness of) Colab."""

import os
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from course import build

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
AFTER_SETUP = "import utils\nprint(utils.COURSE)"


def run(notebook, folder, **environment):
    """Run a notebook in a folder; give its cells."""
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}})
    client.execute(env={**os.environ, "PYTHONPATH": "", "LABS_OFFLINE": "1", **environment})
    return notebook.cells


def only_setup(address=""):
    cells = [nbformat.v4.new_code_cell(source) for source in (build.setup_cell(address), AFTER_SETUP)]
    return nbformat.v4.new_notebook(cells=cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_has_it(path):
    notebook = nbformat.read(path, as_version=4)
    setup = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert setup.id == "setup" and setup.source == build.setup_cell(build.repository())


@pytest.mark.skipif(not NOTEBOOKS, reason="no notebook is built yet")
def test_a_notebook_runs_alone_in_an_empty_folder(tmp_path):
    alone = Path(shutil.copy(NOTEBOOKS[0], tmp_path))
    cells = run(nbformat.read(alone, as_version=4), tmp_path)
    setup = next(cell for cell in cells if cell.cell_type == "code")
    assert setup.outputs == []
    assert all(cell.execution_count for cell in cells if cell.cell_type == "code")


@pytest.mark.parametrize("address", ["", "https://example.org/labs"])
@pytest.mark.parametrize("kind", ["module", "package", "folder"])
def test_a_foreign_utils_is_named_with_its_place(tmp_path, kind, address):
    foreign = tmp_path / ("utils.py" if kind == "module" else "utils")
    if kind == "module":
        foreign.write_text("def helper(): ...\n")
    else:
        foreign.mkdir()
        (foreign / ("__init__.py" if kind == "package" else "notes.txt")).touch()
    with pytest.raises(CellExecutionError) as error:
        run(only_setup(address), tmp_path)
    assert error.value.ename == "ImportError"
    assert str(foreign) in error.value.evalue and "Rename it" in error.value.evalue


@pytest.fixture
def elsewhere(tmp_path):
    """Variables for a Python that has all but the course, and a pip that notes its arguments and brings `utils`."""
    site = tmp_path / "site"
    (site / "pip").mkdir(parents=True)
    (site / "sitecustomize.py").write_text(
        "import os, sys, types\n"
        f"sys.path[:] = [path for path in sys.path if path != {str(ROOT)!r}]\n"
        "editable = lambda finder: '__editable__' in getattr(finder, '__module__', '')\n"
        "sys.meta_path[:] = [finder for finder in sys.meta_path if not editable(finder)]\n"
        "if os.environ.get('COLAB'):\n"
        "    sys.modules['google.colab'] = types.ModuleType('google.colab')\n"
    )
    (site / "pip" / "__init__.py").touch()
    (site / "pip" / "__main__.py").write_text(
        "import pathlib, shutil, sys\n"
        "here = pathlib.Path(__file__).parents[1]\n"
        "(here / 'arguments').write_text(' '.join(sys.argv[1:]))\n"
        f"shutil.copytree({str(ROOT / 'utils')!r}, here / 'utils')\n"
    )
    return site, {"PYTHONPATH": str(site)}


@pytest.mark.parametrize("place", [{"COLAB": "1"}, {"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}], ids=["Colab", "Kaggle"])
def test_colab_and_kaggle_install_the_course_and_leave_torch_alone(tmp_path, elsewhere, place):
    site, environment = elsewhere
    cells = run(only_setup("https://example.org/labs"), tmp_path, **environment, **place)
    assert cells[1].outputs[0].text == "torch-labs\n"
    assert (site / "arguments").read_text() == "install --quiet --no-deps git+https://example.org/labs"


@pytest.mark.parametrize("address", ["", "https://example.org/labs"])
def test_where_it_is_not_installed_it_says_how(tmp_path, elsewhere, address):
    site, environment = elsewhere
    with pytest.raises(CellExecutionError) as error:
        run(only_setup(address), tmp_path, **environment)
    assert error.value.ename == "ModuleNotFoundError" and "pip install -e ." in error.value.evalue
    assert not (site / "arguments").exists()
