"""Loops that go back to the kernel: their first chunk has shown that no worker can do their work.

What the work has changed unseen, or a value that can't be sent, shows only when it has run. If that
is so in the first chunk, nothing is committed yet, and what the work did in the workers is thrown
away: the loop begins anew in the kernel, as if it had never left it. What the work may have changed
outside can't be thrown away; then it ends with an error.
"""

from __future__ import annotations

import ast
import copy
import types
from collections.abc import Iterable, Iterator
from typing import Any, Final

from mpmagic.cell.plan import PlannedLoop
from mpmagic.cell.repeatable import computes_only, is_repeatable
from mpmagic.cell.syntax import walk
from mpmagic.run.admission import Admitted
from mpmagic.run.capture import Captured
from mpmagic.run.codec import Encoder
from mpmagic.run.context import CellContext
from mpmagic.run.dispatch import LOOKED_AT_EACH
from mpmagic.run.iterables import PLAIN_ITERATORS, is_inert_iterable
from mpmagic.run.log import UNSENDABLE, Log
from mpmagic.run.side import Side
from mpmagic.run.source import ItemSource

__all__ = ["Retreat", "computes_besides", "restarted"]

_PICKLING: Final = ("cloudpickle.", "mpmagic.run.", "mpmagic.pool.codeobject")
"""Modules that make again what was pickled."""

_COPIED: Final[frozenset[type]] = frozenset({*PLAIN_ITERATORS, type(reversed([]))})
_PLAIN: Final = (
    ast.Call, ast.Constant, ast.expr_context, ast.keyword, ast.List, ast.Name, ast.Tuple,
)  # fmt: skip
_MAKING: Final = frozenset({"enumerate", "len", "list", "range", "reversed", "sorted", "zip"})


def restarted(loop: ast.For, iterable: Any, namespace: dict[str, Any]) -> Iterator[Any] | None:
    """What gives an iterable's items from its first one on, whoever takes some before.

    None where there can't be such a thing: where the items come from an iterator that the notebook
    has, it would know that more of them have been taken than the loop has asked for.
    """
    if is_inert_iterable(iterable) and not hasattr(type(iterable), "__next__"):
        items: Iterator[Any] = iter(iterable)
        return items
    return _copied(iterable) if _is_made_by(loop.iter, namespace) else None


def _copied(iterator: Any) -> Iterator[Any] | None:
    """An iterator that will give the same, and moves on by itself; None where there is none."""
    kind = type(iterator)
    if kind in _COPIED:
        copied: Iterator[Any] = copy.copy(iterator)
        return copied
    if kind not in (enumerate, zip):
        return None
    _, given, *strict = iterator.__reduce__()
    inner = [_copied(each) for each in (given[:1] if kind is enumerate else given)]
    parts = [each for each in inner if each is not None]
    if len(parts) < len(inner):
        return None
    return enumerate(parts[0], given[1]) if kind is enumerate else zip(*parts, strict=bool(strict))


def _is_made_by(node: ast.expr, namespace: dict[str, Any]) -> bool:
    """Whether the loop's own call has made it, of what are no iterators."""
    parts = walk(node)
    if not all(isinstance(part, _PLAIN) for part in parts) or _MAKING & namespace.keys():
        return False
    calls = [part.func for part in parts if isinstance(part, ast.Call)]
    called = [func.id for func in calls if isinstance(func, ast.Name)]
    values = [namespace.get(part.id) for part in parts if isinstance(part, ast.Name)]
    made = called and len(called) == len(calls) and _MAKING.issuperset(called)
    return bool(made) and not any(hasattr(type(value), "__next__") for value in values)


class Retreat:
    """Whether a loop goes back.

    Parameters
    ----------
    code, captured
        The work, and what it reads.
    cell
        The cell that it is part of.
    later
        Whether it can go on in the kernel when some of its iterations are committed.

    Attributes
    ----------
    reason
        Why it does; empty as long as it doesn't.
    left
        The items whose work was sent and isn't committed, if iterations before them are.
    """

    def __init__(
        self, code: types.CodeType, captured: Captured, cell: CellContext, *, later: bool
    ) -> None:
        self._code, self._captured, self._cell = code, captured, cell
        self._later = later
        self.reason = ""
        self.left: list[Any] = []

    @classmethod
    def of(
        cls, planned: PlannedLoop, admitted: Admitted, source: ItemSource, cell: CellContext
    ) -> Retreat | None:
        """What decides that; None for a loop that can't go back whatever it shows."""
        split, options = admitted.split, cell.options
        shadow = admitted.shadow
        as_is = not split.speculates and (shadow is None or not shadow.flows)
        asked = options.private or options.local or options.ahead or options.alone
        apart = options.apart and options.seed is None and not options.residents
        if not as_is or asked or not apart or cell.kept is not None or source.packer.staying:
            return None
        # What is committed is right for sure where each of its chunks was looked at.
        looked_at = admitted.captured.packed.nbytes <= LOOKED_AT_EACH
        later = shadow is None and planned.element is None and source.inert and looked_at
        return cls(split.work.code, admitted.captured, cell, later=later)

    def shown_by(self, log: Log, *, first: bool) -> str:
        """Why a log shows that no worker can do what it is of; empty if that isn't so.

        Parameters
        ----------
        log
            The log of a chunk.
        first
            Whether nothing is committed.
        """
        return _shown_by(log) if first or self._later else ""

    def is_possible(self, items: Iterable[Any]) -> bool:
        """Whether what the work has done is gone with what it did in the workers.

        Parameters
        ----------
        items
            All items whose work has begun and isn't committed.
        """
        return computes_besides(self._captured, self._cell.namespace, self._code, items)


def computes_besides(
    captured: Captured, namespace: dict[str, Any], code: types.CodeType, items: Iterable[Any] = ()
) -> bool:
    """Whether work can't have done anything outside that workers wouldn't have seen.

    Parameters
    ----------
    captured, items
        What it was sent.
    namespace
        The user's.
    code
        Its own code.
    """
    if any(map(_is_mapped, captured.values.values())):
        return False
    encoder = Encoder(Side(namespace), by_reference=False)
    encoder.encode([*items])
    met = captured.modules | encoder.modules
    functions = [*captured.functions, *encoder.functions]
    codes = [code, *(function.__code__ for function in functions)]
    known = computes_only(module for module in met if not module.startswith(_PICKLING))
    return known and is_repeatable(codes)


def _shown_by(log: Log) -> str:
    """Why no worker can do what the log is of; empty if that isn't so."""
    if log.lost_write:
        return f"its work {log.lost_write}, as it turned out in a worker"
    if log.refused:
        return log.refused
    for event in log.events:
        if event[0] == UNSENDABLE:
            *_, kind, reason = event
            return f"its work gives a value ({kind}) that can't be sent back: {reason}"
    return ""


def _is_mapped(value: Any) -> bool:
    """Whether it's the memory of a file, which a worker's stores reach as well."""
    return any(base.__name__ == "memmap" for base in type(value).__mro__)
