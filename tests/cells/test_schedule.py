"""Chunks in another order than the loop's: the next run begins with what took long."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator, Sequence

import pytest

from mpmagic.run.flight import Flight
from mpmagic.run.past import Past
from mpmagic.run.schedule import Schedule, makespan, schedule
from mpmagic.run.scheduled import Scheduled
from tests.cells.gaps import RACES
from tests.cells.table import Case, load_cases
from tests.compare import Verdict, against, assert_equal, explained
from tests.notebook import Notebook

GROUPS = ("aliases", "arrays", "commits", "comprehensions", "exceptions", "flow", "identity",
          "independent", "iterables", "output", "random", "slices", "temporaries")  # fmt: skip
CASES = [
    pytest.param(case, id=case.id)
    for case in load_cases()
    if case.id.partition("/")[0] in GROUPS and case.engine in ("", "inline")
    if case.id not in RACES
]


@pytest.fixture
def backwards(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Sends the chunks of all loops that may be ordered from the last to the first."""

    def reverse(seconds: Sequence[float], workers: int) -> Schedule:
        sizes = [2] * (len(seconds) // 2) + [1] * (len(seconds) % 2)
        return Schedule(tuple(sizes), tuple(reversed(range(len(sizes)))))

    monkeypatch.setattr("mpmagic.run.scheduled.schedule", reverse)
    monkeypatch.setattr(Past, "seconds", lambda self, key, n: array("d", [1.0] * n) if n else None)
    return sent_by(monkeypatch)


def sent_by(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first iterations of chunks that a schedule sends, in the order of sending."""
    sent: list[int] = []
    launch = Scheduled._launch_next

    def launched(self: Scheduled, flight: Flight) -> None:
        sent.append(flight.first)
        launch(self, flight)

    monkeypatch.setattr(Scheduled, "_launch_next", launched)
    return sent


@pytest.mark.parametrize("case", CASES)
def test_cells_of_the_table(case: Case, notebook: Notebook, backwards: list[int]) -> None:
    serial = notebook.run(case.setup, case.source)
    judgement = against(
        notebook, serial, case.source, setup=case.setup, options=case.options,
        lost=case.lost, free=case.free,
    )  # fmt: skip
    words = explained(judgement, case.source)
    if case.verdict == "parallel":
        assert judgement.verdict is Verdict.EQUAL, words
    else:
        assert judgement.verdict is not Verdict.DIFFERENT, words


LOOP = "for x in range(9):\n    y = x * x\n    print(x)\n    out.append(y)"


def test_backwards(pool_notebook: Notebook, backwards: list[int]) -> None:
    assert_equal(pool_notebook, LOOP, setup="out = []")
    assert backwards == [8, 6, 4, 2, 0]


ENDS = f"{LOOP}\n    if len(out) > 7:\n        break"
KEEPS = "for x in range(9):\n    n += x\n    y = sum(range(n))\n    out.append(y)"
LAZY = LOOP.replace("range(9)", "(i for i in range(9))")


@pytest.mark.parametrize(
    ("loop", "options"),
    [(LOOP, "--chunk 2"), (LOOP, "--retries 1"), (ENDS, "--ahead"), (KEEPS, ""), (LAZY, "")],
)
def test_what_has_to_be_in_turn(
    notebook: Notebook, backwards: list[int], loop: str, options: str
) -> None:
    assert_equal(notebook, loop, setup="out, n = [], 0", options=options)
    assert backwards == []


def test_more_than_may_wait(
    notebook: Notebook, backwards: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the results that wait are too many, the oldest chunks go first."""
    monkeypatch.setattr("mpmagic.run.dispatch._BUFFERED_BYTES", 0)
    assert_equal(notebook, LOOP, setup="out = []")
    assert backwards == [8, 0, 2, 4, 6]


def test_it_waits_for_the_oldest_then(
    notebook: Notebook, backwards: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other chunk is sent while the oldest one is away: what it gives would wait as well."""
    left: list[int] = []
    launch = Scheduled._launch_next

    def launched(self: Scheduled, flight: Flight) -> None:
        left.append(len(self._flights))
        launch(self, flight)

    monkeypatch.setattr(Scheduled, "_launch_next", launched)
    monkeypatch.setattr(Scheduled, "_has_much_waiting", lambda self: True)
    assert_equal(notebook, LOOP, setup="out = []")
    assert backwards == [0, 2, 4, 6, 8]
    assert left == [5, 4, 3, 2, 1]


def test_what_has_been_pulled_is_sent(
    notebook: Notebook, backwards: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if no more is to be: a loop that goes on in the kernel does so behind it."""
    pull = Scheduled._pull_all

    def pulled(self: Scheduled, planned: Schedule) -> None:
        pull(self, planned)
        self.send_no_more()

    monkeypatch.setattr(Scheduled, "_pull_all", pulled)
    assert_equal(notebook, LOOP, setup="out = []")
    assert backwards == [8, 6, 4, 2, 0]


def test_large_items_are_not_pulled_all_at_once(
    notebook: Notebook, backwards: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mpmagic.run.scheduled._MOST_BYTES", 10_000)
    loop = "for text in texts:\n    n = len(text)\n    print(text[0])\n    out.append(n)"
    assert_equal(notebook, loop, setup="out, texts = [], [c * 4000 for c in 'abcdefghi']")
    assert backwards == [2, 0]


def test_the_second_run_begins_with_the_longest(
    pool_notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = "import time\nout, seconds = [], [0.01] * 12 + [0.15]"
    cell = "%%parallel -q -n 2\nfor s in seconds:\n    time.sleep(s)\n    out.append(s)"
    sent = sent_by(monkeypatch)
    pool_notebook.run(setup, cell)
    assert sent == []
    outcome = pool_notebook.run(setup, cell)
    assert 12 in sent[:2]
    assert sorted(sent) == list(range(13))
    assert outcome.names["out"] == [0.01] * 12 + [0.15]
    pool_notebook.run(f"{setup}; seconds.pop()", cell)
    assert len(sent) == 13  # with another number of iterations it is another loop


def test_an_iteration_that_fails(pool_notebook: Notebook, backwards: list[int]) -> None:
    loop = "for x in range(9):\n    y = 1 / (4 - x)\n    print(x)\n    out.append(y)"
    judgement = assert_equal(pool_notebook, loop, setup="out = []")
    assert isinstance(judgement.parallel.error, ZeroDivisionError)
    assert judgement.parallel.report.loops[0].iterations == 4


@pytest.mark.parametrize("workers", [2, 3, 8, 64])
def test_schedules(workers: int) -> None:
    """Within 4/3 of what no order can be faster than, and better than in turn, or none at all."""
    draw = random.Random(workers)
    found = 0
    for count in (1, 2, 7, 64, 500, 3000):
        for power in (1, 3, 6):
            seconds = [draw.expovariate(1.0) ** power for _ in range(count)]
            planned = schedule(seconds, workers)
            if planned is None:
                continue
            found += 1
            assert sum(planned.sizes) == count
            assert sorted(planned.order) == list(range(len(planned.sizes)))
            items = iter(seconds)
            chunks = [sum(next(items) for _ in range(size)) for size in planned.sizes]
            bound = max(sum(seconds) / workers, *seconds)
            ends = makespan(chunks, planned.order, workers)
            assert ends <= (4 / 3 + 0.02) * bound
            assert ends < makespan(chunks, range(len(chunks)), workers)
    assert found


def test_even_loops_keep_their_order() -> None:
    assert schedule([0.1] * 100, 4) is None
    assert schedule(sorted([0.1, 3.0, 0.2, 1.0], reverse=True), 2) is None
    assert schedule([1.0, 3.0], 1) is None
    assert schedule([], 4) is None
