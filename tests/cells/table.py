"""Reads the table: files of cells in the percent format that editors know.

A file is a sequence of blocks, each under a line ``# %% title | verdict key=value ...``. A block
``# %% setup`` runs before each cell that follows it, up to the next setup. Verdicts:

parallel
    must be split, or its calls run side by side, and leave what the serial cell leaves;
stays
    must leave what the serial cell leaves, with a loop or a call left in the kernel;
returns
    must leave what the serial cell leaves, for what shows that workers can't do it shows in time
    for the kernel to do it; workers that aren't mpmagic's own may end in an error of mpmagic's;
refused
    must be refused before anything ran;
error
    must end in an error of mpmagic's in the middle, which says what was lost, or be refused by
    an analysis that sees it coming;
sound
    may be any of these, as long as it's never a different notebook.

Keys: ``options`` of the magic; ``line`` (without the magic line), ``name`` and ``says`` of a
refusal or an error (``says`` may be repeated); ``raises``, the exception of the serial cell;
``lost``, names and attributes of the exception that may hold a placeholder; ``free``, names that
aren't compared, since each worker was allowed its own; ``splits``, how many loops are split or
groups of calls run side by side;
``prefix``, a list that an error leaves as the start of the serial one; ``engine=pool`` for what
shows only between processes, ``engine=inline`` for what only a process of its own would hide;
``since``, the Python that has what the cell is written in: before it, the cell isn't in the table.
"""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VERDICTS = ("parallel", "stays", "returns", "refused", "error", "sound")
HEADER = re.compile(r"# %% (?P<title>[^|\n]+?)(?: \| (?P<verdict>\w+)(?P<keys>.*))?\n?")
KEYS = {"options", "line", "name", "says", "raises", "lost", "splits", "prefix", "engine", "free",
        "since"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """A cell and what must become of it."""

    id: str
    source: str
    setup: str
    verdict: str
    options: str = ""
    line: int | None = None
    name: str = ""
    says: tuple[str, ...] = ()
    raises: str = ""
    lost: frozenset[str] = frozenset()
    free: frozenset[str] = frozenset()
    splits: int = 1
    prefix: str = ""
    engine: str = ""
    since: tuple[int, ...] = ()


def load_cases() -> list[Case]:
    """All cells of the table that this Python knows.

    Raises
    ------
    ValueError
        If a block can't be read, or two have one name.
    """
    cases: list[Case] = []
    for path in sorted(Path(__file__).parent.glob("*.cells")):
        cases += read_cases(path.stem, path.read_text())
    seen: set[str] = set()
    for case in cases:
        if case.id in seen:
            raise ValueError(f"two cells are called {case.id}")
        seen.add(case.id)
    return [case for case in cases if case.since <= sys.version_info]


def read_cases(group: str, text: str) -> list[Case]:
    """The cells of one file."""
    cases, setup = [], ""
    for header, body in _blocks(text):
        if header["title"] == "setup":
            setup = body
        else:
            cases.append(_case(group, header, body, setup))
    return cases


def _blocks(text: str) -> list[tuple[re.Match[str], str]]:
    blocks: list[tuple[re.Match[str], list[str]]] = []
    for line in text.splitlines(keepends=True):
        if line.startswith("# %% "):
            header = HEADER.fullmatch(line)
            if header is None:
                raise ValueError(f"not a header: {line!r}")
            blocks.append((header, []))
        elif blocks:
            blocks[-1][1].append(line)
    return [(header, "".join(lines).strip("\n") + "\n") for header, lines in blocks]


def _case(group: str, header: re.Match[str], body: str, setup: str) -> Case:
    title, verdict = header["title"], header["verdict"]
    if verdict not in VERDICTS:
        raise ValueError(f"{group}: {title}: {verdict!r} is no verdict")
    keys: dict[str, list[str]] = {}
    for word in shlex.split(header["keys"] or ""):
        key, _, value = word.partition("=")
        if key not in KEYS:
            raise ValueError(f"{group}: {title}: no key {key!r}")
        keys.setdefault(key, []).append(value)
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    return Case(f"{group}/{slug}", body, setup, verdict, **_values(keys))


def _values(keys: dict[str, list[str]]) -> dict[str, Any]:
    values: dict[str, Any] = {key: found[-1] for key, found in keys.items()}
    for key in ("line", "splits"):
        if key in keys:
            values[key] = int(keys[key][-1])
    for key in ("lost", "free"):
        if key in keys:
            values[key] = frozenset(keys[key][-1].split(","))
    if "since" in keys:
        values["since"] = tuple(map(int, keys["since"][-1].split(".")))
    if "says" in keys:
        values["says"] = tuple(keys["says"])
    return values
