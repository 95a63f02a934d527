"""Cells that go on from what earlier runs have kept: they leave what the serial cell leaves."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mpmagic.errors import NotParallel
from mpmagic.run.keeping import Kind, LogFile
from tests.cells.gaps import RACES
from tests.cells.table import Case, load_cases
from tests.compare import Verdict, against, explained
from tests.notebook import Notebook, Outcome

GROUPS = ("arrays", "commits", "comprehensions", "exceptions", "flow", "frames", "guarded",
          "identity", "iterables", "output", "prepared", "random", "series", "slices",
          "temporaries")  # fmt: skip
CASES = [
    pytest.param(case, id=case.id)
    for case in load_cases()
    if case.id.partition("/")[0] in GROUPS and case.verdict == "parallel"
    if case.engine in ("", "inline") and case.id not in RACES
]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that stays when the cell has ended, as if its kernel had been lost just before."""
    monkeypatch.setattr(LogFile, "remove", LogFile.close)
    return tmp_path / "kept"


@pytest.mark.parametrize("case", CASES)
def test_cells_of_the_table(case: Case, notebook: Notebook, file: Path) -> None:
    """Run once to fill the file, then with all of it, then with the half that was written first."""
    serial = notebook.run(case.setup, case.source)
    options = f"--resume {file} {case.options}"
    # What work has written to the desk is gone, which is emptied for each run.
    for cut in (1.0,) if serial.files else (1.0, 1.0, 0.5):
        if file.exists():
            os.truncate(file, int(file.stat().st_size * cut))
        judgement = against(
            notebook, serial, case.source, setup=case.setup, options=options,
            lost=case.lost, free=case.free,
        )  # fmt: skip
        words = explained(judgement, case.source)
        if "keeps the iterations of loops" in str(judgement.parallel.error):
            return  # its loops run in the kernel, or are none
        assert judgement.verdict is Verdict.EQUAL, words


SETUP = """
import random, warnings
import numpy as np
calls, table, xs = [], {"a": {1, 2, 3}, "b": frozenset("xyz")}, list(range(10))
class Point:
    def __init__(self, x):
        self.x = x
def slow(x):
    if x == bad:
        raise ValueError(x)
    return Point(x), len(table)
bad = None
"""
LOOP = """for x in xs:
    p, n = slow(x)
    out.append((p.x, n, type(p) is Point))
"""


def run(
    notebook: Notebook, file: Path, cell: str = LOOP, setup: str = SETUP, *, options: str = ""
) -> Outcome:
    """The outcome of a cell that keeps its iterations in a file."""
    text = f"%%parallel --resume {file} --chunk 1 {options}\n{cell}"
    return notebook.run(f"{setup}\nout = []", text)


def resumed(outcome: Outcome) -> int:
    return sum(loop.resumed for loop in outcome.report.loops)


def told(outcome: Outcome) -> str:
    return "; ".join(outcome.report.told_of_resuming)


def test_all_of_it_is_there(notebook: Notebook, file: Path) -> None:
    assert resumed(run(notebook, file)) == 0
    again = run(notebook, file)
    assert resumed(again) == 10 and told(again) == ""
    assert again.names["out"] == [(x, 2, True) for x in range(10)]


@pytest.mark.parametrize("engine", ["-n 2", "--on threads -n 2"])
def test_on_other_engines(pool_notebook: Notebook, file: Path, engine: str) -> None:
    for before in (0, 10):
        again = run(pool_notebook, file, LOOP, options=engine)
        assert resumed(again) == before
        assert again.names["out"] == [(x, 2, True) for x in range(10)]


def test_an_expression(notebook: Notebook, file: Path) -> None:
    for before in (0, 10):
        line = f"v = %parallel -q --resume {file} sum(slow(x)[1] * x for x in xs)"
        outcome = notebook.run(SETUP, line)
        assert outcome.names["v"] == 90 and resumed(outcome) == before


