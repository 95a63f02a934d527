"""Length-framed messages with descriptors over one AF_UNIX stream socket.

A frame is its body's length and number of descriptors, then the body. A peer that is killed in the
middle of a message leaves a frame that is too short: that reads as the end of the stream, never as
a message. No semaphore, no lock and no name is shared with the other side.
"""

from __future__ import annotations

import array
import contextlib
import logging
import os
import pickle
import socket
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from typing import cast

from mpmagic.pool.message import Message

__all__ = ["Channel", "Decoder", "Incoming", "Line"]

_HEADER = struct.Struct("<QI")
_READ_SIZE = 1 << 18
_MOST_DESCRIPTORS = 250  # Linux allows 253 in one message
_ANCILLARY_SPACE = socket.CMSG_SPACE(_MOST_DESCRIPTORS * array.array("i").itemsize)

Incoming = tuple[Message, list[int]]


def _frame(message: Message, descriptors: Sequence[int]) -> bytes:
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _HEADER.pack(len(body), len(descriptors)) + body


def _ancillary(descriptors: Sequence[int]) -> list[tuple[int, int, array.array[int]]]:
    if not descriptors:
        return []
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]


class Decoder:
    """Turns what arrives on a stream back into messages.

    Descriptors arrive in the order in which they were sent, not later than the first byte of
    their frame, so a queue of them is all the bookkeeping there is.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._descriptors: deque[int] = deque()

    def read(self, sock: socket.socket) -> int:
        """Take what is there, count its bytes; raise EOFError at the end of the stream."""
        data, ancillary, flags, _ = sock.recvmsg(_READ_SIZE, _ANCILLARY_SPACE, _CLOSE_ON_EXEC)
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                received = array.array("i")
                received.frombytes(content[: len(content) - len(content) % received.itemsize])
                self._descriptors.extend(received)
        if flags & socket.MSG_CTRUNC:
            # This process has no descriptors left, and those that were on their way are lost:
            # from here on, messages would get others' descriptors.
            raise EOFError
        if not data:
            raise EOFError
        self._bytes += data
        return len(data)

    def messages(self) -> Iterator[Incoming]:
        """Yield the messages that are complete."""
        while (incoming := self.next_message()) is not None:
            yield incoming

    def next_message(self) -> Incoming | None:
        if len(self._bytes) < _HEADER.size:
            return None
        length, count = _HEADER.unpack_from(self._bytes)
        end = _HEADER.size + length
        if len(self._bytes) < end:
            return None
        with memoryview(self._bytes) as view:
            message = cast(Message, pickle.loads(view[_HEADER.size : end]))
        del self._bytes[:end]
        return message, [self._descriptors.popleft() for _ in range(count)]

    def close(self) -> None:
        """Close descriptors that no message will claim."""
        while self._descriptors:
            os.close(self._descriptors.popleft())


_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Channel:
    """The kernel's end: never blocks; what doesn't fit waits here."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._decoder = Decoder()
        self._outbox: deque[tuple[memoryview, Sequence[int], object]] = deque()
        self.received = 0  # bytes

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def is_congested(self) -> bool:
        """Whether messages wait for the other side to read."""
        return bool(self._outbox)

    def send(self, message: Message, descriptors: Sequence[int] = (), owner: object = None) -> None:
        """Put a message in the outbox and push out what fits.

        Parameters
        ----------
        message : Message
            What to say.
        descriptors : sequence of int
            Go along with it.
        owner : object
            Kept alive until the message is out: it owns the descriptors.
        """
        self._outbox.append((memoryview(_frame(message, descriptors)), descriptors, owner))
        if len(self._outbox) == 1:
            self.flush()

    def flush(self) -> None:
        """Push out what fits; that the other side is gone is for the reading side to report."""
        while self._outbox:
            data, descriptors, owner = self._outbox[0]
            try:
                sent = self._socket.sendmsg([data], _ancillary(descriptors))
            except BlockingIOError:
                return
            except ConnectionError:
                self._outbox.clear()
                return
            except OSError as error:
                self._give_up(error)
                return
            if sent == len(data):
                self._outbox.popleft()
            else:
                self._outbox[0] = (data[sent:], (), owner)

    def _give_up(self, error: OSError) -> None:
        """Break the connection: a peer that missed one message must not get the next."""
        logging.getLogger("mpmagic.pool").warning("a message could not be sent: %s", error)
        self._outbox.clear()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def receive(self) -> Iterator[Incoming]:
        """Yield what has arrived; raise EOFError once the other side is gone."""
        try:
            self.received += self._decoder.read(self._socket)
        except BlockingIOError:
            return
        except ConnectionError as error:
            raise EOFError from error
        yield from self._decoder.messages()

    def close(self) -> None:
        self._decoder.close()
        self._outbox.clear()
        self._socket.close()


class Line:
    """The workers' and the fork server's end: blocks until the kernel has read or written."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        self._socket = sock
        self._decoder = Decoder()

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        data = memoryview(_frame(message, descriptors))
        sent = self._socket.sendmsg([data], _ancillary(descriptors))
        if sent < len(data):
            self._socket.sendall(data[sent:])

    def receive(self) -> Incoming:
        """Wait for a message; raise EOFError once the kernel is gone."""
        while (incoming := self._decoder.next_message()) is None:
            try:
                self._decoder.read(self._socket)
            except ConnectionError as error:
                raise EOFError from error
        return incoming

    def buffered(self) -> Incoming | None:
        """Give a message that has been read already, if there is one."""
        return self._decoder.next_message()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()
