"""What tests share: the environment of each notebook that nbval runs, system packages, a folder that refuses."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from nbval.plugin import IPyNbFile

# Each of pytest-xdist's workers, and what it starts, keeps to its share of the processors.
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, os.cpu_count() // int(workers))))


def real_images() -> bool:
    """Whether the photographs are here, all that the labs use; the tests never download them."""
    from utils import data

    return all((data.data_folder() / name).exists() for name in ("cifar10.npz", "hymenoptera_data"))


def environment_of(path: Path) -> dict[str, str]:
    """What the kernel of a notebook finds in its environment.

    Solution notebooks run with strict checks, on the real images where they are; students' notebooks run unfilled, on
    the stand-in.
    """
    solution = path.parent.name == "labs_solutions"
    return {"LABS_STRICT": "1" if solution else "0", "LABS_OFFLINE": "0" if solution and real_images() else "1"}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item):
    """nbval starts a notebook's kernel, which inherits our environment, when it sets up the notebook's first cell."""
    if not isinstance(item.parent, IPyNbFile):
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment_of(item.path).items():
            patch.setenv(name, value)
        return (yield)


@pytest.fixture(scope="session")
def notebook_environment():
    return environment_of


@pytest.fixture(scope="session")
def system_program():
    """A function that gives a program's path; where it is missing the test is skipped, and with CI=true it fails."""

    def find(name: str, package: str = "") -> str:
        if path := shutil.which(name):
            return path
        message = f"{name} is missing; it comes with: sudo apt-get install -y {package or name}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)

    return find


@pytest.fixture
def nobody():
    """A context in which root is nobody: who may read and write what everyone may."""

    @contextlib.contextmanager
    def context():
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(65534)
        try:
            yield
        finally:
            if is_root:
                os.seteuid(0)

    return context


@pytest.fixture(params=[0o555, 0o000], ids=["read only", "not even read"])
def closed_folder(request, nobody):
    """A folder that may not be written, not even by root: who is nobody for the while."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, request.param)
        try:
            with nobody():
                if not os.access(__file__, os.R_OK, effective_ids=True):
                    pytest.skip("nobody but root may read this checkout")
                yield Path(name)
        finally:
            os.chmod(name, 0o755)
        assert list(Path(name).iterdir()) == []
