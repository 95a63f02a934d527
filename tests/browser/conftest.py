"""One server and one browser for all tests here; without a browser they are skipped.

Two of the screenshots stand in the README: ``docs/cell-light.png`` and ``docs/cell-dark.png``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.lab import THEMES, Lab, LabNotebook, chromium, opened_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Opener = Callable[..., LabNotebook]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    pytest.importorskip("jupyterlab", reason="JupyterLab isn't there: pip install '.[browser]'")
    pytest.importorskip("playwright", reason="Playwright isn't there: pip install '.[browser]'")
    executable = chromium()
    if executable is None:
        pytest.skip("no Chromium is installed; Debian's package is `chromium`")
    with opened_browser(executable) as browser:
        yield browser


@pytest.fixture(scope="package")
def lab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    server = Lab(tmp_path_factory.mktemp("lab"))
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def opened(browser: Browser, lab: Lab) -> Iterator[Opener]:
    """Opens a notebook of the lab's folder in a page of its own."""
    context = browser.new_context(viewport={"width": 1000, "height": 2400}, device_scale_factor=1.5)
    page = context.new_page()
    lab.log_in(page)
    notebooks = []

    def open_notebook(name: str, *, theme: str = THEMES[0]) -> LabNotebook:
        notebooks.append(LabNotebook(page, lab, name, theme=theme))
        return notebooks[-1]

    yield open_notebook
    for notebook in notebooks:
        assert notebook.foreign == [], "nothing is loaded from elsewhere"
    context.close()


@pytest.fixture(scope="package")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures are kept: the folder ``MPMAGIC_SCREENSHOTS``, or else a temporary one."""
    named = os.environ.get("MPMAGIC_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
