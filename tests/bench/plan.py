"""How long it takes to plan a cell: of 50 lines, and each of the table's.

    python -m tests.bench.plan [--rounds N]

A cell's time is the least of the rounds', of this process alone. The table's cells are planned
with what their setup leaves; the slowest of them are named.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import os
import tempfile
import time
from typing import Any

from mpmagic.cell.dependence import Allowances
from mpmagic.cell.plan import plan_cell
from tests.cells.table import Case, load_cases

CELL = """\
results, slow, counts, errors = [], 0, {}, []
best, arg, total = -1, None, 0.0
for path in paths:
    text = read(path)
    lines = text.splitlines()
    words = [w for line in lines for w in line.split() if w]
    if not words:
        continue
    score = sum(len(w) for w in words) / len(words)
    try:
        value = parse(lines[0])
    except ValueError as e:
        value = None
    longest = max(words, key=len)
    table = {w: words.count(w) for w in set(words)}
    for w, n in table.items():
        counts[w] = counts.get(w, 0) + n
    results.append((path, score, longest))
    total += score
    if score > best:
        best, arg = score, path
    if value is not None:
        errors.append(value)
    print(path, len(words))
rows = []
for i, (a, b) in enumerate(grid):
    model = make(a, b)
    model.fit(X)
    pred = model.predict(Y)
    err = ((pred - Z) ** 2).mean()
    rows.append({"a": a, "b": b, "err": err})
    if err < 0.1:
        print("good", a, b)
frame = table_of(rows)
names = [clean(r["a"]) for r in rows if r["err"] < 1]
stats = {k: summarise(v) for k, v in groups.items()}
for k in stats:
    s = stats[k]
    lo, hi = bounds(s)
    mid = (lo + hi) / 2
    out.append(mid)
    seen.add(k)
    if k in known:
        hits += 1
    else:
        misses += 1
    data[k] = transform(s, lo, hi)
n = len(results)
m = n * 2
"""


def namespace() -> dict[str, Any]:
    """What the cell of 50 lines reads."""
    functions = dict.fromkeys(
        ("read", "parse", "make", "table_of", "clean", "summarise", "bounds", "transform"), print
    )
    lists = {name: [] for name in ("paths", "grid", "X", "Y", "Z", "out")}
    numbers = {"hits": 0, "misses": 0}
    return {
        **functions,
        **lists,
        **numbers,
        "groups": {},
        "data": {},
        "seen": set(),
        "known": set(),
    }


def milliseconds(source: str, names: dict[str, Any], allowances: Allowances, rounds: int) -> float:
    """The least time in which a cell is planned."""
    tree = ast.parse(source)
    least = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        plan_cell(tree, names, allowances, "cell")
        least = min(least, time.process_time() - began)
    return least * 1000


def table_times(rounds: int) -> list[tuple[float, str]]:
    """The times of the table's cells, the slowest ones first."""
    setups: dict[str, dict[str, Any]] = {}
    times = []
    for case in load_cases():
        if case.setup not in setups:
            setups[case.setup] = _run(case.setup)
        names, allowances = setups[case.setup], _allowed(case)
        with contextlib.suppress(SyntaxError):  # cells with other syntax of IPython's
            times.append((milliseconds(case.source, names, allowances, rounds), case.id))
    return sorted(times, reverse=True)


def _run(setup: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        exec(compile(setup, "setup", "exec"), names)
    return names


def _allowed(case: Case) -> Allowances:
    return Allowances(ahead="--ahead" in case.options, seeded="--seed" in case.options)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="plans per cell")
    rounds = parser.parse_args().rounds
    print(f"{milliseconds(CELL, namespace(), Allowances(), rounds):7.2f} ms  the cell of 50 lines")
    os.environ.setdefault("MPLBACKEND", "Agg")
    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
        times = table_times(max(rounds // 10, 1))
    print(f"{times[len(times) // 2][0]:7.2f} ms  the median of the table's {len(times)} cells")
    print(f"{sum(t for t, _ in times):7.0f} ms  all of them")
    for least, name in times[:5]:
        print(f"{least:7.2f} ms  {name}")


if __name__ == "__main__":
    main()
