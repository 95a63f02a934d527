"""Workloads of many or few iterations over small data."""

from __future__ import annotations

import heapq

from tests.bench.peers.peer import (
    FORKS,
    HELPERS,
    MPMAGIC,
    PEERS,
    POOL,
    SERIAL,
    Peer,
    magic_of,
)
from tests.bench.peers.record import Record
from tests.bench.peers.workload import Step, Target, Workload

APPENDING = "out = []\nfor x in xs:\n    out.append({f}(x))"
OTHERS = [p for p in PEERS if p not in (SERIAL, MPMAGIC)]
NO_FORKS = [p for p in OTHERS if p not in FORKS]


def mapped(
    peer: Peer, function: str, items: str, *, chunk: int | None = None, cell: str = APPENDING
) -> Step:
    """The cell as it is for mpmagic and serially, a map for all others."""
    if peer in (SERIAL, MPMAGIC):
        return Step("time", cell.format(f=function), magic=magic_of(peer))
    return Step("time", f"out = {peer.map(function, items, chunk)}")


# -- from nothing ------------------------------------------------------------------------------


def _cold(peer: Peer) -> list[Step]:
    if peer == MPMAGIC:
        magic = f"get_ipython().run_cell_magic('parallel', '', {APPENDING.format(f='square')!r})"
        return [Step("time", f"get_ipython().run_line_magic('load_ext', 'mpmagic')\n{magic}")]
    return [Step("time", f"{peer.start}\n{mapped(peer, 'square', 'xs').cell}")]


SQUARE = HELPERS + "\ndef square(x):\n    return x * x\n"
COLD = Workload(
    name="cold",
    title="from nothing to the results of 8 trivial iterations, NumPy and pandas imported",
    setup=SQUARE + "import numpy, pandas\nxs = range(8)",
    steps=_cold,
    check="assert list(out) == [x * x for x in xs]",
    targets=[
        Target("to the fastest that isn't a bare fork", lambda r: r.to_fastest("time", NO_FORKS), 1)
    ],
    fresh=True,
    most=5,
)


# -- warm, hardly any work ---------------------------------------------------------------------


def _round_trip(peer: Peer) -> list[Step]:
    step = mapped(peer, "square", "xs")
    return [Step("time", step.cell, repeats=15, magic=step.magic)]


ROUND_TRIP = Workload(
    name="round-trip",
    title="a warm cell of two trivial iterations",
    setup=SQUARE + "xs = range(2)",
    steps=_round_trip,
    check="assert list(out) == [0, 1]",
    targets=[
        Target("milliseconds", lambda r: r.median(MPMAGIC, "time") * 1000, 1),
        Target("to the fastest peer", lambda r: r.to_fastest("time", OTHERS), 1),
    ],
)

MANY = 200_000


def _tiny(peer: Peer) -> list[Step]:
    # Of 2,000 to 100,000 items a task, 25,000 is the fastest for `Pool.map`.
    body = f"out = []\nfor i in range({MANY}):\n    out.append(i * i)"
    return [mapped(peer, "square", f"range({MANY})", chunk=25_000, cell=body)]


TINY = Workload(
    name="tiny",
    title="200,000 iterations of `out.append(i * i)`",
    setup=SQUARE,
    steps=_tiny,
    check=f"assert list(out) == [i * i for i in range({MANY})]",
    targets=[
        Target("to Pool.map", lambda r: r.ratio("time", POOL), 1),
        Target("to serial", lambda r: r.ratio("time", SERIAL), 1.5),
    ],
)


# -- work that is worth it ---------------------------------------------------------------------

WORK = """
def work(x, seconds={seconds}):
    from time import thread_time
    end = thread_time() + seconds  # of a processor: waiting for one doesn't count
    while thread_time() < end:
        pass
    return x + 1
"""


def _ideal(record: Record) -> float:
    """What mpmagic took over half of what the serial cell took."""
    return record.ratio("time", SERIAL) * 2


MEDIUM = Workload(
    name="medium",
    title="1,000 iterations of 1 ms of a processor",
    setup=HELPERS + WORK.format(seconds=0.001) + "xs = range(1000)",
    steps=lambda peer: [mapped(peer, "work", "xs", chunk=25)],
    check="assert list(out) == list(range(1, 1001))",
    targets=[
        Target("to half of serial", _ideal, 1 / 0.95),
        Target("to the fastest peer", lambda r: r.to_fastest("time", OTHERS), 1),
    ],
)

NAPS = [0.02] * 15 + [0.2] + [0.02] * 15 + [0.2] + [0.02] * 15 + [0.4] + [0.02] * 15 + [0.4]
LOWER_BOUND = max(sum(NAPS) / 2, max(NAPS))


