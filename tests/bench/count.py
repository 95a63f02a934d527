"""How fast counting is, as ratios to other tools on the same data in the same run.

    python -m tests.bench.count [SECTION...] [--scratch DIRECTORY] [--rounds N]

Each contestant runs once per round, in turn. Shown are the ratios of their fastest rounds, and of
what these cost in processor time: above 1 mpmagic is faster, or cheaper. On a machine that others
use too, the second tells more; where n cores work, the first would be n times the second on an
idle one. Workers of a pool that lives on (`lines`) aren't among the costs. Needs some 5 GB of
scratch space, and memory to keep them in the page cache.
"""

from __future__ import annotations

import argparse
import os
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mpmagic.count import count_lines
from tests.bench.accesslog import access_log

Job = Callable[[], object]
GIGABYTE = 1 << 30


def duel(title: str, ours: Job, others: dict[str, Job], rounds: int) -> None:
    """Run all in turn and print our time and the others' as multiples of it."""
    jobs = {"mpmagic": ours, **others}
    for job in jobs.values():
        job()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            before, began = _processor_seconds(), time.perf_counter()
            job()
            times[name].append((time.perf_counter() - began, _processor_seconds() - before))
    wall, cost = _fastest(times.pop("mpmagic"))
    print(f"{title}: {wall * 1000:.2f} ms, {cost * 1000:.2f} ms of processor time")
    for name, theirs in times.items():
        their_wall, their_cost = _fastest(theirs)
        print(f"    {their_wall / wall:6.2f} x  {their_cost / cost:6.2f} x  {name}")


def _fastest(times: list[tuple[float, float]]) -> tuple[float, float]:
    return min(wall for wall, _ in times), max(1e-9, min(cost for _, cost in times))


def _processor_seconds() -> float:
    """Of this process and those that it has started and that have ended."""
    return sum(os.times()[:4])


def shell(command: str) -> Job:
    """A job that runs a pipeline of the shell; the names in it are this script's own."""
    return lambda: subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, check=False)


def large(scratch: Path, rounds: int) -> None:
    for width in (8, 80, 1000):
        path = scratch / f"lines{width}"
        if not path.exists():
            _write_lines(path, width)
        others: dict[str, Job] = {
            "wc -l": shell(f"wc -l {shlex.quote(str(path))}"),
            "two threads that only read": lambda path=path: _only_read(path),  # type: ignore[misc]
        }
        duel(
            f"2 GB, lines of {width}",
            lambda path=path: count_lines(path, fresh=True),
            others,
            rounds,
        )  # type: ignore[misc]
        path.unlink()


def small(scratch: Path, rounds: int) -> None:
    path = scratch / "ten-kilobytes"
    path.write_bytes(b"some line of text\n" * 570)
    ours, theirs = [], []
    for _ in range(200 * rounds):
        began = time.perf_counter()
        count_lines(path, fresh=True)
        middle = time.perf_counter()
        with open(path) as file:
            file.read().count("\n")
        ours.append(middle - began)
        theirs.append(time.perf_counter() - middle)
    more = (statistics.median(ours) - statistics.median(theirs)) * 1000
    print(f"10 kB: {more:.3f} ms more than open().read().count()")


def many(scratch: Path, rounds: int) -> None:
    folder, draw = scratch / "many", random.Random(1)
    if not folder.exists():
        for number in range(20_000):
            path = folder / str(number % 200) / f"{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"some line of text here\n" * draw.randint(0, 200))
    command = f"find {shlex.quote(str(folder))} -type f -print0 | xargs -0 wc -l"
    ours = lambda: count_lines(folder, recursive=True)  # noqa: E731
    duel("20,000 small files", ours, {"find | xargs wc -l": shell(command)}, rounds)


def compressed(scratch: Path, rounds: int) -> None:
    log = shlex.quote(str(access_log(scratch)))
    packers = {
        "gz": ("gzip -1", ["zcat", "pigz -dc"]),
        "zst": ("zstd -q -f", ["zstd -dc"]),
        "lz4": ("lz4 -q -f", ["lz4 -dc"]),
        "frames.zst": (
            "for i in 1 2 3 4 5 6; do head -c 100000000 {log} | zstd -q -c; done",
            ["zstd -dc"],
        ),
        "bz2": ("head -c 200000000 {log} | bzip2 -1", ["bzip2 -dc"]),
        "xz": ("head -c 300000000 {log} | xz -0", ["xz -dc"]),
        "blocks.xz": ("head -c 300000000 {log} | xz -0 -T2 --block-size=8MiB", ["xz -dc"]),
    }
    for suffix, (pack, unpackers) in packers.items():
        path = scratch / f"log.{suffix}"
        name = shlex.quote(str(path))
        if not path.exists():
            source = pack.format(log=log) if "{log}" in pack else f"{pack} -c {log}"
            subprocess.run(["sh", "-c", f"({source}) > {name}"], check=True)
        others = {
            f"{unpack} | wc -l": shell(f"{unpack} {name} | wc -l")
            for unpack in unpackers
            if _installed(unpack)
        }
        duel(suffix, lambda path=path: count_lines(path, fresh=True), others, rounds)  # type: ignore[misc]


