"""JupyterLab on a free port of the loopback interface, and a page of it in headless Chromium."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import nbformat

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

DEADLINE = 60_000
"""Milliseconds after which a test gives up; a busy machine may need ten seconds to start."""

THEMES = ("JupyterLab Light", "JupyterLab Dark")

_SETTINGS = {
    # Every cell is in the page, whether it is scrolled to or not.
    "notebook-extension/tracker": {"windowingMode": "none"},
    # No look for news and newer versions: nothing leaves this machine.
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
}

# What is run before is dropped in silence.
_KERNEL_IS_THERE = """async () => {
    await jupyterapp.restored;
    const session = jupyterapp.shell.currentWidget.sessionContext;
    await session.ready;
    await session.session.kernel.info;
}"""

_SHADOW = 3

_WITHOUT_SIDEBAR = "() => jupyterapp.shell.collapseLeft()"

_CHROMIUM = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
)


def chromium() -> str | None:
    """Where a Chromium is installed; None if there is none."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, filter(None, names))), None)


@contextlib.contextmanager
def opened_browser(executable: str) -> Iterator[Browser]:
    """A headless browser that ends with the block."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(_CHROMIUM))
        try:
            yield browser
        finally:
            browser.close()


class Lab:
    """A server with a folder of notebooks and no settings but its own.

    Parameters
    ----------
    desk
        An empty folder. Notebooks are in its folder ``notebooks``.
    """

    def __init__(self, desk: Path) -> None:
        self.folder = desk / "notebooks"
        self.folder.mkdir()
        self._token = secrets.token_hex(16)
        self._write_settings(desk / "settings")
        self._server = subprocess.Popen(
            self._command(),
            env=self._environment(desk),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.address = self._read_address()
        # The server would wait for a reader of what it logs.
        self._reader = threading.Thread(target=self._log().read)
        self._reader.start()

    def url(self, notebook: str) -> str:
        """The address of a notebook, in a workspace of its own."""
        return f"{self.address}/lab/workspaces/{Path(notebook).stem}/tree/{notebook}"

    def close(self) -> None:
        """End the server, which ends its kernels."""
        self._server.terminate()
        self._server.wait(30)
        self._reader.join()
        self._log().close()

    def log_in(self, page: Page) -> None:
        """Hand the token over once; the browser keeps a cookie."""
        page.goto(f"{self.address}/login?token={self._token}")

    def _command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            *("--ip=127.0.0.1", f"--port={_free_port()}"),
            *(f"--ServerApp.root_dir={self.folder}", "--LabApp.expose_app_in_browser=True"),
            *("--LabApp.news_url=", "--LabApp.extension_manager=readonly"),
        ]

    def _environment(self, desk: Path) -> dict[str, str]:
        folders = {
            "IPYTHONDIR": "ipython",
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        }
        own = {name: str(desk / folder) for name, folder in folders.items()}
        return {**os.environ, **own, "JUPYTER_TOKEN": self._token, "JUPYTER_NO_CONFIG": "1"}

    def _write_settings(self, folder: Path) -> None:
        for name, settings in _SETTINGS.items():
            path = folder / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(settings), encoding="utf-8")

    def _read_address(self) -> str:
        said = []
        for line in self._log():
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+(?=/lab)", line):
                return found[0]
        raise RuntimeError("JupyterLab didn't start:\n" + "".join(said))

    def _log(self) -> Any:
        assert self._server.stderr is not None
        return self._server.stderr


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class LabNotebook:
    """A notebook in the page of a browser, used as its reader uses it.

    Parameters
    ----------
    page
        A page of a browser context that is logged in.
    lab
        The server.
    name
        The notebook's file name.
    theme
        One of `THEMES`.
    """

    def __init__(self, page: Page, lab: Lab, name: str, *, theme: str = THEMES[0]) -> None:
        self.page = page
        self._theme = theme
        self.foreign: list[str] = []
        page.set_default_timeout(DEADLINE)
        page.on("request", lambda request: self._note(request.url, lab.address))
        page.goto(lab.url(name))
        self._opened()

    def _opened(self) -> None:
        """Wait for a notebook with a kernel, in the right theme."""
        from playwright.sync_api import expect

        expect.set_options(timeout=DEADLINE)
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        self.page.evaluate(
            "theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", self._theme
        )
        shade = "false" if "Dark" in self._theme else "true"
        self.page.locator(f"body[data-jp-theme-light={shade}]").wait_for(state="attached")
        self.page.evaluate(_KERNEL_IS_THERE)
        self.page.evaluate(_WITHOUT_SIDEBAR)
        status = self.page.locator(".jp-Notebook-ExecutionIndicator")
        expect(status).to_have_attribute("data-status", "idle")

    def reload(self) -> None:
        """Save the notebook and open it anew."""
        self.page.evaluate("jupyterapp.commands.execute('docmanager:save')")
        self.page.reload()
        self._opened()

    def cell(self, index: int) -> Locator:
        """A cell of the notebook, from 0 on, texts counted too."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def outputs(self, index: int) -> Locator:
        """What stands below a cell."""
        return self.cell(index).locator(".jp-OutputArea-output")

    def text(self, index: int) -> str:
        """What can be read below a cell."""
        return "\n".join(self.outputs(index).all_inner_texts())

    def html(self, index: int) -> list[str]:
        """What mpmagic's HTML below a cell is in the page."""
        found = self.cell(index).locator(".mpmagic").all()
        return [element.evaluate("element => element.outerHTML") for element in found]

    def wait_for_text(self, index: int, text: str) -> None:
        """Wait until a text stands below a cell."""
        self.cell(index).locator(".jp-OutputArea").get_by_text(text).first.wait_for()

    def picture(self, path: Path, first: int, last: int) -> None:
        """Keep a screenshot of some cells, from the first to the last one."""
        self.page.mouse.move(0, 0)
        top = self.cell(first)
        top.evaluate("cell => cell.scrollIntoView()")
        boxes = [self.cell(index).bounding_box() for index in range(first, last + 1)]
        there = [box for box in boxes if box is not None]
        # The toolbar casts a shadow on what is scrolled below it.
        x, y = min(box["x"] for box in there), min(box["y"] for box in there) + _SHADOW
        right = max(box["x"] + box["width"] for box in there)
        bottom = max(box["y"] + box["height"] for box in there)
        self.page.screenshot(
            path=path, clip={"x": x, "y": y, "width": right - x, "height": bottom - y}
        )

    def start(self, index: int) -> None:
        """Choose a cell, press the run button of the toolbar, and don't wait for the cell's end."""
        self.cell(index).locator(".jp-InputPrompt").click()
        self._press("notebook:run-cell-and-select-next")

    def run(self, index: int) -> None:
        """Run a cell and wait for its end."""
        self.start(index)
        self.ended(index)

    def ended(self, index: int) -> None:
        """Wait until a cell has its number."""
        from playwright.sync_api import expect

        prompt = self.cell(index).locator(".jp-InputPrompt")
        expect(prompt).to_have_text(re.compile(r"\[\d+\]:"))

    def stop(self) -> None:
        """Press the stop button of the toolbar."""
        self._press("notebook:interrupt-kernel")

    def _press(self, command: str) -> None:
        self.page.locator(f'.jp-NotebookPanel-toolbar [data-command="{command}"]').click()

    def _note(self, url: str, own: str) -> None:
        parts = urlsplit(url)
        local = parts.netloc == urlsplit(own).netloc or parts.scheme in ("data", "blob")
        if not local:
            self.foreign.append(url)


def write_notebook(path: Path, *sources: str) -> None:
    """Write a notebook of code cells."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, path)
