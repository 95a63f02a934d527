"""Pipes that carry what the notebook defines."""

from __future__ import annotations

import os
from multiprocessing import connection, reduction
from typing import Any

from mpmagic.mp.pickling import carried

__all__ = ["Client", "Connection", "Listener", "pipe"]


class Connection(connection.Connection):  # type: ignore[type-arg,unused-ignore]
    """One end of a `Pipe`."""

    @classmethod
    def taken_over(cls, other: Any) -> Connection:
        """Make one of a connection of the standard library's, which is closed."""
        with other:
            return cls(os.dup(other.fileno()), other.readable, other.writable)

    def send(self, obj: Any) -> None:
        """Send an object: what pickle takes, and functions, classes and instances of the notebook.

        Parameters
        ----------
        obj : object
        """
        super().send(carried(obj))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (reduction.DupFd(self.fileno()), self.readable, self.writable)


def _rebuilt(fd: Any, readable: bool, writable: bool) -> Connection:
    return Connection(fd.detach(), readable, writable)


def pipe(duplex: bool = True) -> tuple[Connection, Connection]:
    """Give the two ends of a new pipe.

    Parameters
    ----------
    duplex : bool
        Whether it goes both ways; else the first end receives and the second one sends.
    """
    near, far = connection.Pipe(duplex)
    return Connection.taken_over(near), Connection.taken_over(far)


class Listener(connection.Listener):
    """Where the process of a manager is called."""

    def accept(self) -> Any:
        return Connection.taken_over(super().accept())


def Client(*args: Any, **kwargs: Any) -> Connection:  # noqa: N802
    """Call the process of a manager."""
    return Connection.taken_over(connection.Client(*args, **kwargs))
