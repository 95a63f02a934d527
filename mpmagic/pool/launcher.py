"""Two ways of making worker processes: the private fork server, and a new interpreter each."""

from __future__ import annotations

import os
import select
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from mpmagic.pool.channel import Channel
from mpmagic.pool.ends import Ends
from mpmagic.pool.group import signal_group
from mpmagic.pool.message import Exited, Fork, Forked, ForkFailed, Kill

__all__ = ["Exit", "ForkServerLauncher", "Launcher", "SpawnLauncher", "Watcher", "command"]


class Exit(NamedTuple):
    """How a process ended.

    Attributes
    ----------
    status : int or None
        As os.waitpid gives it; None if nobody could tell.
    peak : int
        Bytes of memory it used at most; 0 if unknown.
    reason : str
        Why there never was a process, or nobody knows how it ended.
    """

    status: int | None
    peak: int = 0
    reason: str = ""

    @property
    def signal(self) -> int | None:
        if self.status is None or not os.WIFSIGNALED(self.status):
            return None
        return os.WTERMSIG(self.status)

    @property
    def is_orderly(self) -> bool:
        return self.status == 0

    def __str__(self) -> str:
        if self.status is None:
            return self.reason
        if (number := self.signal) is not None:
            try:
                return f"was killed by {signal.Signals(number).name}"
            except ValueError:
                return f"was killed by signal {number}"
        return f"left with exit code {os.WEXITSTATUS(self.status)}"


class Watcher(Protocol):
    """Is told what becomes of the workers."""

    def on_started(self, number: int, pid: int) -> None: ...

    def on_exited(self, number: int, how: Exit) -> None: ...


class Launcher(Protocol):
    """Makes workers, signals them and says when they end. For the supervisor's thread alone."""

    def launch(self, number: int, ends: Ends) -> None:
        """Begin to make a worker; the descriptors in `ends` are taken over."""

    def signal(self, number: int, signum: int) -> None:
        """Signal a worker and what it started; nothing if it is gone."""

    def close(self) -> None:
        """Kill what is left."""

    def forsake(self) -> None:
        """Close this process's copies of what belongs to the process that forked it."""


def command(statement: str) -> list[str]:
    """Give the command line of an interpreter like this one that runs one statement."""
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    # -P: the notebook's folder may hold a file with the name of a module of the standard library.
    path = f"import sys; sys.path[:] = {sys.path!r}; "
    return [sys.executable, *flags, "-P", "-c", path + statement]


class ForkServerLauncher:
    """Keeps one fork server; a new one if that dies.

    Parameters
    ----------
    watcher : Watcher
    selector : selectors.BaseSelector
        Of the supervisor; a key's data is called when it is ready.
    environ : callable
        Gives the environment for the server.
    preload : tuple of str
        Modules that the server imports, for all workers.
    """

    def __init__(
        self,
        watcher: Watcher,
        selector: selectors.BaseSelector,
        environ: Callable[[], dict[str, str]],
        preload: tuple[str, ...] = (),
    ) -> None:
        self._watcher = watcher
        self._selector = selector
        self._environ = environ
        self._preload = preload
        self._server: subprocess.Popen[bytes] | None = None
        self._control: Channel | None = None
        self._numbers: set[int] = set()

    def launch(self, number: int, ends: Ends) -> None:
        keeper = _Descriptors(ends)
        if self._control is None:
            try:
                self._control = self._start_server()
            except OSError as error:
                self._watcher.on_exited(number, Exit(None, reason=f"could not start: {error}"))
                return
        self._numbers.add(number)
        self._send(Fork(number), ends, keeper)

    def signal(self, number: int, signum: int) -> None:
        if self._control is not None and number in self._numbers:
            self._send(Kill(number, signum))

    def close(self) -> None:
        if self._server is not None and self._control is not None:
            self._selector.unregister(self._control)
            self._control.close()  # it kills its workers and leaves
            self._server.wait()
            self._server = self._control = None

    def forsake(self) -> None:
        if self._control is not None:
            self._control.close()

    def _start_server(self) -> Channel:
        near, far = socket.socketpair()
        arguments = f"{far.fileno()}, {os.getpid()}, {self._preload!r}"
        imports = "import gc; gc.disable(); from mpmagic.pool.forkserver import main"
        statement = f"{imports}; main({arguments})"
        with far:
            try:
                self._server = subprocess.Popen(
                    command(statement),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=self._environ(),
                    pass_fds=[far.fileno()],
                    start_new_session=True,  # out of reach of the terminal's and Jupyter's SIGINT
                )
            except BaseException:
                near.close()
                raise
        control = Channel(near)
        self._selector.register(control, selectors.EVENT_READ, self._hear)
        return control

    def _send(
        self, message: Fork | Kill, ends: Ends | tuple[()] = (), owner: object = None
    ) -> None:
        assert self._control is not None
        self._control.send(message, ends, owner)
        self._listen_for_room()

    def _listen_for_room(self) -> None:
        if self._control is None:
            return
        events = selectors.EVENT_READ
        if self._control.is_congested:
            events |= selectors.EVENT_WRITE
        self._selector.modify(self._control, events, self._hear)

    def _hear(self, events: int) -> None:
        if self._control is None:  # closed by what was heard a moment ago
            return
        if events & selectors.EVENT_WRITE:
            self._control.flush()
            self._listen_for_room()
        try:
            for message, _ in self._control.receive():
                self._understand(message)
        except EOFError:
            self._lose_server()

    def _understand(self, message: object) -> None:
        match message:
            case Forked(number, pid):
                self._watcher.on_started(number, pid)
            case ForkFailed(number, reason):
                self._numbers.discard(number)
                self._watcher.on_exited(number, Exit(None, reason=f"could not start: {reason}"))
            case Exited(number, status, peak):
                self._numbers.discard(number)
                self._watcher.on_exited(number, Exit(status, peak))

    def _lose_server(self) -> None:
        """Take leave of a server that died: its workers have died with it."""
        assert self._server is not None and self._control is not None
        self._selector.unregister(self._control)
        self._control.close()
        self._server.kill()  # it may have closed its socket and live on
        status = self._server.wait()
        self._server = self._control = None
        reason = f"went down with the fork server (its exit status: {status})"
        numbers, self._numbers = self._numbers, set()
        for number in sorted(numbers):
            self._watcher.on_exited(number, Exit(None, reason=reason))


