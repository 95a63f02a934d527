"""State in modules of the user's that is no plain data: changes of the work aren't lost unseen."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compare import Verdict, judge
from tests.notebook import Notebook

MODULE = """
import collections, functools, io, itertools, logging, os, random, sys
import numpy as np
RANDOM, GENERATOR = random.Random(1), np.random.default_rng(1)
QUEUE, COUNTS, LATER = collections.deque(), collections.Counter(), collections.defaultdict(list)
NUMBERS, TEXT = itertools.count(), io.StringIO()
class Slim:
    __slots__ = ("n",)
    def __init__(self):
        self.n = 0
class Wide:
    ids = itertools.count()
    def __init__(self):
        self.n = 0
    def number(self, x, _seen=[]):
        _seen.append(x)
        return len(_seen)
    @functools.cached_property
    def table(self):
        return [1, 2, 3]
SLIM, WIDES, TABLE = Slim(), [Wide()], {"a": Wide()}
def counting(f):
    calls = []
    def counted(x):
        calls.append(x)
        return len(calls)
    return counted
def drawn(x): return RANDOM.random()
def generated(x): return GENERATOR.normal()
def queued(x): QUEUE.append(x); return len(QUEUE)
def counted(x): COUNTS["n"] += 1; return COUNTS["n"]
def put(x): LATER[0].append(x); return len(LATER[0])
def numbered(x): return next(NUMBERS)
def written(x): TEXT.write("x"); return len(TEXT.getvalue())
def slim(x): SLIM.n += 1; return SLIM.n
def wide(x): WIDES[0].n += 1; return WIDES[0].n
def tabled(x): TABLE["a"].n += 1; return TABLE["a"].n
def identified(x): return next(Wide.ids)
def remembered(x, _memo={}): _memo[len(_memo)] = x; return len(_memo)
def method(x): return WIDES[0].number(x)
def attribute(x): attribute.n = getattr(attribute, "n", 0) + 1; return attribute.n
@counting
def decorated(x): return x
def varied(x): os.environ["MPMAGIC_UNPLAIN"] = str(x); return x
def searched(x): sys.path.append(f"/nowhere/{x}"); return len(sys.path)
def for_a_moment(x):
    os.environ["MPMAGIC_UNPLAIN"] = str(x)
    try:
        return os.environ["MPMAGIC_UNPLAIN"]
    finally:
        del os.environ["MPMAGIC_UNPLAIN"]
LOGGERS = ("unplain-one", "unplain-two")
def handled(x):
    for name in LOGGERS:
        logging.getLogger(name).addHandler(logging.StreamHandler())
    return x
def handlers(x): return [len(logging.getLogger(name).handlers) for name in LOGGERS]
def pure(x): return (x, WIDES[0].table, len(QUEUE), random.Random(x).random(), len(LATER))
"""
LOST = [
    "drawn", "generated", "queued", "counted", "put", "numbered", "written", "slim", "wide",
    "tabled", "identified", "remembered", "method", "attribute", "decorated",
]  # fmt: skip
LOOP = """out = []
for x in [5, 3, 8, 1]:
    y = unplain.{function}(x)
    out.append(y)
del unplain, sys
"""


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "unplain.py").write_text(MODULE)
    yield (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        f"sys.modules.pop('unplain', None)\nimport unplain\n"
    )
    sys.modules.pop("unplain", None)


@pytest.mark.parametrize("function", LOST)
def test_a_change_is_told(pool_notebook: Notebook, setup: str, function: str) -> None:
    judged = judge(pool_notebook, LOOP.format(function=function), setup=setup, options="-n 2")
    assert judged.verdict in (Verdict.ERROR, Verdict.REFUSED), judged.why
    assert "unplain" in str(judged.parallel.error)


@pytest.mark.parametrize(("function", "what"), [("varied", "environment"), ("searched", "path")])
def test_a_change_of_the_process_is_told(
    pool_notebook: Notebook, setup: str, function: str, what: str
) -> None:
    judged = judge(pool_notebook, LOOP.format(function=function), setup=setup, options="-n 2")
    assert judged.verdict is Verdict.ERROR, judged.why
    assert f"left the {what}" in str(judged.parallel.error)


def test_handlers_left_at_several_loggers_are_all_taken_away(
    pool_notebook: Notebook, setup: str
) -> None:
    cell = "%%parallel -n 1\n" + LOOP
    error = pool_notebook.run(setup, cell.format(function="handled")).error
    assert "left a handler" in str(error)
    outcome = pool_notebook.run(setup, cell.format(function="handlers"))
    assert outcome.error is None
    assert outcome.names["out"] == [[0, 0]] * 4


IMPORTING = """
def imported(x):
    import handled_at_import
    return x + 1
"""
AT_IMPORT = "import logging\nlogging.getLogger('another').addHandler(logging.StreamHandler())\n"


@pytest.mark.parametrize("folder", ["site-packages", "mine"])
def test_handlers_that_come_with_a_library_are_no_loss(
    pool_notebook: Notebook, tmp_path: Path, folder: str
) -> None:
    """Those that the user's own module adds when it's imported are told."""
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "handled_at_import.py").write_text(AT_IMPORT)
    setup = f"import sys; sys.path.insert(0, {str(tmp_path / folder)!r})\n{IMPORTING}"
    pool_notebook.run("", "%mppool restart")  # a worker imports it once
    cell = "%%parallel -n 1\nout = []\nfor x in range(3):\n    out.append(imported(x))"
    error = pool_notebook.run(setup, cell).error
    assert ("left a handler" in str(error)) == (folder == "mine"), error


@pytest.mark.parametrize("function", ["pure", "for_a_moment"])
def test_what_leaves_nothing_is_split(pool_notebook: Notebook, setup: str, function: str) -> None:
    judged = judge(pool_notebook, LOOP.format(function=function), setup=setup, options="-n 2")
    assert judged.verdict is Verdict.EQUAL, judged.why
    assert judged.parallel.report.split == 1
