"""Segments of shared memory and the channel that carries their descriptors."""

from __future__ import annotations

import socket
import threading
import weakref

import pytest

from mpmagic.pool.channel import Channel, Line
from mpmagic.pool.message import Hold, Output, Stop
from mpmagic.pool.segment import Segment, read_copy


def test_a_segment_found_by_a_weak_reference_is_open() -> None:
    """One thread lets go of segments while another takes them up again."""
    found: list[weakref.ref[Segment]] = []
    problems: list[str] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            segment = found[-1]() if found else None
            if segment is not None:
                try:
                    read_copy(segment.fileno(), 0, 8)
                except (OSError, EOFError) as error:
                    problems.append(repr(error))

    thread = threading.Thread(target=look)
    thread.start()
    for _ in range(100):
        segment = Segment(b"k", [memoryview(bytes(64))])
        found.append(weakref.ref(segment))
        del segment
    over.set()
    thread.join()
    assert problems == []


def test_buffers_lie_where_the_layout_says() -> None:
    buffers = [memoryview(bytes([i]) * (100 * i)) for i in range(5)]
    segment = Segment(b"k", buffers)
    for offset, buffer in zip(segment.layout.offsets, buffers, strict=True):
        assert offset % 64 == 0
        assert read_copy(segment.fileno(), offset, len(buffer)) == buffer


def test_messages_larger_than_the_socket_arrive_whole() -> None:
    near, far = socket.socketpair()
    channel, line = Channel(near), Line(far)
    text = Output((("stdout", "x" * 5_000_000),))
    channel.send(text)
    channel.send(Stop())
    assert channel.is_congested
    received = []
    reader = threading.Thread(target=lambda: received.extend([line.receive(), line.receive()]))
    reader.start()
    while channel.is_congested:
        channel.flush()
    reader.join()
    assert received == [(text, []), (Stop(), [])]
    channel.close()
    line.close()


def test_half_a_message_is_the_end_of_the_stream() -> None:
    near, far = socket.socketpair()
    channel, line = Channel(near), Line(far)
    sender = threading.Thread(target=_send_half, args=(line,))
    sender.start()
    sender.join()
    with pytest.raises(EOFError):
        while True:
            assert list(channel.receive()) == []
    channel.close()


def _send_half(line: Line) -> None:
    line._socket.send(b"\xff\0\0\0\0\0\0\0\0\0\0\0half")
    line.close()


def test_a_message_that_cannot_be_sent_ends_the_connection() -> None:
    """The next message must not arrive as if nothing were missing."""
    near, far = socket.socketpair()
    channel, line = Channel(near), Line(far)
    channel.send(Hold(b"key", 1), (987654,))  # no such descriptor
    channel.send(Stop())
    with pytest.raises(EOFError):
        line.receive()
    channel.close()
    line.close()
