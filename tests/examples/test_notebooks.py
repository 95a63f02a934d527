"""The toolbox's notebooks, in kernels, under each start method: do they say what is true?"""

from __future__ import annotations

import ast
import functools
import json
import lzma
import math
import os
import re
import sysconfig
import tokenize
import zlib
from collections import Counter
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from nbclient import NotebookClient

from tests.kernel.session import DEADLINE, gone

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("0*.ipynb"))
LIBRARY = Path(sysconfig.get_path("stdlib"))
METHODS = ("forkserver", "spawn", "fork")

FIRST = """
import multiprocessing, mpmagic.mp
multiprocessing.set_start_method({method!r})
mpmagic.mp.set_start_method({method!r})
"""
FOR_LOOPS_TOO = "_ = %mppool --start spawn"  # otherwise workers are made by a fork server
PROBE = "import json, mpmagic.mp, zipfile, zlib\nprint(json.dumps([{expressions}]))"
TIDY_UP = "desk.cleanup()"


class Player:
    """Runs a notebook in a kernel of its own, under one start method.

    Attributes
    ----------
    notebook
        The notebook that was run, with its outputs.
    """

    def __init__(self, method: str, desk: Path) -> None:
        self._method = method
        self._desk = desk
        self.notebook = nbformat.v4.new_notebook()

    def play(self, name: str, *expressions: str) -> list[Any]:
        """Run a notebook; give what the expressions are at its end.

        Whatever process it started has ended by then, and it has left no file.
        """
        self.notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
        probe = self._add_cells(["mpmagic.mp.get_start_method()", *expressions])
        place = {"metadata": {"path": str(self._desk)}}
        client = NotebookClient(
            self.notebook, timeout=int(DEADLINE), kernel_name="python3", resources=place
        )
        with client.setup_kernel(env={**os.environ, "TMPDIR": str(self._desk)}):
            for index, cell in enumerate(self.notebook.cells):
                client.execute_cell(cell, index)
            started = self._processes()
        assert len(started) > 1, "the kernel, and workers"
        assert gone(started) and not self._processes()
        assert not list(self._desk.iterdir())
        self.notebook.cells.remove(probe)
        method, *values = json.loads(probe.outputs[0].text)
        assert method == self._method
        return values

    def text(self, stream: str = "stdout") -> str:
        """All that was written to a stream."""
        shown = [o for o in outputs_of(self.notebook) if o.output_type == "stream"]
        return "".join(o.text for o in shown if o.name == stream)

    def pictures(self) -> int:
        """How many plots were shown."""
        return sum("image/png" in o.get("data", {}) for o in outputs_of(self.notebook))

    def _add_cells(self, expressions: list[str]) -> nbformat.NotebookNode:
        """Put cells in front that choose the start method, and give one that asks for values."""
        cells = self.notebook.cells
        probe = nbformat.v4.new_code_cell(PROBE.format(expressions=", ".join(expressions)))
        cells.insert(len(cells) - (cells[-1].source == TIDY_UP), probe)
        if self._method == "spawn":
            (loading,) = (n for n, cell in enumerate(cells) if "%load_ext mpmagic" in cell.source)
            cells.insert(loading + 1, nbformat.v4.new_code_cell(FOR_LOOPS_TOO))
        cells.insert(0, nbformat.v4.new_code_cell(FIRST.format(method=self._method)))
        return probe

    def _processes(self) -> list[psutil.Process]:
        """All processes that were started with the desk in their environment."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("TMPDIR") == str(self._desk):
                    found.append(process)
            except psutil.Error:  # it has just ended, or is another user's
                continue
        return found


@pytest.fixture(params=METHODS)
def player(request: pytest.FixtureRequest, tmp_path: Path) -> Player:
    return Player(request.param, tmp_path)


def outputs_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]


# Each notebook


def test_processes_pack_what_is_there(player: Player) -> None:
    checksums = "{p.name: {i.filename: i.CRC for i in zipfile.ZipFile(p).infolist()} for p in %s}"
    packed, packed_again, sizes, same = player.play(
        "01_processes",
        checksums % "archives.iterdir()",
        checksums % "again.iterdir()",
        "sizes",
        "same",
    )
    assert same
    assert set(packed) == {f"{name}.zip" for name in (*sizes, "json")}
    assert packed_again == {name: packed[name] for name in packed if name != "json.zip"}
    for archive, members in packed.items():
        modules = (LIBRARY / archive.removesuffix(".zip")).rglob("*.py")
        assert members == {str(p.relative_to(LIBRARY)): zlib.crc32(p.read_bytes()) for p in modules}
    lines = [f"{name}: {len(members)} modules" for name, members in packed.items()]
    lines += [f"{name}: {len(members)} modules" for name, members in packed_again.items()]
    assert sorted(player.text().splitlines()) == sorted(lines)
    assert "Process misspelt:" in player.text("stderr")
    assert "ValueError: there is no package 'jsno'" in player.text("stderr")


def test_subclasses_fetch_the_files(player: Player) -> None:
    checksums = "{p.name: zlib.crc32(p.read_bytes()) for p in %s.iterdir()}"
    downloads, again, received, counted, codes, same = player.play(
        "02_subclassing",
        checksums % "downloads",
        checksums % "again",
        "table['received'].to_dict()",
        "received",
        "table['exit code'].tolist()",
        "same",
    )
    assert same and codes == [0] * 6
    assert downloads == again == {n: zlib.crc32((LIBRARY / n).read_bytes()) for n in downloads}
    assert received == counted == {name: (LIBRARY / name).stat().st_size for name in downloads}


def test_queues_bring_each_finding_once(player: Player) -> None:
    fields = "sorted((f.module, f.functions, f.undocumented) for f in %s)"
    found, surveyed, same = player.play("03_queues", fields % "found", fields % "surveyed", "same")
    assert same
    assert found == surveyed == documentation()
    functions, undocumented = (sum(row[k] for row in found) for k in (1, 2))
    assert f"{undocumented} of {functions}" in player.text()


@functools.cache
def documentation() -> list[list[Any]]:
    """For each module its public functions, and those that don't begin with a text."""
    return sorted(_documentation(path) for path in (LIBRARY / "asyncio").glob("*.py"))


