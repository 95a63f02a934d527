"""What a file is, told by its first bytes and never by its name."""

from __future__ import annotations

import enum

__all__ = ["HEAD", "Format", "format_of"]

HEAD = 13


class Format(enum.Enum):
    """How the bytes of a file become the bytes of its lines."""

    PLAIN = "plain"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    LZMA = "lzma"
    ZSTD = "zstd"
    LZ4 = "lz4"
    LZ4_LEGACY = "lz4 (legacy)"
    UTF_16_LE = "utf-16-le"
    UTF_16_BE = "utf-16-be"
    UTF_32_LE = "utf-32-le"
    UTF_32_BE = "utf-32-be"

    @property
    def encoded(self) -> bool:
        """Whether it is text of two or four bytes a character."""
        return self.value.startswith("utf")


# UTF-32 before UTF-16, whose mark its own begins with.
_MARKS = (
    (b"\x1f\x8b\x08", Format.GZIP),
    (b"\xfd7zXZ\0", Format.XZ),
    (b"\x28\xb5\x2f\xfd", Format.ZSTD),
    (b"\x04\x22\x4d\x18", Format.LZ4),
    (b"\x02\x21\x4c\x18", Format.LZ4_LEGACY),
    (b"\xff\xfe\0\0", Format.UTF_32_LE),
    (b"\0\0\xfe\xff", Format.UTF_32_BE),
    (b"\xff\xfe", Format.UTF_16_LE),
    (b"\xfe\xff", Format.UTF_16_BE),
)
_FIRST_BYTES = frozenset(mark[0] for mark, _ in _MARKS) | {ord("B")} | set(range(0x50, 0x60))
_LZMA = b"\x5d\0\0"  # what every .lzma begins with that the tools write; a size follows
# A block of bzip2, or its end where there is none: three letters alone could begin a text.
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")


def format_of(head: bytes | memoryview) -> Format:
    """Tell the format from the first `HEAD` bytes of a file, or from all if it has fewer."""
    if not head or head[0] not in _FIRST_BYTES:
        return Format.PLAIN
    head = bytes(head[:HEAD])
    for mark, format_ in _MARKS:
        if head.startswith(mark):
            return format_
    if head.startswith(b"BZh") and head[4:10] in _BZIP2_BLOCKS:
        return Format.BZIP2
    if head.startswith(_LZMA) and len(head) == HEAD and (head[5:] == b"\xff" * 8 or not head[10]):
        return Format.LZMA
    if head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50:  # a frame to be skipped
        return Format.ZSTD
    return Format.PLAIN
