"""Notebooks in a real JupyterLab, in a real browser, used with its buttons and keys."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from mpmagic.cell.listing import Explanation, Line
from mpmagic.show.listing import Listing
from tests.browser.conftest import Opener
from tests.browser.lab import THEMES, Lab, LabNotebook, write_notebook
from tests.browser.looks import unreadable
from tests.examples.test_tour import NOTEBOOK, check

SETUP = """%load_ext mpmagic
import hashlib, time
from pathlib import Path

paths = sorted(Path(hashlib.__file__).parent.glob("*.py"))

def digest(content):
    return hashlib.pbkdf2_hmac("sha256", content, b"salt", 100_000).hex()"""

LOOP = """digests, large = {}, 0
for path in paths:
    content = path.read_bytes()
    digests[path.name] = digest(content)
    if len(content) > 50_000:
        large += 1"""

REFUSED = """%%parallel
root = 1.0
for step in range(20):
    root = round((root + 2 / root) / 2, 12)"""

PAUSES = """%%parallel
pauses = []
for x in range(400):
    time.sleep(0.02)
    pauses.append(x)"""

BEHIND = """%%parallel --bg job
pauses = []
for x in range(200):
    time.sleep(0.02)
    pauses.append(x)"""

ENDLESS = """%%parallel
for x in range(100_000):
    time.sleep(0.02)
    print("item", x)"""

PRINTS = """lines = []
for x in range(300):
    print("work", x)
    lines.append(x)
    if len(lines) % 7 == 0:
        print("commit", len(lines))"""


SHOWN = """import pandas as pd
import matplotlib.pyplot as plt
from IPython.display import HTML, Markdown, display

sizes = []
for n in range(1, 4):
    table = pd.DataFrame({"n": range(n), "square": [k * k for k in range(n)]})
    print("size", n)
    display(HTML(f"<b>bold {n}</b>"), Markdown(f"*slanted {n}*"))
    display(table)
    figure, axes = plt.subplots(figsize=(2, 1))
    axes.plot(table["square"])
    plt.show()
    !echo shell {n}
    sizes.append(table.size)
sizes"""

RAISES = """def ratio(a, b):
    return a / b

