"""The fork server: a process of one thread that makes workers by forking itself.

`multiprocessing` has one too, but one per process, shared with the user's own code, listening on a
socket in the temporary folder and keeping the terminal's process group. This one is the pool's
alone, is reached through an inherited socket, and never runs the notebook's `__main__`.

It imports the standard library, cloudpickle, mpmagic and what the pool's owner says, nothing that
starts threads.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
from typing import NoReturn

from mpmagic.pool.channel import Incoming, Line
from mpmagic.pool.ends import Ends
from mpmagic.pool.group import signal_group
from mpmagic.pool.message import Exited, Fork, Forked, ForkFailed, Kill
from mpmagic.pool.parent import parent_guard
from mpmagic.pool.worker import work

__all__ = ["ForkServer", "main"]

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def main(control: int, kernel: int, preload: tuple[str, ...]) -> None:
    """Serve until the kernel is gone.

    Parameters
    ----------
    control : int
        Descriptor of the socket over which the kernel gives its orders.
    kernel : int
        The kernel's process number.
    preload : tuple of str
        Modules to import, which start no threads.

    Notes
    -----
    The launcher has switched the garbage collector off: while modules are imported there is next
    to no garbage, and the first cell would wait for the looking, 8 ms of 70.
    """
    # What every worker needs; imported once, here, and inherited.
    import mpmagic.pool.failure
    import mpmagic.pool.pickling  # noqa: F401

    for name in preload:
        with contextlib.suppress(ImportError):  # whoever needs it is told then
            importlib.import_module(name)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()  # else the workers' collections would copy all pages that they share with us
    gc.enable()
    ForkServer(Line(socket.socket(fileno=control)), kernel).serve()


class ForkServer:
    """Forks, signals and reaps workers.

    Parameters
    ----------
    control : Line
        Leads to the kernel's supervisor.
    kernel : int
        The kernel's process number.
    """

    def __init__(self, control: Line, kernel: int) -> None:
        self._control = control
        self._pids: dict[int, int] = {}  # by number
        self._guard = parent_guard()
        self._poll = select.poll()
        self._poll.register(control.fileno(), select.POLLIN)
        self._kernel = _watch(kernel)
        if self._kernel is not None:
            self._poll.register(self._kernel, select.POLLIN)
        self._bell, bell = socket.socketpair()
        self._bell.setblocking(False)
        bell.setblocking(False)
        self._bell_rope = bell
        signal.set_wakeup_fd(bell.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda signum, frame: None)
        self._poll.register(self._bell.fileno(), select.POLLIN)

    def serve(self) -> None:
        """Do the kernel's orders until it is gone, then kill all that is left."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                ready = {fd for fd, _ in self._poll.poll()}
                if self._kernel in ready:
                    break
                if self._bell.fileno() in ready:
                    self._bell.recv(4096)
                    self._reap()
                if self._control.fileno() in ready:
                    self._obey()
        for pid in self._pids.values():
            signal_group(pid, signal.SIGKILL)
        os._exit(0)

    def _obey(self) -> None:
        incoming: Incoming | None = self._control.receive()
        while incoming is not None:
            message, descriptors = incoming
            match message:
                case Fork():
                    self._fork(message.number, Ends(*descriptors))
                case Kill():
                    # Not reaped yet, so the number is still this worker's.
                    if (pid := self._pids.get(message.number)) is not None:
                        signal_group(pid, message.signal)
            incoming = self._control.buffered()

    def _fork(self, number: int, ends: Ends) -> None:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self._control.send(ForkFailed(number, str(error)))
        else:
            if pid == 0:
                self._become_worker(ends, parent)
            self._pids[number] = pid
            self._control.send(Forked(number, pid))
        for fd in ends:
            os.close(fd)

    def _become_worker(self, ends: Ends, parent: int) -> NoReturn:
        try:
            os.setsid()  # its children too get the signals that are meant for it
            self._guard(parent)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # Nothing that we wait on the end of may stay open in a worker.
            self._control.close()
            self._bell.close()
            self._bell_rope.close()
            if self._kernel is not None:
                os.close(self._kernel)
            work(ends)
        finally:
            os._exit(1)

    def _reap(self) -> None:
        for number, pid in list(self._pids.items()):
            if not _has_exited(pid):
                continue
            # Before the number is free again: what the worker started goes with it.
            signal_group(pid, signal.SIGKILL)
            _, status, usage = os.wait4(pid, 0)
            del self._pids[number]
            self._control.send(Exited(number, status, usage.ru_maxrss * _RSS_UNIT))


def _has_exited(pid: int) -> bool:
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, pid, flags) is not None


def _watch(kernel: int) -> int | None:
    """Give a descriptor that becomes readable when the kernel ends, where there is such a thing.

    The end of the control socket says the same, unless something that the kernel forked holds a
    copy of it.
    """
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        fd: int = os.pidfd_open(kernel)
    except ProcessLookupError:
        os._exit(1)
    if os.getppid() != kernel:  # it ended before, and the number may be another process's now
        os._exit(1)
    return fd
