"""Every cell of the table: in this process with small and large chunks, and on the pool."""

from __future__ import annotations

from typing import Any

import pytest

from mpmagic.errors import MpmagicError
from tests.cells.gaps import EVERYWHERE, NOT_ON_THREADS, ON_POOL, RACES, reason_of
from tests.cells.table import Case, load_cases
from tests.compare import Judgement, Verdict, against, check_refusal, explained
from tests.notebook import Notebook

CASES = load_cases()
CHUNKS = ("--chunk 1", "--chunk 2", "")
ALONE = ("--retries", "--keep-going")  # with these iterations come in no other chunks than of 1


def on(engine: str, *, gaps: bool = True) -> list[object]:
    """The cells that say something on that engine, those marked that are known to fail."""
    return [
        pytest.param(c, id=c.id, marks=marks(c.id, pool=engine == "pool") if gaps else ())
        for c in CASES
        if c.engine in ("", engine) and not (engine != "inline" and c.id in RACES)
    ]


def marks(case: str, *, pool: bool) -> list[pytest.MarkDecorator]:
    """An expected failure, if the cell is one."""
    reason = reason_of(case, pool=pool)
    return [pytest.mark.xfail(reason=reason, strict=False)] if reason else []


def test_gaps_name_cells_of_the_table() -> None:
    listed = {id for table in (EVERYWHERE, ON_POOL) for cases in table.values() for id in cases}
    assert {*listed, *RACES, *NOT_ON_THREADS} <= {case.id for case in CASES}


@pytest.mark.parametrize("case", on("inline", gaps=False))
def test_serial_cell_is_what_the_table_says(case: Case, notebook: Notebook) -> None:
    """A case whose serial cell fails for another reason would prove nothing."""
    outcome = notebook.run(case.setup, case.source)
    raised = type(outcome.error).__name__ if outcome.error else ""
    assert raised == case.raises, f"{outcome.error!r}"


@pytest.mark.parametrize("case", on("inline"))
def test_inline(case: Case, notebook: Notebook, watching: list[bool]) -> None:
    """Here workers look for changes also where there surely are none."""
    alone = any(option in case.options for option in ALONE)
    for judgement in check(case, notebook, *("",) if alone else CHUNKS):
        report = judgement.parallel.report
        told = [judgement.why, *(why for _, why in (report.stayed if report else ()))]
        found = any(" work " in why and "changed `" in why for why in told)
        sure = bool(watching) and not any(watching)
        assert not (sure and found), explained(judgement, case.source)


@pytest.mark.parametrize("case", on("pool"))
def test_pool(case: Case, pool_notebook: Notebook) -> None:
    check(case, pool_notebook, "-n 2")


@pytest.mark.parametrize("case", on("threads"))
def test_threads(case: Case, pool_notebook: Notebook) -> None:
    options = "--on threads -n 3 --chunk 1"
    if case.id not in NOT_ON_THREADS:
        check(case, pool_notebook, options)
        return
    options = f"{options} {case.options}"
    serial = pool_notebook.run(case.setup, case.source)
    judgement = against(pool_notebook, serial, case.source, setup=case.setup, options=options)
    assert judgement.verdict in (Verdict.ERROR, Verdict.REFUSED), explained(judgement, case.source)
    assert "--on processes" in judgement.why


def check(case: Case, notebook: Notebook, *variants: str) -> list[Judgement]:
    """Hold a cell against its verdict, under the magic with each of some options."""
    serial, judgements = notebook.run(case.setup, case.source), []
    for variant in variants:
        options = f"{variant} {case.options}".strip()
        given: dict[str, Any] = {"setup": case.setup, "lost": case.lost, "free": case.free}
        judgement = against(notebook, serial, case.source, options=options, **given)
        check_verdict(case, judgement, options)
        judgements.append(judgement)
    return judgements


def check_verdict(case: Case, judgement: Judgement, options: str) -> None:
    """The verdict is the table's, and so is what was split or said."""
    words = f"with {options!r}: {explained(judgement, case.source)}"
    if case.verdict == "refused":
        assert judgement.verdict is Verdict.REFUSED, words
        check_refusal(judgement, line=case.line, name=case.name, says=case.says)
    elif case.verdict in ("parallel", "stays") or (
        case.verdict == "returns" and "--on" not in options
    ):
        assert judgement.verdict is Verdict.EQUAL, words
        check_split(case, judgement)
    else:
        assert judgement.verdict is not Verdict.DIFFERENT, words
        if case.verdict == "error":
            check_error(case, judgement)


def check_split(case: Case, judgement: Judgement) -> None:
    """The loops ran where the table says that they run."""
    report = judgement.parallel.report
    if case.verdict in ("stays", "returns"):
        assert report.stayed or report.kept, "split, although its loop has to stay in the kernel"
    else:
        assert report.split >= case.splits, f"stayed in the kernel: {report.stayed}"


def check_error(case: Case, judgement: Judgement) -> None:
    """An error in the middle names what was lost and keeps what was committed before it."""
    caught = (Verdict.ERROR, Verdict.REFUSED)
    assert judgement.verdict in caught, explained(judgement, case.source)
    error = judgement.parallel.error
    assert isinstance(error, MpmagicError)
    for part in (case.name, *case.says):
        assert part in str(error), f"doesn't say {part!r}: {error}"
    if case.prefix and judgement.verdict is Verdict.ERROR:
        kept = judgement.parallel.names[case.prefix]
        full = judgement.serial.names[case.prefix]
        assert kept == full[: len(kept)], f"{case.prefix}: {kept} isn't the start of {full}"
