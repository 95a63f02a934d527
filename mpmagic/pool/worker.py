"""A worker: gets tasks one at a time and runs them in its main thread.

It blocks when it reads and when it writes: the kernel never does, so somebody is always listening.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import os
import resource
import select
import socket
import sys
import threading
import traceback
import types
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mpmagic.pool import context
from mpmagic.pool.capture import Capture
from mpmagic.pool.channel import Incoming, Line
from mpmagic.pool.ends import Ends
from mpmagic.pool.freight import pack_freight
from mpmagic.pool.heap import keep_freed_memory
from mpmagic.pool.inplace import Left, leave
from mpmagic.pool.interrupt import NO_TASK, Interrupt
from mpmagic.pool.limit import MemoryLimit
from mpmagic.pool.message import (
    Clock,
    Done,
    Drop,
    Hold,
    HoldParcel,
    Message,
    Output,
    Pack,
    Preload,
    Ready,
    Report,
    Run,
    SendAgain,
    Setup,
    Stop,
    Taken,
    Text,
)
from mpmagic.pool.parent import die_with_parent
from mpmagic.pool.stock import Stock
from mpmagic.pool.words import Word, Words

if TYPE_CHECKING:
    from mpmagic.pool.pickling import Pickled
    from mpmagic.pool.segment import Segment

__all__ = ["Worker", "spawned", "work"]

_MOST_DESCRIPTORS = 1 << 16
# An import can't be put off once it has begun, and pandas takes half a second: a worker that has
# just been made, or has just done a chunk, would let the cell wait that needs nothing of it.
_IDLE_MILLISECONDS = 100
_OOM_SCORE = "500"  # the system's killer shall find us before the notebook's kernel


def work(ends: Ends) -> None:
    """Be a worker until the kernel says stop or is gone; then leave the process.

    Parameters
    ----------
    ends : Ends
        Are taken over; nothing else may be open that somebody waits for the closing of.
    """
    _settle_in(ends)
    line = Line(socket.socket(fileno=ends.channel))
    worker = Worker(line, Words(ends.words))
    os.close(ends.words)
    context.set_worker(worker)
    worker.capture.install()
    os.register_at_fork(after_in_child=worker.step_aside)
    try:
        worker.serve()
    except (EOFError, BrokenPipeError):
        pass  # the kernel is gone
    except BaseException:
        # A fault of the pool's own. The kernel shows what is on descriptor 2.
        os.write(2, traceback.format_exc().encode())
        os._exit(1)
    # Not sys.exit: atexit hooks, and threads that a task left behind, could keep us here.
    os._exit(0)


def spawned(ends: tuple[int, int, int, int], kernel: int) -> None:
    """Be a worker in an interpreter that the kernel itself has started."""
    die_with_parent(kernel)
    work(Ends(*ends))


def _settle_in(ends: Ends) -> None:
    os.dup2(ends.stdout, 1)
    os.dup2(ends.stderr, 2)
    os.close(ends.stdout)
    os.close(ends.stderr)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    with contextlib.suppress(OSError, ValueError):
        # A descriptor for each segment that it holds, and mappings of Python 3.12 have another.
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, _MOST_DESCRIPTORS), most))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(_OOM_SCORE)
    # What the notebook's code looks up in __main__ must not be ours.
    sys.modules["__main__"] = types.ModuleType("__main__")


class Worker:
    """One worker process.

    Parameters
    ----------
    line : Line
        Leads to the kernel's supervisor.
    words : Words
        The page shared with it.
    """

    def __init__(self, line: Line, words: Words) -> None:
        self._line = line
        self._words = words
        self.limit = MemoryLimit()
        self._interrupt = Interrupt(words)
        self._sending = threading.Lock()
        self._left: Left | None = None
        self._leaves = True
        self._preload: deque[str] = deque()
        self._readable = select.poll()
        self._readable.register(line.fileno(), select.POLLIN)
        self.stock = Stock(self.limit.allow_more)
        self.capture = Capture(words, lambda text: self._send(Output(text)))

    # The loop

    def serve(self) -> None:
        """Do what the kernel says until it says stop; EOFError when it is gone."""
        self._interrupt.install()
        self._interrupt.watch_finalisers()
        while True:
            message, descriptors = self._next()
            match message:
                case Run():
                    self._run(message)
                    if self._interrupt.has_struck_an_import:
                        return  # modules are left half made; the kernel hires another worker
                case Hold():
                    self.stock.hold(message, descriptors)
                case HoldParcel():
                    self.stock.hold_parcel(message)
                case Drop():
                    self.stock.drop(message)
                case Taken():
                    self._left = None
                case SendAgain():
                    self._send_again(message.task)
                case Preload():
                    self._preload.extend(message.modules)
                case Setup():
                    self._set_up(message)
                case Stop():
                    return

    def _next(self) -> Incoming:
        """Wait for the next message; import ahead in the meantime."""
        incoming = self._line.buffered()
        # No code of others runs while a result is in place: it might change it.
        may_import = incoming is None and self._left is None and bool(self._preload)
        if may_import and not self._readable.poll(_IDLE_MILLISECONDS):
            self._import_ahead()
        return incoming or self._line.receive()

    def _import_ahead(self) -> None:
        """Import what the notebook has imported, until there is something to do."""
        if not self.limit.is_set:  # what is kept counts
            keep_freed_memory()
        self.capture.is_live = False  # nobody asked for what an import ahead prints
        while self._preload and not self._readable.poll(0):
            _import_ahead(self._preload.popleft())
            self.capture.take()

    # Tasks

    def _run(self, message: Run) -> None:
        is_failure = False
        self.capture.start()
        self._words[Word.MARK] = 0
        try:
            pickled = self._call(message)
        except BaseException as error:
            is_failure = True
            pickled = self._pickled_failure(error)
        text = self.capture.take()
        self._interrupt.install()  # the task may have put a handler of its own
        self._finish(message.task, is_failure, pickled, text)

    def _call(self, message: Run) -> Pickled:
        """Load, run, pickle the result: the part that an interrupt may strike."""
        from mpmagic.pool.pickling import pickle_result

        stage = "loading the task"
        try:
            self._interrupt.begin(message.task)
            self._words[Word.BEGUN] = message.task
            self._interrupt.raise_if_early()
            function, args, kwargs = self.stock.load(message.call)
            stage = ""
            value = function(*args, **kwargs)
            del function, args, kwargs
            stage = "pickling the result of the task"
            pickled = pickle_result(value)
            self._interrupt.raise_if_swallowed()
            return pickled
        except BaseException as error:
            self._interrupt.raise_if_swallowed()
            if stage and not isinstance(error, KeyboardInterrupt):
                error.add_note(f"while {stage} in worker process {os.getpid()}")
            raise
        finally:
            self._interrupt.end()

    def _pickled_failure(self, error: BaseException) -> Pickled:
        from mpmagic.pool.failure import pickle_failure

        context.explain_memory(error)
        try:
            return pickle_failure(error)
        finally:
            # The frames hold what the task held: a failed task must not keep its memory.
            error.__traceback__ = None

    def _finish(self, task: int, is_failure: bool, pickled: Pickled, text: Text) -> None:
        # After a failure the worker may leave, and its memory with it.
        self._left = leave(pickled) if self._leaves and not is_failure else None
        if self._left is None:
            self._ship(task, is_failure, pickled, text)
            return
        dropped = self.stock.take_thrown_away()
        self._send(Done(task, is_failure, self._left.pack, text, dropped, self._left.seal))

    def _send_again(self, task: int) -> None:
        """Send, in segments, what the kernel couldn't read in place; so from now on."""
        left, self._left, self._leaves = self._left, None, False
        assert left is not None
        self._ship(task, False, left.pickled, ())

    def _ship(self, task: int, is_failure: bool, pickled: Pickled, text: Text) -> None:
        try:
            pack, segments = pack_freight(pickled)
        except (OSError, MemoryError) as error:  # no shared memory left for the result
            is_failure = True
            pack, segments = pack_freight(self._pickled_failure(error))
        dropped = self.stock.take_thrown_away()
        done = Done(task, is_failure, pack, text, dropped)
        self._send(done, segments)

    def step_aside(self) -> None:
        """Be no worker in a process that a task has forked: it must not speak for it."""
        context.set_worker(None)
        self.capture.step_aside()
        self._line.close()

    def report(self, value: Any) -> None:
        from mpmagic.pool.pickling import pickle_result

        task = self._interrupt.task
        if task == NO_TASK:
            raise RuntimeError("mpmagic.pool.report() works while a task runs")
        pack, segments = pack_freight(pickle_result(value))
        self._send(Report(task, pack), segments)

    def start_clock(self) -> None:
        self._send(Clock(self._interrupt.task))

    @property
    def was_interrupted(self) -> bool:
        """Whether the kernel's interrupt has struck the task that runs, or ran last."""
        return self._interrupt.has_struck

    def mark(self, number: int) -> None:
        self._words[Word.MARK] = number + 1

    def _send(self, message: Message, segments: Sequence[Segment] = ()) -> None:
        descriptors = [fd for segment in segments for fd in segment.descriptors]
        # An interrupt in the middle would leave half a frame, and the kernel would take the next
        # message for its other half. The lock: a task's own threads may print and report too.
        with self._interrupt.held_off(), self._sending:
            self._line.send(message, descriptors)

    # Setting up

    def _set_up(self, message: Setup) -> None:
        import multiprocessing.process

        message.surroundings.apply()
        # Lets tasks use proxies of the notebook's multiprocessing managers.
        multiprocessing.process.current_process().authkey = message.authkey
        self.limit.set(message.memory_limit)
        error = self._initialise(message.initializer)
        text = self.capture.take()
        if text:
            self._send(Output(text))
        self._send(Ready(os.getpid(), error))

    def _initialise(self, initializer: Pack | None) -> Pack | None:
        """Run the initialiser; give what it raised."""
        if initializer is None:
            return None
        from mpmagic.pool.failure import pickle_failure

        try:
            function, args, kwargs = self.stock.load(initializer)
            function(*args, **kwargs)
        except BaseException as error:
            pickled = pickle_failure(error)
            return pack_freight(pickled._replace(buffers=()))[0]
        return None


def _import_ahead(name: str) -> None:
    if name in sys.modules:
        return
    try:
        importlib.import_module(name)
    except Exception as error:  # the task that needs it will raise it where it can be seen
        logging.getLogger(__name__).debug("import ahead of %s failed: %r", name, error)
    gc.collect(0)
