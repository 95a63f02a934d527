"""Workloads of large data, captured or made."""

from __future__ import annotations

from tests.bench.peers.loops import OTHERS
from tests.bench.peers.peer import (
    DASK,
    HELPERS,
    IPYPARALLEL,
    JOBLIB,
    LOKY,
    MPMAGIC,
    PARFOR,
    RAY,
    SERIAL,
    Peer,
    magic_of,
)
from tests.bench.peers.workload import Step, Target, Workload

READING = "out = []\nfor i in range(8):\n    out.append(part(table, i))"
LOOK = "\ndef look(i):\n    return part(table, i)\n"
CHECK = "assert list(out) == [part(table, i) for i in range(8)]"
FORGET = """
table = out = held = None
import gc
gc.collect()
"""

# How each hands a large object to its workers in the first cell, and maps over it in any.
HANDED = {
    LOKY: ("", "list(pool.map(partial(part, table), range(8), chunksize=4))"),
    JOBLIB: ("", "Parallel(n_jobs=2, batch_size=4)(delayed(part)(table, i) for i in range(8))"),
    IPYPARALLEL: (
        "engines.push(dict(table=table, part=part), block=True)\n",
        "balanced.map_sync(look, range(8))",
    ),
    DASK: (
        "[held] = client.scatter([table], broadcast=True)\n",
        "client.gather(client.map(part, [held] * 8, range(8), pure=False))",
    ),
    RAY: ("held = ray.put(table)\n", "ray.get([remote(part).remote(held, i) for i in range(8)])"),
    PARFOR: ("", "pmap(lambda i, table: part(table, i), range(8), (table,), bar=False)"),
}


def reading(peer: Peer) -> list[Step]:
    """A cell that reads a large object in 8 tasks, twice."""
    if peer in (SERIAL, MPMAGIC):
        made, rest = "", READING
    elif peer.forks:  # forks have what the kernel has, so they are made when the data is there
        made, rest = f"{peer.start}\n", f"out = {peer.map('look', 'range(8)')}"
    else:
        made, how = HANDED[peer]
        rest = f"out = {how}"
    first = Step("first", made + rest, magic=magic_of(peer))
    return [first, Step("again", rest, magic=magic_of(peer))]


def _with_copy(peer: Peer) -> list[Step]:
    copy = Step("one copy in memory", "copied = table.copy()", does_it=False)
    return [*([copy] if peer in (SERIAL, MPMAGIC) else []), *reading(peer)]


CAPTURE = Workload(
    name="capture",
    title="an array of 512 MB, read by 8 tasks",
    setup=HELPERS + LOOK + "import numpy as np\n"
    "def part(table, i):\n"
    "    n = len(table) // 8\n"
    "    return int(table[i * n:(i + 1) * n].sum())",
    prepare="table = np.random.default_rng({round}).integers(1000, size=1 << 26)",
    tidy=FORGET + "copied = None",
    steps=_with_copy,
    check=CHECK + "\ncopied = None",
    targets=[
        Target(
            "first, to one copy in memory",
            lambda r: r.ratio("first", MPMAGIC, base="one copy in memory"),
            1.3,
        ),
        Target("again, to the first", lambda r: r.ratio("again", MPMAGIC, base="first"), 0.15),
        Target(
            "MB at most, to the array twice and 150",
            lambda r: r.megabytes.get(MPMAGIC.name, float("nan")) / (2 * 537 + 150),
            1,
        ),
    ],
    most=3,
    weighs=True,
)

FRAME = Workload(
    name="frame",
    title="a pandas frame of 2,000,000 rows with strings, read by 8 tasks",
    setup=HELPERS + LOOK + "import numpy as np, pandas as pd\n"
    "def part(table, i):\n"
    "    rows = table[table['group'] == i]\n"
    "    return float(rows['value'].sum()), str(rows['name'].iloc[-1])",
    prepare="""
draw = np.random.default_rng({round})
names = pd.Series([f"name {{i}}" for i in range(50_000)])
table = pd.DataFrame({{
    "group": draw.integers(8, size=2_000_000),
    "value": draw.random(2_000_000),
    "name": names.to_numpy()[draw.integers(50_000, size=2_000_000)],
}})
""",
    tidy=FORGET + "names = None",
    steps=reading,
    check=CHECK,
    targets=[
        Target("first, to the fastest peer", lambda r: r.to_fastest("first", OTHERS), 1),
        Target("again, to serial", lambda r: r.ratio("again", SERIAL), 1),
    ],
    most=3,
)

OBJECTS = Workload(
    name="objects",
    title="a dictionary of 1,000,000 small objects, read by 8 tasks",
    setup=HELPERS + LOOK + "def part(table, i):\n"
    "    return sum(len(table[k][1]) for k in range(i, len(table), 80))",
    prepare="table = {{i: (i, f'object {{i}} of {round}') for i in range(1_000_000)}}",
    tidy=FORGET,
    steps=reading,
    check=CHECK,
    targets=[
        Target("first, to joblib", lambda r: r.ratio("first", JOBLIB), 1),
        Target("again, to the first", lambda r: r.ratio("again", MPMAGIC, base="first"), 0.5),
    ],
    most=3,
)


def _big_results(peer: Peer) -> list[Step]:
    if peer in (SERIAL, MPMAGIC):
        cell = "out = []\nfor i in range(8):\n    out.append(make(i))"
        return [Step("time", cell, magic=magic_of(peer))]
    return [Step("time", f"out = {peer.map('make', 'range(8)')}")]


BIG_RESULTS = Workload(
    name="big-results",
    title="8 arrays of 32 MB that tasks make",
    setup=HELPERS + "import numpy as np\n"
    "def make(i):\n    import numpy as np\n    return np.arange(i, i + (1 << 22), dtype=float)",
    steps=_big_results,
    check="assert all(np.array_equal(a, make(i)) for i, a in enumerate(out))\nout = None",
    targets=[Target("to Ray", lambda r: r.ratio("time", RAY), 1)],
)

WORKLOADS = (CAPTURE, BIG_RESULTS, FRAME, OBJECTS)