class SpawnLauncher:
    """Starts a new interpreter for each worker.

    The system kills such a worker when the thread that started it ends: the supervisor's, which
    lives as long as the pool.
    """

    def __init__(
        self,
        watcher: Watcher,
        selector: selectors.BaseSelector,
        environ: Callable[[], dict[str, str]],
        preload: tuple[str, ...] = (),
    ) -> None:
        self._watcher = watcher
        self._selector = selector
        self._environ = environ  # each interpreter imports for itself what it needs
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._handles: dict[int, Any] = {}

    def launch(self, number: int, ends: Ends) -> None:
        keeper = _Descriptors(ends)
        statement = (
            f"from mpmagic.pool.worker import spawned; spawned({tuple(ends)}, {os.getpid()})"
        )
        try:
            process = subprocess.Popen(
                command(statement),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=self._environ(),
                pass_fds=list(ends),
                start_new_session=True,
            )
        except OSError as error:
            self._watcher.on_exited(number, Exit(None, reason=f"could not start: {error}"))
            return
        finally:
            del keeper
        self._workers[number] = process
        self._watch(number, process)
        self._watcher.on_started(number, process.pid)

    def signal(self, number: int, signum: int) -> None:
        if (process := self._workers.get(number)) is not None:
            signal_group(process.pid, signum)

    def close(self) -> None:
        for number in list(self._workers):
            self.signal(number, signal.SIGKILL)
            self._reap(number)

    def forsake(self) -> None:
        for handle in self._handles.values():
            handle.close()

    def _watch(self, number: int, process: subprocess.Popen[bytes]) -> None:
        handle = _exit_handle(process.pid)
        self._handles[number] = handle
        self._selector.register(handle, selectors.EVENT_READ, lambda _: self._on_end(number))

    def _on_end(self, number: int) -> None:
        if number in self._workers:  # else closed by what was heard a moment ago
            self._watcher.on_exited(number, self._reap(number))

    def _reap(self, number: int) -> Exit:
        handle = self._handles.pop(number)
        self._selector.unregister(handle)
        handle.close()
        process = self._workers.pop(number)
        # Not waited for yet, so the number is still its own: what it started goes with it.
        signal_group(process.pid, signal.SIGKILL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return Exit(status, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def _exit_handle(pid: int) -> Any:
    """Give something to select on that is readable once a child has ended."""
    if hasattr(os, "pidfd_open"):
        return open(os.pidfd_open(pid), "rb", buffering=0)
    queue = select.kqueue()  # type: ignore[attr-defined,unused-ignore]
    event = select.kevent(  # type: ignore[attr-defined,unused-ignore]
        pid,
        filter=select.KQ_FILTER_PROC,  # type: ignore[attr-defined,unused-ignore]
        flags=select.KQ_EV_ADD,  # type: ignore[attr-defined,unused-ignore]
        fflags=select.KQ_NOTE_EXIT,  # type: ignore[attr-defined,unused-ignore]
    )
    queue.control([event], 0)
    return queue


class _Descriptors:
    """Closes descriptors when nobody needs them any more."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends

    def __del__(self) -> None:
        for fd in self._ends:
            os.close(fd)
