"""The tour, in a kernel as a front end runs it, and as a script in IPython."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOK = EXAMPLES / "tour.ipynb"
DEADLINE = 300

TOTALS = re.compile(r"([\d,]+) lines, [\d.]+ MB, ([\d,]+) files")
FINDINGS = re.compile(r"([\d,]+) modules with ([\d,]+) functions; (\d+) don't parse")


@pytest.fixture(scope="module")
def played() -> nbformat.NotebookNode:
    """The notebook with the outputs of a fresh kernel."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    return NotebookClient(notebook, timeout=DEADLINE, kernel_name="python3").execute()


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the script writes in a terminal's place."""
    desk = tmp_path_factory.mktemp("ipython")
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--colors=NoColor", str(EXAMPLES / "tour.py")],
        env={**os.environ, "IPYTHONDIR": str(desk), "PYTHONIOENCODING": "utf-8"},
        cwd=desk,
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def library() -> list[Path]:
    """The files that the tour looks at, listed here once more."""
    top = sysconfig.get_path("stdlib")
    walked = ((Path(folder), names) for folder, _, names in os.walk(top))
    paths = [folder / name for folder, names in walked for name in names]
    return [path for path in paths if path.suffix == ".py" and "site-packages" not in path.parts]


def number(text: str) -> int:
    return int(text.replace(",", ""))


def text_of(notebook: nbformat.NotebookNode) -> str:
    """All that the cells wrote to stdout."""
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    return "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stdout")


def check(text: str) -> None:
    """Compare what the tour says with what the files say."""
    paths = library()
    totals, findings = TOTALS.search(text), FINDINGS.search(text)
    assert totals and findings, text
    assert number(totals[2]) == len(paths)
    assert number(totals[1]) == sum(sum(1 for _ in path.open("rb")) for path in paths)
    assert number(findings[1]) + number(findings[3]) == len(paths)
    assert "The results are equal." in text


def test_the_notebook_says_what_the_files_say(played: nbformat.NotebookNode) -> None:
    check(text_of(played))


def test_the_notebook_draws_its_chart(played: nbformat.NotebookNode) -> None:
    shown = [o for o in played.cells[-1].outputs if o.output_type == "display_data"]
    assert [o for o in shown if "image/png" in o.data], played.cells[-1].outputs


def test_the_script_says_what_the_files_say(printed: str) -> None:
    check(printed)
    chart = re.findall(r"^ *(\w+) (█+) ([\d,]+)$", printed, re.MULTILINE)
    assert len(chart) == 15
    counts = [number(row[2]) for row in chart]
    assert counts == sorted(counts, reverse=True)


def test_longest_functions_are_what_the_source_says(printed: str) -> None:
    rows = re.findall(r"^ *([\d,]+) +([\d,]+) +([\d,]+)  (\S+\.py), (\w+)$", printed, re.MULTILINE)
    assert len(rows) >= 10, printed
    top = Path(sysconfig.get_path("stdlib"))
    for _, functions, longest, name, function in rows:
        source = (top / name).read_bytes().decode("utf-8", "replace").splitlines()
        heads = [
            n for n, line in enumerate(source) if re.match(rf"\s*(async )?def {function}\b", line)
        ]
        assert heads, (name, function)
        assert any(ends_after(source, head, number(longest)) for head in heads), (name, function)
        assert number(functions) <= sum("def " in line for line in source)


def ends_after(source: list[str], head: int, size: int) -> bool:
    """Whether a function of that many lines can begin at `head`: the next one is outside."""
    depth = len(source[head]) - len(source[head].lstrip())
    after = [line for line in source[head + size :] if line.strip()]
    outside = not after or len(after[0]) - len(after[0].lstrip()) <= depth
    return outside and bool(source[head + size - 1].strip())


def test_the_two_cells_differ_by_one_line(played: nbformat.NotebookNode) -> None:
    sources = [cell.source for cell in played.cells if cell.cell_type == "code"]
    (parallel,) = [source for source in sources if source.startswith("%%parallel\n")]
    assert parallel.removeprefix("%%parallel\n") in sources


def test_a_failing_cell_fails_the_script(tmp_path: Path) -> None:
    """Whoever runs the script to see whether mpmagic works has to be told when it doesn't."""
    (tmp_path / "tour.py").write_bytes((EXAMPLES / "tour.py").read_bytes())
    cells = [nbformat.v4.new_code_cell(source) for source in ("1 / 0", "print('later')")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "tour.ipynb")
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--colors=NoColor", str(tmp_path / "tour.py")],
        env={**os.environ, "IPYTHONDIR": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
    )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stdout + done.stderr
    assert "\nlater" not in done.stdout
