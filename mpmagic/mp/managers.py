"""Managers whose objects take and give what the notebook defines."""

from __future__ import annotations

import signal
import sys
from multiprocessing import managers, process
from typing import Any

from mpmagic.mp.child import die_by
from mpmagic.mp.connections import Client, Listener

__all__ = ["BaseManager", "SyncManager"]


class _Serializer(str):
    """The name of our connections in the standard library's table of them.

    It travels with each proxy. Unpickled, it imports this module, which fills the table in.
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return _serializer, ()


def _serializer() -> _Serializer:
    return _SERIALIZER


_SERIALIZER = _Serializer("mpmagic")
managers.listener_client[_SERIALIZER] = (Listener, Client)  # type: ignore[attr-defined]


class BaseManager(managers.BaseManager):
    """`multiprocessing.managers.BaseManager`, to be subclassed and registered with.

    Parameters
    ----------
    address, authkey, ctx, **options
        As there; the process is started by the default context.
    """

    def __init__(
        self, address: Any = None, authkey: bytes | None = None, *, ctx: Any = None, **options: Any
    ) -> None:
        from mpmagic.mp.context import default_context

        super().__init__(
            address, authkey, _SERIALIZER, ctx or default_context.get_context(), **options
        )

    @classmethod
    def _run_server(cls, *args: Any, **kwargs: Any) -> None:
        # Killed, it would leave its folder with the socket behind. So it hears of the parent's end
        # by a signal on which it tidies up, and the folder is its own, not one of the parent's.
        signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(0))
        process.current_process()._config.pop("tempdir", None)  # type: ignore[attr-defined]
        die_by(signal.SIGTERM)
        super()._run_server(*args, **kwargs)  # type: ignore[misc]


class SyncManager(BaseManager, managers.SyncManager):
    """What `Manager()` starts: a process that holds lists, dicts, locks and queues for others."""
