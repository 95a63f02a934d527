"""The global streams of `random`, `numpy.random` and `torch`, which whole libraries draw from.

Work that draws from them would get other numbers than the serial loop, so workers look whether they
have moved. Threads of the notebook's process share them with the commits: there the loop itself
looks after what its commits move.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Set
from typing import Any, Final

__all__ = ["DrawWatch", "modules_drawing_from"]

_PYTHON: Final = "random"
_NUMPY: Final = "numpy.random"
_TORCH: Final = "torch"
_STREAM: Final = random.random.__self__  # type: ignore[attr-defined]


class DrawWatch:
    """Tells whether the global streams have moved since it was made.

    Parameters
    ----------
    apart
        Modules whose stream isn't watched.
    """

    def __init__(self, apart: Set[str] = frozenset()) -> None:
        self._python = None if _PYTHON in apart else random.getstate()
        self._numpy = None if _NUMPY in apart else _numpy_state()
        self._torch = _torch_state()

    def moved(self) -> str:
        """The name of the module whose stream has moved, empty for none."""
        if self._python is not None and random.getstate() != self._python:
            return _PYTHON
        # A stream that came into being meanwhile was seeded by chance, not by the notebook.
        if self._numpy is not None and _numpy_state() != self._numpy:
            return _NUMPY
        # One that was imported meanwhile may have been drawn from already.
        if _torch_state() != (self._torch or _torch_state(seeded=True)):
            return _TORCH
        return ""


def modules_drawing_from(generators: Iterable[Any]) -> frozenset[str]:
    """The modules whose global stream is among these generators."""
    streams = {id(_STREAM): _PYTHON}
    if (numpy := sys.modules.get(_NUMPY)) is not None:
        streams[id(numpy.random.__self__)] = _NUMPY
    return frozenset(streams[id(g)] for g in generators if id(g) in streams)


def _numpy_state() -> tuple[Any, ...] | None:
    module = sys.modules.get(_NUMPY)
    if module is None:
        return None
    name, key, position, has_gauss, gauss = module.get_state()
    return name, key.tobytes(), position, has_gauss, gauss


def _torch_state(*, seeded: bool = False) -> bytes:
    """That of the stream on the processor, or the one that it had when it was seeded."""
    module = sys.modules.get(_TORCH)
    if module is None or not hasattr(module, "get_rng_state"):  # its import is under way
        return b""
    state = module.get_rng_state()
    if seeded:
        state = module.Generator().manual_seed(module.initial_seed()).get_state()
    return bytes(state.numpy().tobytes())
