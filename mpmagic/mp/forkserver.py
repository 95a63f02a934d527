"""A process without threads that makes others by forking itself.

The standard library's listens on a socket in the temporary folder, is one for the whole program,
and from Python 3.14 on runs the main module. This one is reached through an inherited socket,
belongs to `mpmagic.mp` alone, and ends with the kernel. Its children are put into the kernel's
process group, so that the stop button and Ctrl-C reach them as they reach those of the other start
methods; itself it isn't there, since ipykernel ends that group before it ends, and waits for it.

A request is one byte with descriptors: to read the pickled process from, to report to, of the
resource tracker, and those that the process inherits. Reported are the process's number and, when
it has ended, its exit status.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import logging
import os
import select
import signal
import socket
import struct
import subprocess
import threading
from multiprocessing import resource_tracker, spawn, util
from typing import Final, NoReturn

from mpmagic.mp.output import hold, let_go
from mpmagic.pool.launcher import command

__all__ = ["NUMBER", "inherited", "main", "server"]

NUMBER: Final = struct.Struct("q")
_MOST_DESCRIPTORS = 250  # Linux allows 253 in one message

inherited: list[int] = []
"""In a process that the server forked: the descriptors that came along."""


class ForkServer:
    """The kernel's side; the server is started when it is first needed, and again if it died."""

    def __init__(self) -> None:
        self._preload: tuple[str, ...] = ()
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """Have no server: those of a process that forked this one are its own."""
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control = -1

    def preload(self, modules: list[str]) -> None:
        """Name modules that a server which is started from now on imports ahead."""
        if not all(isinstance(m, str) for m in modules):
            raise TypeError("the modules to preload must be a list of names")
        self._preload = tuple(modules)

    def fork(self, fds: list[int]) -> None:
        """Have a process made; see the head of the module for the descriptors.

        Raises
        ------
        ValueError
            If there are more than one message can carry.
        """
        if len(fds) > _MOST_DESCRIPTORS:
            raise ValueError(
                f"{len(fds)} descriptors would go to the process, and {_MOST_DESCRIPTORS} can: "
                f"hand it fewer pipes and queues"
            )
        with self._lock:
            try:
                self._send(fds)
            except ConnectionError:  # it died meanwhile
                self._send(fds)

    def _send(self, fds: list[int]) -> None:
        if self._process is None or self._process.poll() is not None:
            self._start()
        with socket.socket(fileno=os.dup(self._control)) as control:
            socket.send_fds(control, [b"f"], fds)

    def _start(self) -> None:
        if self._control >= 0:
            let_go(self._control)
        near, far = socket.socketpair()
        arguments = f"{far.fileno()}, {os.getpgrp()}, {self._preload!r}"
        statement = f"from mpmagic.mp.forkserver import main; main({arguments})"
        with far:
            self._process = subprocess.Popen(
                command(statement),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[far.fileno()],
                process_group=0,
            )
        self._control = hold(near.detach())


server: Final = ForkServer()


def main(control: int, group: int, preload: tuple[str, ...]) -> None:
    """Serve until the kernel is gone, with children in the kernel's process group."""
    import mpmagic.mp.child
    import mpmagic.mp.context  # noqa: F401

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in preload:
        try:
            importlib.import_module(name)
        except Exception as error:  # the process that needs it will say so where it can be seen
            logging.getLogger("mpmagic.mp").debug("import ahead of %s failed: %r", name, error)
    gc.collect()
    gc.freeze()  # else the children's collections would copy all pages that they share with us
    _Server(socket.socket(fileno=control), group).serve()


class _Server:
    def __init__(self, control: socket.socket, group: int) -> None:
        self._control = control
        self._group = group
        self._statuses: dict[int, int] = {}  # by process number
        self._bell, self._rope = socket.socketpair()
        for end in (self._bell, self._rope):
            end.setblocking(False)
        signal.set_wakeup_fd(self._rope.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda signum, frame: None)

    def serve(self) -> None:
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._bell, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self._bell.fileno() in ready:
                self._bell.recv(4096)
                self._reap()
            if self._control.fileno() in ready:
                request, fds, _, _ = socket.recv_fds(self._control, 1, _MOST_DESCRIPTORS)
                if not request:
                    os._exit(0)
                self._fork(fds)

    def _fork(self, fds: list[int]) -> None:
        status = fds.pop(1)
        pid = os.fork()
        if pid == 0:
            os.close(status)
            self._become_child(fds)
        with contextlib.suppress(OSError):  # the kernel's group is gone, and soon we are
            os.setpgid(pid, self._group)  # before the kernel knows of it, and signals its group
        _report(status, pid)
        self._statuses[pid] = status
        for fd in fds:
            os.close(fd)

    def _become_child(self, fds: list[int]) -> NoReturn:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for end in (self._control, self._bell, self._rope):
                end.close()
            for status in self._statuses.values():
                os.close(status)
            # From Python 3.13 on, queues are flushed by this, no longer by the process's own code.
            atexit._clear()
            atexit.register(util._exit_function)  # type: ignore[attr-defined]
            reader, tracker, *inherited[:] = fds
            resource_tracker._resource_tracker._fd = tracker  # type: ignore[attr-defined]
            code = spawn._main(reader, os.dup(reader))
        finally:
            atexit._run_exitfuncs()
            os._exit(code)

    def _reap(self) -> None:
        while self._statuses:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            fd = self._statuses.pop(pid)
            _report(fd, os.waitstatus_to_exitcode(status))
            os.close(fd)


def _report(fd: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody holds the process any more
        os.write(fd, NUMBER.pack(number))
