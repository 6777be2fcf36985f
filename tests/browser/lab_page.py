"""A real JupyterLab in a headless Chromium: start it, open a notebook, run all its cells."""

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

SETTINGS = {  # all cells stand in the page, whether seen or not, and no news is asked for
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"checkForUpdates": False, "fetchNews": "false"},
}


@dataclass
class Server:
    address: str
    token: str


@contextmanager
def server(folder: Path, **environment: str) -> Iterator[Server]:
    """A JupyterLab on the notebooks of a folder, with settings of its own; `environment` reaches the kernels."""
    with tempfile.TemporaryDirectory() as home, socket.socket() as free:
        for name, settings in SETTINGS.items():
            path = Path(home, "settings", "@jupyterlab", f"{name}.jupyterlab-settings")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(settings))
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        lab = Server(f"http://127.0.0.1:{port}", secrets.token_hex())
        options = [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}"]
        options += [f"--IdentityProvider.token={lab.token}", "--LabApp.expose_app_in_browser=True"]
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", *options],
            env={
                **os.environ,
                "JUPYTER_CONFIG_DIR": f"{home}/config",
                "JUPYTERLAB_SETTINGS_DIR": f"{home}/settings",
                "JUPYTERLAB_WORKSPACES_DIR": f"{home}/workspaces",
                "IPYTHONDIR": f"{home}/ipython",
                **environment,
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(f"{lab.address}/api/status?token={lab.token}", process)
            yield lab
        finally:
            process.terminate()
            process.wait(30)


def wait_for(address: str, process: subprocess.Popen, seconds: float = 60) -> None:
    """Return once the address answers."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start (exit status {process.poll()})")


@contextmanager
def browser_page(chromium: str, width: int = 1200, height: int = 1000) -> Iterator[Page]:
    """An empty page of the installed Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            yield browser.new_page(viewport={"width": width, "height": height})
        finally:
            browser.close()


def open_notebook(page: Page, lab: Server, notebook: str) -> None:
    """Open a notebook alone in the window and wait until its kernel is ready."""
    page.goto(f"{lab.address}/doc/tree/{notebook}?token={lab.token}")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    kernel = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
    page.wait_for_function(f"() => {kernel}?.status === 'idle'", timeout=60_000)


def run_all(page: Page, seconds: float = 600) -> None:
    """Run → Run All Cells, and wait until the last cell has ended."""
    page.evaluate(
        "() => { window.ended = false; window.jupyterapp.commands.execute('notebook:run-all-cells')"
        ".then(() => { window.ended = true; }); }"
    )
    page.wait_for_function("() => window.ended", timeout=1000 * seconds)
