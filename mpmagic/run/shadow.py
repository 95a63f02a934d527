"""State that runs ahead of the work, while it runs: on a shadow of the notebook's names.

For each item that is sent, the slice of the body that binds such state runs once in the kernel. It
works on immutable values, which are looked at as they come: only then it can do nothing but
compute. Where it would raise, the read-ahead ends; the iteration itself raises that at its place.
"""

from __future__ import annotations

import ast
import builtins
import numbers
import sys
import types
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from mpmagic.cell.draw import Draw
from mpmagic.cell.jumps import breaks_of
from mpmagic.cell.prepared import CHECK, DREW, PLAIN, TYPE, drawing
from mpmagic.cell.split import SplitLoop
from mpmagic.errors import LostWrite, UnsendableValue
from mpmagic.run.codec import Encoder
from mpmagic.run.drawn import Drawn, is_same
from mpmagic.run.flowing import Flowing, is_flowing
from mpmagic.run.log import Given
from mpmagic.run.nans import Nans
from mpmagic.run.plainvalues import (
    VALUES,
    CannotRunAhead,
    check_value,
    content_of,
    holds_nan,
    is_value,
    unpacked,
)
from mpmagic.run.side import Side
from mpmagic.run.source import ItemSource
from mpmagic.run.streams import Streams, may_be_drawn
from mpmagic.run.warned import warnings_aside

__all__ = ["Shadow", "shadow_of"]

_CHUNK_BYTES: Final = 16 << 20
"""What is drawn for one chunk, about."""


