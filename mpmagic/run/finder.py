"""Where objects stand in what was sent, and what stands there in this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mpmagic.errors import UnsendableValue

__all__ = ["Finder", "Place", "Step", "View", "attribute_of", "called"]

Step = tuple[str, Any]
"""A kind of step, and the key, position or name that it takes."""


class Place(NamedTuple):
    """Where an object stands.

    Attributes
    ----------
    root
        What it is reached from: a captured name, or an item by its number in the chunk.
    steps
        The way from there: items, keys by their position, attributes, places in arrays of objects,
        cells of frames.
    """

    root: str | int
    steps: tuple[Step, ...] = ()


class View(NamedTuple):
    """A part of the memory of an array.

    Attributes
    ----------
    place
        Where the array stands.
    offset
        From its first byte to the view's first element.
    shape, strides, dtype, writeable
        The view's.
    """

    place: Place
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: Any
    writeable: bool


class Finder:
    """Finds on this side what stands at places.

    Parameters
    ----------
    roots
        This side's captured values by name, and its items by number.
    """

    def __init__(self, roots: Mapping[Any, Any]) -> None:
        self._roots = roots
        self._keys: dict[int, list[Any]] = {}

    def __call__(self, sent: tuple[Any, ...]) -> Any:
        """What stands at a place on this side.

        Parameters
        ----------
        sent
            The fields of a `Place` or a `View`: plain tuples, since there may be many.

        Raises
        ------
        UnsendableValue
            If this side has nothing there.
        """
        try:
            if len(sent) == 2:
                return self._at(Place(*sent))
            return self._shown(View(Place(*sent[0]), *sent[1:]))
        except (LookupError, AttributeError, TypeError, ValueError) as error:
            root = sent[0] if len(sent) == 2 else sent[0][0]
            raise UnsendableValue(
                f"a result holds a part of {called(root)} that the notebook's own hasn't got"
            ) from error

    def _at(self, place: Place) -> Any:
        value = self._roots[place.root]
        for kind, key in place.steps:
            match kind:
                case "attribute":
                    value = attribute_of(value, key)
                case "cell":
                    value = value.iat[key]
                case "flat":
                    value = value.flat[key]
                case "key":
                    value = self._keys.setdefault(id(value), list(value))[key]
                case _:
                    value = value[key]
        return value

    def _shown(self, view: View) -> Any:
        """The same view of this side's array."""
        import numpy as np

        base = self._at(view.place)
        buffer = base if base.flags.c_contiguous else base.T
        shown = np.ndarray(view.shape, view.dtype, buffer, view.offset, view.strides)
        shown.flags.writeable = view.writeable and shown.flags.writeable
        return shown


def called(root: str | int) -> str:
    return f"`{root}`" if isinstance(root, str) else "an item"


def attribute_of(owner: Any, name: str) -> Any:
    space = getattr(owner, "__dict__", {})
    return space[name] if name in space else getattr(owner, name)
