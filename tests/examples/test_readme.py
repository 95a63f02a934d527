"""What the README shows, run: its cells in one kernel, top to bottom, and what they show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.kernel.session import KernelSession, kernel

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

# A cell, and what it shows where the next block is text.
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\s*^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)


def test_every_cell_shows_what_the_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = BLOCK.findall(README)
    assert len(blocks) == README.count("```python")
    assert sum(bool(shown) for _, shown in blocks) >= 3
    monkeypatch.chdir(tmp_path)
    with kernel(load=False) as session:
        for source, shown in blocks:
            run(session, source, shown)


def run(session: KernelSession, source: str, shown: str) -> None:
    """Run a cell; each line that the README says is shown must be, in that order."""
    reply = session.execute(source.rstrip("\n"))
    refused = shown.startswith("NotParallel")
    assert reply.status == ("error" if refused else "ok"), f"{source}\n{reply.shown}"
    at = 0
    for line in filter(None, (line.strip() for line in shown.splitlines())):
        found = reply.shown.find(line, at)
        assert found >= 0, f"{line!r} isn't shown by\n{source}\nbut\n{reply.shown}"
        at = found + len(line)


def test_links_lead_to_files() -> None:
    for target in re.findall(r"(?:\]\(|src=\")([^)\"#:]+)[)\"]", README):
        assert (ROOT / target).exists(), target


def test_the_picture_is_well_formed() -> None:
    from xml.etree import ElementTree

    root = ElementTree.parse(ROOT / "docs" / "split.svg").getroot()
    assert root.tag.endswith("svg")
    assert "prefers-color-scheme: dark" in "".join(root.itertext())
