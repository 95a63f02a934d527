"""Loops over the lines of a file under ``%%parallel``: workers read them, nothing else differs."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable
from pathlib import Path

import pytest

from mpmagic.cell.tallied import BUILTINS
from mpmagic.run import combined
from tests.compare import Verdict, assert_equal, explained, judge
from tests.notebook import Notebook

SETUP = """
import re
from collections import Counter, defaultdict
from mpmagic import Lines
path = {path!r}
counts = defaultdict(int)
plain, total = {{}}, 0
pattern = re.compile(r"(\\w+)=(\\d+)")
"""
ROWS = 60_000

CELLS = {
    "a key of each line": "for line in SOURCE:\n    counts[line.split()[0]] += 1",
    "a Counter that holds some": (
        "c = Counter(['w3', 'other'])\nfor line in SOURCE:\n    c[line.split()[0]] += 1"
    ),
    "two counters and a sum": (
        "for line in SOURCE:\n    a, b = line.split()[:2]\n    counts[a] += len(line)\n"
        "    total -= len(b)"
    ),
    "words": "for line in SOURCE:\n    for w in line.split():\n        counts[w[:2]] += 1",
    "inner jumps": (
        "for line in SOURCE:\n    if 'w1' in line:\n        continue\n"
        "    for w in line.split():\n        if w == 'x':\n            break\n"
        "        counts[len(w)] += 1"
    ),
    "a pattern": (
        "for line in SOURCE:\n    m = pattern.search(line)\n    if m:\n"
        "        counts[m.group(1)] += int(m[2])"
    ),
    "a missing key": "for line in SOURCE:\n    plain[line.split()[0]] += 1",
    "a dict that has all": (
        "d = {f'w{i}': 0 for i in range(9)} | {'late': 5}\n"
        "for line in SOURCE:\n    d[line.split()[0]] += 1"
    ),
    "a key that turns up late": (
        "d = {f'w{i}': 0 for i in range(7)}\nfor line in SOURCE:\n    d[line.split()[0]] += 1"
    ),
    "floats": "for line in SOURCE:\n    counts[line.split()[0]] += float(len(line)) / 7",
    "a float in one key": (
        "counts['w5'] = 0.5\nfor line in SOURCE:\n    counts[line.split()[0]] += 1"
    ),
    "floats as keys": "for line in SOURCE:\n    counts[float(len(line))] += 1",
    "an exception": "for line in SOURCE:\n    counts[int(line.split()[1]) // (total + 1)] += 1",
    "an exception late": (
        "for line in SOURCE:\n    counts[1 // (line.split()[1] != '59000')] += 1"
    ),
    "the names afterwards": (
        "for line in SOURCE:\n    parts = line.split()\n    if parts[0] == 'w4':\n"
        "        seen = parts[1]\n    counts[parts[0]] += 1\nlast = line, parts, seen"
    ),
    "one dict under two names": (
        "d = e = defaultdict(int)\nfor line in SOURCE:\n    d[line.split()[0]] += 1\n"
        "    e[line.split()[1][:1]] += 1"
    ),
    "a factory of another kind": (
        "d = defaultdict(lambda: 3)\nfor line in SOURCE:\n    d[line.split()[0]] += 1"
    ),
    "a builtin bound anew": (
        "len = lambda s: 7\nfor line in SOURCE:\n    counts[len(line.split())] += 1\ndel len"
    ),
    "a list": "out = []\nfor line in SOURCE:\n    out.append(line.split()[1][-2:])",
    "output": (
        "for line in SOURCE:\n    if line.startswith('w8') and '999' in line:\n"
        "        print(line.strip())\n    counts[line[:2]] += 1"
    ),
    "a break": (
        "for line in SOURCE:\n    if line.split()[1] == '40000':\n        break\n"
        "    counts[line.split()[0]] += 1"
    ),
    "else": (
        "for line in SOURCE:\n    counts[line.split()[0]] += 1\nelse:\n    total = len(counts)"
    ),
}
SOURCES = {"open": "open(path)", "bytes": "open(path, 'rb')", "lines": "Lines(path)"}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lines") / "log"
    path.write_text("".join(_row(i) for i in range(ROWS)))
    return path


def _row(i: int) -> str:
    late = 8 if i < ROWS - 3000 else 9
    return f"w{i * i % late} {i} k{i % 5}={i % 77} the rest of it é\n"


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", CELLS)
def test_the_same_cell(pool_notebook: Notebook, log: Path, name: str, source: str) -> None:
    cell = CELLS[name].replace("SOURCE", SOURCES[source])
    if source == "bytes":
        for text in ("'w1'", "'x'", "'w8'", "'999'", "'59000'", "'40000'", "'w4'"):
            cell = cell.replace(text, f"b{text}")
    setup = SETUP.format(path=str(log))
    judgement = judge(pool_notebook, cell, setup=setup, lost=frozenset({"m"}))
    assert judgement.verdict in (Verdict.EQUAL, Verdict.REFUSED), explained(judgement, cell)


def test_it_is_the_workers_that_sum(
    pool_notebook: Notebook, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed: list[int] = []
    commit = combined.Combined._commit

    def noted(self: combined.Combined, flight: object) -> bool:
        done = commit(self, flight)  # type: ignore[arg-type]
        committed.append(self._report.iterations)
        return done

    monkeypatch.setattr(combined.Combined, "_commit", noted)
    for name in ("a key of each line", "two counters and a sum", "words", "a pattern", "else"):
        for source in SOURCES.values():
            if name == "a pattern" and "rb" in source:
                continue
            committed.clear()
            cell = CELLS[name].replace("SOURCE", source)
            assert_equal(
                pool_notebook, cell, setup=SETUP.format(path=str(log)), lost=frozenset({"m"})
            )
            assert committed[-1] == ROWS
            assert len(committed) > 2


HANDLES = {
    "what follows": (
        "f = open(path)\nfor line in f:\n    counts[line.split()[0]] += 1\n"
        "after = f.read(), f.tell(), next(f, None)\nf.close()\ndel f"
    ),
    "a header": (
        "f = open(path)\nhead = f.readline()\nfor line in f:\n    counts[line.split()[0]] += 1\n"
        "f.close()\ndel f"
    ),
    "begun": (
        "f = open(path)\nhead = next(f)\nfor line in f:\n    counts[line.split()[0]] += 1\n"
        "f.close()\ndel f"
    ),
    "after an error": (
        "f = open(path)\ntry:\n    for line in f:\n"
        "        counts[1 // (line.split()[1] != '30000')] += 1\n"
        "except ZeroDivisionError:\n    total = sum(counts.values())\n"
        "rest = f.read()\nf.close()\ndel f"
    ),
    "after an error of what isn't summed": (
        "f = open(path)\nout = []\ntry:\n    for line in f:\n"
        "        out.append(1 // (line.split()[1] != '30000'))\n"
        "except ZeroDivisionError:\n    total = len(out)\n"
        "rest = f.read()\nf.close()\ndel f"
    ),
    "after an error of the commit": (
        "f = open(path, 'rb')\nd = dict.fromkeys([b'w%d' % i for i in range(7)], 0)\ntry:\n"
        "    for line in f:\n        d[line.split()[0]] += 1\n"
        "except KeyError:\n    rest = f.tell(), f.read()\nf.close()\ndel f"
    ),
    "a small file": (
        "with open('small', 'w') as f:\n    _ = f.write('a b\\n' * 50 + 'c d\\n' * 50)\n"
        "f = open('small')\ntry:\n    for line in f:\n        plain[line.split()[0]] += 1\n"
        "except KeyError:\n    rest = f.read()\nf.close()\ndel f"
    ),
    "a comprehension": "with open(path) as f:\n    out = [line.split()[1] for line in f]\ndel f",
    "with": (
        "with open(path) as f:\n    for line in f:\n        counts[line.split()[0]] += 1\ndel f"
    ),
    "in the middle of a line": (
        "f = open(path, 'rb')\nf.seek(5)\nfor line in f:\n    counts[line.split()[0]] += 1\n"
        "f.close()\ndel f"
    ),
    "newlines kept": (
        "for line in open(path, newline=''):\n    counts[line.split()[0], line[-2:]] += 1"
    ),
    "other line ends": (
        "for line in open(path, newline='\\r'):\n    counts[line[:3], line[-2:]] += 1"
    ),
    "latin": "for line in open(path, encoding='latin-1'):\n    counts[line[-5:]] += 1",
    "not strict": (
        "for line in open(path, encoding='ascii', errors='replace'):\n    counts[line[-5:]] += 1"
    ),
    "a slice": "for line in Lines(path)[7:50000]:\n    counts[line.split()[0]] += 1",
    "every other line": "for line in Lines(path)[::2]:\n    counts[line.split()[0]] += 1",
}


@pytest.mark.parametrize("name", HANDLES)
def test_files_as_they_are_opened_and_left(pool_notebook: Notebook, log: Path, name: str) -> None:
    assert_equal(pool_notebook, HANDLES[name], setup=SETUP.format(path=str(log)))


CONTENTS: dict[str, Callable[[bytes], bytes]] = {
    "no newline at the end": lambda text: text + b"w0 and no end",
    "empty lines": lambda text: text.replace(b"w3", b"\nw3"),
    "carriage returns before newlines": lambda text: text.replace(b"\n", b"\r\n"),
    "lone carriage returns": lambda text: text.replace(b"k4", b"\r"),
    "one late carriage return": lambda text: text[:-99] + b"\r" + text[-99:],
    "other separators": lambda text: text.replace(b" ", b"\x0b \x0c \x1c \xc2\x85 "),
    "NUL bytes": lambda text: text.replace(b"k1", b"\0"),
    "no text in the middle": lambda text: text[:1_500_000] + b"\xff" + text[1_500_000:],
    "no text at the end": lambda text: text[:-9] + b"\xff" + text[-9:],
    "one long line": lambda text: text + b"w1 " * 700_000 + b"\n" + text,
}


@pytest.mark.parametrize("source", ["open(path)", "Lines(path)", "open(path, newline='')"])
@pytest.mark.parametrize("name", CONTENTS)
def test_what_the_file_holds(
    pool_notebook: Notebook, log: Path, tmp_path: Path, name: str, source: str
) -> None:
    path = tmp_path / "log"
    path.write_bytes(CONTENTS[name](log.read_bytes()))
    cell = f"for line in {source}:\n    counts[line[:2], line[-3:]] += 1"
    assert_equal(pool_notebook, cell, setup=SETUP.format(path=str(path)))


def test_a_file_that_grows_meanwhile(pool_notebook: Notebook, log: Path, tmp_path: Path) -> None:
    cell = (
        f"import shutil\nshutil.copy({str(log)!r}, path)\nf = open(path)\n"
        "with open(path, 'a') as g:\n    _ = g.write('half a')\n"
        "for line in f:\n    counts[line.split()[0]] += 1\n"
        "with open(path, 'a') as g:\n    _ = g.write(' line\\n')\n"
        "rest = f.read()\nf.close()\ndel f, g"
    )
    assert_equal(pool_notebook, cell, setup=SETUP.format(path=str(tmp_path / "log")))


def test_harmless_names_are_builtins() -> None:
    assert all(hasattr(builtins, name) for name in BUILTINS)
    for cell in (*CELLS.values(), *HANDLES.values()):
        ast.parse(cell)