ratios = []
for n in range(3, -1, -1):
    value = ratio(6, n)
    ratios.append(value)"""


def test_the_tour_cell_by_cell(lab: Lab, opened: Opener, screenshots: Path) -> None:
    (lab.folder / "tour.ipynb").write_bytes(NOTEBOOK.read_bytes())
    notebook = opened("tour.ipynb")
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    for index, cell in enumerate(cells):
        if cell.cell_type == "code":
            notebook.run(index)
            assert notebook.cell(index).locator(f'[data-mime-type="{STDERR}"]').count() == 0
    check("\n".join(notebook.text(index) for index in range(len(cells))))
    parallel = next(i for i, cell in enumerate(cells) if cell.source.startswith("%%parallel"))
    assert re.search(r"iterations in .* on \d+ worker", notebook.text(parallel))
    assert notebook.cell(len(cells) - 1).locator("img").count() == 1
    notebook.picture(screenshots / "tour.png", parallel, parallel)


STDERR = "application/vnd.jupyter.stderr"


def test_the_stop_button_in_the_middle_of_a_loop(lab: Lab, opened: Opener) -> None:
    write_notebook(lab.folder / "stop.ipynb", SETUP, ENDLESS, "%%parallel\n" + LOOP)
    notebook = opened("stop.ipynb")
    notebook.run(0)
    notebook.start(1)
    notebook.wait_for_text(1, "item 30")
    notebook.stop()
    notebook.ended(1)
    text = notebook.text(1)
    assert "KeyboardInterrupt" in text
    items = [int(number) for number in re.findall(r"^item (\d+)$", text, re.MULTILINE)]
    assert items == list(range(len(items))) and 30 < len(items) < 100_000
    notebook.run(2)
    assert "iterations in" in notebook.text(2)


def test_the_bar_moves_and_becomes_the_summary(lab: Lab, opened: Opener, screenshots: Path) -> None:
    write_notebook(lab.folder / "bar.ipynb", SETUP, PAUSES)
    notebook = opened("bar.ipynb")
    notebook.run(0)
    notebook.start(1)
    bar = notebook.cell(1).get_by_role("progressbar")
    bar.wait_for()
    first = float(bar.get_attribute("aria-valuenow") or "nan")
    assert 0 <= first < 100
    notebook.picture(screenshots / "bar.png", 1, 1)
    notebook.page.wait_for_function(
        "first => Number(document.querySelector('[role=progressbar]')?.ariaValueNow) > first",
        arg=first,
    )
    notebook.ended(1)
    assert bar.count() == 0
    assert "400 iterations in" in notebook.text(1)


def test_a_cell_in_the_background(lab: Lab, opened: Opener, screenshots: Path) -> None:
    """Its line moves below a cell that has ended, while others run."""
    cells = SETUP, BEHIND, "job", "1 + 1", "job.commit()\nlen(pauses)"
    write_notebook(lab.folder / "behind.ipynb", *cells)
    notebook = opened("behind.ipynb")
    for index in range(4):
        notebook.run(index)
    bar = notebook.cell(2).get_by_role("progressbar")
    bar.wait_for()
    first = float(bar.get_attribute("aria-valuenow") or "nan")
    assert 0 <= first < 100
    notebook.page.wait_for_function(
        "first => Number(document.querySelector('[role=progressbar]')?.ariaValueNow) > first",
        arg=first,
    )
    notebook.picture(screenshots / "behind.png", 1, 3)
    notebook.wait_for_text(2, "job.commit() does the rest")
    notebook.run(4)
    notebook.wait_for_text(2, "committed")
    assert bar.count() == 0
    assert "200" in notebook.text(4).splitlines()


def test_output_is_in_the_order_of_the_serial_cell(lab: Lab, opened: Opener) -> None:
    notebook = run_both(lab, opened, PRINTS)
    assert notebook.text(1) == notebook.text(2) != ""


def test_what_workers_show_looks_like_the_serial_cell(
    lab: Lab, opened: Opener, screenshots: Path
) -> None:
    notebook = run_both(lab, opened, SHOWN)
    notebook.picture(screenshots / "shown.png", 1, 2)
    assert notebook.cell(1).locator("img").count() == 3
    assert notebook.cell(1).locator("table").count() == 3
    assert outputs(notebook, 2) == outputs(notebook, 1)


def test_the_traceback_of_a_worker_looks_like_the_serial_one(
    lab: Lab, opened: Opener, screenshots: Path
) -> None:
    notebook = run_both(lab, opened, RAISES)
    notebook.picture(screenshots / "raises.png", 1, 2)
    serial, parallel = (notebook.text(index).splitlines() for index in (1, 2))
    note = next(line for line in parallel if line.startswith("%%parallel: iteration 3"))
    assert "n = 0" in note and "worker" in note
    assert lines_of_code(parallel) == [(line + 1, code) for line, code in lines_of_code(serial)]


def run_both(lab: Lab, opened: Opener, cell: str) -> LabNotebook:
    """A notebook in which a cell has run, as cell 1 serially and as cell 2 in parallel."""
    write_notebook(lab.folder / "both.ipynb", SETUP, cell, f"%%parallel -q -n 2\n{cell}")
    notebook = opened("both.ipynb")
    for index in range(3):
        notebook.run(index)
    return notebook


def lines_of_code(shown: list[str]) -> list[tuple[int, str]]:
    """The lines of the cell that a traceback shows, with their numbers."""
    found = (re.fullmatch(r"(?:-+> | *)(\d+) (?!%%parallel)(.+)", line) for line in shown)
    return [(int(match[1]), match[2]) for match in found if match]


def outputs(notebook: LabNotebook, index: int) -> list[str]:
    """What each output of a cell holds, in order."""
    area = notebook.cell(index).locator(".jp-OutputArea-output")
    return [area.nth(k).inner_html() for k in range(area.count())]


def test_tab_completes_an_option(lab: Lab, opened: Opener) -> None:
    write_notebook(lab.folder / "tab.ipynb", "%load_ext mpmagic", "")
    notebook = opened("tab.ipynb")
    notebook.run(0)
    notebook.cell(1).locator(".cm-content").click()
    notebook.page.keyboard.type("%%parallel --pri")
    notebook.page.keyboard.press("Tab")
    notebook.page.locator(".jp-Completer-item").get_by_text("--private").wait_for()
    notebook.page.keyboard.press("Enter")
    notebook.page.wait_for_function(
        "text => document.querySelectorAll('.cm-content')[1].innerText.trim() == text",
        arg="%%parallel --private",
    )


@pytest.mark.parametrize("theme", THEMES)
def test_everything_is_readable_and_stays_when_saved(
    lab: Lab, opened: Opener, screenshots: Path, theme: str
) -> None:
    shade = theme.split()[-1].lower()
    cells = [f"%%parallel --explain\n{LOOP}", f"%%parallel --timeline\n{LOOP}", REFUSED]
    write_notebook(lab.folder / f"{shade}.ipynb", SETUP, *cells, "%mppool")
    notebook = opened(f"{shade}.ipynb", theme=theme)
    for index in range(5):
        notebook.run(index)
    notebook.picture(screenshots / f"cell-{shade}.png", 1, 3)
    notebook.picture(screenshots / f"all-{shade}.png", 0, 4)
    assert marks(notebook, 1) == ["", "kernel", "kernel", "work", "commit", "work", "commit"]
    assert "work" not in marks(notebook, 3)
    assert notebook.cell(2).locator(".mpmagic svg rect").count() >= 10
    assert unreadable(notebook.page) == []
    before = [notebook.html(index) for index in (1, 2, 3)]
    notebook.reload()
    assert [notebook.html(index) for index in (1, 2, 3)] == before
    assert unreadable(notebook.page) == []


def test_a_listing_in_a_notebook_that_is_not_trusted(lab: Lab, opened: Opener) -> None:
    """JupyterLab drops its style sheet; every word stays, in rows."""
    lines = (Line(1, "for x in xs:", "kernel", ""), Line(2, "    a.append(x)", "commit", "`a`"))
    listing = Listing(Explanation("", lines, "after"))
    data = {"text/plain": repr(listing), "text/html": listing._repr_html_()}
    path = lab.folder / "foreign.ipynb"
    write_notebook(path, "%load_ext mpmagic")
    saved = nbformat.read(path, as_version=4)
    saved.cells[0].outputs = [nbformat.v4.new_output("display_data", data)]
    nbformat.write(saved, path)
    notebook = opened("foreign.ipynb")
    assert notebook.cell(0).locator("style").count() == 0
    rows = notebook.cell(0).locator("tr").all_inner_texts()
    assert [row.split() for row in rows] == [
        ["kernel", "1", "for", "x", "in", "xs:"],
        ["commit", "2", "a.append(x)", "a"],
    ]
    assert "after" in notebook.text(0)


def marks(notebook: LabNotebook, index: int) -> list[str]:
    """Where the lines of a cell run, as the listing below it says."""
    return notebook.cell(index).locator(".listing .mark").all_inner_texts()