def in_order(naps: list[float], workers: int = 2) -> float:
    """When the last worker ends, if each takes the next item as soon as it's free."""
    free = [0.0] * workers
    for nap in naps:
        heapq.heappush(free, heapq.heappop(free) + nap)
    return max(free)


def _skew(peer: Peer) -> list[Step]:
    step = mapped(peer, "rest", "naps")
    cell = step.cell.replace("x in xs", "x in naps")
    return [Step(label, cell, magic=step.magic) for label in ("first", "again")]


SKEW = Workload(
    name="skew",
    title="64 sleeps of 20 ms to 400 ms, the longest last",
    setup=HELPERS + f"naps = {NAPS}\n"
    "def rest(x):\n    from time import sleep\n    sleep(x)\n    return x\n",
    steps=_skew,
    check="assert list(out) == naps",
    targets=[
        Target(
            "first, to in-order scheduling",
            lambda r: r.median(MPMAGIC, "first") / in_order(NAPS),
            1.02,
        ),
        Target(
            "again, to the lower bound", lambda r: r.median(MPMAGIC, "again") / LOWER_BOUND, 1.05
        ),
    ],
    most=3,
)


# -- output ------------------------------------------------------------------------------------

PRINTS = Workload(
    name="prints",
    title="5,000 iterations that print a line",
    setup=HELPERS + "xs = range(5000)\n"
    "def say(x):\n    print('line', x, flush=True)\n    return x\n",
    steps=lambda peer: [mapped(peer, "say", "xs", chunk=100)],
    check="assert list(out) == list(xs)",
    lines="".join(f"line {x}\n" for x in range(5000)),
    targets=[Target("to serial", lambda r: r.ratio("time", SERIAL), 2)],
)


# -- commits -----------------------------------------------------------------------------------

COUNTING = """
from collections import defaultdict
counts, groups = defaultdict(int), defaultdict(list)
"""
COMMITTING = "for k, v in zip(keys, {values}):\n    counts[k] += 1\n    groups[k].append({v})"


NO_WORK = COUNTING + COMMITTING.format(values="xs", v="x").replace("k, v", "k, x")
WITHOUT = "without the line"


def _commits(peer: Peer) -> list[Step]:
    if peer not in (SERIAL, MPMAGIC):
        return []  # there's nothing to map
    time = Step("time", NO_WORK, repeats=3, magic=magic_of(peer, "--or-serial"))
    # Of two kernels that do the same, one takes 3 % longer than the other, by where things are
    # in its memory: what the line costs is to be seen in one kernel only.
    return [time, Step(WITHOUT, NO_WORK, repeats=3)] if peer == MPMAGIC else [time]


def _commits_of_work(peer: Peer) -> list[Step]:
    if peer in (SERIAL, MPMAGIC):
        cell = COUNTING + COMMITTING.format(values="xs", v="work(x)")
        return [Step("time", cell.replace("k, v", "k, x"), magic=magic_of(peer))]
    values = peer.map("work", "xs", 5_000)
    return [Step("time", COUNTING + COMMITTING.format(values=values, v="v"))]


def _kept(count: int, value: str) -> str:
    return (
        f"assert sum(counts.values()) == {count} and len(counts) == 97\n"
        f"assert groups[3] == [{value} for x in xs if keys[x] == 3]\n"
        "assert list(groups) == list(dict.fromkeys(keys))"
    )


def _keys(count: int) -> str:
    return f"xs = range({count})\nkeys = [x * x % 193 % 97 for x in xs]\n"


COMMITS = Workload(
    name="commits",
    title="1,000,000 iterations of `counts[k] += 1` and `groups[k].append(x)`, no work",
    setup=HELPERS + _keys(1_000_000) + NO_WORK,  # which leaves as much to let go of as later ones
    steps=_commits,
    check=_kept(1_000_000, "x").replace("== 97", "== len(set(keys))"),
    targets=[
        Target("to the same without the line", lambda r: r.ratio("time", MPMAGIC, base=WITHOUT), 1)
    ],
)
COMMITS_OF_WORK = Workload(
    name="commits-of-work",
    title="100,000 iterations of the same with 20 µs of work",
    setup=HELPERS + WORK.format(seconds=0.00002) + _keys(100_000),
    steps=_commits_of_work,
    check=_kept(100_000, "x + 1").replace("== 97", "== len(set(keys))"),
    targets=[
        Target("to serial", lambda r: r.ratio("time", SERIAL), 1 / 1.7),
        Target("to the fastest peer", lambda r: r.to_fastest("time", OTHERS), 1),
    ],
    most=3,
)

WORKLOADS = (COLD, ROUND_TRIP, TINY, MEDIUM, SKEW, PRINTS, COMMITS, COMMITS_OF_WORK)
