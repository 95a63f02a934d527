"""Which files a name, a glob or a directory means."""

# The truth here is the module that shells and notebooks have in mind.
# ruff: noqa: PTH207

from __future__ import annotations

import glob
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpmagic.count import count_lines
from mpmagic.count.globbing import matching


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = ["a.py", "b.txt", ".hidden.py", "sub/c.py", "sub/deep/d.py", ".git/e.py", "sub/.f/g.py"]
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


PATTERNS = [
    "*",
    "*.py",
    "**/*.py",
    "sub/*",
    "*/*.py",
    "**/d.py",
    "[ab].*",
    "?.txt",
    ".*",
    "sub/**/*.py",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_globs_as_the_standard_library(tree: Path, pattern: str) -> None:
    expected = {path for path in glob.glob(pattern, recursive=True) if Path(path).is_file()}
    assert {path for path in matching(pattern) if Path(path).is_file()} == expected
    below = {
        path for path in glob.glob(f"{tree}/{pattern}", recursive=True) if Path(path).is_file()
    }
    assert {path for path in matching(f"{tree}/{pattern}") if Path(path).is_file()} == below


def test_two_stars_at_the_end_mean_all_below(tree: Path) -> None:
    assert set(count_lines("**")) == {"a.py", "b.txt", "sub/c.py", "sub/deep/d.py"}


def test_circles_of_links_end(tree: Path) -> None:
    for name in ("round", "about"):
        (tree / "sub" / name).symlink_to(tree / "sub")
    (tree / "self").symlink_to("self")
    assert count_lines("**/*.py") == 3
    assert count_lines(".", recursive=True, include="*.py") == 6
    assert "symbolic links" in count_lines(["a.py", "self"]).errors["self"]


def test_a_path_is_literal_and_an_existing_name_too(tree: Path) -> None:
    (tree / "[ab].txt").write_text("1\n2\n")
    assert count_lines(Path("[ab].txt")) == 2
    assert count_lines("[ab].txt") == 2
    with pytest.raises(FileNotFoundError):
        count_lines(Path("*.txt"))


def test_home(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tree))
    assert count_lines("~/*.txt") == 1


def test_a_directory_with_what_is_below(tree: Path) -> None:
    assert count_lines(tree, recursive=True) == 7
    assert set(count_lines("sub", recursive=True)) == {"sub/c.py", "sub/deep/d.py", "sub/.f/g.py"}
    assert count_lines(".", recursive=True, skip_hidden=True) == 4
    assert count_lines(".", recursive=True, include="*.txt") == 1
    assert count_lines(".", recursive=True, exclude=["sub", ".*"]) == 2


def test_an_empty_directory_has_no_lines(tmp_path: Path) -> None:
    assert count_lines(tmp_path, recursive=True) == 0


RULES = [
    "*.py",
    "/a.py",
    "sub/",
    "!c.py",
    "**/d.py",
    "sub/**",
    "# no",
    "x[ab]?",
    "\\!c.py",
    "deep",
    "sub/*/d.py",
]
NAMES = [
    "a.py",
    "c.py",
    "!c.py",
    "xay",
    "sub/a.py",
    "sub/c.py",
    "sub/deep/d.py",
    "deep/xbz",
    "sub/deep/c.py",
]


@settings(deadline=None)
@given(
    rules=st.lists(st.sampled_from(RULES), max_size=4),
    inner=st.lists(st.sampled_from(RULES), max_size=2),
)
def test_gitignore_as_git(
    tmp_path_factory: pytest.TempPathFactory, rules: list[str], inner: list[str]
) -> None:
    root = tmp_path_factory.getbasetemp() / "repository"
    if not root.exists():
        root.mkdir()
        subprocess.run(["git", "init", "-q", str(root)], check=True)
        for name in NAMES:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text("1\n")
    (root / ".gitignore").write_text("\n".join(rules))
    (root / "sub" / ".gitignore").write_text("\n".join(inner))
    out = subprocess.run(
        ["git", "-c", "core.excludesFile=", "ls-files", "-o", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    found = count_lines(root, recursive=True, gitignore=True)
    assert {os.path.relpath(path, root) for path in found} == set(out.stdout.split())
