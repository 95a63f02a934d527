"""One half of a split loop: a function that is compiled only if it's to run.

When a cell is planned nothing of it runs, and when a loop is reached it's split once more: only
then there is something to compile.
"""

from __future__ import annotations

import ast
import types
from dataclasses import dataclass
from functools import cached_property

from mpmagic.cell.compiled import compiled
from mpmagic.cell.syntax import locate_new

__all__ = ["Half"]


@dataclass(frozen=True)
class Half:
    """A function of ours around statements of the cell.

    Attributes
    ----------
    parameters
        Its parameters.
    names
        Names of the cell that it binds.
    body
        What it does.
    filename
        The name under which the cell is compiled.
    """

    parameters: tuple[str, ...]
    names: tuple[str, ...]
    body: ast.stmt
    filename: str

    @cached_property
    def code(self) -> types.CodeType:
        """Its code.

        Raises
        ------
        SyntaxError, RecursionError
            If it's nested more deeply than Python allows.
        """
        statements: list[ast.stmt] = [ast.Global(names=[*self.names])] if self.names else []
        # Parsed rather than built: which fields a function has depends on Python's version.
        (function,) = ast.parse("def loop(): pass").body
        assert isinstance(function, ast.FunctionDef)
        function.name = ".loop"
        function.args.args = [ast.arg(arg=p) for p in self.parameters]
        function.body = [*statements, self.body]
        locate_new(function, self.body.lineno)
        module = ast.Module(body=[function], type_ignores=[])
        code = compiled(module, self.filename, "exec")
        inner = next(c for c in code.co_consts if isinstance(c, types.CodeType))
        return _as_module(inner)


def _as_module(code: types.CodeType) -> types.CodeType:
    """Code of one of our functions under the names that it would have in the cell."""
    constants = tuple(
        c.replace(co_qualname=c.co_qualname.removeprefix(".loop.<locals>."))
        if isinstance(c, types.CodeType)
        else c
        for c in code.co_consts
    )
    return code.replace(co_name="<module>", co_qualname="<module>", co_consts=constants)