def test_a_failed_iteration_runs_again(notebook: Notebook, file: Path) -> None:
    """Nothing of it is kept: what it failed on may be there the next time."""
    cell = "import pathlib\n" + LOOP.replace("slow(x)", "slow(x if missing(x) else 0)")
    setup = SETUP + (
        f"\ndef missing(x):\n    import pathlib\n"
        f"    if x == 4 and not pathlib.Path({str(file) + '.there'!r}).exists():\n"
        f"        raise OSError(x)\n    return True"
    )
    failed = run(notebook, file, cell, setup)
    assert isinstance(failed.error, OSError) and len(failed.names["out"]) == 4
    assert f"what was finished is kept in {file}" in told(failed)
    Path(f"{file}.there").touch()
    again = run(notebook, file, cell, setup)
    assert again.error is None and len(again.names["out"]) == 10
    assert 4 <= resumed(again) < 10


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("table['c'] = 1", "`table` isn't what it was"),
        ("table['a'] = {1, 2, 4}", "`table` isn't what it was"),
        ("bad = -1", "`bad` isn't what it was"),
        ("def slow(x):\n    return Point(-x), 0", "`slow` isn't what it was"),
        ("class Point:\n    def __init__(self, x):\n        self.x = -x", "`Point` isn't what"),
        ("table['c'], bad = 1, -1", "`bad` and `table` aren't what they were"),
    ],
)
def test_changed_captured_values(notebook: Notebook, file: Path, change: str, says: str) -> None:
    run(notebook, file)
    setup = f"{SETUP}\n{change}"
    again = run(notebook, file, LOOP, setup)
    assert resumed(again) == 0 and again.error is None
    assert f"the loop in line 2 begins anew: {says}" in told(again)
    serial = notebook.run(f"{setup}\nout = []", LOOP)
    assert again.names["out"] == serial.names["out"]


def test_a_changed_cell(notebook: Notebook, file: Path) -> None:
    run(notebook, file)
    again = run(notebook, file, LOOP.replace("p.x", "-p.x"))
    assert resumed(again) == 0 and "it begins anew" in told(again)
    assert again.names["out"][3] == (-3, 2, True)


def test_items_that_are_parts_of_captured_values(notebook: Notebook, file: Path) -> None:
    """Equal ones that aren't are others."""
    setup = f"{SETUP}\nps = [Point(1), Point(2)]\nkeep = [ps[0]]"
    cell = "for p in ps:\n    out.append((p in keep, slow(1)[1]))"
    run(notebook, file, cell, setup)
    assert resumed(run(notebook, file, cell, setup)) == 2
    changed = setup.replace("[ps[0]]", "[Point(1)]")
    again = run(notebook, file, cell, changed)
    assert [found for found, _ in again.names["out"]] == [False, False] and resumed(again) < 2


def test_surroundings(notebook: Notebook, file: Path, tmp_path: Path) -> None:
    setup = f"""import os, sys
sys.path.insert(0, {str(tmp_path)!r})
xs = [1, 2]
def slow(x):
    import helping
    return helping.twice(x)"""
    cell = "for x in xs:\n    out.append((slow(x), os.environ.get('MPM_TEST')))"
    (tmp_path / "helping.py").write_text("def twice(x):\n    return 2 * x\n")
    for change, says in (
        ("", ""),
        ("env", "the environment's `MPM_TEST` isn't what it was"),
        ("module", "the module `helping` isn't what it was"),
    ):
        if change == "env":
            setup = f"{setup}\nos.environ['MPM_TEST'] = 'on'"
        elif change == "module":
            (tmp_path / "helping.py").write_text("def twice(x):\n    return 3 * x\n")
            sys.modules.pop("helping", None)
        serial = notebook.run(f"{setup}\nout = []", cell)
        sys.modules.pop("helping", None)
        first = run(notebook, file, cell, setup)
        assert resumed(first) == 0 and says in told(first)
        assert first.names["out"] == serial.names["out"]
        sys.modules.pop("helping", None)
        assert resumed(run(notebook, file, cell, setup)) == 2
        sys.modules.pop("helping", None)


def test_a_file_that_is_read_when_an_interrupt_comes(
    notebook: Notebook, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(notebook, file)

    def records(_: LogFile) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LogFile, "records", records)
        assert isinstance(run(notebook, file).error, KeyboardInterrupt)
    assert resumed(run(notebook, file)) == 10


def test_changed_items(notebook: Notebook, file: Path) -> None:
    """Iterations up to the first other item are there; the others are made of what there is."""
    run(notebook, file)
    again = run(notebook, file, LOOP, f"{SETUP}\nxs[4] = 40")
    assert resumed(again) == 9
    assert [x for x, *_ in again.names["out"]] == [0, 1, 2, 3, 40, 5, 6, 7, 8, 9]


def test_other_draws(notebook: Notebook, file: Path) -> None:
    """Draws that the kernel makes ahead are a part of what a chunk is made of."""
    cell = "for x in xs:\n    out.append(slow(rng.randrange(100))[1])\n    out.append(x)"
    setup = f"{SETUP}\nrng = random.Random(1)"
    run(notebook, file, cell, setup)
    assert resumed(run(notebook, file, cell, setup)) == 10
    other = run(notebook, file, cell, f"{SETUP}\nrng = random.Random(2)")
    serial = notebook.run(f"{SETUP}\nrng = random.Random(2)\nout = []", cell)
    assert resumed(other) == 0 and other.names["out"] == serial.names["out"]