def _documentation(path: Path) -> list[Any]:
    functions = undocumented = 0
    for node in ast.walk(ast.parse(path.read_bytes())):
        match node:
            case ast.FunctionDef(name=name, body=body) | ast.AsyncFunctionDef(name=name, body=body):
                functions += not name.startswith("_")
                match body[0]:
                    case ast.Expr(value=ast.Constant(value=str())):
                        pass
                    case _:
                        undocumented += not name.startswith("_")
    return [path.stem, functions, undocumented]


def test_pipes_give_the_answers(player: Player) -> None:
    answers, suggestions, same = player.play("04_pipes", "answers", "suggestions", "same")
    assert same
    assert answers == suggestions == spelling(tuple(answers))
    said = "\n".join(f"{word}? {', '.join(likes)}." for word, likes in answers.items())
    assert said in player.text()
    assert all(answers.values())


@functools.cache
def spelling(questions: tuple[str, ...]) -> dict[str, list[str]]:
    text = "\n".join(path.read_text("utf-8") for path in LIBRARY.glob("*.py"))
    counts = Counter(re.findall("[a-z]{4,}", text))
    vocabulary = sorted(word for word in counts if counts[word] > 9)
    return {word: get_close_matches(word, vocabulary, 3) for word in questions}


def test_shared_memory_loses_updates_without_the_lock_only(player: Player) -> None:
    unlocked, locked, by_workers, kinds, same = player.play(
        "05_shared_memory", "unlocked", "locked", "total.value", "list(kinds)", "same"
    )
    truth = tokens()
    assert same
    assert locked == by_workers == truth.total()
    assert {kind: n for kind, n in enumerate(kinds) if n} == truth
    # Nearly all of the time a process is between its read and its write.
    assert 0 < unlocked < locked
    assert f"{locked - unlocked:,} were lost" in player.text()
    assert player.pictures() == 1


