"""What the cells of ``--each`` have left in this worker: one namespace, which lasts."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Iterable
from typing import Any, NamedTuple

from mpmagic.pool import Parcel
from mpmagic.run.residentstate import StateChange
from mpmagic.run.state import ProcessState

__all__ = ["ResidentCell", "Residents", "here", "resident_values", "start_anew"]


class ResidentCell(NamedTuple):
    """A cell that each worker runs, as it travels.

    Attributes
    ----------
    label
        What it is called in errors.
    source, captured
        Its program's parcels.
    """

    label: str
    source: Parcel
    captured: Parcel

    @property
    def key(self) -> tuple[bytes, bytes]:
        """Names what it is."""
        return self.source.key, self.captured.key


class Residents:
    """The namespace of the cells, and which of them have run.

    Attributes
    ----------
    namespace
        The cells' globals, and those of the functions that they define.
    done
        The keys of the cells that have run, in order.
    names
        What they have bound; the rest is what they read of the notebook.
    changes
        What they have changed of this process's state.
    """

    def __init__(self) -> None:
        self.namespace: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
        self.done: list[tuple[bytes, bytes]] = []
        self.names: frozenset[str] = frozenset()
        self.changes: list[StateChange] = []

    def state(self, kernels: ProcessState) -> ProcessState:
        """The kernel's state with what the cells have changed."""
        return functools.reduce(lambda state, change: change.on(state), self.changes, kernels)


_here = Residents()


def here() -> Residents:
    """Those of this process."""
    return _here


def start_anew() -> Residents:
    """Forget all of them: the kernel wants others."""
    global _here
    _here = Residents()
    return _here


def resident_values(names: Iterable[str]) -> dict[str, Any]:
    """What names stand for that the cells have left."""
    return {name: _here.namespace[name] for name in names if name in _here.namespace}
