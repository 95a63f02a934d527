"""Statements whose exceptions go on with another traceback.

A traceback grows by an entry at each frame that the exception leaves, in the line where that frame
is. Only a bare ``raise`` adds none: what a handler has made of the traceback is what goes on.
"""

from __future__ import annotations

import ast

__all__ = ["TIDY", "rethrown"]

TIDY = "tidy"
"""The method that takes our frames out of the traceback of the exception that is handled."""


def rethrown(node: ast.stmt, owner: ast.expr) -> ast.stmt:
    """A statement whose exceptions leave it without our frames.

    Parameters
    ----------
    node
        The statement.
    owner
        Gives the object that has the method `TIDY`.
    """
    method = ast.Attribute(value=owner, attr=TIDY, ctx=ast.Load())
    tidy = ast.Expr(value=ast.Call(func=method, args=[], keywords=[]))
    again = ast.Raise(exc=None, cause=None)
    handler = ast.ExceptHandler(type=None, name=None, body=[tidy, again])
    return ast.Try(body=[node], handlers=[handler], orelse=[], finalbody=[])
