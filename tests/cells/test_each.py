"""The cells of ``--each`` as the kernel knows them: what they read, and their order."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from mpmagic.cell.eachcode import each_code
from mpmagic.errors import NotParallel
from mpmagic.pool import Parcel
from mpmagic.run.each import EachCell, EachCells
from mpmagic.run.resident import ResidentCell
from tests.compare import compare, with_magic
from tests.notebook import Notebook


@pytest.mark.parametrize(
    ("code", "reads"),
    [
        ("model = load(path)", {"load", "path"}),
        ("model = load(path)\nmodel.eval()", {"load", "path"}),
        ("model = model.half()", {"model"}),
        ("def f(x):\n    return model(x)", {"model"}),
        ("model = 1\ndef f(x):\n    return model(x)", set()),
        ("import os\nos.getpid()", set()),
        ("for i in range(3):\n    total += i", {"range", "total"}),
        ("x = [y * k for y in ys]", {"k", "ys"}),
    ],
)
def test_what_a_cell_reads(code: str, reads: set[str]) -> None:
    assert each_code(ast.parse(code), "<cell>").reads == reads


def cell(number: int, names: str, reads: str = "", ident: str = "") -> EachCell:
    parcel = Parcel(bytes([number]), None)
    work = ResidentCell(f"cell {number}", parcel, parcel)
    return EachCell(work, ident, f"text {number}", frozenset(reads), frozenset(names))


def kept(*cells: EachCell) -> list[str]:
    """The order of the cells when they have run one after the other."""
    known = EachCells()
    for one in cells:
        known.keep(known.order_of(one), one)
    return [work.label for work in known.work]


@pytest.mark.parametrize(
    ("cells", "order"),
    [
        ([cell(1, "a"), cell(2, "b")], [1, 2]),
        ([cell(1, "a"), cell(2, "b"), cell(3, "a")], [3, 2]),
        ([cell(1, "a"), cell(2, "a", "a")], [1, 2]),
        ([cell(1, "ab"), cell(2, "a")], [1, 2]),
        ([cell(1, "ab", ident="x"), cell(2, "a", ident="x")], [2]),
        ([cell(1, "a"), cell(2, "b"), cell(1, "a")], [1, 2]),
        ([cell(1, "a"), cell(2, "b"), cell(3, "a", "b")], [2, 3]),
        ([cell(1, ""), cell(2, "")], [1, 2]),
        ([cell(1, "a"), cell(2, "b"), cell(3, "ab")], [3]),
    ],
)
def test_order(cells: list[EachCell], order: list[int]) -> None:
    assert kept(*cells) == [f"cell {number}" for number in order]


def test_forgotten() -> None:
    known = EachCells()
    one = cell(1, "a")
    known.keep(known.order_of(one), one)
    before = known.version
    known.forget()
    assert not known.work and not known.names and known.version != before


SETUP = "scale = 3\n\ndef twice(x):\n    return 2 * x\n"
EACH = """
import math
weights = {i: math.sqrt(i) for i in range(9)}

def weighed(x):
    return twice(weights[x]) * scale

class Scorer:
    def __init__(self, n):
        self.n = n
    def score(self, x):
        return weighed(x) + self.n

scorer = Scorer(4)
"""
NAMES = {"math", "weights", "weighed", "Scorer", "scorer"}


@pytest.fixture
def prepared(pool_notebook: Notebook) -> Iterator[Notebook]:
    """A notebook whose workers have run the cell."""
    assert pool_notebook.run(SETUP, "%%parallel --each -n 2" + EACH).error is None
    yield pool_notebook
    pool_notebook.run("", "%mppool forget")


@pytest.mark.parametrize(
    "cell",
    [
        "out = [weighed(x) for x in range(9)]",
        "out, total = [], 0.0\nfor x in range(9):\n    y = scorer.score(x)\n    out.append(y)\n"
        "    total += y\n    if y > 15:\n        print('large', x)\ntotal",
        "roots = {}\nfor x in range(9):\n    roots[x] = math.floor(weights[x]) / scale",
        "def outer(x):\n    return weighed(x) - 1\nout = sorted(outer(x) for x in [4, 2, 7])\nout",
        "done = []\nfor x in range(9):\n    done.append(1 / (weights[x] - 2))",
        "out = [unknown(x) for x in range(3)]",
        "for n in range(3):\n    out = [weighed(x + n) for x in range(4)]\n    print(sum(out))",
        "for x in range(4):\n    weighed_x = weighed(x)\n    print(weighed_x)",
    ],
)
def test_as_if_the_notebook_had_the_names(prepared: Notebook, cell: str) -> None:
    serial = prepared.run(SETUP + EACH, cell)
    parallel = prepared.run(SETUP, with_magic(cell, "-n 2 --chunk 1"))
    assert parallel.report.loops, parallel.error
    for name in NAMES:
        assert name not in parallel.names
        del serial.names[name]
    assert not (why := compare(serial, parallel, cell=cell)), why


def test_what_no_cell_has_changed_follows_the_notebook(pool_notebook: Notebook) -> None:
    setup = "import decimal\ndecimal.getcontext().prec = {}\ndef third(x):\n"
    setup += "    return str(decimal.Decimal(x) / 3)"
    try:
        assert pool_notebook.run("", "%%parallel --each -n 1\nlimit = 3").error is None
        for digits in (5, 7):
            cell = "%%parallel -n 1 --chunk 1\nout = [third(x) for x in (1, 2)]"
            outcome = pool_notebook.run(setup.format(digits), cell)
            assert [len(text) for text in outcome.names["out"]] == [digits + 2] * 2
    finally:
        pool_notebook.run("", "%mppool forget")


HANDLING = """import logging
def handled(*names):
    for name in names:
        logging.getLogger(name).addHandler(logging.StreamHandler())