def test_several_loops_and_one_that_comes_again(notebook: Notebook, file: Path) -> None:
    inner = "".join(f"    {line}\n" for line in LOOP.splitlines())
    cell = f"k = 3\nwhile k:\n    k, bad = k - 1, -k\n{inner}ys = [slow(x)[1] for x in xs]"
    first = run(notebook, file, cell)
    again = run(notebook, file, cell)
    assert resumed(first) == 0 and resumed(again) == 40
    assert again.names["out"] == first.names["out"] and again.names["ys"] == [2] * 10


def test_shared_memory_is_not_kept(notebook: Notebook, file: Path) -> None:
    setup = "from mpmagic import shared\nmemory = shared(np.arange(10))"
    cell = "for x in xs:\n    out.append(slow(x)[1] + memory[x])"
    for _ in range(2):
        outcome = run(notebook, file, cell, f"{SETUP}\n{setup}")
        assert outcome.error is None and resumed(outcome) == 0
        assert "of the loop in line 2 nothing is kept: an array that processes share" in told(
            outcome
        )


def test_nothing_is_left_of_it(notebook: Notebook, tmp_path: Path) -> None:
    outcome = run(notebook, tmp_path / "kept")
    assert outcome.error is None and not (tmp_path / "kept").exists()


def test_what_was_written_when_the_kernel_was_lost(notebook: Notebook, file: Path) -> None:
    """A record that was cut short is cut off; others that are damaged end what is taken."""
    run(notebook, file)
    whole = file.read_bytes()
    for content in (whole[:-5], whole + b"\x03rest", whole[:-20] + b"!" + whole[-19:]):
        file.write_bytes(content)
        again = run(notebook, file)
        assert again.error is None and 9 <= resumed(again) <= 10
        assert len(again.names["out"]) == 10
        file.write_bytes(whole)


def refusal(notebook: Notebook, file: Path, cell: str = LOOP) -> str:
    outcome = run(notebook, file, cell)
    assert isinstance(outcome.error, NotParallel) and outcome.names["out"] == []
    return str(outcome.error)


def test_somebody_elses_file(notebook: Notebook, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mpmagic is a thing that I have written notes about\n")
    assert "holds something else than finished iterations" in refusal(notebook, file)
    assert file.read_text().endswith("notes about\n")
    assert "can't be" in refusal(notebook, tmp_path) or "directory" in refusal(notebook, tmp_path)
    assert "No such file" in refusal(notebook, tmp_path / "none" / "kept")


def test_a_file_that_others_may_write(notebook: Notebook, file: Path) -> None:
    run(notebook, file)
    file.chmod(0o622)
    assert "may be written by other users" in refusal(notebook, file)


def test_a_link_is_not_followed(notebook: Notebook, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    assert "symbolic links" in refusal(notebook, tmp_path / "link")


def test_in_use(notebook: Notebook, file: Path) -> None:
    held = LogFile(file)
    assert "is in use by another cell" in refusal(notebook, file)
    held.close()


def test_nothing_to_keep(notebook: Notebook, file: Path) -> None:
    assert "the cell has none" in refusal(notebook, file, "y = slow(1)\nz = slow(2)")


def test_a_full_disk(notebook: Notebook, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What there is is kept, and the cell goes on."""
    real = LogFile.add

    def add(self: LogFile, kind: Kind, content: bytes) -> None:
        if kind is Kind.CHUNK:
            self._fd, here = os.open("/dev/full", os.O_RDWR), self._fd
            try:
                real(self, kind, content)
            finally:
                os.close(self._fd)
                self._fd = here
        else:
            real(self, kind, content)

    monkeypatch.setattr(LogFile, "add", add)
    monkeypatch.setattr(os, "ftruncate", lambda fd, size: None)
    outcome = run(notebook, file)
    assert outcome.error is None and len(outcome.names["out"]) == 10
    assert "could take no more: No space left on device" in told(outcome)


def test_options_that_do_not_go_with_it(notebook: Notebook, file: Path) -> None:
    for options, says in (("--bg job", "--bg"), ("--each", "--each")):
        outcome = notebook.run(SETUP, f"%%parallel --resume {file} {options}\n{LOOP}")
        assert says in str(outcome.error) and not file.exists()


CHANGING = """
big = [0] * 3
xs = list(range(6))
def slow(x):
    getattr(big, "app" + "end")(x)
    return len(big)
"""


@pytest.mark.parametrize("big", ["[0] * 3", "['x' * 2_000_000]"])
def test_work_that_changes_what_it_reads_keeps_nothing(
    pool_notebook: Notebook, file: Path, big: str
) -> None:
    setup = CHANGING.replace("[0] * 3", big)
    cell = "for x in xs:\n    out.append(slow(x))\n"
    for _ in range(2):
        outcome = run(pool_notebook, file, cell, setup, options="-n 2")
        assert "changed `big`" in str(outcome.error)