@functools.cache
def tokens() -> Counter[int]:
    found: Counter[int] = Counter()
    for path in (
        p for name in ("asyncio", "email", "unittest") for p in (LIBRARY / name).glob("*.py")
    ):
        with path.open("rb") as file:
            found.update(token.type for token in tokenize.tokenize(file.readline))
    return found


def test_structures_hold_the_flights(player: Player) -> None:
    rows, table, best, same = player.play(
        "06_sharedctypes", "rows", "table.to_numpy().tolist()", "best.angle.tolist()", "same"
    )
    assert same
    assert rows == table
    assert [row[:2] for row in rows[:43]] == [[angle, 0] for angle in range(5, 90, 2)]
    for angle, drag, *flight in rows:
        truth = vacuum(angle) if drag == 0 else air(angle, drag)
        assert flight == pytest.approx(truth, rel=5e-3, abs=0.05)
    assert best == [45, 43, 41, 39]
    assert player.pictures() == 1


def vacuum(angle: float) -> tuple[float, float, float]:
    """Distance, height and time of a throw without air, by the formulas of school."""
    across, up = (30 * f(math.radians(angle)) for f in (math.cos, math.sin))
    return across * 2 * up / 9.81, up * up / 19.62, 2 * up / 9.81


@functools.cache
def air(angle: float, drag: float) -> tuple[float, float, float]:
    """The same with air, in the complex plane, by the midpoint rule."""

    def slowed(velocity: complex) -> complex:
        return -9.81j - drag * abs(velocity) * velocity

    dt, time, height = 0.01, 0.0, 0.0
    place, velocity = 0j, 30 * complex(math.cos(math.radians(angle)), math.sin(math.radians(angle)))
    while place.imag >= 0:
        middle = velocity + slowed(velocity) * dt / 2
        before, place = place, place + middle * dt
        velocity += slowed(middle) * dt
        height, time = max(height, place.imag), time + dt
    beyond = place.imag / (place.imag - before.imag)  # the part of the step below ground
    return (place - (place - before) * beyond).real, height, time - dt * beyond


def test_pools_give_the_same_by_each_call(player: Player) -> None:
    names = ("sizes", "mapped", "mapped_async", "applied", "applied_async", "in_parallel")
    files, seconds, same, *results = player.play(
        "07_pools", "[path.name for path in paths]", "seconds", "same", *names
    )
    assert same
    assert results == [compressed(tuple(files))] * 6
    assert list(seconds) == [
        "comprehension",
        "map",
        "map_async",
        "apply",
        "apply_async",
        "%%parallel",
    ]
    assert player.pictures() == 1


@functools.cache
def compressed(files: tuple[str, ...]) -> list[int]:
    return [len(lzma.compress((LIBRARY / name).read_bytes())) for name in files]


def test_lines_are_counted_alike(player: Player) -> None:
    ways = ("naive", "in_process", "in_pool", "in_loop", "int(counted)")
    seconds, same, *counts = player.play("08_counting_lines", "seconds", "same", *ways)
    assert same
    assert counts == [3_000_000] * 5
    assert list(seconds) == [
        "naive loop",
        "one process",
        "pool of chunks",
        "%%parallel",
        "%mpcount",
    ]
    assert player.pictures() == 1


# What is saved


def test_there_is_one_for_each_section() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{n:02}" for n in range(1, 9)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_saved_outputs_are_those_of_one_run(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert kinds <= {"stream", "display_data", "execute_result"}
    assert any(
        output.get("data", {}).get("text/plain") == "True" for c in cells for output in c.outputs
    )
    assert any(cell.source.startswith("%%parallel") for cell in cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_saved_tells_of_the_machine(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text) < 100_000
    assert not re.search(r"(?<![\w.])/(home|root|tmp|usr|opt|work|Users|var)/", text)
