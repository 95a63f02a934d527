"""What the work displays: formatted in the worker, shown by the kernel in its place.

A worker has no shell. `IPython.display` finds a stand-in there, whose formatter is the notebook's
and whose publisher is a log. An object of a library's of which it isn't known that it looks the
same from any process is displayed by the kernel, from a copy of what it was at that moment.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from mpmagic.cell.formats import CarriedFormats
from mpmagic.errors import UnsendableValue
from mpmagic.run.codec import Encoder, decode
from mpmagic.run.log import SHOWN, TEXT
from mpmagic.run.modules import is_users
from mpmagic.run.routing import Patches
from mpmagic.run.side import Side
from mpmagic.run.standin import stand_in
from mpmagic.run.tape import catch_up
from mpmagic.run.tenancy import Tenancy, tenancy

__all__ = ["Screen"]

_KNOWN: Final = frozenset({"builtins", "__main__", "IPython", "numpy", "pandas", "matplotlib",
                           "PIL", *sys.stdlib_module_names})  # fmt: skip
"""Where the classes are from whose look depends on nothing but what workers take over."""


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """Formatted data."""

    data: Any
    metadata: Any
    options: dict[str, Any]

    def show(self) -> None:
        """Do in the kernel what the work did."""
        _shell().display_pub.publish(self.data, self.metadata, **self.options)


@dataclass(frozen=True, slots=True, eq=False)
class Cleared:
    """The cell's output was cleared."""

    wait: bool

    def show(self) -> None:
        """Do in the kernel what the work did."""
        _shell().display_pub.clear_output(self.wait)


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """An object that the kernel has to format."""

    value: Any
    include: Any
    exclude: Any
    metadata: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    def show(self) -> None:
        """Do in the kernel what the work did."""
        from IPython.core.display_functions import _merge

        shell = _shell()
        formatter = shell.display_formatter
        data, metadata = formatter.format(self.value, include=self.include, exclude=self.exclude)
        if data:
            merged = _merge(metadata, self.metadata) if self.metadata else metadata
            shell.display_pub.publish(data, merged, **self.options)


def _shell() -> Any:
    from IPython.core.interactiveshell import InteractiveShell

    return InteractiveShell.instance()


class _WholeData(dict[str, Any]):
    """Stands for the data of an object that isn't formatted here."""

    def __init__(self, whole: Whole) -> None:
        super().__init__({"text/plain": repr(type(whole.value))})
        self.whole = whole


class Screen:
    """Takes what a chunk, a call or an iterable displays.

    Parameters
    ----------
    events
        The log's events.
    formats
        The notebook's formats; None in the kernel itself, and where they can't be carried.
    side
        The worker's side, by which objects are copied.
    """

    def __init__(
        self,
        events: list[tuple[Any, ...]],
        formats: CarriedFormats | None = None,
        side: Side | None = None,
    ) -> None:
        self._events = events
        self._formats = formats
        self._side = side
        self._formatter: Any = None
        self._refuse: Callable[[str], None] | None = None

    @contextmanager
    def on(self, refuse: Callable[[str], None] | None = None) -> Iterator[None]:
        """While open, what is displayed goes into the log; `refuse` hears why it can't."""
        self._refuse = refuse
        ipython = sys.modules.get("IPython.core.interactiveshell")
        if tenancy() is Tenancy.COMPANION:
            yield  # threads can't display, see `mpmagic.engine.guards`
            return
        if tenancy() is Tenancy.GUEST or not (ipython and ipython.InteractiveShell.initialized()):
            with stand_in(self):  # a worker, of whatever engine; it may be a kernel by itself
                yield
            return
        patches, publisher = Patches(), ipython.InteractiveShell.instance().display_pub
        patches.set(publisher, "publish", self.publish)
        patches.set(publisher, "clear_output", self.clear_output)
        try:
            yield
        finally:
            patches.undo()

    # -- what IPython calls --------------------------------------------------------------------

    def publish(self, data: Any, metadata: Any = None, source: Any = None, **options: Any) -> None:
        """Take data that is formatted already."""
        if isinstance(data, _WholeData):
            whole = data.whole
            value = self._copied(whole.value)
            act: Any = Whole(value, whole.include, whole.exclude, metadata or {}, options)
        else:
            act = Published(copy.deepcopy(data), copy.deepcopy(metadata), options)
        self._note(act)

    def clear_output(self, wait: bool = False) -> None:
        """Take the wish that the output be cleared."""
        self._note(Cleared(wait))

    def format(self, value: Any, include: Any = None, exclude: Any = None) -> tuple[Any, Any]:
        """Format an object as the notebook would."""
        whole: tuple[Any, Any] = _WholeData(Whole(value, include, exclude)), {}
        if self._formats is None or not all(map(_is_known, type(value).__mro__)):
            return whole
        if self._formatter is None:
            self._formatter = self._formats.new_formatter()
        written = self._written()
        from mpmagic.run.standin import FormattingFailed, formatting_raises

        try:
            with formatting_raises():
                result: tuple[Any, Any] = self._formatter.format(value, include, exclude)
                return result
        except FormattingFailed:
            if self._written() == written:
                return whole  # the kernel shows the traceback
            raise self._unsendable(value, "formatting it fails") from None

    def _written(self) -> tuple[int, int]:
        """Grows with each piece that is noted."""
        last = self._events[-1] if self._events else ()
        return len(self._events), len(last[2]) if last and last[0] == TEXT else 0

    def _note(self, act: Any) -> None:
        catch_up(self._events)
        self._events.append((SHOWN, act))

    def _copied(self, value: Any) -> Any:
        assert self._side is not None
        try:
            packed = Encoder(self._side, by_reference=True).encode(value)
            return decode(packed, self._side)
        except Exception as error:
            raise self._unsendable(value, f"{type(error).__name__}: {error}") from error

    def _unsendable(self, value: Any, reason: str) -> UnsendableValue:
        message = (
            f"an object of type {type(value).__name__} that the work displays has to be "
            f"formatted by the kernel, and can't be sent there ({reason}). Collect what it "
            f"shows, and display that after the loop"
        )
        if self._refuse is not None:
            self._refuse(message)
        return UnsendableValue(message)


def _is_known(cls: type) -> bool:
    name = cls.__module__
    return name.partition(".")[0] in _KNOWN or is_users(sys.modules.get(name))
