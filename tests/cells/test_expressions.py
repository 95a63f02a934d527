"""``%parallel EXPR``: the value, the output and the exception of the expression alone."""

from __future__ import annotations

import argparse
import ast

import pytest
from IPython.core.error import UsageError

from mpmagic.errors import NotParallel
from mpmagic.linesource import split_options
from mpmagic.options import expression_parser
from tests.cells.table import Case, load_cases
from tests.compare import compare
from tests.notebook import Notebook, Outcome

SETUP = """
def f(x):
    return 12 // (x - 3)

def told(x):
    print("told", x)
    return x

xs = [5, 4, 7, 9, 1]
"""


COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def with_expressions(cell: str, options: str) -> str | None:
    """The cell with its comprehensions behind the line magic; None if none is in one line."""
    lines, found = cell.splitlines(), False
    for statement in ast.parse(cell).body:
        if not isinstance(statement, ast.Assign | ast.Expr):
            continue
        line, value = lines[statement.lineno - 1], statement.value
        before = line[: value.col_offset]
        fitting = before.replace(" = ", "").isidentifier() or not before
        comprehends = any(isinstance(node, COMPREHENSIONS) for node in ast.walk(value))
        if fitting and comprehends and statement.lineno == statement.end_lineno:
            lines[statement.lineno - 1] = f"{before}%parallel {options}-- {line[len(before) :]}"
            found = True
    return "\n".join(lines) if found else None


def table() -> list[object]:
    """Cells of the table that hold such an expression, and are split."""
    cases = []
    for case in load_cases():
        fitting = case.verdict == "parallel" and case.id.startswith("comprehensions/")
        if fitting and not case.engine and with_expressions(case.source, "") is not None:
            cases.append(pytest.param(case, id=case.id))
    return cases


def truth(notebook: Notebook, serial: str, parallel: str, setup: str = SETUP) -> Outcome:
    """Run both; the second must leave and show what the first does."""
    expected = notebook.run(setup, serial)
    # One line more, as the comparison expects of a cell with a magic on top.
    outcome = notebook.run(setup, "pass\n" + parallel)
    assert not (why := compare(expected, outcome, cell=serial)), f"{why}\n{outcome.error!r}"
    return outcome


@pytest.mark.parametrize("case", table())
def test_cells_of_the_table(case: Case, notebook: Notebook) -> None:
    options = f"-q --chunk 2 --or-serial {case.options} "
    parallel = with_expressions(case.source, options)
    assert parallel is not None
    truth(notebook, case.source, parallel, case.setup)


@pytest.mark.parametrize(
    "expression",
    [
        "[f(x) for x in xs]",
        "sum(f(x) for x in xs) + len(xs)",
        "sorted({f(x): 'a b' for x in xs})",
        "[told(x) for x in xs]",
        "-sum(f(x) for x in xs)",
        "[f(x) for x in [1, 2, 3, 4]]",
        "(n := [f(x) for x in xs])",
        '["it\'s" * x for x in xs]  # a comment',
        "[f(missing) for x in xs]",
        "[y for x in xs if (y := f(x)) > 2]",
    ],
)
@pytest.mark.parametrize("form", ["out = {}", "{}", "{};", "for i in range(2):\n    out = {}"])
def test_as_the_expression_alone(expression: str, form: str, pool_notebook: Notebook) -> None:
    if form.endswith(";") and "#" in expression:
        expression = expression.partition("  #")[0]
    serial = form.format(expression)
    outcome = truth(pool_notebook, serial, form.format(f"%parallel -q -n 2 {expression}"))
    assert outcome.report.loops


def test_inside_a_cell_with_the_magic(pool_notebook: Notebook) -> None:
    serial = "first = [f(x) for x in xs]\nout = [f(x) for x in first]\nout"
    parallel = serial.replace("first = ", "first = %parallel -q ")
    expected = pool_notebook.run(SETUP, serial)
    outcome = pool_notebook.run(SETUP, "%%parallel -q\n" + parallel)
    assert not compare(expected, outcome, cell=serial)


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("pass\n%parallel f(1)", "line 2: the expression has no comprehension"),
        ("%parallel [f(await x) for x in xs]", "awaits"),
        ("%parallel [s := f(s) for x in xs]", "line 1"),
        ("import random\n%parallel [f(x) + random.random() for x in xs]", "line 2"),
        ("def g():\n    %parallel [f(x) for x in xs]\ng()", "line 2: `%parallel` stands in `g`"),
    ],
)
def test_refusals_name_the_line(cell: str, says: str, notebook: Notebook) -> None:
    error = notebook.run(SETUP + "s = 1", cell).error
    assert isinstance(error, NotParallel)
    assert says in str(error)
    assert "othing of" in str(error)


def test_or_serial(notebook: Notebook) -> None:
    outcome = truth(notebook, "out = f(1)", "out = %parallel -q --or-serial f(1)")
    assert "the expression has no comprehension" in outcome.report.serial


@pytest.mark.parametrize("line", ["", "-n 2", "x = 1", "-q import os", "--nosuch [1]", "-n"])
def test_mistakes_give_usage(line: str, notebook: Notebook) -> None:
    assert isinstance(notebook.run(SETUP, f"%parallel {line}").error, UsageError)


@pytest.mark.parametrize(
    ("line", "options", "expression"),
    [
        ("[f(x) for x in xs]", "", "[f(x) for x in xs]"),
        ("-n 2 -q [1]", "-n 2 -q", "[1]"),
        ("-n2 -sum(x for x in xs)", "-n2", "-sum(x for x in xs)"),
        ("-x", "", "-x"),
        ("--local 'a, b' [a]", "--local 'a, b'", "[a]"),
        ("--local=a [a]", "--local=a", "[a]"),
        ("--priv m [m]", "--priv m", "[m]"),
        ("-q -- -n", "-q", "-n"),
        ("--nosuch [1]", "--nosuch", "[1]"),
    ],
)
def test_where_the_options_end(line: str, options: str, expression: str) -> None:
    parser: argparse.ArgumentParser = expression_parser()
    assert split_options(parser, line) == (options, expression)
