"""What tasks write arrives, all of it, once, in order."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import mpmagic.pool
from mpmagic.errors import WorkerDied
from mpmagic.pool import Pool, capture, lookout
from tests.pool import tasks


def _talk(n: int) -> None:
    for i in range(n):
        print("out", i)
        os.write(1, b"fd %d\n" % i)
        print("err", i, file=sys.stderr)
        os.write(2, b"fd2 %d\n" % i)
        subprocess.run(["echo", f"child {i}"], check=True)


def test_each_streams_text_is_in_order(
    new_pool: Callable[..., Pool], capsys: pytest.CaptureFixture[str]
) -> None:
    pool = new_pool(1)
    pool.submit(_talk, 5).result(30)
    pool.shutdown()
    out, err = capsys.readouterr()
    assert out == "".join(f"out {i}\nfd {i}\nchild {i}\n" for i in range(5))
    assert err == "".join(f"err {i}\nfd2 {i}\n" for i in range(5))


def _drain_halfway() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    assert mpmagic.pool.drain_output() == []
    print("one")
    sys.stderr.write("two\n")
    os.write(1, b"three\n")
    print("four ü")
    first = mpmagic.pool.drain_output()
    print("five", end="")
    second = mpmagic.pool.drain_output()
    print("six")
    return first, second


def test_a_task_can_take_its_own_text(
    new_pool: Callable[..., Pool], capsys: pytest.CaptureFixture[str]
) -> None:
    pool = new_pool(1)
    first, second = pool.submit(_drain_halfway).result(30)
    assert first == [("stdout", "one\n"), ("stderr", "two\n"), ("stdout", "three\nfour ü\n")]
    assert second == [("stdout", "five")]
    pool.shutdown()
    assert capsys.readouterr().out == "six\n"


def test_text_of_a_died_worker_is_shown(
    new_pool: Callable[..., Pool], capfd: pytest.CaptureFixture[str]
) -> None:
    def speak_and_die() -> None:
        print("printed")
        os.write(1, b"written\n")
        tasks.kill_self()

    pool = new_pool(1)
    assert isinstance(pool.submit(speak_and_die).exception(30), WorkerDied)
    pool.shutdown()
    assert "written" in capfd.readouterr().out


def test_a_flood_arrives_whole(
    new_pool: Callable[..., Pool], capsys: pytest.CaptureFixture[str]
) -> None:
    def flood(lines: int) -> None:
        for i in range(lines):
            print(i)
        os.write(1, b"x" * 3_000_000)

    pool = new_pool(1)
    pool.submit(flood, 50_000).result(60)
    pool.shutdown()
    assert capsys.readouterr().out == "".join(f"{i}\n" for i in range(50_000)) + "x" * 3_000_000


def test_the_streams_are_what_libraries_expect(pool: Pool) -> None:
    def look() -> list[Any]:
        out = sys.stdout
        out.flush()
        print("through the buffer", file=sys.__stdout__)
        out.buffer.write(b"bytes\n")
        out.reconfigure(line_buffering=True)  # type: ignore[attr-defined]
        return [out.encoding, out.isatty(), out.fileno(), sys.stdin.read(), out.writable()]

    assert pool.submit(look).result(30) == ["utf-8", False, 1, "", True]


def test_processes_that_a_task_forks_print_too(
    new_pool: Callable[..., Pool], capsys: pytest.CaptureFixture[str]
) -> None:
    """They have copies of the worker's streams and socket, and must not use those."""

    def fork(count: int) -> bool:
        print("before")
        for i in range(count):
            pid = os.fork()
            if pid == 0:
                for n in range(100):
                    print(f"child {i} {n}")
                mute = not mpmagic.pool.in_worker()
                os._exit(0 if mute else 1)
            assert os.waitpid(pid, 0)[1] == 0
        print("after")
        return True

    pool = new_pool(1)
    assert pool.submit(fork, 3).result(30)
    pool.shutdown()
    children = "".join(f"child {i} {n}\n" for i in range(3) for n in range(100))
    assert capsys.readouterr().out == f"before\n{children}after\n"


@pytest.mark.parametrize("text", [b"", b"something\n"])
def test_a_worker_that_is_killed_while_it_begins_has_said_nothing_else(
    monkeypatch: pytest.MonkeyPatch, text: bytes
) -> None:
    """Its file is 16 MB long for a moment."""

    def die(*_: Any, **__: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(mmap, "mmap", die)
    fd = capture.new_output_file()
    os.write(fd, text)
    if (child := os.fork()) == 0:
        lookout.Lookout(fd)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert os.lseek(fd, 0, os.SEEK_END) == lookout.WINDOW_BYTES
    assert capture.last_text(fd, 0) == text.decode()
    os.close(fd)
