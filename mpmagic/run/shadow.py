"""State that runs ahead of the work, while it runs: on a shadow of the notebook's names.

For each item that is sent, the slice of the body that binds such state runs once in the kernel. It
works on immutable values, which are looked at as they come: only then it can do nothing but
compute. Where it would raise, the read-ahead ends; the iteration itself raises that at its place.
"""

from __future__ import annotations

import ast
import builtins
import sys
import types
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from mpmagic.cell.knowledge import bound_names
from mpmagic.cell.prepared import drawing
from mpmagic.cell.split import SplitLoop
from mpmagic.errors import LostWrite, UnsendableValue
from mpmagic.run.log import Given
from mpmagic.run.streams import Streams, may_be_drawn, may_be_drawn_from

__all__ = ["CannotRunAhead", "Shadow"]

_VALUES: Final = frozenset({int, float, complex, str, bytes, bool, type(None)})
_SCALARS: Final = frozenset(
    {"bool_", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
     "float16", "float32", "float64", "datetime64", "timedelta64"}
)  # fmt: skip


class CannotRunAhead(Exception):
    """Something isn't an immutable value; the message says what.

    Parameters
    ----------
    reason
        The message.
    names
        The names that stand for it.
    """

    def __init__(self, reason: str, names: Iterable[str]) -> None:
        super().__init__(reason)
        self.names = frozenset(names)


class Shadow:
    """Runs a loop's prepared state ahead, item by item.

    Parameters
    ----------
    split
        The loop.
    target
        Its target.
    namespace
        The notebook's, as it is when the loop begins.

    Attributes
    ----------
    failure
        Why the loop has to end where its last item has been committed; None while it goes on.

    Raises
    ------
    CannotRunAhead
        If it can't.
    """

    def __init__(self, split: SplitLoop, target: ast.expr, namespace: dict[str, Any]) -> None:
        assert split.ahead is not None
        self.failure: BaseException | None = None
        self._prepared, self._target = split.prepared, target
        self._line = split.line
        self._each = split.speculates
        self._done = 0
        names = {*self._prepared.carried, *self._prepared.constants}
        for name in sorted(names):
            if name not in namespace:
                raise CannotRunAhead(f"`{name}` isn't defined", [name])
            _check(name, namespace[name])
        for name in sorted(self._prepared.sources):
            if not may_be_drawn_from(namespace.get(name)):
                kind = type(namespace.get(name)).__name__
                raise CannotRunAhead(f"`{name}`, a {kind}, isn't drawn from ahead", [name])
        names |= (self._prepared.functions | self._prepared.sources) & namespace.keys()
        self._namespace = {name: namespace[name] for name in names}
        self._namespace["__builtins__"] = builtins
        self._run = types.FunctionType(split.ahead.code, self._namespace)
        try:
            self._streams = Streams(self._prepared.draws, namespace)
        except LookupError as error:
            raise CannotRunAhead(str(error), self._prepared.drawn) from error
        for number, function in enumerate(self._streams.drawing):
            self._namespace[drawing(number)] = function

    @property
    def ended(self) -> bool:
        """Whether no item may follow those that were given."""
        return self.failure is not None

    def check_item(self, item: Any) -> None:
        """Look at what the slice reads of an item.

        Raises
        ------
        CannotRunAhead
            If it's no immutable value.
        """
        if self._prepared.items:
            for name, value in _unpacked(self._target, item):
                if name in self._prepared.items:
                    _check(name, value)

    def give(self, items: Iterable[Any]) -> Given:
        """What the worker needs for these items, or for the first of them."""
        states: list[tuple[Any, ...]] = []
        drawn: list[dict[int, Any]] = []
        count = 0
        with _strict_floats():
            for item in items:
                state = tuple(self._namespace[name] for name in self._prepared.carried)
                if not self._step(item):
                    break
                count += 1
                if self._prepared.draws:
                    drawn.append(self._drawn())
                if self._each or count == 1:
                    states.append(state)
                if self.ended:
                    break
        self._done += count
        return Given(states, count, drawn)

    def _drawn(self) -> dict[int, Any]:
        """What the iteration has drawn, by the numbers of the draws."""
        names = enumerate(draw.name for draw in self._prepared.draws)
        return {n: self._namespace.pop(name) for n, name in names if name in self._namespace}

    def differs(self, number: int) -> LostWrite:
        """The error that a draw isn't what it was ahead."""
        call = self._prepared.draws[number].call
        return LostWrite(
            f"line {call.lineno}: `{ast.unparse(call)}` gave something else than was drawn ahead "
            f"for the work: something else in the loop draws from the same stream. The iterations "
            f"before it are committed. To mend it, hand in a generator of its own to what draws, "
            f"or use `--seed N`"
        )

    def check_generators(self) -> None:
        """Make sure that, the loop being over, nothing else has drawn from its streams.

        Raises
        ------
        LostWrite
            If something has.
        """
        if not self._streams.are_even():
            raise self.differs(len(self._prepared.draws) - 1)

    def _step(self, item: Any) -> bool:
        """Run the slice for an item; whether its iteration may begin."""
        try:
            self.check_item(item)
            self._run((item,))
            for name in self._prepared.names & self._namespace.keys():
                if name not in self._prepared.drawn:
                    _check(name, self._namespace[name])
                elif not may_be_drawn(self._namespace[name]):
                    raise CannotRunAhead(f"`{name}` gives what isn't a plain value", [name])
        except CannotRunAhead as reason:
            self.failure = UnsendableValue(
                f"the loop in line {self._line} can't go on: {reason}, in iteration {self._done} "
                f"or later; the iterations before it are committed. Run the cell without "
                f"%%parallel"
            )
            return False
        except Exception as error:
            self.failure = UnsendableValue(
                f"the loop in line {self._line} can't go on: what the kernel ran ahead raised "
                f"{type(error).__name__}: {error}, and the iteration itself didn't; the "
                f"iterations before are committed. Run the cell without %%parallel"
            )
        return True


def _check(name: str, value: Any) -> None:
    if not _is_value(value):
        kind = type(value).__name__
        reason = f"`{name}` is of type {kind}, and only plain values can run ahead"
        raise CannotRunAhead(reason, [name])


def _is_value(value: Any) -> bool:
    """Whether it's immutable, and operations on it compute and do no more."""
    kind = type(value)
    if kind in _VALUES:
        return True
    if kind is tuple:
        return all(map(_is_value, value))
    numpy = sys.modules.get("numpy")
    return kind.__name__ in _SCALARS and getattr(numpy, kind.__name__, None) is kind


def _unpacked(target: ast.expr, item: Any) -> Iterator[tuple[str, Any]]:
    """The names of a target with what they are bound to."""
    match target:
        case ast.Name():
            yield target.id, item
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            if type(item) not in (tuple, list, str):
                reason = f"`{ast.unparse(target)}` unpacks a {type(item).__name__}"
                raise CannotRunAhead(reason, bound_names(target))
            for part, value in zip(parts, item, strict=False):
                if isinstance(part, ast.Starred):
                    reason = f"`{ast.unparse(part)}` is a list"
                    raise CannotRunAhead(reason, bound_names(target))
                yield from _unpacked(part, value)
        case _:
            reason = f"`{ast.unparse(target)}` isn't a plain name"
            raise CannotRunAhead(reason, bound_names(target))


def _strict_floats() -> AbstractContextManager[object]:
    """While open, array scalars raise what they would warn of: that is for the commits to tell."""
    numpy = sys.modules.get("numpy")
    return nullcontext() if numpy is None else numpy.errstate(all="raise")
