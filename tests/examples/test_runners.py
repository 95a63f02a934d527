"""Notebooks with parallel cells where nobody sits in front: papermill and nbconvert."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

DEADLINE = 120

LOOP = """%%parallel -n 2
squares, total = [], 0
for x in range(start, start + 5):
    print("item", x)
    squares.append(x ** 2)
    total += x
squares, total"""


def notebook(*sources: str) -> nbformat.NotebookNode:
    """A notebook of code cells, of which the first one has papermill's tag."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def test_papermill_runs_it_with_its_parameters(tmp_path: Path) -> None:
    papermill = pytest.importorskip("papermill", reason="the extra `browser` isn't installed")
    source, target = tmp_path / "in.ipynb", tmp_path / "out.ipynb"
    nbformat.write(notebook("start = 0", "%load_ext mpmagic", LOOP), source)
    papermill.execute_notebook(source, target, parameters={"start": 3}, progress_bar=False)
    *_, cell = nbformat.read(target, as_version=4).cells
    printed = "".join(out.text for out in cell.outputs if out.output_type == "stream")
    assert printed == "".join(f"item {x}\n" for x in range(3, 8))
    (value,) = [out for out in cell.outputs if out.output_type == "execute_result"]
    assert value.data["text/plain"] == "([9, 16, 25, 36, 49], 25)"


def test_papermill_says_why_a_cell_was_refused(tmp_path: Path) -> None:
    papermill = pytest.importorskip("papermill", reason="the extra `browser` isn't installed")
    source, target = tmp_path / "in.ipynb", tmp_path / "out.ipynb"
    refused = "%%parallel\nroot = 1.0\nfor x in range(9):\n    root = round(root / 2 + x, 3)"
    nbformat.write(notebook("start = 0", "%load_ext mpmagic", refused), source)
    with pytest.raises(papermill.PapermillExecutionError) as raised:
        papermill.execute_notebook(source, target, progress_bar=False)
    assert raised.value.ename == "NotParallel"
    assert "carries `root` from one iteration to the next" in raised.value.evalue


def test_nbconvert_runs_it_and_makes_a_page(tmp_path: Path) -> None:
    pytest.importorskip("nbconvert", reason="the extra `browser` isn't installed")
    explained = LOOP.replace("-n 2", "--explain")
    nbformat.write(
        notebook("start = 3", "%load_ext mpmagic", explained, LOOP), tmp_path / "a.ipynb"
    )
    for form in (["--to", "notebook", "--execute", "--inplace"], ["--to", "html"]):
        subprocess.run(
            [sys.executable, "-m", "nbconvert", *form, "a.ipynb"],
            cwd=tmp_path,
            check=True,
            timeout=DEADLINE,
        )
    run = json.loads((tmp_path / "a.ipynb").read_text(encoding="utf-8"))
    kinds = [out["output_type"] for out in run["cells"][-1]["outputs"]]
    assert kinds.count("error") == 0 and "execute_result" in kinds
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "([9, 16, 25, 36, 49], 25)" in page
    assert '<div class="mpmagic">' in page and "carries <code>total</code>" in page