def look(x):
    return x, [len(logging.getLogger(n).handlers) for n in ("cells.one", "cells.two")]
"""


def test_handlers_of_each_are_no_loss_of_later_work(pool_notebook: Notebook) -> None:
    try:
        each = pool_notebook.run(HANDLING, "%%parallel --each -n 1\nhandled('cells.one')")
        assert each.error is None
        outcome = pool_notebook.run(HANDLING, "%%parallel -n 1\nout = [look(x) for x in (1, 2)]")
        assert outcome.error is None
        assert outcome.names["out"] == [(1, [1, 0]), (2, [1, 0])]
    finally:
        pool_notebook.run("", "%mppool forget")


OPTIONS = {
    "pd.set_option('display.max_rows', 7)": "pd.get_option('display.max_rows')",
    "np.set_printoptions(precision=2)": "str(np.array([1 / 3]))",
    "np.seterr(divide='raise')": "np.geterr()['divide']",
    "os.environ['MPMAGIC_CELLS'] = '1'": "os.environ.get('MPMAGIC_CELLS')",
    "decimal.getcontext().prec = 4": "str(decimal.Decimal(1) / 3)",
    "socket.setdefaulttimeout(3)": "socket.getdefaulttimeout()",
    "mpl.rcParams['figure.dpi'] = 77": "mpl.rcParams['figure.dpi']",
    "logging.getLogger('cells.each').setLevel(7)": "logging.getLogger('cells.each').level",
    "os.chdir('/')": "os.getcwd()",
    "sys.path.insert(0, '/cells')": "sys.path[0]",
    "warnings.simplefilter('error')": "warnings.filters[0][0]",
}
IMPORTS = "import decimal, logging, os, socket, sys, warnings\nimport matplotlib as mpl\n"
IMPORTS += "import numpy as np\nimport pandas as pd"


@pytest.mark.parametrize("cell", OPTIONS)
def test_options_stay_in_the_workers(pool_notebook: Notebook, cell: str) -> None:
    """Until they are forgotten; what the notebook sets besides is theirs too."""
    setup = f"{IMPORTS}\nsys.setrecursionlimit(2345)\ndef look():\n"
    setup += f"    return {OPTIONS[cell]}, sys.getrecursionlimit()"
    loop = "out = [look() for x in range(4)]"
    before = pool_notebook.run(setup, loop).names["out"]
    expected = pool_notebook.run(setup, f"{cell}\n{loop}").names["out"]
    assert expected != before
    try:
        each = pool_notebook.run("", f"%%parallel --each -n 1\n{IMPORTS}\n{cell}")
        assert each.error is None
        for _ in range(2):
            found = pool_notebook.run(setup, f"%%parallel -n 1 --chunk 1\n{loop}")
            assert found.error is None
            assert found.names["out"] == expected
    finally:
        pool_notebook.run("", "%mppool forget")
    assert pool_notebook.run(setup, f"%%parallel -n 1\n{loop}").names["out"] == before


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (
            "def f(x):\n    return weighed(x)\nfirst = f(1)\nout = [f(x) for x in range(3)]",
            "line 4",
        ),
        ("out = [weighed(x) for x in weights]", "line 2: `weights`"),
        (
            "out = [weighed(x) for x in range(3)]\nprint(max(out, key=lambda x: weighed(0)))",
            "line 3",
        ),
        ("with open(weights[0]) as f:\n    out = [weighed(x) for x in range(3)]", "line 2"),
        ("weights[9] = 3\nout = [weighed(x) for x in range(3)]", "line 2: `weights`"),
    ],
)
def test_refused_before_anything_ran(prepared: Notebook, cell: str, says: str) -> None:
    outcome = prepared.run(SETUP, with_magic(cell, "-n 2"))
    assert isinstance(outcome.error, NotParallel)
    assert says in str(outcome.error)
    assert outcome.names.keys() == {"scale", "twice"}


@pytest.mark.parametrize(
    "cell",
    [
        "weights = {}\nfor x in range(5):\n    y = twice(x)\n    weights[x] = y",
        "def fresh():\n    global weights\n    weights = {}\nfresh()\n"
        "for x in range(5):\n    y = twice(x)\n    weights[x] = y",
        "for x in range(5):\n    weights = [x]\n    weights.append(twice(x))\n    print(weights)",
        "scorer = []\nfor x in range(5):\n    scorer.append(twice(x))\n"
        "out = [len(scorer) + x for x in map(twice, range(3))]",
        "weights = [3, 4]\na = twice(weights[0])\nb = twice(weights[1])",
    ],
)
def test_what_the_cell_binds_is_the_notebooks(prepared: Notebook, cell: str) -> None:
    """Changes of it are sent back, though workers have something of the same name."""
    serial = prepared.run(SETUP, cell)
    parallel = prepared.run(SETUP, with_magic(cell, "-n 2"))
    assert serial.error is None
    assert not (why := compare(serial, parallel, cell=cell)), why
