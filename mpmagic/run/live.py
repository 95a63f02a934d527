"""Text of a chunk that still runs, on its way to the kernel.

The log says all that a chunk wrote, each piece in its place among the commits. What was written
before the chunk's first commit may be shown earlier, if no older chunk is left: nothing that the
kernel has yet to do comes before it but what has run ahead, which is silent. The kernel counts the
characters that it has shown, and leaves out as many when it replays the log.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from time import monotonic, sleep
from typing import Any, Final

from mpmagic.cell.vocabulary import START
from mpmagic.pool import in_worker, report
from mpmagic.run.log import FILTERED, SHOWN, TEXT
from mpmagic.run.tape import catch_up, play

__all__ = ["Announcer", "Early"]

_PAUSE_SECONDS: Final = 0.1
_IDLE_LOOKS: Final = 20
_MOST_CHARACTERS: Final = 1 << 20

Piece = tuple[int, tuple[Any, ...]]


class Announcer:
    """The worker's half: tells what a chunk has written, at most ten times a second.

    Parameters
    ----------
    events
        The log's events, as they are being written.
    silent
        Sites of commits that write nothing, which text may overtake.
    """

    def __init__(self, events: list[tuple[Any, ...]], silent: frozenset[int] = frozenset()) -> None:
        self._events, self._silent = events, silent
        self._event = self._piece = self._length = 0
        self._index = -1
        self._is_over = self._is_stopped = False
        self._began = monotonic()
        self._telling = threading.Lock()
        if in_worker():
            _clerk.look_at(self)

    def stop(self) -> None:
        """Tell no more: the log follows, and after it another task."""
        self._is_stopped = True
        try:
            self._wait_for_report()
        except KeyboardInterrupt:  # it strikes a task once at most
            self._wait_for_report()
            raise

    def _wait_for_report(self) -> None:
        _clerk.look_at(None)
        with self._telling:
            pass

    def tell(self) -> None:
        """Tell what there is to tell, from another thread."""
        with self._telling:
            young = monotonic() - self._began < _PAUSE_SECONDS
            if young or self._is_over or self._is_stopped:
                return
            catch_up(self._events)
            pieces = self._unsaid()
            if pieces:
                report(pieces)

    def _unsaid(self) -> list[Piece]:
        """The text since the last time, with the iterations that wrote it."""
        found: list[Piece] = []
        while self._event < len(self._events):
            event = self._events[self._event]
            if event[0] == TEXT:
                found += self._pieces_of(event)
                if self._event == len(self._events) - 1:
                    break  # it may still grow
            elif event[0] == SHOWN:
                found.append((self._index, event))
            elif event[0] == START:
                self._index += 1
            elif event[0] != FILTERED and event[0] not in self._silent:  # what nobody sees
                self._is_over = True
                break
            self._event, self._piece = self._event + 1, 0
        self._is_over |= self._length > _MOST_CHARACTERS
        return found

    def _pieces_of(self, event: tuple[Any, ...]) -> list[Piece]:
        _, stream, pieces = event
        text = "".join(pieces[self._piece :])
        self._piece = len(pieces)
        self._length += len(text)
        return [(self._index, (TEXT, stream, [text]))] if text else []


class _Clerk:
    """The thread that has the present chunk tell.

    Text of C code and child processes is found by looking only. It looks on for a while when there
    is no chunk, for to start a thread takes longer than the work of many a chunk.
    """

    def __init__(self) -> None:
        self._chunk: Announcer | None = None
        self._is_there = False

    def look_at(self, chunk: Announcer | None) -> None:
        """Have it look at another chunk, or at none."""
        self._chunk = chunk
        if chunk is not None and not self._is_there:
            threading.Thread(target=self._look_on, name="mpmagic-tell", daemon=True).start()
            self._is_there = True

    def _look_on(self) -> None:
        while True:
            try:
                self._look_while_busy()
            finally:
                self._is_there = False
            if self._chunk is None:
                return
            self._is_there = True  # it was handed one in this very moment

    def _look_while_busy(self) -> None:
        idle = 0
        while idle < _IDLE_LOOKS:
            sleep(_PAUSE_SECONDS)
            chunk = self._chunk
            idle = idle + 1 if chunk is None else 0
            if chunk is not None:
                with suppress(RuntimeError):  # in a process that the work has forked
                    chunk.tell()


_clerk: Final = _Clerk()


class Early:
    """The kernel's half: what has come of a chunk before its log, and what of it is shown."""

    def __init__(self) -> None:
        self.arrived: deque[list[Piece]] = deque()
        self._begun = -1
        self._shown = self._displays = 0

    def show(self, preludes: dict[int, list[tuple[Any, ...]]]) -> None:
        """Show what has come; for the oldest chunk only.

        Parameters
        ----------
        preludes
            What the iterable wrote before each of the chunk's iterations.
        """
        while self.arrived:
            for index, event in self.arrived.popleft():
                while self._begun < index:
                    self._begun += 1
                    play(preludes.get(self._begun, ()))
                play([event])
                if event[0] == TEXT:
                    self._shown += len(event[2][0])
                else:
                    self._displays += 1

    def has_begun(self, index: int) -> bool:
        """Whether what precedes that iteration has been shown."""
        return index <= self._begun

    def rest(self, event: tuple[Any, ...]) -> tuple[Any, ...]:
        """What is left to show of the next event of text, or of a display."""
        if event[0] == SHOWN:
            seen, self._displays = bool(self._displays), max(self._displays - 1, 0)
            return (TEXT, "stdout", []) if seen else event
        code, stream, pieces = event
        if not self._shown:
            return event
        text = "".join(pieces)
        skipped = min(self._shown, len(text))
        self._shown -= skipped
        return code, stream, [text[skipped:]]
