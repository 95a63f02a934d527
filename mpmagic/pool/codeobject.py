"""Code objects on their way to another process, under the file name that they were compiled with.

cloudpickle leaves the name out (from 3.1.3 on), so that equal code has equal pickles. Here it
stays: tracebacks and warnings of a worker have to name the notebook's cell and line.
"""

from __future__ import annotations

import collections
import types
from collections.abc import Callable
from typing import Any, Final

import cloudpickle
from cloudpickle import cloudpickle as internals

__all__ = ["DISPATCH_TABLE"]


def _reduce_code(code: types.CodeType) -> tuple[Any, ...]:
    make, arguments = internals._code_reduce(code)
    return _named, (make, arguments, code.co_filename)


def _named(
    make: Callable[..., types.CodeType], arguments: tuple[Any, ...], filename: str
) -> types.CodeType:
    return make(*arguments).replace(co_filename=filename)


REDUCERS: Final[dict[type, Callable[[Any], Any]]] = {types.CodeType: _reduce_code}
"""Reducers that come before cloudpickle's in all picklers of this package."""

DISPATCH_TABLE: Final = collections.ChainMap(REDUCERS, cloudpickle.Pickler.dispatch_table)
"""cloudpickle's reducers with ours before them: a pickler's ``dispatch_table``."""
