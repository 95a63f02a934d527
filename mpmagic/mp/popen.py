"""How the kernel starts a process, by each of the three start methods, and holds on to it.

The standard library's, with another `_launch`: the process is pickled by cloudpickle, `__main__` is
never run again, and three pipes tie the child to its parent (`mpmagic.mp.child`).
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from multiprocessing import (
    connection,
    context,
    popen_fork,
    popen_forkserver,
    popen_spawn_posix,
    reduction,
    spawn,
    util,
)
from typing import Any, Final

from mpmagic.mp import forkserver
from mpmagic.mp.child import Child, Wires
from mpmagic.mp.output import Output, hold, let_go
from mpmagic.mp.pickling import name_classes
from mpmagic.mp.tracker import tracker_apart
from mpmagic.pool.surroundings import Surroundings

__all__ = ["ForkPopen", "ForkServerPopen", "SpawnPopen"]

_UNKNOWN: Final = 255  # the standard library's exit code of a process whose own was lost


class _Tied:
    """The parent's ends of a child's pipes."""

    pid: int
    returncode: int | None
    _output: Output | None = None

    def __init__(self, process_obj: Any) -> None:
        self._said: list[Any] = []
        super().__init__(process_obj)  # type: ignore[call-arg]

    @contextlib.contextmanager
    def _wires(self) -> Iterator[Wires]:
        """Make the pipes; the child's ends are open inside the block."""
        (life, ours), (out_reader, out), (err_reader, err) = (os.pipe() for _ in range(3))
        for fd in (ours, out_reader, err_reader):
            hold(fd)
        try:
            yield Wires(life, out, err)
        except BaseException:
            for fd in (ours, out_reader, err_reader):
                let_go(fd)
            raise
        finally:
            for fd in (life, out, err):
                os.close(fd)
        util.Finalize(self, let_go, (ours,))
        self._output = Output(out_reader, err_reader)

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        """Give the exit status, if there is one; what the process wrote is shown by then."""
        if self.returncode is None and (code := self._exit_code(flag)) is not None:
            if self._output is not None:
                self._output.drain()
            self.returncode = code
        return self.returncode

    def _exit_code(self, flag: int) -> int | None:
        if not self._said:
            # Filled by one call into C: between a call that takes the status and the line that
            # stores it, the stop button could lose it, and the process would seem alive for ever.
            try:
                self._said.extend(map(os.waitpid, (self.pid,), (flag,)))
            except ChildProcessError:  # somebody else has waited for it
                return _UNKNOWN
        pid, status = self._said[0]
        if pid == 0:
            self._said.clear()
            return None
        return os.waitstatus_to_exitcode(status)


class ForkPopen(_Tied, popen_fork.Popen):  # type: ignore[misc,name-defined,unused-ignore]
    """By a fork of the kernel."""

    def _launch(self, process_obj: Any) -> None:
        name_classes()
        with self._wires() as wires:
            super()._launch(Child(process_obj, wires, _default_method()))  # type: ignore[misc]


class SpawnPopen(_Tied, popen_spawn_posix.Popen):  # type: ignore[misc,name-defined,unused-ignore]
    """By a new interpreter."""

    _fds: list[int]

    def _launch(self, process_obj: Any) -> None:
        tracker = tracker_apart()
        with self._wires() as wires, _Ends() as ends:
            stream = _stream(self, process_obj, Child((), wires, _default_method()))
            command = spawn.get_command_line(tracker_fd=tracker, pipe_handle=ends.reader)
            command.insert(1, "-P")  # the notebook's folder may hold a file named like a module
            fds = [*self._fds, tracker, ends.reader, ends.status]
            self.pid = util.spawnv_passfds(os.fsencode(command[0]), command, fds)
            ends.keep(self, stream)


class ForkServerPopen(_Tied, popen_forkserver.Popen):  # type: ignore[misc,name-defined,unused-ignore]
    """By a fork of a small process that has no threads."""

    _fds: list[int]

    class DupFd:
        """A descriptor that goes to the child beside its pickle."""

        def __init__(self, index: int) -> None:
            self._index = index

        def detach(self) -> int:
            """Give the descriptor in the child."""
            return forkserver.inherited[self._index]

    def _launch(self, process_obj: Any) -> None:
        tracker = tracker_apart()
        with self._wires() as wires, _Ends() as ends:
            child = Child((), wires, _default_method(), Surroundings.here())
            stream = _stream(self, process_obj, child)
            forkserver.server.fork([ends.reader, ends.status, tracker, *self._fds])
            ends.keep(self, stream)
        if not (number := os.read(self.sentinel, forkserver.NUMBER.size)):
            raise ChildProcessError(
                f"the fork server ended before it had made {process_obj.name}: start another "
                f"process, for which there will be a new server"
            )
        (self.pid,) = forkserver.NUMBER.unpack(number)

    def _exit_code(self, flag: int) -> int | None:
        if not self._said:
            if not connection.wait([self.sentinel], 0 if flag == os.WNOHANG else None):
                return None
            self._said.extend(map(os.read, (self.sentinel,), (forkserver.NUMBER.size,)))
        return forkserver.NUMBER.unpack(self._said[0])[0] if self._said[0] else _UNKNOWN


class _Ends:
    """Two pipes: the pickled process into the child, and word of its end out of it."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        self._sentinel, self.status = os.pipe()

    def __enter__(self) -> _Ends:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.reader)
        os.close(self.status)
        for fd in (self._writer, self._sentinel):
            if fd >= 0:
                os.close(fd)

    def keep(self, popen: Any, stream: memoryview) -> None:
        """Send the process; what remains open is the parent's, as long as it holds the process."""
        writer, popen.sentinel = self._writer, self._sentinel
        self._writer = self._sentinel = -1
        popen.finalizer = util.Finalize(popen, _close, (hold(writer), hold(popen.sentinel)))
        with open(writer, "wb", closefd=False) as file:
            file.write(stream)


def _close(*fds: int) -> None:
    for fd in fds:
        let_go(fd)


def _stream(popen: Any, process_obj: Any, child: Child) -> memoryview:
    """Pickle what the standard library reads first in a child: settings, then what to run."""
    settings = spawn.get_preparation_data(process_obj.name)
    for name in ("init_main_from_name", "init_main_from_path"):
        settings.pop(name, None)
    file = io.BytesIO()
    context.set_spawning_popen(popen)
    try:
        child.load(process_obj)
        reduction.dump(settings, file)
        reduction.dump(child, file)
    except Exception as error:
        error.add_note(
            f"while {process_obj.name} was pickled for its process: what its target, arguments and "
            f"attributes refer to has to go there. Make it inside the process, or hand it on by a "
            f"Queue or a file."
        )
        raise
    finally:
        context.set_spawning_popen(None)
    return file.getbuffer()


def _default_method() -> str:
    from mpmagic.mp.context import default_context

    return str(default_context.get_start_method())
