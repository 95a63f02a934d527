"""`python -m mpmagic.count`: output, exit status, a real SIGINT."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "mpmagic.count"]


def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


def test_table_and_status(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n2\n")
    done = call(tmp_path / "a", tmp_path / "gone")
    assert done.returncode == 1
    assert f"{tmp_path / 'gone'}  (no such file)" in done.stdout
    assert call(tmp_path / "a").returncode == 0


def test_wrong_usage(tmp_path: Path) -> None:
    done = call("--nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: python -m mpmagic.count" in done.stderr
    assert call().returncode == 2
    assert "usage:" in call("--help").stdout


def test_standard_input_and_a_reader_that_leaves(tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, "-"], input="1\n2\n", capture_output=True, text=True)
    assert done.returncode == 0
    assert "2   4 B  <stdin>" in done.stdout
    names = [str(tmp_path / f"{'x' * 200}{number}") for number in range(60)]
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as gone:
        (tmp_path / "a").write_text("1\n")
        done = subprocess.run(
            [*COMMAND, str(tmp_path / "a"), *names], stdout=gone, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (1, "")


def test_nothing_counted(tmp_path: Path) -> None:
    done = call(tmp_path / "gone")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert str(tmp_path / "gone") in done.stderr


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff\xfe"
    with open(name, "wb") as file:
        file.write(b"1\n")
    assert call(os.fsdecode(name)).returncode == 0


def test_an_interrupt_shows_what_was_counted(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Held open at both ends by us: neither side's opening waits, and no end of file comes.
    ours = os.open(pipe, os.O_RDWR)
    try:
        with subprocess.Popen([*COMMAND, str(pipe)], stdout=subprocess.PIPE, text=True) as child:
            os.write(ours, b"x\n" * (60 << 10))
            # More than a pipe holds: written through only when the child has begun to read.
            os.write(ours, b"x\n" * (60 << 10))
            child.send_signal(signal.SIGINT)
            out, _ = child.communicate(timeout=60)
    finally:
        os.close(ours)
    assert child.returncode == 130
    assert "partial: interrupted before its end" in out


def test_importing_is_cheap() -> None:
    """Neither numpy nor anything that counts comes with the package or the magic's module."""
    code = "import sys, mpmagic.count.magic; print('numpy' in sys.modules, 'tqdm' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "False"]