def shadow_of(
    split: SplitLoop, loop: ast.For, items: tuple[Any, ItemSource], namespace: dict[str, Any]
) -> Shadow | None:
    """What runs ahead of a loop's work, of which what there is already has been looked at.

    Parameters
    ----------
    split, loop
        The loop.
    items
        What it iterates over, and where its items come from.
    namespace
        The notebook's.

    Raises
    ------
    CannotRunAhead
        If some of it isn't an immutable value.
    """
    if split.ahead is None:
        return None
    iterable, source = items
    shadow = Shadow(split, loop.target, namespace, source.side.nans)
    shadow.check_changed(loop)
    seen = iterable if type(iterable) in (list, tuple) else [source.first]
    if isinstance(loop.target, ast.Name) and VALUES.issuperset(map(type, seen)):
        return shadow  # of a million numbers that is soon known
    for item in () if source.exhausted else seen:
        shadow.check_item(item)
    return shadow


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
    nans
        The NaNs that the workers know.

    Attributes
    ----------
    failure
        Why the loop has to end where its last item has been committed; None while it goes on.
    most
        How many items to give at once: of what is drawn for them much may be on its way.

    Raises
    ------
    CannotRunAhead
        If it can't.
    """

    def __init__(
        self, split: SplitLoop, target: ast.expr, namespace: dict[str, Any], nans: Nans
    ) -> None:
        assert split.ahead is not None
        self.failure: BaseException | None = None
        self._prepared, self._target = split.prepared, target
        self._line, self._nans = split.line, nans
        self._whole = namespace
        self._changed = {*split.shared, *(s.name for s in split.slices)} - split.prepared.generators
        self._each = split.speculates
        self._done = 0
        self.most = 1 if self._prepared.draws else sys.maxsize
        self._warned: list[Any] = []
        self._flowing = self._looked_at()
        try:
            self._streams = Streams(self._prepared.draws, namespace)
        except LookupError as error:
            raise CannotRunAhead(str(error), self._prepared.drawn) from error
        self._check_values()
        self._content = {name: content_of(namespace[name]) for name in self._prepared.sources}
        self._namespace = self._names()
        self._run = types.FunctionType(split.ahead.code, self._namespace)

    def _check_values(self) -> None:
        """Look at what it is made of, and drawn from."""
        prepared, namespace = self._prepared, self._whole
        for name in sorted({*prepared.carried, *prepared.constants, *prepared.sources}):
            if name not in namespace:
                raise CannotRunAhead(f"`{name}` isn't defined", [name])
        for name in sorted({*prepared.carried, *prepared.constants}):
            check_value(name, namespace[name])
        for name in sorted(prepared.sources):
            if not self._streams.may_draw_from(namespace[name]):
                kind = type(namespace[name]).__name__
                raise CannotRunAhead(f"`{name}`, a {kind}, isn't drawn from ahead", [name])
        for number, draw in enumerate(prepared.draws):
            if draw.steps and not all(map(is_value, self._streams.left(number))):
                raise CannotRunAhead(f"`{draw.owner}` holds what isn't a plain value", [draw.name])

    def _names(self) -> dict[str, Any]:
        """The names that the slice has."""
        prepared, namespace = self._prepared, self._whole
        called = (prepared.functions | prepared.sources) & namespace.keys()
        names = {n: namespace[n] for n in {*prepared.carried, *prepared.constants, *called}}
        names |= {drawing(i): function for i, function in enumerate(self._streams.drawing)}
        own = {TYPE: type, PLAIN: VALUES, CHECK: check_value, DREW: self._drew}
        return {**names, **own, "__builtins__": builtins}

    def check_changed(self, loop: ast.For) -> None:
        """Make sure that the loop leaves alone what iterators take from that are stepped ahead.

        Raises
        ------
        CannotRunAhead
            If it doesn't.
        """
        changed = [self._whole[n] for n in self._changed & self._whole.keys()]
        for draw, flowing in self._flowing.items():
            if breaks_of(loop.body):
                why = "a `break` leaves it where the serial loop would"
            elif flowing.takes_from(changed):
                why = "the loop changes what it takes from"
            else:
                continue
            raise CannotRunAhead(f"`{draw.owner}` isn't stepped ahead: {why}", [draw.name])

    def _looked_at(self) -> dict[Draw, Flowing]:
        """The iterators of which there are no copies, by the draws that step them."""
        found: dict[Draw, Flowing] = {}
        for draw in self._prepared.draws:
            if draw.steps and is_flowing(self._whole.get(draw.owner)):
                try:
                    found[draw] = Flowing(draw.owner, self._whole, is_value)
                except ValueError as error:
                    reason = f"`{draw.owner}` isn't stepped ahead: {error}"
                    raise CannotRunAhead(reason, [draw.name]) from None
        return found

    @property
    def flows(self) -> bool:
        """Whether something is stepped itself."""
        return bool(self._flowing)

    @property
    def global_streams(self) -> frozenset[str]:
        """Modules whose global stream it draws from."""
        return self._streams.modules

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
            for name, value in unpacked(self._target, item):
                if name in self._prepared.items:
                    check_value(name, value)

    def give(self, items: Iterable[Any]) -> tuple[Given, Drawn]:
        """What the worker needs for these items, or for the first of them; and what was drawn."""
        self._states: list[tuple[Any, ...]] = []
        self._drawn = drawn = Drawn(self._streams, self.check_sources, self._states)
        self._count = 0
        try:
            with _strict_floats(), warnings_aside() as self._warned:  # the commits show them
                self._run(self._stepping(items))
        except CannotRunAhead as reason:
            self._count -= 1  # that one can't begin
            self._cannot_go_on(f"{reason}, in iteration {self._done + self._count}")
        except Exception as error:
            drawn.reason = f"{type(error).__name__}: {error}"
            if (number := self._streams.raised_by(error)) is not None:
                drawn.failures[self._count - 1, number] = error
            self._cannot_go_on(
                f"what the kernel ran ahead for iteration {self._done + self._count - 1} raised "
                f"{type(error).__name__}: {error}, which the iteration itself didn't"
            )
        self._done += self._count
        if not self._prepared.draws and not any(map(holds_nan, self._states)):
            return Given(self._states, self._count), drawn
        encoder = Encoder(Side({}, nans=self._nans), by_reference=True)
        packed = encoder.encode((self._states, drawn.rows[: self._count]))
        drawn.nbytes = packed.nbytes
        if self._prepared.draws:
            self.most = max(1, _CHUNK_BYTES * self._count // max(packed.nbytes, 1))
        return Given([], self._count, packed), drawn

    def check_end(self, namespace: dict[str, Any]) -> None:
        """Make sure that, the loop being over, the notebook is where its shadow is.

        Raises
        ------
        LostWrite
            If something else has drawn from a stream, or bound a name.
        """
        self._streams.check_even()
        for name in self._prepared.carried:
            if name not in namespace or not is_same(self._namespace[name], namespace[name]):
                raise LostWrite(
                    f"the loop in line {self._line} ran `{name}` ahead of its work, and something "
                    f"that it calls binds `{name}` too, so that results may differ from the serial "
                    f"loop's. Bind it in the loop's body only, or run the cell without %%parallel"
                )

    def check_sources(self) -> None:
        """Make sure that what is drawn from, or stepped, is what it was when the loop began.

        Raises
        ------
        LostWrite
            If something in the loop has changed it, unseen.
        """
        changed = [
            n for n, content in self._content.items() if content_of(self._whole.get(n)) != content
        ]
        changed += [d.owner for d, flowing in self._flowing.items() if not flowing.is_as_it_was()]
        if changed:
            raise LostWrite(
                f"the loop in line {self._line} took from `{changed[0]}` ahead of its work, and "
                f"something in it has changed that meanwhile, so that results may differ from the "
                f"serial loop's. Make a list of it before the loop, or run the cell without "
                f"%%parallel"
            )

    def _stepping(self, items: Iterable[Any]) -> Iterator[Any]:
        """The items, each noted when its iteration begins."""
        carried, unpacks = self._prepared.carried, not isinstance(self._target, ast.Name)
        for item in items:
            if self._each or not self._count:
                self._states.append(tuple(self._namespace[name] for name in carried))
            self._count += 1
            if self._prepared.draws:
                self._drawn.begin()
            if unpacks:
                self.check_item(item)
            yield item

    def _drew(self, number: int, value: Any) -> None:
        """The slice has made a draw."""
        draw = self._prepared.draws[number]
        if not (is_value(value) if draw.steps else may_be_drawn(value)):
            raise CannotRunAhead(f"`{draw.name}` gives what isn't a plain value", [draw.name])
        if draw.summed and not all(isinstance(part, numbers.Number) for part in value):
            raise CannotRunAhead(f"`{draw.name}` gives what can't be summed", [draw.name])
        self._drawn.keep(number, value, leaps=not self._warned)
        self._warned.clear()

    def _cannot_go_on(self, reason: str) -> None:
        self.failure = UnsendableValue(
            f"the loop in line {self._line} can't go on: {reason}; the iterations before it are "
            f"committed. Run the cell without %%parallel"
        )


def _strict_floats() -> AbstractContextManager[object]:
    """While open, array scalars raise what they would warn of: that is for the commits to tell."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return nullcontext()
    told = {kind: "raise" for kind, how in numpy.geterr().items() if how != "ignore"}
    strict: AbstractContextManager[object] = numpy.errstate(**told)
    return strict
