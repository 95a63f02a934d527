"""Workloads of counting: a log of a gigabyte, beside tools of the shell and readers of tables."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench.accesslog import access_log
from tests.bench.peers.peer import HELPERS, MPMAGIC, SERIAL, Peer
from tests.bench.peers.workload import Step, Target, Workload


@dataclass(frozen=True, slots=True)
class Tool(Peer):
    """A command that reads a file and prints what it has counted."""

    @property
    def version(self) -> str | None:
        """None if it isn't there; its own words for its version differ from tool to tool."""
        return None if shutil.which(self.package) is None else ""


WC = Tool("wc", "wc")
RG = Tool("rg", "rg")
MAWK = Tool("mawk", "mawk")
POLARS = Peer("polars", "polars", start="import polars as pl")
DUCKDB = Peer("DuckDB", "duckdb", start="import duckdb")
COUNTERS = (SERIAL, MPMAGIC, WC, RG, MAWK, POLARS, DUCKDB)
OTHERS = (WC, RG, MAWK, POLARS, DUCKDB)

# A separator that isn't in the file makes each line a row of one column.
_SETUP = r"""
import json, re, subprocess
from collections import Counter
from pathlib import Path
path = f"{folder}/access.log"
truth = json.loads(Path(folder, "truth.json").read_text())
STATUS = r'" (\d{3}) '

def told(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.split()

def rows():
    return pl.scan_csv(
        path, has_header=False, separator="\x01", quote_char=None, new_columns=["line"]
    )

def asked(what, rest=""):
    columns = "columns={'line': 'VARCHAR'}, header=false, auto_detect=false"
    source = f"read_csv('{path}', {columns}, delim='\x01', quote='', escape='')"
    return duckdb.sql(f"SELECT {what} FROM {source} {rest}").fetchall()
"""

_COUNT = {
    SERIAL: "with open(path, 'rb') as file:\n    out = sum(1 for line in file)",
    MPMAGIC: "out = %mpcount --fresh {path}",
    WC: "out = int(told('wc', '-l', path)[0])",
    RG: "out = int(told('rg', '-c', '', path)[0])",
    MAWK: "out = int(told('mawk', 'END {print NR}', path)[0])",
    POLARS: "out = rows().select(pl.len()).collect(engine='streaming').item()",
    DUCKDB: "[[out]] = asked('count(*)')",
}
_MATCH = {
    SERIAL: "with open(path, 'rb') as file:\n    out = sum(b'POST' in line for line in file)",
    MPMAGIC: "out = %mpcount --fresh --match POST {path}",
    RG: "out = int(told('rg', '-c', '-F', 'POST', path)[0])",
    MAWK: "out = int(told('mawk', '/POST/ {n++} END {print n}', path)[0])",
    POLARS: "found = pl.col('line').str.contains('POST', literal=True)\n"
    "out = rows().filter(found).select(pl.len()).collect(engine='streaming').item()",
    DUCKDB: "[[out]] = asked(\"count(*) FILTER (contains(line, 'POST'))\")",
}
_GROUP = {
    SERIAL: "with open(path) as file:\n"
    "    out = Counter(re.search(STATUS, line)[1] for line in file)",
    MPMAGIC: "out = %mpcount --fresh --by '\" (\\d{3}) ' {path}\nout = out.groups",
    MAWK: "found = told('mawk', '{c[$9]++} END {for (k in c) print k, c[k]}', path)\n"
    "out = {k.decode(): int(n) for k, n in zip(found[::2], found[1::2])}",
    POLARS: "status = pl.col('line').str.extract(STATUS).alias('status')\n"
    "found = rows().group_by(status).agg(pl.len()).collect(engine='streaming')\n"
    "out = dict(found.iter_rows())",
    DUCKDB: "status = f\"regexp_extract(line, '{STATUS}', 1)\"\n"
    "out = dict(asked(f'{status} AS status, count(*)', 'GROUP BY status'))",
}


def _workload(name: str, title: str, cells: Mapping[Peer, str], check: str) -> Workload:
    def steps(peer: Peer) -> list[Step]:
        return [Step("time", cells[peer])] if peer in cells else []

    return Workload(
        name=name,
        title=title,
        setup=HELPERS + _SETUP,
        steps=steps,
        check=check,
        targets=[Target("to the fastest peer", lambda r: r.to_fastest("time", OTHERS), 1)],
        peers=COUNTERS,
        files=_made,
    )


def _made(folder: Path) -> None:
    """The log, and what is in it, found line by line."""
    posts, groups = 0, Counter[str]()
    with access_log(folder).open(encoding="ascii") as file:
        for line in file:
            posts += "POST" in line
            groups[line.split('"')[2].split()[0]] += 1
    found = {"lines": groups.total(), "posts": posts, "groups": groups}
    (folder / "truth.json").write_text(json.dumps(found))


WORKLOADS = (
    _workload(
        "count", "the lines of a log of 1 GB", _COUNT, "assert int(out) == truth['lines'], out"
    ),
    _workload(
        "match",
        "those of them that have `POST` in them",
        _MATCH,
        "assert int(out) == truth['posts'], out",
    ),
    _workload("group", "lines by status code", _GROUP, "assert dict(out) == truth['groups'], out"),
)
