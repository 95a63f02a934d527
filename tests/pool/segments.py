"""What is in a segment."""

from __future__ import annotations

from mpmagic.pool.segment import Segment, map_striped


def content_of(segment: Segment) -> memoryview:
    """All of it, as a worker maps it."""
    return memoryview(map_striped(segment.descriptors, segment.size, segment.stripe))


def holds(segment: Segment, buffers: list[memoryview]) -> bool:
    """Whether these are in it, each in its place."""
    content = content_of(segment)
    placed = zip(segment.layout.offsets, buffers, strict=True)
    return all(content[offset : offset + len(buffer)] == buffer for offset, buffer in placed)
