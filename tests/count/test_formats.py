"""Compressed files and encodings, known by content; damaged ones named, never miscounted."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpmagic.count import Status, agenda, count_lines, openfile
from mpmagic.count.counter import new_counter
from mpmagic.count.formats import format_of
from mpmagic.count.frames import frames_of
from mpmagic.count.places import Place
from mpmagic.count.query import Query
from mpmagic.count.scan import Watch
from mpmagic.count.wholefile import Setting

TEXT = b"".join(b"line %d of a text that can be compressed\n" % number for number in range(50_000))
LINES = 50_000


def _zstd(data: bytes) -> bytes:
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    compressed: bytes = pytest.importorskip(name).compress(data)
    return compressed


def _lz4(data: bytes) -> bytes:
    compressed: bytes = pytest.importorskip("lz4.frame").compress(data)
    return compressed


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": _zstd,
    "lz4": _lz4,
}
each = pytest.mark.parametrize("name", COMPRESS)


@pytest.fixture(params=["isal", "standard library"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "isal":
        pytest.importorskip("isal")
    else:
        monkeypatch.setitem(sys.modules, "isal.igzip_lib", None)


@each
def test_known_by_content(tmp_path: Path, name: str) -> None:
    path = tmp_path / "misleading.txt"
    path.write_bytes(COMPRESS[name](TEXT + b"end"))
    counts = count_lines(path)
    assert (counts, counts.newlines, counts.bytes) == (LINES + 1, LINES, len(TEXT) + 3)
    assert count_lines(path, raw=True).bytes == path.stat().st_size
    assert count_lines(path, columns=["words"]).total("words") == len(TEXT.split()) + 1


@each
def test_several_members_and_none(tmp_path: Path, name: str) -> None:
    compress = COMPRESS[name]
    several, empty = tmp_path / "several", tmp_path / "empty"
    several.write_bytes(compress(TEXT) + compress(b"") + compress(TEXT))
    empty.write_bytes(compress(b""))
    assert count_lines(several) == 2 * LINES
    assert count_lines([empty, several])[empty].lines == 0


@each
@pytest.mark.parametrize("share", [0.001, 0.3, 0.999])
def test_cut_off(tmp_path: Path, name: str, share: float) -> None:
    whole = COMPRESS[name](TEXT)
    path, good = tmp_path / "cut", tmp_path / "good"
    size = max(12, int(len(whole) * share))
    path.write_bytes(whole[:size])
    good.write_bytes(b"1\n")
    counts = count_lines([path, good])
    record = counts[path]
    assert counts.partial
    assert record.status is Status.PARTIAL
    assert record.lines <= LINES
    assert f"{name} data is" in record.reason
    assert f"of {size:,} bytes" in record.reason
    assert counts[good].lines == 1


@each
def test_damaged(tmp_path: Path, name: str) -> None:
    data = bytearray(COMPRESS[name](TEXT))
    data[len(data) // 2 : len(data) // 2 + 8] = b"\x5a" * 8
    path = tmp_path / "damaged"
    path.write_bytes(data)
    counts = count_lines(path)
    assert counts.partial
    assert f"{name} data is" in counts.errors[str(path)]


def test_gzip_with_either_library(tmp_path: Path, library: None) -> None:
    path = tmp_path / "padded"
    path.write_bytes(gzip.compress(TEXT) + gzip.compress(TEXT) + b"\0" * 700)
    assert count_lines(path) == 2 * LINES
    path.write_bytes(gzip.compress(TEXT)[:-9])
    assert "cut off" in count_lines([path, "/dev/null"]).errors[str(path)]
    path.write_bytes(gzip.compress(TEXT) + b"rubbish")
    assert count_lines([path, "/dev/null"]).partial


def test_large_compressed_files_on_threads(tmp_path: Path) -> None:
    noise = bytes(range(256)) * (12 << 12)
    paths = [tmp_path / f"{number}.xz" for number in range(3)]
    for path in paths:
        path.write_bytes(lzma.compress(noise, filters=[{"id": lzma.FILTER_LZMA2, "preset": 0}]))
    stored = tmp_path / "stored.gz"
    stored.write_bytes(gzip.compress(noise, compresslevel=0))
    assert stored.stat().st_size > 8 << 20
    counts = count_lines([*paths, stored], threads=2)
    assert counts == 4 * (noise.count(b"\n") + 1)


@pytest.mark.parametrize(("name", "module"), [("zstd", "backports.zstd"), ("lz4", "lz4.frame")])
def test_a_missing_library_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str
) -> None:
    marks = {"zstd": b"\x28\xb5\x2f\xfd", "lz4": b"\x04\x22\x4d\x18"}
    (tmp_path / "file").write_bytes(marks[name] + b"0" * 20)
    for missing in (module, "compression.zstd"):
        monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(
        OSError, match=f"{name}-compressed: pip install {module.split('.frame')[0]}"
    ):
        count_lines(tmp_path / "file")


@pytest.mark.parametrize("start", [b"BZh", b"BZh9 is no archive\n", b"PK\n", b"Q*M", b"\x1f\x8b"])
def test_what_only_looks_like_an_archive(tmp_path: Path, start: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(start)
    assert count_lines(path).bytes == len(start)


ENCODINGS = ["utf-16", "utf-16-be", "utf-32", "utf-32-be"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(deadline=None)
@given(text=st.text(st.sampled_from("a\n\r\u0a0a\u010a\U0001f600 "), max_size=40))
def test_encodings_by_their_mark(
    tmp_path_factory: pytest.TempPathFactory, encoding: str, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "encoded"
    mark = "\ufeff" if encoding.endswith("be") else ""
    path.write_bytes((mark + text).encode(encoding))
    counts = count_lines(path, columns=["chars"])
    assert counts == text.count("\n") + (text != "" and not text.endswith("\n"))
    assert counts.bytes == path.stat().st_size
    assert counts.total("chars") == len(text)


def test_a_large_encoded_file(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_text("a line\n" * 700_000, encoding="utf-16")
    assert count_lines(path) == 700_000


@settings(deadline=None)
@given(
    data=st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"ab"]), max_size=12).map(b"".join),
    room=st.integers(2, 5),
)
def test_universal_line_ends(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, room: int
) -> None:
    from mpmagic.count.wholelines import UniversalReader

    path = tmp_path_factory.getbasetemp() / "universal"
    path.write_bytes(data)
    with path.open(newline=None) as lines:
        assert count_lines(path, universal=True) == sum(1 for _ in lines)
    source: Any = path.open("rb", buffering=0)
    view, parts = memoryview(bytearray(room)), []
    with source:
        reader = UniversalReader(source)
        while filled := reader.readinto(view):
            parts.append(bytes(view[:filled]))
    assert b"".join(parts) == data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz", "zstd", "lz4"])
def test_lines_before_the_damage_are_counted(tmp_path: Path, name: str) -> None:
    """All but the last stretch that was decompressed: not just what filled whole buffers."""
    path = tmp_path / "cut"
    noise = b"".join(b"%d %d\n" % (number, number * 7919 % 100_003) for number in range(300_000))
    path.write_bytes(COMPRESS[name](noise)[:-1])
    record = count_lines([path, "/dev/null"])[path]
    assert record.status is Status.PARTIAL
    assert 270_000 < record.lines <= 300_000


@each
def test_padding_behind_the_end_and_rubbish(tmp_path: Path, name: str) -> None:
    padded, dirty = tmp_path / "padded", tmp_path / "dirty"
    padded.write_bytes(COMPRESS[name](TEXT) + b"\0" * 64)
    dirty.write_bytes(COMPRESS[name](TEXT) + b"this is no archive\n")
    counts = count_lines([padded, dirty])
    assert counts[padded].status is Status.COUNTED
    assert counts[padded].lines == counts[dirty].lines == LINES
    assert counts[dirty].status is Status.PARTIAL


def test_old_forms(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_bytes(lzma.compress(TEXT, format=lzma.FORMAT_ALONE))
    assert count_lines(path) == LINES
    packed = pytest.importorskip("lz4.block").compress(TEXT, store_size=False)
    legacy = b"\x02\x21\x4c\x18" + len(packed).to_bytes(4, "little") + packed
    path.write_bytes(legacy + legacy)
    assert count_lines(path) == 2 * LINES
    path.write_bytes(legacy[:-5])
    assert "cut off" in count_lines([path, "/dev/null"]).errors[str(path)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_half_a_character(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "half"
    path.write_bytes("one\ntwo\n".encode(encoding) + b"x")
    record = count_lines([path, "/dev/null"])[path]
    assert (record.lines, record.status) == (2, Status.PARTIAL)


def _xz_blocks(data: bytes) -> bytes:
    command = ["xz", "-0", "-T2", "--block-size=400000"]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


PARTS: dict[str, Callable[[bytes], bytes]] = {"zstd": _zstd, "xz": lzma.compress}
if shutil.which("xz"):
    PARTS["xz blocks"] = _xz_blocks


@pytest.mark.parametrize("name", PARTS)
def test_parts_are_counted_apart(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines that reach from part to part, parts without an end of line, padding between them."""
    monkeypatch.setattr(agenda, "_SMALLEST_FRAMES", 50_000)
    draw = random.Random(name)
    texts = [draw.randbytes(1_200_000).replace(b"\r", b"\n") for _ in range(4)]
    whole = b"".join(texts)
    packed = (b"\0" * 8 * ("xz" in name)).join(PARTS[name](text) for text in texts)
    path = tmp_path / "parts"
    path.write_bytes(packed)
    counts = count_lines(path, threads=2)
    newlines = whole.count(b"\n")
    assert (counts.newlines, counts.bytes) == (newlines, len(whole))
    assert counts == newlines + (not whole.endswith(b"\n"))
    assert counts[path].status is Status.COUNTED
    with path.open("rb") as file:
        found = frames_of(file.fileno(), len(packed), format_of(packed), 50_000)
    assert len(found) >= 4
    for place in (found[2].span[0] + 9_000, len(packed) - 3):
        path.write_bytes(packed[:place] + b"\x5a\xa5\x5a" + packed[place + 3 :])
        damaged = count_lines([path, "/dev/null"], threads=2)[path]
        monkeypatch.setattr(openfile, "frames_of", lambda *_: [])
        assert damaged == count_lines([path, "/dev/null"], threads=2)[path]
        monkeypatch.undo()
        monkeypatch.setattr(agenda, "_SMALLEST_FRAMES", 50_000)


@pytest.mark.parametrize("name", PARTS)
def test_cut_off_anywhere(tmp_path: Path, name: str) -> None:
    packed = PARTS[name](TEXT) * 3
    path = tmp_path / "cut"
    for size in (len(packed) - 1, len(packed) - 5, len(packed) // 3 + 7, 40, 13):
        path.write_bytes(packed[:size])
        with path.open("rb") as file:
            assert not frames_of(file.fileno(), size, format_of(packed), 1)


def test_a_count_that_is_stopped_within_a_part(tmp_path: Path) -> None:
    path = tmp_path / "parts"
    text = random.Random(2).randbytes(2 << 20)
    path.write_bytes(_zstd(text) * 3)
    place = Place(str(path), path.stat().st_size)
    query, watch = Query(), Watch()
    plan = agenda.Agenda([place], query, 1 << 20)
    for _ in range(2):
        unit = plan.take()
        assert unit is not None
        plan.work(unit, Setting(new_counter(query, place.size), watch))
        watch.cancelled = True
    plan.close()
    record = plan.records[str(path)]
    assert record.status is Status.PARTIAL
    assert record.reason.startswith("stopped after")
    assert record.newlines == text.count(b"\n")
