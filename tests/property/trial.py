"""One made-up cell, tried: serially once, in parallel with small and large chunks."""

from __future__ import annotations

from dataclasses import dataclass

from tests.compare import Judgement, Verdict, against, with_magic
from tests.notebook import Notebook
from tests.property.grammar import SETUP, Cell
from tests.property.limit import OutOfTime, limited
from tests.property.minimise import minimised

CHUNKS = ("--chunk 1", "--chunk 2", "")
LIMIT = 2.0
"""Seconds for a candidate; a trial takes hundredths of one."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a cell, for all sizes of chunks together."""

    verdict: Verdict
    why: str
    options: str = ""
    split: int = 0


def try_cell(notebook: Notebook, cell: Cell, chunks: tuple[str, ...] = CHUNKS) -> Trial:
    """Compare a cell for some sizes of chunks; the worst verdict counts."""
    serial = notebook.run(cell.setup, cell.source)
    trial = Trial(Verdict.EQUAL, "")
    for chunk in chunks:
        options = f"{chunk} {cell.options}".strip()
        found = against(notebook, serial, cell.source, setup=cell.setup, options=options)
        trial = _trial(found, options)
        if trial.verdict is Verdict.DIFFERENT or found.verdict is Verdict.REFUSED:
            return trial  # refusals don't depend on the chunks
    return trial


def is_different(notebook: Notebook, cell: Cell, chunks: tuple[str, ...] = CHUNKS) -> bool:
    """Whether the promise is broken for the cell."""
    try:
        compile(cell.source, "cell", "exec")
    except SyntaxError:
        return False  # cut too far: IPython runs what stands before it
    try:
        with limited(LIMIT):
            return try_cell(notebook, cell, chunks).verdict is Verdict.DIFFERENT
    except (AssertionError, OutOfTime):
        return False  # cut too far: the setup itself fails, or nothing ends a loop any more


def smallest(notebook: Notebook, cell: Cell, trial: Trial) -> str:
    """A counterexample made small, described; tried with the chunks that showed it."""
    chunks = (trial.options.removesuffix(cell.options).strip(),)
    small = minimised(cell, lambda candidate: is_different(notebook, candidate, chunks))
    return described(small, try_cell(notebook, small, chunks))


def described(cell: Cell, trial: Trial) -> str:
    """The counterexample as a report shows it."""
    extra = cell.setup.removeprefix(SETUP).strip()
    setup = f"# setup: the grammar's, and\n{extra}\n" if extra else ""
    return f"{trial.why}\n{setup}{with_magic(cell.source, trial.options)}"


def _trial(found: Judgement, options: str) -> Trial:
    report = found.parallel.report
    split = getattr(report, "split", 0) if found.verdict is Verdict.EQUAL else 0
    return Trial(found.verdict, found.why, options, split)