def matching(scratch: Path, rounds: int) -> None:
    log = access_log(scratch)
    name = shlex.quote(str(log))
    for title, pattern, flags in (
        ("a rare literal", "zebra", "-F"),
        ("a frequent literal", "POST", "-F"),
        ("a pattern", r"(GET|POST) /api/\d+7 ", "-P"),
    ):
        rust = pattern.replace("/", "\\/") if flags == "-F" else pattern
        others = {
            f"LC_ALL=C grep -c {flags}": shell(f"LC_ALL=C grep -c {flags} '{pattern}' {name}"),
        }
        if _installed("rg"):
            others["rg -c"] = shell(f"rg -c '{rust}' {name}")
        duel(title, lambda pattern=pattern: count_lines(log, match=pattern), others, rounds)  # type: ignore[misc]


def grouping(scratch: Path, rounds: int) -> None:
    log = access_log(scratch)
    name = shlex.quote(str(log))
    others = {
        "mawk '{c[$9]++}'": shell(f"mawk '{{c[$9]++}} END{{for(k in c) print k,c[k]}}' {name}")
    }
    duel("by status", lambda: count_lines(log, by=r'" (\d{3}) '), others, rounds)
    duel("by hour", lambda: count_lines(log, by_time="1h"), others, rounds)


def lines(scratch: Path, rounds: int) -> None:
    """The loop of the documentation in a cell, serial and parallel; the dicts must be the same."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "mpmagic")
    shell.run_cell("from collections import defaultdict\nfrom mpmagic import Lines")
    for source in ("open", "Lines"):
        cell = f"counts = defaultdict(int)\nfor line in {source}({str(access_log(scratch))!r}):\n"
        cell += "    counts[line.split()[8]] += 1"
        found: dict[str, list[tuple[str, int]]] = {}

        def run(magic: str, cell: str = cell, found: dict[str, Any] = found) -> None:
            shell.run_cell(magic + cell).raise_error()
            found[magic] = list(shell.user_ns["counts"].items())

        parallel, serial = (lambda: run("%%parallel -q\n")), (lambda: run(""))
        duel(f"a loop over {source}(...)", parallel, {"serial": serial}, rounds)
        assert found[""] == found["%%parallel -q\n"]


def memory(scratch: Path, rounds: int) -> None:
    """What a count takes above the interpreter with numpy, whatever the size."""
    log = str(access_log(scratch))
    calls = ["None", f"count_lines({log!r}, fresh=True)", f"count_lines({log!r}, match='POST')"]
    calls += [f"count_lines({log!r}, by=r'\" (\\d+) ')", f"count_lines({log!r}, columns=['words'])"]
    for call in calls:
        code = "import numpy\nfrom mpmagic.count import count_lines\n" + call
        # `ru_maxrss` goes on from what this process had when it started that one.
        code += "\nstatus = open('/proc/self/status').read()"
        code += "\nprint(int(status.split('VmHWM:')[1].split()[0]) >> 10)"
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
        print(f"{call}: {done.stdout.decode().strip()} MB at most")


def measures(scratch: Path, rounds: int) -> None:
    log = access_log(scratch)
    for column, flag in (("words", "-w"), ("chars", "-m"), ("longest", "-L")):
        others = {f"wc {flag}": shell(f"LC_ALL=C.UTF-8 wc {flag} {shlex.quote(str(log))}")}
        duel(column, lambda column=column: count_lines(log, columns=[column]), others, rounds)  # type: ignore[misc]


SECTIONS: dict[str, Callable[[Path, int], None]] = {
    "large": large,
    "small": small,
    "many": many,
    "compressed": compressed,
    "matching": matching,
    "grouping": grouping,
    "measures": measures,
    "lines": lines,
    "memory": memory,
}


def _write_lines(path: Path, width: int) -> None:
    draw = np.random.default_rng(width)
    part = draw.integers(32, 126, size=16 << 20, dtype=np.uint8)
    lengths = draw.integers(max(1, width // 2), width * 3 // 2 + 1, size=part.size // width + 1000)
    ends = np.cumsum(lengths)
    part[ends[ends < part.size]] = 10
    with path.open("wb") as file:
        for _ in range(2 * GIGABYTE // part.size):
            file.write(part)


def _only_read(path: Path) -> None:
    size, step = path.stat().st_size, 32 << 20
    starts = iter(range(0, size, step))

    def read() -> None:
        room = memoryview(bytearray(1 << 20))
        for start in starts:
            for offset in range(start, min(start + step, size), len(room)):
                os.preadv(descriptor, [room], offset)

    descriptor = os.open(path, os.O_RDONLY)
    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(descriptor)


def _installed(command: str) -> bool:
    found = subprocess.run(["sh", "-c", f"command -v {command.split()[0]}"], stdout=subprocess.PIPE)
    return found.returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--scratch", type=Path, help="where the data is made, and kept")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = options.scratch or Path(folder)
        scratch.mkdir(parents=True, exist_ok=True)
        for name in options.sections or SECTIONS:
            SECTIONS[name](scratch, options.rounds)


if __name__ == "__main__":
    main()
