"""`%mpcount` in a shell: the value of a cell, usage, interrupts."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import no_var_expand
from IPython.utils.capture import capture_output

from mpmagic.count import CountInterrupted, Counts, Status, count_lines, counter, engine
from mpmagic.count.magic import mpcount
from mpmagic.count.progress import NotebookProgress, Progress, TerminalProgress
from mpmagic.count.scan import Watch, scan


@pytest.fixture(scope="module")
def shell() -> Iterator[InteractiveShell]:
    made = InteractiveShell()
    made.colors = "nocolor"

    def magic(line: str) -> Counts | None:
        return mpcount(line, made)

    made.register_magic_function(magic, "line", "mpcount")
    yield made
    made.history_manager.end_session()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "a.txt").write_text("1\n2\n3")
    (tmp_path / "with space.txt").write_text("1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(shell: InteractiveShell, cell: str) -> tuple[Any, str, str]:
    with capture_output(display=True) as output:
        result = shell.run_cell(cell)
    return result, output.stdout, output.stderr


def test_the_table_is_the_value_of_the_cell(shell: InteractiveShell, folder: Path) -> None:
    result, out, _ = run(shell, "%mpcount *.txt")
    assert result.result == 4
    assert out.splitlines()[-4:] == [
        "lines  size  file",
        "    3   5 B  a.txt",
        "    1   2 B  with space.txt",
        "    4   7 B  total",
    ]


def test_an_assignment_stays_silent(shell: InteractiveShell, folder: Path) -> None:
    result, out, err = run(shell, "n = %mpcount 'with space.txt'")
    assert (result.success, out, err) == (True, "", "")
    assert shell.user_ns["n"] == 1


def test_names_of_the_notebook(shell: InteractiveShell, folder: Path) -> None:
    shell.user_ns["log"] = "a.txt"
    assert run(shell, "%mpcount $log")[0].result == 3
    assert run(shell, "%mpcount {log.replace('a', '?')}")[0].result == 3


@pytest.fixture
def expanding(shell: InteractiveShell, folder: Path) -> Iterator[InteractiveShell]:
    """A shell whose `%mpcount` looks up names itself, as that of the extension does."""
    former = shell.magics_manager.magics["line"]["mpcount"]

    @no_var_expand
    def magic(line: str) -> Counts | None:
        return mpcount(line, shell, expand=True)

    shell.register_magic_function(magic, "line", "mpcount")
    yield shell
    shell.magics_manager.magics["line"]["mpcount"] = former


@pytest.mark.parametrize("name", ["path", "paths", "name", "names", "value", "shell", "line", "x"])
def test_any_name_of_the_notebook(expanding: InteractiveShell, name: str) -> None:
    expanding.user_ns[name] = "a.txt"
    assert run(expanding, f"%mpcount {{{name}}}")[0].result == 3
    assert run(expanding, f"%mpcount ${name}")[0].result == 3
    assert run(expanding, f"%mpcount {{{name}.upper().lower()}}")[0].result == 3
    expanding.user_ns[name] = ["a.txt", Path("with space.txt")]
    assert run(expanding, f"%mpcount {{{name}}}")[0].result == 4


def test_names_of_a_function(expanding: InteractiveShell) -> None:
    expanding.user_ns["which"] = "nothing"
    for value in ("'a.txt'", "['a.txt']"):
        cell = f"def count(which):\n    n = %mpcount {{which}}\n    return n\ncount({value})"
        assert run(expanding, cell)[0].result == 3


@pytest.mark.parametrize("line", ["--nonsense a.txt", "", "-n 0 a.txt", "'open quote", "-n x a"])
def test_wrong_usage(shell: InteractiveShell, folder: Path, line: str) -> None:
    with pytest.raises(UsageError):
        mpcount(line, shell)
    _, out, err = run(shell, f"%mpcount {line}")
    assert "Traceback" not in out + err
    assert "UsageError" in out + err


def test_usage_names_the_options(shell: InteractiveShell) -> None:
    with pytest.raises(UsageError, match=r"unrecognized arguments: --nonsense\nusage: %mpcount \["):
        mpcount("--nonsense", shell)
    _, out, _ = run(shell, "%mpcount --help")
    assert "usage: %mpcount" in out


def test_a_missing_file_is_an_error_without_our_traceback(
    shell: InteractiveShell, folder: Path
) -> None:
    result, out, err = run(shell, "%mpcount missing.txt")
    assert isinstance(result.error_in_exec, FileNotFoundError)
    assert "missing.txt" in out + err
    assert "mpmagic" not in out + err


def test_small_errors_are_rows(shell: InteractiveShell, folder: Path) -> None:
    _, out, _ = run(shell, "%mpcount missing.txt a.txt")
    assert "-     -  missing.txt  (no such file)" in out
    assert "total  (partial" in out


def test_html_names_colours_of_the_notebook(folder: Path) -> None:
    (folder / "<b>.txt").write_text("1\n")
    page = count_lines("*.txt")._repr_html_()
    assert "var(--jp-" in page
    assert "&lt;b&gt;.txt" in page
    assert "<b>" not in page


def test_a_long_table_is_cut_but_names_every_reason(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:03}" for number in range(200)]
    for path in paths[:-1]:
        path.touch()
    text = count_lines(paths).table()
    assert "… and 159 more files" in text
    assert f"{paths[-1]}  (no such file)" in text


def test_a_result_survives_pickling_and_becomes_a_frame(folder: Path) -> None:
    counts = count_lines(["a.txt", "missing.txt"])
    again = pickle.loads(pickle.dumps(counts))
    assert (again, list(again.items())) == (3, list(counts.items()))
    frame = counts.to_frame()
    assert frame.loc["a.txt", "lines"] == 3
    assert list(frame.status) == ["counted", "failed"]


class _Interrupting(Progress):
    def show(self, done: int) -> None:
        raise KeyboardInterrupt


class _Released(Watch):
    """A watch whose cancelling lets the counting threads go on."""

    gate = threading.Event()

    @property
    def cancelled(self) -> bool:
        return self.gate.is_set()

    @cancelled.setter
    def cancelled(self, value: bool) -> None:
        if value:
            self.gate.set()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hold back every stretch of a file but the first until the count is cancelled."""
    _Released.gate = threading.Event()
    first = threading.Lock()

    def held_scan(*arguments: Any) -> None:
        if not first.acquire(blocking=False):
            assert _Released.gate.wait(60)
        scan(*arguments)

    monkeypatch.setattr(engine, "Watch", _Released)
    monkeypatch.setattr(engine, "_PATIENCE", 0.01)
    monkeypatch.setattr(counter, "scan", held_scan)
    yield


