"""Where a loop's items come from: pulled in the kernel, in order, a bounded way ahead."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from types import GeneratorType
from typing import Any, Final, cast

from mpmagic.errors import UnsendableValue
from mpmagic.run.itempacking import ItemPacker
from mpmagic.run.iterables import containers_of, is_inert_iterable, length_of, modules_of
from mpmagic.run.packed import digest
from mpmagic.run.pulled import Prelude, Pulled
from mpmagic.run.ranges import FileRanges
from mpmagic.run.shown import Screen
from mpmagic.run.side import Side
from mpmagic.run.tape import play, taped
from mpmagic.run.watch import are_inert, is_inert, is_of_library

__all__ = ["Batch", "ItemSource"]

_SEEN: Final = 16
"""Items that are looked at before the loop begins."""

_STEPPING: Final[tuple[type, ...]] = (type(iter([])), type(iter(())))
"""Types of iterators that can be set back; from Python 3.12 on those of ranges no longer can."""


@dataclass(slots=True)
class Batch:
    """Items for one chunk.

    Attributes
    ----------
    items
        The kernel's own, a list or a range.
    packed
        The same for the worker.
    preludes
        By position: what pulling the item has written.
    last
        Whether no item follows.
    mutable
        Whether the work could change an item.
    """

    items: Any
    packed: Any
    preludes: dict[int, Prelude] = field(default_factory=dict)
    last: bool = False
    mutable: bool = False


class ItemSource:
    """Pulls items, packs them and remembers how the iterable ended.

    Parameters
    ----------
    iterable
        What the loop iterates over.
    target
        What it binds its items to.

    Attributes
    ----------
    remaining
        How many items are left, None if that can't be known.
    failure
        The exception that the iterable raised, when it has been reached.
    packer
        Packs the items.
    """

    def __init__(self, iterable: Any, target: ast.expr) -> None:
        self._iterable = iterable
        self.packer = ItemPacker(target, modules_of(iterable))
        self.iterator: Iterator[Any] = iter(iterable)
        self.remaining = length_of(iterable)
        self.failure: BaseException | None = None
        self.inert = is_inert_iterable(iterable)
        self.ended_with: Prelude = []
        self._range = iterable if type(iterable) is range else None
        self._waiting = Pulled()
        self._done = False
        self._begun = False
        self._recent: dict[int, Callable[[], Any]] = {}
        self._ranges: FileRanges | None = None

    @property
    def side(self) -> Side:
        """The kernel's side, by which items are packed."""
        return self.packer.side

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing left to pull."""
        return self._done and not self._waiting

    @property
    def is_range(self) -> bool:
        """Whether the items are numbers, which are made and sent by no code of the user's."""
        return self._range is not None

    @property
    def share(self) -> float | None:
        """How much has been given out of a file that is cut; None of other iterables."""
        return None if self._ranges is None else self._ranges.share

    @property
    def first(self) -> Any:
        """The item that was pulled to look at it; None if there was none."""
        return self._waiting.items[0] if self._waiting else None

    def go_on(self, items: Iterator[Any]) -> None:
        """Forget what was pulled to look at it, and go on with other items."""
        self._waiting, self._done, self.failure = Pulled(), False, None
        self.ended_with = []
        self.iterator = items

    def read_by(self, ranges: FileRanges) -> None:
        """Give out stretches of a file, opened, instead of its lines."""
        self._waiting, self._ranges = Pulled(), ranges

    def rest(self) -> Iterator[Any]:
        """All that is left, for a loop that goes on in the kernel."""
        if self._range is not None:
            yield from self._range
            return
        self._recent = {}
        while self._waiting:
            one = self._waiting.take(1)
            play(one.preludes.get(0, ()))
            items = one.items
            del one
            yield items.pop()  # which nothing here may keep alive
        play(self.ended_with)
        if self.failure is not None:
            raise self.failure
        iterator = self.let_go()
        # Not `yield from`: after a `break` that would close a generator, and a file. Nor `for`:
        # that asks for an iterator again, and one of the notebook's may begin anew.
        while True:
            try:
                item = next(iterator)
            except StopIteration:
                return
            yield item

    def left(self) -> Iterator[Any]:
        """What hasn't been given out yet: an iterator of Python's own, that tells its length."""
        if self._range is not None:
            return iter(self._range)
        iterator: Any = self.let_go()
        # Items that were pulled and wait are pulled again, which changes nothing.
        iterator.__setstate__(iterator.__reduce__()[2] - len(self._waiting))
        return cast("Iterator[Any]", iterator)

    @property
    def can_be_left(self) -> bool:
        """Whether `left` can give the rest, which isn't read to its end: a range, or a list."""
        steps = self._range is not None or type(self.iterator) in _STEPPING
        return steps and not self.exhausted

    def let_go(self) -> Iterator[Any]:
        """Give the iterator away: one that nobody else holds is closed when the loop is left."""
        iterator, self.iterator, self._iterable = self.iterator, iter(()), ()
        return iterator

    def pull(self, size: int, *, seconds: float | None = None) -> Batch | None:
        """The next items, at most `size`; None if there are none.

        Parameters
        ----------
        size
            How many.
        seconds
            After which fewer will do, of an iterable that takes its time; None for as long as it
            takes.

        Raises
        ------
        Exception
            Whatever pickling an item raises.
        """
        if self._range is not None:
            return self._pull_range(size)
        if self._ranges is not None and (batch := self._pull_lines(size)) is not None:
            return batch
        try:
            self._look_ahead(size + 1, seconds)
        except Exception as error:
            self._end_before(self._waiting.items[-1], error)
            self._waiting.cut(len(self._waiting) - 1)
        # One has to follow, or none: only then is it known whether these are the last ones.
        taken = self._waiting.take(min(size, len(self._waiting) - (not self._done)))
        return self._packed(taken) if taken else None

    def _packed(self, taken: Pulled) -> Batch | None:
        items, packer = taken.items, self.packer
        sent = [packer.sent(item) for item in items] if packer.staying else items
        mutable = not are_inert(sent)
        packed: Any = None
        if not self.inert and mutable:
            packed = [taken.alone[i] for i in range(len(taken))]
        else:
            try:
                packed = packer.pack(sent, mutable=mutable)
            except Exception as error:
                sound = packer.first_that_fails(sent)
                if sound == len(sent):
                    raise
                self._waiting.cut(0)
                self._end_before(items[sound], error)
                taken.cut(sound)
                return self._packed(taken) if sound else None
        self._count_down(len(taken))
        return Batch(items, packed, taken.preludes, last=self.exhausted, mutable=mutable)

    def refer_to(self, roots: dict[str, Any]) -> None:
        """Send parts of these captured values as references to what the workers have."""
        self.packer.refer_to(roots)
        for index in self._waiting.alone:  # nothing has been pulled since
            self._waiting.alone[index] = self.packer.pack_again(self._waiting.items[index])

    def look(self) -> None:
        """Pull the first item, and see which names of the target stay in the kernel."""
        if self._range is None:
            self._look_ahead(1)

    def global_names(self) -> set[str]:
        """Globals of the notebook's functions among the items that can be seen already."""
        return set() if self._range is not None else self.packer.global_names(self._sample())

    def probe(self) -> None:
        """Look at the first items: whether they can be packed shows before the loop begins."""
        if self._range is None:
            for item in self._sample():
                self.packer.try_on(item)

    def _sample(self) -> list[Any]:
        """Some of the first items, and parts of them.

        An iterator that has said that it is at its end would say so again, though its list grew
        meanwhile: while the loop may still stay in the kernel, only the first item is pulled.
        """
        containers = list(containers_of(self._iterable)) if self.inert else []
        pulled = list(map(self.packer.sent, self._waiting.items))
        if self.packer.staying:
            return pulled
        return pulled + [i for c in containers for i in itertools.islice(c, _SEEN)]

    def _pull_range(self, size: int) -> Batch | None:
        assert self._range is not None
        items, self._range = self._range[:size], self._range[size:]
        if not items:
            self._done = True
            return None
        self._count_down(len(items))
        self._done = not self._range
        return Batch(items, items, last=self._done)

    def _pull_lines(self, size: int) -> Batch | None:
        """Lines of the file; None when it has to be read on as the loop would."""
        assert self._ranges is not None
        items, part = self._ranges.lines(size)
        if part is None or not self._ranges.left:
            self.go_on(self._ranges.rest())
            self._ranges = None
            self._look_ahead(1)
        return None if part is None else Batch(items, part, last=self.exhausted)

    def _count_down(self, count: int) -> None:
        if self.remaining is not None:
            self.remaining = max(self.remaining - count, 0)

    def _take_many(self, count: int) -> None:
        """Let many items wait, of an iterable that runs no code of the user's."""
        items: list[Any] = []
        try:
            items.extend(itertools.islice(self.iterator, count))  # keeps those before an exception
        except Exception as error:
            self._done, self.failure = True, error
        self._done = self._done or len(items) < count
        self._waiting.items += items

    def _look_ahead(self, count: int, seconds: float | None = None) -> None:
        """Pull until so many wait, or, if it takes longer, two."""
        if self.inert and self._begun and not self._done and count > len(self._waiting):
            self._take_many(count - len(self._waiting))
        end = None if seconds is None else perf_counter() + seconds
        while len(self._waiting) < count and not self._done:
            if end is not None and len(self._waiting) > 1 and perf_counter() > end:
                return
            prelude: Prelude = []
            try:
                if self.inert:
                    item = next(self.iterator)
                else:
                    # It belongs before the item's iteration.
                    with taped(prelude), Screen(prelude).on():
                        item = next(self.iterator)
            except StopIteration:
                self._done = True
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self._done = True
                self.failure = error
            else:
                self._take(item, prelude)
                continue
            self.ended_with = prelude

    def _take(self, item: Any, prelude: Prelude) -> None:
        """Let an item wait; of an iterable that runs code of the user's, packed at once."""
        self._waiting.add(item, prelude)
        if not self._begun:
            self._begun = True
            self.packer.meet(item)
        if self.inert:
            return
        for part in item if type(item) is tuple else (item,):
            if hasattr(type(part), "__next__"):  # a group of `itertools.groupby`, a reader
                raise UnsendableValue(
                    f"the loop's iterable gives {type(part).__name__} objects, which lose their "
                    f"place when it is read ahead"
                )
        # The iterable may change it when it goes on, one buffer that it yields again.
        sent = self.packer.sent(item)
        self._waiting.alone[len(self._waiting) - 1] = self.packer.pack([sent])
        if not is_inert(sent):
            self._check_new(item)

    def changed(self, batch: Batch) -> int | None:
        """Which item the iterable has changed after it gave it, as code of the notebook's may."""
        kind = type(self._iterable)
        plain = self.inert or (kind is not GeneratorType and is_of_library(kind))
        if plain or not batch.mutable:
            return None
        for index, (item, packed) in enumerate(zip(batch.items, batch.packed, strict=True)):
            if digest(self.packer.pack_again(item)) != digest(packed):
                return index
        return None

    def _end_before(self, item: Any, error: Exception) -> None:
        """Let the loop end, with an error, where the item is reached that can't be sent."""
        self._done = True
        if not isinstance(error, UnsendableValue):
            error = UnsendableValue(
                f"an item of the loop, a {type(item).__name__}, can't be sent to a worker: "
                f"{type(error).__name__}: {error}; the iterations before it are committed"
            )
        self.failure = error

    def _check_new(self, item: Any) -> None:
        """The kernel keeps items until they are committed: each must be an object of its own."""
        owner = getattr(item, "base", None) if hasattr(type(item), "__array_interface__") else None
        key = id(item) if owner is None else id(owner)
        if key in self._recent and self._recent[key]() is (item if owner is None else owner):
            raise UnsendableValue(
                "the loop's iterable yields one object again and again and changes it meanwhile, "
                "so that it can't be read ahead; let it yield copies, or run the cell without "
                "%%parallel"
            )
        self._recent = {key: _holder(item if owner is None else owner)}


def _holder(value: Any) -> Callable[[], Any]:
    return lambda: value
