"""The kernel in C against `bytes.count`, and what its compilation leaves where it can't be made."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpmagic import count_lines
from mpmagic.count import native
from mpmagic.count.native import ByteCounter, byte_counter
from mpmagic.count.newlines import NativeBlock, new_block

ROOT = Path(__file__).parents[2]
compiled = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler here")


@pytest.fixture
def count() -> ByteCounter:
    """The kernel, which an installation from a checkout compiles."""
    found = byte_counter()
    assert found is not None, "install mpmagic again: its kernel hasn't been compiled"
    return found


@compiled
@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 255 * 256 - 1, 255 * 256, 255 * 256 + 1])
@pytest.mark.parametrize("period", [1, 2, 255, 256])
def test_sizes_around_the_lanes(count: ByteCounter, size: int, period: int) -> None:
    data = bytes(10 if i % period == 0 else 11 for i in range(size))
    assert count(data, size, 10) == data.count(b"\n")


@compiled
@settings(deadline=None)
@given(data=st.binary(max_size=2000), value=st.integers(0, 255), offset=st.integers(0, 9))
def test_any_bytes(data: bytes, value: int, offset: int) -> None:
    count = byte_counter()
    assert count is not None
    memory = bytearray(data * 100)[offset:]
    held = (ctypes.c_char * len(memory)).from_buffer(memory)
    assert count(held, len(memory), value) == memory.count(value)


@pytest.fixture
def block() -> NativeBlock:
    found = new_block(1 << 30)
    assert isinstance(found, NativeBlock)
    return found


@compiled
@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 640, 1000])
@pytest.mark.parametrize("start", [0, 1, 64, 700])
def test_steps_of_a_file(block: NativeBlock, tmp_path: Path, size: int, start: int) -> None:
    data = bytes(10 if i % 7 < 3 else 97 for i in range(size))
    file = tmp_path / "file"
    file.write_bytes(data)
    descriptor = os.open(file, os.O_RDONLY)
    found = block.newlines_in_file(descriptor, (start, start + 960), 64)
    os.close(descriptor)
    there = data[start : start + 960]
    assert found.newlines == [there[at : at + 64].count(b"\n") for at in range(0, 960, 64)]
    assert (found.size, found.last) == (len(there), there[-1] if there else 0)


@compiled
def test_a_file_that_cannot_be_read_gives_nothing(block: NativeBlock, tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)  # a folder
    assert block.newlines_in_file(descriptor, (0, 128), 64) == ([0, 0], 0, 0)
    os.close(descriptor)


@compiled
@pytest.mark.parametrize("end", ["", "no newline"])
@pytest.mark.parametrize("around", [-1, 0, 1])
def test_a_file_around_a_stretch(tmp_path: Path, end: str, around: int) -> None:
    file = tmp_path / "file"
    file.write_bytes((b"0123456\n" * (9 << 20))[: (64 << 20) + around - len(end)] + end.encode())
    count = count_lines(file, threads=1)
    content = file.read_bytes()
    open_end = not content.endswith(b"\n")
    assert (count.newlines, int(count)) == (content.count(b"\n"), content.count(b"\n") + open_end)


@compiled
def test_a_library_of_an_older_version_is_left_alone(
    hook: ModuleType, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (tree / hook.SOURCE).read_text()
    (tree / hook.SOURCE).write_text(source.replace("mpmagic_count_file", "another"))
    assert hook._compile(tree) == ""
    monkeypatch.setattr(native, "__file__", str(tree / hook.SOURCE.with_name("native.py")))
    assert native._library.__wrapped__() is None


@pytest.fixture
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(hook: ModuleType, tmp_path: Path) -> Path:
    """A checkout that holds the source alone."""
    (tmp_path / hook.SOURCE).parent.mkdir(parents=True)
    shutil.copy(ROOT / hook.SOURCE, tmp_path / hook.SOURCE)
    return tmp_path


def left(tree: Path, hook: ModuleType) -> list[str]:
    return sorted(path.name for path in (tree / hook.SOURCE).parent.iterdir())


def test_without_a_compiler_nothing_is_made(
    hook: ModuleType, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    assert "no-such-compiler" in hook._compile(tree)
    assert left(tree, hook) == [hook.SOURCE.name]


@compiled
def test_an_older_kernel_is_replaced(hook: ModuleType, tree: Path) -> None:
    (tree / hook.TARGET).write_bytes(b"of an older source")
    assert hook._compile(tree) == ""
    assert ctypes.CDLL(str(tree / hook.TARGET)).mpmagic_count_byte(b"\n\n", 2, 10) == 2
    assert left(tree, hook) == sorted([hook.SOURCE.name, hook.TARGET.name])


@compiled
def test_a_compiler_without_clones(
    hook: ModuleType, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = tree / "plain-cc"
    plain.write_text('#!/bin/sh\ncase "$*" in *-DCLONES*) exit 1 ;; esac\nexec cc "$@"\n')
    plain.chmod(0o755)
    monkeypatch.setenv("CC", str(plain))
    assert hook._compile(tree) == ""
    assert ctypes.CDLL(str(tree / hook.TARGET)).mpmagic_count_byte(b"\na\n", 3, 10) == 2


@compiled
def test_a_source_that_does_not_compile(hook: ModuleType, tree: Path) -> None:
    (tree / hook.SOURCE).write_text("int broken(")
    assert "error" in hook._compile(tree)
    assert left(tree, hook) == [hook.SOURCE.name]
