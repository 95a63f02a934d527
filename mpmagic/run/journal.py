"""What a worker's own stores into sliced state have overwritten, to be put back.

A worker makes such stores on its copies, so that the rest of the iteration sees them. When the
chunk is over they are undone, newest first: the copies are what they were sent as again, and
whatever differs then was changed behind the loop's back.
"""

from __future__ import annotations

import collections
import copy
import sys
from typing import Any, Final, NamedTuple

from mpmagic.errors import UnsendableValue

__all__ = ["Journal"]

_MISSING: Final = object()


class _Entry(NamedTuple):
    """What was there: under a key or attribute of `owner`, and what that object held itself."""

    owner: Any
    key: Any
    attribute: bool
    old: Any
    content: Any = None


class Journal:
    """Keeps what is overwritten."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._lent: list[tuple[dict[str, Any], str, Any]] = []

    def keep(self, owner: Any, key: Any, attribute: bool, augmented: bool) -> None:
        """Keep what `owner` holds under `key`, before a store overwrites it.

        Parameters
        ----------
        owner, key
            The object that is stored into, and where.
        attribute
            Whether `key` is the name of an attribute.
        augmented
            Whether the store may change, in place, the object that is there.

        Raises
        ------
        UnsendableValue
            If what it holds couldn't be put back.
        """
        old = _attribute(owner, key) if attribute else _item(owner, key)
        content = copy.copy(old) if augmented and type(old) in _REFILLED else None
        self._entries.append(_Entry(owner, key, attribute, old, content))

    def lend(self, namespace: dict[str, Any], name: str) -> None:
        """Let stores of columns go into a copy of a frame, which shares its columns until then.

        A frame that was stored into isn't laid out as before, though its columns are put back.
        """
        frame = namespace[name]
        if _kind(frame) == "pandas.DataFrame":
            namespace[name] = frame.copy(deep=False)
            self._lent.append((namespace, name, frame))

    def undo(self) -> None:
        """Put everything back."""
        for namespace, name, frame in self._lent:
            namespace[name] = frame
        while self._entries:
            entry = self._entries[-1]  # there until it's put back: an interrupt may come between
            if entry.content is not None:
                _refill(entry.old, entry.content)
            if entry.attribute:
                _put_attribute(entry.owner, entry.key, entry.old)
            else:
                _put_item(entry.owner, entry.key, entry.old)
            self._entries.pop()


def _refill(value: Any, content: Any) -> None:
    value.clear()
    if isinstance(value, dict | set):
        value.update(content)
    else:
        value.extend(content)


_REFILLED: Final = (
    list, dict, set, bytearray, collections.deque, collections.Counter, collections.OrderedDict,
    collections.defaultdict,
)  # fmt: skip


def _kind(owner: Any) -> str:
    return f"{str(type(owner).__module__).partition('.')[0]}.{type(owner).__name__}"


def _attribute(owner: Any, name: str) -> Any:
    if not hasattr(owner, "__dict__"):
        raise _not_kept(owner)
    return vars(owner).get(name, _MISSING)


def _item(owner: Any, key: Any) -> Any:
    if isinstance(owner, dict):
        return dict.get(owner, key, _MISSING)
    if isinstance(owner, list):
        try:
            return list.__getitem__(owner, key)
        except (IndexError, TypeError):
            return _MISSING  # the store raises it too
    if _kind(owner) == "numpy.ndarray":
        try:
            old = owner[key]
        except IndexError:
            return _MISSING
        return old.copy() if isinstance(old, sys.modules["numpy"].ndarray) else old
    if _kind(owner) == "pandas.DataFrame":
        return _MISSING  # a lent one
    raise _not_kept(owner)


def _not_kept(owner: Any) -> UnsendableValue:
    return UnsendableValue(
        f"the loop stores into a {type(owner).__name__} of its item, which a worker can't undo on "
        f"its copy; build a new one and collect it instead, or run the cell without %%parallel"
    )


def _put_attribute(owner: Any, name: str, old: Any) -> None:
    if old is _MISSING:
        vars(owner).pop(name, None)
    else:
        vars(owner)[name] = old


def _put_item(owner: Any, key: Any, old: Any) -> None:
    if old is not _MISSING:
        owner[key] = old
    elif isinstance(owner, dict):
        dict.pop(owner, key, None)