def test_an_interrupt_keeps_what_was_counted(tmp_path: Path, held: None) -> None:
    path, other = tmp_path / "large", tmp_path / "small"
    path.write_bytes(b"a line\n" * (4 << 20))
    other.write_bytes(b"1\n")
    before = threading.enumerate()
    with pytest.raises(KeyboardInterrupt) as caught:
        count_lines([path, other], threads=2, progress=_Interrupting())
    assert isinstance(caught.value, CountInterrupted)
    counts = caught.value.counts
    assert counts.partial
    assert 0 < counts[path].bytes < path.stat().st_size
    assert counts[path].newlines in (counts[path].bytes // 7, counts[path].bytes // 7 + 1)
    assert counts[other].reason == "interrupted before its turn"
    assert threading.enumerate() == before


def test_the_magic_gives_the_partial_result(
    shell: InteractiveShell, tmp_path: Path, held: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"a line\n" * (4 << 20))
    monkeypatch.setattr("mpmagic.count.magic._progress", lambda shell: _Interrupting())
    result, out, err = run(shell, f"%mpcount {path}")
    assert isinstance(result.result, Counts)
    assert result.result[path].status is Status.PARTIAL
    assert "partial" in out
    assert "Interrupted" in err


def test_a_bar_in_the_notebook_is_updated_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[str] = []

    class Handle:
        def update(self, page: Any) -> None:
            pages.append(page.data)

    def display(page: Any, display_id: bool) -> Handle:
        assert display_id
        pages.append(page.data)
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    bar = NotebookProgress(4_000_000)
    bar.show(1_000_000)
    bar.show(2_000_000)
    bar.close()
    assert "1.0 MB of 4.0 MB" in pages[0]
    assert 'value="2000000" max="4000000"' in pages[1]
    assert pages[2:] == [""]


def test_a_bar_in_a_terminal_is_gone_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    bar = TerminalProgress(total=4_000_000)
    bar.show(1_000_000)
    bar.close()
    text = capsys.readouterr().err
    assert "25%" in text
    assert text.endswith("\r")


def test_a_count_that_is_over_at_once_shows_nothing(folder: Path) -> None:
    counts = count_lines("*.txt", progress=_Interrupting())
    assert counts == 4


def test_patterns_keep_their_braces_and_lists_are_several_paths(
    shell: InteractiveShell, folder: Path
) -> None:
    def magic(line: str) -> Counts | None:
        return mpcount(line, shell, expand=True)

    shell.register_magic_function(no_var_expand(magic), "line", "mpexpand")
    (folder / "c.txt").write_text("ab1\nab12\nab123\n")
    shell.user_ns |= {"log": "c.txt", "logs": ["a.txt", Path("c.txt")], "here": Path("c.txt")}
    assert run(shell, r"%mpexpand --match \d{2} $log")[0].result == 2
    assert run(shell, r"%mpexpand --match \d{2}$ {log} a.txt")[0].result == 2
    for line, lines in (("$logs", 6), ("{logs}", 6), ("$here", 3), ("{log[0]}.txt", 3)):
        assert run(shell, f"%mpexpand {line}")[0].result == lines


def test_blanks_and_quotes_in_names(shell: InteractiveShell, folder: Path) -> None:
    for line in (r"with\ space.txt", "'with space.txt'", '"with space.txt"', "with*.txt"):
        assert mpcount(line, shell) == 1


def test_a_wrong_pattern_is_an_error_without_our_traceback(
    shell: InteractiveShell, folder: Path
) -> None:
    result, out, err = run(shell, "%mpcount --match ( a.txt")
    assert isinstance(result.error_in_exec, ValueError)
    assert "not a regular expression" in out + err
    assert "mpmagic" not in out + err
