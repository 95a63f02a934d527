"""Segments of shared memory and the channel that carries their descriptors."""

from __future__ import annotations

import socket
import threading
import weakref

import numpy as np
import pytest

from mpmagic.pool.books import Books
from mpmagic.pool.channel import Channel, Line
from mpmagic.pool.depot import Cargo, Depot
from mpmagic.pool.message import Drop, Hold, Output, Stop
from mpmagic.pool.parcel import Parcel
from mpmagic.pool.segment import Segment, read_copy
from tests.pool.segments import holds


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
                    read_copy(segment.descriptors[0], 0, 8)
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
    assert all(offset % 64 == 0 for offset in segment.layout.offsets)
    assert holds(segment, buffers)


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
    channel.send(Hold(b"key", 1, 1), (987654,))  # no such descriptor
    channel.send(Stop())
    with pytest.raises(EOFError):
        line.receive()
    channel.close()
    line.close()


def test_each_worker_keeps_its_share_when_there_are_many_segments() -> None:
    """What one holds doesn't make the other let go of what it has just got."""
    depot = Depot()
    hoarder, other = (Books(1 << 40, lambda: depot.most_held(2)) for _ in range(2))
    for i in range(120):
        list(hoarder.ship(_cargo(depot, i)))
    kept = _cargo(depot, -1)
    assert [type(s.message) for s in other.ship(kept)] == [Hold]
    for i in range(3):
        list(other.ship(_cargo(depot, 1000 + i)))
        assert list(other.ship(kept)) == []


def test_old_parcels_go_whatever_their_size() -> None:
    """Ten thousand cells send small ones, and each would stay in the worker and the kernel."""
    depot = Depot()
    books = Books(1 << 40, lambda: depot.most_held(1))
    dropped = 0
    for i in range(1000):
        cargo = depot.pack_call((Parcel(b"%d" % i, i),))
        messages = [s.message for s in books.ship(cargo)]
        dropped += sum(len(m.parcels) for m in messages if isinstance(m, Drop))
    assert dropped > 900


def test_parcels_count_with_the_segments_that_they_keep_open() -> None:
    depot = Depot()
    books = Books(1 << 40, lambda: depot.most_held(1))
    for i in range(30):
        arrays = [np.full(1 << 19, 10 * i + j) for j in range(10)]  # 4 MB each: a segment
        list(books.ship(depot.pack_call((Parcel(b"%d" % i, arrays),))))
    assert depot.most_held(1) > 100  # not crowded any more


def _cargo(depot: Depot, number: int) -> Cargo:
    return depot.pack_call((bytearray(number.to_bytes(8, "little", signed=True) * 50_000),))
