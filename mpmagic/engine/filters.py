"""Filters of warnings by thread, while work runs in the notebook's own process.

Libraries enter `warnings.catch_warnings` in the middle of harmless functions. The interpreter asks
the module `warnings` for its filters at each warning, so the module gives each thread at a post a
list of its own. Whether a warning has been shown already is noted in the modules that issue it,
which can't be kept apart: a warning of the work that would be shown ends the chunk.
"""

from __future__ import annotations

import sys
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Final

from mpmagic.run.routing import Patches
from mpmagic.run.tenancy import Post, Tenancy, post

__all__ = ["WARNS", "FilterRouting"]

WARNS: Final = "issues a warning (`{}`) and notes that in the registry of warnings"

_NOTED: Final = ("default", "module", "once")
_RECORDS: Final = "records warnings, or shows them in a way of its own"
_SHOWING: Final = ("showwarning", "_showwarnmsg_impl")
_TOLD: Final = ("_filters_mutated", "_filters_mutated_lock_held")

Key = tuple[str, Any, Any, int]


def _companion() -> Post | None:
    at = post()
    return at if at is not None and at.tenancy is Tenancy.COMPANION else None


class FilterRouting:
    """The filters as each thread has them; made when the first thread begins.

    What the main thread has shown before would be shown again, for the threads have to see all
    warnings as new; so this remembers it.
    """

    def __init__(self, patches: Patches) -> None:
        self._ambient: Any = warnings.filters
        self._shown = set(_keys_shown(self._version()))
        self._mutate = {n: vars(warnings)[n] for n in _TOLD if n in vars(warnings)}
        warnings.simplefilter("default", append=True)  # says so: all are new
        del warnings.filters[-1]  # type: ignore[attr-defined]
        patches.set(warnings, "filters", _Filters(self))
        for name, mutate in self._mutate.items():
            patches.set(warnings, name, self._mutating(mutate))
        patches.set(warnings, "_showwarnmsg", self._showing(vars(warnings)["_showwarnmsg"]))
        _Module.routing = self
        warnings.__class__ = _Module

    def _version(self) -> int:
        """What the interpreter calls the present state of the filters."""
        registry: dict[Any, Any] = {}
        self._ambient.insert(0, ("ignore", None, Warning, None, 0))
        try:
            warnings.warn_explicit("", UserWarning, "", 0, registry=registry)
        finally:
            del self._ambient[0]
        return int(registry["version"])

    def end(self) -> None:
        """Leave the filters as the main thread has them."""
        warnings.__class__ = types.ModuleType
        _Module.routing = None
        vars(warnings)["filters"] = self._ambient

    @property
    def own(self) -> Any:
        """The list of the present thread."""
        at = _companion()
        if at is None:
            return self._ambient
        if at.filters is None:
            at.filters = [*map(_unnoted, self._ambient), ("always", None, Warning, None, 0)]
            at.filters_before = list(at.filters)
        return at.filters

    @own.setter
    def own(self, value: Any) -> None:
        at = _companion()
        if at is None:
            self._ambient = value
        else:
            at.filters = value

    def _mutating(self, mutate: Callable[[], None]) -> Callable[[], None]:
        def mutating() -> None:
            if _companion() is None:
                self._shown.clear()
                mutate()

        return mutating

    def _showing(self, show: Callable[[Any], None]) -> Callable[[Any], None]:
        def showing(message: Any) -> None:
            if (at := _companion()) is not None:
                at.refuse(WARNS.format(message.category.__name__))
            text, kind = str(message.message), message.category
            if not {(f, text, kind, n) for f in (message.filename, "") for n in
                    (message.lineno, 0)} & self._shown:  # fmt: skip
                show(message)

        return showing


def _unnoted(item: tuple[Any, ...]) -> tuple[Any, ...]:
    """The filter without the note that a warning has been shown.

    That would keep another thread's from being seen, which may come earlier in the loop.
    """
    return ("always", *item[1:]) if item[0] in _NOTED else item


class _Module(types.ModuleType):
    """`warnings` meanwhile: an attribute of the class goes before the module's own."""

    routing: FilterRouting | None = None

    @property
    def filters(self) -> Any:
        assert self.routing is not None
        return self.routing.own

    @filters.setter
    def filters(self, value: Any) -> None:
        assert self.routing is not None
        self.routing.own = value

    def __setattr__(self, name: str, value: Any) -> None:
        """Only the notebook may say how warnings are shown, or record them instead."""
        if name in _SHOWING and vars(self)[name] is not value and (at := _companion()) is not None:
            at.refuse(_RECORDS)
        super().__setattr__(name, value)


class _Filters:
    """What the functions of `warnings` find under that name: the list of the present thread."""

    def __init__(self, routing: FilterRouting) -> None:
        self._routing = routing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._routing.own, name)

    def insert(self, index: int, item: tuple[Any, ...]) -> None:
        """What `warnings.simplefilter` calls."""
        self._routing.own.insert(index, item if _companion() is None else _unnoted(item))

    def append(self, item: tuple[Any, ...]) -> None:
        """What it calls to put a filter behind the others."""
        self._routing.own.append(item if _companion() is None else _unnoted(item))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._routing.own)

    def __contains__(self, item: Any) -> bool:
        return item in self._routing.own

    def __len__(self) -> int:
        return len(self._routing.own)

    def __getitem__(self, index: Any) -> Any:
        return self._routing.own[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._routing.own[index] = value

    def __delitem__(self, index: Any) -> None:
        del self._routing.own[index]


def _keys_shown(version: int) -> Iterator[Key]:
    """Files, texts, classes and lines of the warnings that won't be shown again."""
    import _warnings

    once = _warnings._onceregistry
    spaces = [(getattr(m, "__file__", None), vars(m).get("__warningregistry__"))
              for m in list(sys.modules.values()) if isinstance(m, types.ModuleType)]  # fmt: skip
    for file, registry in [*spaces, ("", once)]:
        if isinstance(registry, dict) and registry.get("version") == version:
            yield from ((file or "", *_spelt(key)) for key in registry if isinstance(key, tuple))


def _spelt(key: tuple[Any, ...]) -> tuple[str, Any, int]:
    return str(key[0]), key[1], key[2] if len(key) > 2 else 0
