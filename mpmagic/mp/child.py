"""A process that the notebook started, from the inside: its first steps.

Whatever the start method, the standard library calls `_bootstrap` of what it was given to run. Here
that is a `Child`, which first ties the process to its parent's life and sends what it prints there,
and only then unpickles the user's own process and calls its `_bootstrap`.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import select
import signal
import sys
import threading
import traceback
import types
from collections.abc import Iterator
from multiprocessing import process as processes
from multiprocessing import spawn
from multiprocessing.reduction import DupFd
from typing import Any, NamedTuple

from mpmagic.mp.crash import report_crashes
from mpmagic.mp.pickling import dumps, enter_main, loads
from mpmagic.mp.sources import Sources
from mpmagic.pool.surroundings import Surroundings

__all__ = ["Child", "Wires", "die_by"]


class Wires(NamedTuple):
    """A child's ends of three pipes. As a pickle on its way, each is a DupFd."""

    life: Any
    """Nothing is ever written to it: it ends with the parent."""
    out: Any
    err: Any


class Child:
    """What a started process runs, before and around the user's process.

    Parameters
    ----------
    cargo : BaseProcess or tuple of (bytes, Sources)
        The process, or, unless it was inherited by a fork, its pickle.
    wires : Wires
    method : str
        The start method of processes that this one starts by the default context.
    surroundings : Surroundings, optional
        To be taken over from the parent, where they weren't inherited.
    """

    def __init__(
        self, cargo: Any, wires: Wires, method: str, surroundings: Surroundings | None = None
    ) -> None:
        self._cargo = cargo
        self._wires = wires
        self._method = method
        self._surroundings = surroundings

    def load(self, process: processes.BaseProcess) -> None:
        """Take a process and the pipes along, pickled; while the standard library spawns it."""
        self._wires = Wires(*(DupFd(w) for w in self._wires))
        self._cargo = dumps(process)

    def _bootstrap(self, parent_sentinel: int | None = None) -> int:
        """Run the process; give its exit status. The name is the standard library's."""
        global _life
        wires = Wires(*(w if isinstance(w, int) else w.detach() for w in self._wires))
        _life = wires.life
        die_by(signal.SIGKILL)
        _redirect(wires)
        try:
            process = self._enter()
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            return 1
        report_crashes(process)
        return process._bootstrap(parent_sentinel)  # type: ignore[no-any-return]

    def _enter(self) -> Any:
        from mpmagic.mp.context import default_context

        if self._surroundings is not None:
            self._surroundings.apply()
        default_context.set_start_method(self._method, force=True)
        if isinstance(self._cargo, processes.BaseProcess):  # inherited
            enter_main()
            return self._cargo
        _new_main()
        enter_main()
        with _inheriting():
            data, sources = self._cargo
            return loads(data, Sources(sources))


_life = -1


def die_by(signum: int) -> None:
    """Have the system send this process a signal when its parent is gone, however that came.

    Parameters
    ----------
    signum : int
        SIGKILL, until a process that has something to tidy up asks for another.
    """
    # PR_SET_PDEATHSIG won't do: it follows the thread that started us, which may end at any time.
    # The system's signal, unlike a thread of ours, strikes through C code that keeps the GIL.
    if sys.platform != "linux":
        threading.Thread(target=_watch, args=(signum,), daemon=True, name="mpmagic-life").start()
        return
    fcntl.fcntl(_life, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(_life, fcntl.F_SETSIG, signum)
    fcntl.fcntl(_life, fcntl.F_SETFL, fcntl.fcntl(_life, fcntl.F_GETFL) | os.O_ASYNC)
    watch = select.poll()
    watch.register(_life)
    if watch.poll(0):  # it was gone before we asked
        os.kill(os.getpid(), signum)


def _watch(signum: int) -> None:
    select.select([_life], [], [])
    os.kill(os.getpid(), signum)


def _redirect(wires: Wires) -> None:
    """Let descriptors 1 and 2, and Python's streams, lead to the parent."""
    for name, fd, wire in (("stdout", 1, wires.out), ("stderr", 2, wires.err)):
        if wire != fd:
            os.dup2(wire, fd)
            os.close(wire)
        # By lines: what several processes print at once then mixes by lines, not within them.
        stream = io.TextIOWrapper(
            io.FileIO(fd, "wb", closefd=False),
            encoding="utf-8",
            errors="backslashreplace",
            line_buffering=True,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _new_main() -> None:
    """Begin with an empty ``__main__``: what the start method left there isn't the notebook's."""
    spawn.old_main_modules.append(sys.modules["__main__"])
    sys.modules["__main__"] = sys.modules["__mp_main__"] = types.ModuleType("__main__")


@contextlib.contextmanager
def _inheriting() -> Iterator[None]:
    """Let proxies of managers know that what is unpickled is the process itself."""
    current: Any = processes.current_process()
    current._inheriting = True
    try:
        yield
    finally:
        del current._inheriting
