"""Our own objects inside a cell's code, without a name in the user's namespace.

A syntax tree can't hold an arbitrary object, a code object's constants can. So the tree holds a
string that nobody writes, and after compilation the string is replaced by the object.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Mapping
from typing import Any

__all__ = ["Embedded", "embed", "method_call", "placeholder"]


class Embedded:
    """Stands in a code object for an object, and lets go of it when the code has run.

    The garbage collector doesn't see what the constants of code hold: an object that leads back to
    the code, as by an exception with its traceback, would stay for ever with all that it has.

    Parameters
    ----------
    held
        The object whose methods the code calls.
    """

    def __init__(self, held: object) -> None:
        self._held: object | None = held

    def __getattr__(self, name: str) -> Any:
        return getattr(self._held, name)

    def let_go(self) -> None:
        """Let go of the object."""
        self._held = None


def placeholder(number: int) -> str:
    """The string that stands for object `number` until the code is compiled."""
    return f"\0mpmagic {number}\0"


def method_call(number: int, method: str, *arguments: ast.expr) -> ast.Call:
    """A call of a method of object `number`.

    Always a method: compilers fold operators on constants and warn of a string that is called.
    """
    owner = ast.Attribute(value=ast.Constant(placeholder(number)), attr=method, ctx=ast.Load())
    return ast.Call(func=owner, args=list(arguments), keywords=[])


def embed(code: types.CodeType, objects: Mapping[str, Any]) -> types.CodeType:
    """The code with objects in the place of their placeholders, inner functions included."""
    constants = tuple(
        embed(c, objects)
        if isinstance(c, types.CodeType)
        else objects.get(c, c)
        if isinstance(c, str)
        else c
        for c in code.co_consts
    )
    return code.replace(co_consts=constants)
