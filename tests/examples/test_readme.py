"""What the documentation shows, run: the cells of a page in one kernel, and what they show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.kernel.session import KernelSession, kernel

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/parallel.md", "docs/scale.md", "docs/toolbox.md")

# A cell, and what it shows where the next block is text.
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\s*^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
# Of a refusal the listing stands above the error.
ERROR = re.compile(
    r"\A(?:LostWrite|IterationTimeout|\w+Error)|^(?:NotParallel|ExceptionGroup|FileNotFoundError)",
    re.MULTILINE,
)
LINK = re.compile(r"(?:\]\(|src=\"|srcset=\")([^)\"#:]+)[)\"]")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_every_cell_shows_what_the_page_says(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = text_of(page)
    blocks = BLOCK.findall(text)
    assert len(blocks) == text.count("```python")
    assert sum(bool(shown) for _, shown in blocks) == text.count("```text") >= 3
    monkeypatch.chdir(tmp_path)
    with kernel(load=False) as session:
        for source, shown in blocks:
            run(session, source, shown)


def run(session: KernelSession, source: str, shown: str) -> None:
    """Run a cell; each line that the page says is shown must be, in that order."""
    reply = session.execute(source.rstrip("\n"))
    expected = "error" if ERROR.search(shown) else "ok"
    assert reply.status == expected, f"{source}\n{reply.shown}"
    at = 0
    for line in filter(None, (line.strip() for line in shown.splitlines())):
        found = reply.shown.find(line, at)
        assert found >= 0, f"{line!r} isn't shown by\n{source}\nbut\n{reply.shown}"
        at = found + len(line)


@pytest.mark.parametrize("page", (*PAGES, "docs/mpcount.md", "docs/performance.md"))
def test_links_lead_to_files(page: str) -> None:
    for target in LINK.findall(text_of(page)):
        assert ((ROOT / page).parent / target).exists(), target


def test_the_picture_is_well_formed() -> None:
    from xml.etree import ElementTree

    root = ElementTree.parse(ROOT / "docs" / "split.svg").getroot()
    assert root.tag.endswith("svg")
    assert "prefers-color-scheme: dark" in "".join(root.itertext())
