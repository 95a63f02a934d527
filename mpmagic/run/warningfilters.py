"""Filters of warnings on their way to other processes: with the names of their categories.

A class would be imported where it arrives, and the library with it: IPython, which each kernel has
filters for, takes a tenth of a second. Only what a worker may issue matters to it.
"""

from __future__ import annotations

import functools
import importlib
import sys
import warnings
from typing import Any, Final, NamedTuple

__all__ = ["Filter", "filters_here", "is_same", "take_over"]

_OF_THE_KERNEL: Final = "IPython"


class Filter(NamedTuple):
    """A filter.

    Attributes
    ----------
    action, message, module, line
        As `warnings` has them.
    category
        The class of the warnings: its module and its qualified name; itself if no module has it.
    """

    action: str
    message: Any
    category: Any
    module: Any
    line: int

    @property
    def is_numpys_own(self) -> bool:
        """Whether it's one that numpy adds itself, where it is imported."""
        return self == ("always", None, ("numpy.exceptions", "RankWarning"), None, 0)

    def real(self) -> tuple[Any, ...] | None:
        """What `warnings` wants; None where there is no such class, and no such warning."""
        category = self.category
        if isinstance(category, tuple):
            try:
                category = _found(*category)
            except (ImportError, AttributeError):
                return None
        return self.action, self.message, category, self.module, self.line


def _found(module: str, name: str) -> Any:
    return functools.reduce(getattr, name.split("."), importlib.import_module(module))


def filters_here() -> tuple[Filter, ...]:
    """Those of this process, apart from those of the kernel's own machinery."""
    return _named(tuple(warnings.filters))


@functools.lru_cache(maxsize=8)
def _named(filters: tuple[Any, ...]) -> tuple[Filter, ...]:
    return tuple(
        Filter(action, message, _name_of(category), module, line)
        for action, message, category, module, line in filters
        if not _is_of_the_kernel(category)
    )


def _name_of(category: Any) -> Any:
    if not isinstance(category, type):  # several
        return category
    name = category.__module__, category.__qualname__
    if name[0] == "__main__" or name[0] not in sys.modules or "<locals>" in name[1]:
        return category
    return name


def _is_of_the_kernel(category: Any) -> bool:
    return str(getattr(category, "__module__", "")).partition(".")[0] == _OF_THE_KERNEL


def is_same(wanted: tuple[Filter, ...], here: tuple[Filter, ...]) -> bool:
    """Whether filters are in force here, as far as anything here can issue what they are for."""
    return _to_be(wanted) == here


def take_over(wanted: tuple[Filter, ...]) -> None:
    """Put filters in force; those of the kernel's machinery, if this is a kernel, stay."""
    own = [entry for entry in warnings.filters if _is_of_the_kernel(entry[2])]
    real = [entry.real() for entry in _to_be(wanted)]
    warnings.filters[:] = [*own, *filter(None, real)]  # type: ignore[index]
    # For `warnings` to look at them again: adding one is the public way to say so.
    warnings.simplefilter("default", append=True)
    del warnings.filters[-1]  # type: ignore[attr-defined]


def _to_be(wanted: tuple[Filter, ...]) -> tuple[Filter, ...]:
    if "numpy" in sys.modules:
        return wanted
    return tuple(entry for entry in wanted if not entry.is_numpys_own)
