"""How the notebook formats what it displays, as far as that can be carried to a worker.

IPython looks for a printer that somebody has registered for an object's type (the inline backend
for figures, `%precision` for floats), and then for the object's own methods. A worker makes the
same of an object if it has the same printers. Where a notebook has formatters that can't be
carried, a display stays the kernel's.
"""

from __future__ import annotations

import functools
import pickle
import sys
import types
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import cloudpickle

__all__ = ["CarriedFormats", "Formats", "carried_formats", "formats_in"]

_TABLES: Final = ("type_printers", "deferred_printers")


@dataclass(frozen=True, slots=True)
class Formats:
    """What differs from the formatters that IPython begins with, by MIME type.

    Attributes
    ----------
    settings
        Names of traits and their values.
    printers
        By table and key, printers that were added or replaced.
    removed
        By table, keys that were taken out.
    backend
        The backend of matplotlib's that displays figures in the notebook and closes them; empty
        where there is none, or another.
    """

    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    printers: dict[tuple[str, str], dict[Any, Callable[..., Any]]] = field(default_factory=dict)
    removed: dict[tuple[str, str], tuple[Any, ...]] = field(default_factory=dict)
    backend: str = ""

    def new_formatter(self) -> Any:
        """A display formatter that formats as the notebook's does."""
        from IPython.core.formatters import DisplayFormatter

        formatter = DisplayFormatter()
        with _numpy_as_it_is():  # a precision is set there too, which somebody may have changed
            for mime, settings in self.settings.items():
                for name, value in settings.items():
                    setattr(formatter.formatters[mime], name, value)
        for (mime, table), keys in self.removed.items():
            for key in keys:
                getattr(formatter.formatters[mime], table).pop(key, None)
        for (mime, table), printers in self.printers.items():
            getattr(formatter.formatters[mime], table).update(printers)
        return formatter


class CarriedFormats(NamedTuple):
    """The same on the way to a worker.

    Attributes
    ----------
    pickled
        All but the backend. Opened when something is displayed: IPython has a printer for NumPy's
        floats, and few workers need NumPy for the first result, which takes 30 ms to import.
    backend
        As that of `Formats`.
    """

    pickled: bytes
    backend: str

    def new_formatter(self) -> Any:
        """A display formatter that formats as the notebook's does."""
        settings, printers, removed = pickle.loads(self.pickled)
        return Formats(settings, printers, removed).new_formatter()


def carried_formats(namespace: Mapping[str, Any]) -> CarriedFormats | None:
    """The formats of the shell that a namespace belongs to; None if they can't be carried."""
    formats = formats_in(namespace)
    if formats is None:
        return None
    tables = (formats.settings, formats.printers, formats.removed)
    return CarriedFormats(cloudpickle.dumps(tables), formats.backend)


def _numpy_as_it_is() -> AbstractContextManager[object]:
    numpy = sys.modules.get("numpy")
    kept: AbstractContextManager[object] = nullcontext() if numpy is None else numpy.printoptions()
    return kept


def formats_in(namespace: Mapping[str, Any]) -> Formats | None:
    """The formats of the shell that a namespace belongs to; None if they can't be carried."""
    shell = getattr(namespace.get("get_ipython"), "__self__", None)
    own = getattr(shell, "display_formatter", None)
    if own is None:
        return None
    fresh = _fresh()
    if not _are_alike(own, fresh) or own.formatters.keys() != fresh.formatters.keys():
        return None
    formats = Formats(backend=_inline_backend())
    for mime, formatter in own.formatters.items():
        if not _note(formatter, fresh.formatters[mime], mime, formats):
            return None
    return formats if _travels(formats) else None


def _inline_backend() -> str:
    """What `Formats.backend` says; nothing is imported for it."""
    parameters = getattr(sys.modules.get("matplotlib"), "rcParams", None)
    inline = sys.modules.get("matplotlib_inline.config")
    if parameters is None or inline is None:
        return ""
    backend = dict.get(parameters, "backend")  # which the class's own access would resolve
    if backend not in _INLINE or not inline.InlineBackend.instance().close_figures:
        return ""
    return str(backend)


_INLINE: Final = ("inline", "module://matplotlib_inline.backend_inline")


@functools.cache
def _fresh() -> Any:
    return Formats().new_formatter()


def _are_alike(own: Any, fresh: Any) -> bool:
    """Whether nobody has put formatters of another kind in."""
    names = ("ipython_display_formatter", "mimebundle_formatter")
    parts = [(getattr(own, name), getattr(fresh, name)) for name in names]
    tables = ("type_printers", "deferred_printers", "singleton_printers")
    return type(own) is type(fresh) and all(
        type(a) is type(b)
        and a.enabled == b.enabled
        and all(getattr(a, table) == getattr(b, table) for table in tables)
        for a, b in parts
    )


def _note(own: Any, fresh: Any, mime: str, formats: Formats) -> bool:
    """Note what differs; whether it can be carried."""
    if type(own) is not type(fresh) or own.print_method != fresh.print_method:
        return False
    if own.singleton_printers != fresh.singleton_printers:
        return False
    kind: Any = type(own)
    for name in _settings_of(kind):
        value = getattr(own, name)
        if value != getattr(fresh, name):
            formats.settings.setdefault(mime, {})[name] = value
    for table in _TABLES:
        mine, theirs = getattr(own, table), getattr(fresh, table)
        changed = {k: f for k, f in mine.items() if not _is_same(f, theirs.get(k))}
        if changed:
            formats.printers[mime, table] = changed
        gone = tuple(key for key in theirs if key not in mine)
        if gone:
            formats.removed[mime, table] = gone
    return True


@functools.lru_cache(maxsize=64)
def _settings_of(kind: Any) -> tuple[str, ...]:
    """Names of a formatter's traits; traitlets takes long to find them."""
    apart = {"parent", "config", "log", "singleton_printers", *_TABLES}
    return tuple(name for name in kind.class_trait_names() if name not in apart)


def _is_same(printer: Any, other: Any) -> bool:
    """Whether both are IPython's own; that for floats is made anew for each formatter."""
    code = getattr(printer, "__code__", None)
    if printer is other or code is None:
        return printer is other
    return getattr(other, "__code__", None) is code and printer.__module__ == _FORMATTERS


_FORMATTERS: Final = "IPython.core.formatters"


def _travels(formats: Formats) -> bool:
    parts = [part for printers in formats.printers.values() for pair in printers.items()
             for part in pair if not isinstance(part, tuple)]  # fmt: skip
    return all(_is_the_librarys(part) for part in parts) and all(
        type(value) in (str, int, float, bool)
        for settings in formats.settings.values()
        for value in settings.values()
    )


def _is_the_librarys(part: Any) -> bool:
    """Whether a printer, or a type, is from an importable module; printers may be closures."""
    if isinstance(part, functools.partial):
        part = part.func
    if isinstance(part, types.BuiltinFunctionType):
        return True
    if not isinstance(part, types.FunctionType | type) or part.__module__ == "__main__":
        return False
    return _is_picklable(part)


@functools.lru_cache(maxsize=256)
def _is_picklable(part: Any) -> bool:
    try:
        cloudpickle.dumps(part)
    except Exception:
        return False
    return True
