"""Cells whose trees somebody transforms, as SymPy does so that 1/3 is a third."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from IPython.core.error import InputRejected

from tests.compare import assert_equal
from tests.notebook import Notebook

SETUP = "from fractions import Fraction\nfrom math import sqrt\nout, total = [], 0"
CELLS = {
    "a loop": "for x in range(4):\n    out.append((1 / (x + 3), sqrt(x)))",
    "a comprehension": "out = [1 / (x + 3) for x in range(4)]",
    "a loop and a function": (
        "def f(x):\n    return 1 / (x + 3)\n"
        "for x in range(4):\n    total += f(x)\nprint(total)\n1 / 7"
    ),
    "calls": "a = sum([1 / 3] * 3)\nb = sum([1 / 7] * 7)\nc = a + b",
}


class _Exact(ast.NodeTransformer):
    """Makes fractions of the dividends that are written out."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, ast.Div) and isinstance(node.left, ast.Constant):
            exact = ast.Call(ast.Name("Fraction", ast.Load()), [node.left], [])
            return ast.BinOp(exact, node.op, node.right)
        return node


class _Rejecting(ast.NodeTransformer):
    """Rejects cells that append something."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
        if node.attr == "append":
            raise InputRejected("nothing is to be appended")
        return node


@pytest.fixture
def transformed(notebook: Notebook) -> Iterator[Notebook]:
    yield notebook
    notebook.shell.ast_transformers.clear()


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_work_and_commits_are_of_the_transformed_cell(transformed: Notebook, cell: str) -> None:
    transformed.shell.ast_transformers.append(_Exact())
    judgement = assert_equal(transformed, cell, setup=SETUP)
    assert "Fraction" in repr(judgement.parallel.names)


def test_the_value_of_an_expression(transformed: Notebook) -> None:
    transformed.shell.ast_transformers.append(_Exact())
    outcome = transformed.run(SETUP, "%parallel -q [1 / (x + 3) for x in range(4)]")
    assert repr(outcome.outputs).count("Fraction") == 4


def test_the_plan_of_another_transformer_is_not_kept(transformed: Notebook) -> None:
    cell = "%%parallel -q\nout = [1 / (x + 3) for x in range(4)]"
    transformed.run(SETUP, cell)
    for transformers in ([], [], [_Exact()], [_Exact()], []):
        transformed.shell.ast_transformers[:] = transformers
        transformed.shell.run_cell(cell).raise_error()
        found = {type(value).__name__ for value in transformed.shell.user_ns["out"]}
        assert found == {"Fraction" if transformers else "float"}


def test_what_is_rejected_does_not_run(transformed: Notebook) -> None:
    transformed.shell.ast_transformers.append(_Rejecting())
    outcome = transformed.run(SETUP, "%%parallel\n" + CELLS["a loop"])
    assert isinstance(outcome.error, InputRejected)
    assert outcome.names["out"] == []
