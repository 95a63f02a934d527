"""One IPython shell that is a fresh notebook for each cell, and what a cell leaves in it.

Making a shell takes a second and resetting one a tenth; swapping the namespace takes
microseconds, so that a property test can run thousands of cells a minute.
"""

from __future__ import annotations

import contextlib
import io
import linecache
import os
import random
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from tests.deep import Drained, is_iterator
from tests.librarystate import library_state, put_back

BACKGROUND = "the_cell_in_the_background"
"""A cell that is begun under this name with ``--bg`` is committed at once."""

HISTORY = re.compile(
    r"_i+|_i\d+|_ih|In|_oh|_dh|Out|__warningregistry__"
    r"|__annotations__|__annotate__|__conditional_annotations__"
)


IMMUTABLE = (int, float, complex, str, bytes, tuple, frozenset, range, type(None), type)
"""Types whose objects nobody can tell from equal ones by changing them."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the user sees: text on a stream, a display, a traceback."""

    channel: str
    content: Any


@dataclass(slots=True)
class Outcome:
    """What a cell left behind and showed."""

    names: dict[str, Any] = field(default_factory=dict)
    outputs: dict[int, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    error: BaseException | None = None
    lines: list[tuple[int, int]] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    owned: dict[int, tuple[str, Any]] = field(default_factory=dict)
    report: Any = None
    number: int = 1

    def text(self, channel: str) -> str:
        """All text of a stream, joined."""
        return "".join(str(e.content) for e in self.events if e.channel == channel)


class Recorder(io.TextIOBase):
    """A stream that notes what is written to it, in order with the other streams."""

    encoding = "utf-8"

    def __init__(self, channel: str, events: list[Event]) -> None:
        self._channel, self._events = channel, events

    def write(self, text: str) -> int:
        if self._events and self._events[-1].channel == self._channel:
            text, joined = self._events.pop().content + text, len(text)
            self._events.append(Event(self._channel, text))
            return joined
        if text:
            self._events.append(Event(self._channel, text))
        return len(text)


class Notebook:
    """A shell with the extension loaded, whose notebook is emptied before each run."""

    def __init__(self, extension: str = "mpmagic") -> None:
        config = Config()
        config.HistoryManager.enabled = False
        config.HistoryManager.hist_file = ":memory:"
        self._main = sys.modules.get("__main__")
        self.shell = InteractiveShell.instance(config=config)
        self.shell.colors = "nocolor"
        self.shell.run_line_magic("load_ext", extension)
        # By its name others may be found later: ipyparallel's magics are called the same.
        self._magics = self.shell.magics_manager.registry["ParallelMagics"]
        self._magics.sends_all = True  # the same cell runs again and again
        self._empty = self._baseline = dict(self.shell.user_ns)
        self._hidden = dict(self.shell.user_ns_hidden)
        self._events: list[Event] = []
        self._home = Path.cwd()
        self._desk = Path(tempfile.mkdtemp(prefix="mpmagic-cells-")).resolve()
        self._environment = dict(os.environ)
        self._libraries = library_state()
        self._path = list(sys.path)
        self._listen()

    @property
    def magics(self) -> Any:
        """The extension's own object, on which tests set the engine."""
        return self._magics

    def inline(self) -> None:
        """Run the work in this process, on copies: thousands of cells a minute."""
        from mpmagic.run.inline import InlineEngine

        self.magics.engine = InlineEngine()

    def on_pool(self) -> None:
        """Run the work on mpmagic's own pool."""
        self.magics.engine = None

    def keep(self, values: dict[str, Any]) -> None:
        """Have these names in each notebook from now on, which comparisons leave out."""
        self._baseline = {**self._empty, **values}

    def close(self) -> None:
        """Give back the process's ``__main__`` and the working directory."""
        os.chdir(self._home)
        shutil.rmtree(self._desk, ignore_errors=True)
        if self._main is not None:
            sys.modules["__main__"] = self._main

    def run(self, setup: str, cell: str) -> Outcome:
        """Run `setup` and then `cell` in an empty notebook.

        Raises
        ------
        AssertionError
            If the setup fails: then the case itself is wrong.
        """
        self._reset()
        self.shell.compile.reset_compiler_flags()  # what `from __future__` has asked for
        if setup:
            result = self.shell.run_cell(setup, store_history=True)
            assert result.success, f"the setup failed: {result.error_in_exec!r}\n{setup}"
        self._seed()
        outcome = Outcome(owned=_owned(self._names()))
        outcome.number = self.shell.execution_count
        self._events.clear()
        with self._recorded():
            result = self.shell.run_cell(cell, store_history=True)
            outcome.error = result.error_before_exec or result.error_in_exec
            if BACKGROUND in self.shell.user_ns:
                outcome.error = self._committed(self.shell.user_ns.pop(BACKGROUND))
        if outcome.error is not None:
            vars(outcome.error).pop("_render_traceback_", None)  # showing it does that
        return self._filled(outcome)

    def _committed(self, background: Any) -> BaseException | None:
        """Run the commits of a cell in the background as if they were its own."""
        try:
            with self.shell.display_trap:
                background.commit()
        except BaseException as error:
            self._events.append(Event("traceback", type(error).__name__))
            return error
        return None

    def _filled(self, outcome: Outcome) -> Outcome:
        outcome.events = list(self._events)
        outcome.names = {name: _drained(value) for name, value in self._names().items()}
        outcome.outputs = dict(self.shell.user_ns["Out"])
        outcome.lines = list(self._lines(outcome.error))
        outcome.state = _process_state()
        outcome.files = {
            str(path.relative_to(self._desk)): path.read_bytes()
            for path in sorted(self._desk.rglob("*"))
            if path.is_file()
        }
        outcome.report = getattr(self.magics, "last_run", None)
        return outcome

    def _names(self) -> dict[str, Any]:
        kept = {}
        for name, value in self.shell.user_ns.items():
            known = name in self._baseline and self._baseline[name] is value
            if not known and not HISTORY.fullmatch(name):
                kept[name] = value
        return kept

    def _reset(self) -> None:
        shell = self.shell
        history = shell.history_manager
        assert history is not None
        shell.user_ns.clear()
        shell.user_ns.update(self._baseline)
        shell.user_ns_hidden.clear()
        shell.user_ns_hidden.update(self._hidden)
        del history.input_hist_parsed[1:], history.input_hist_raw[1:]
        history.output_hist.clear()
        history.output_hist_reprs.clear()
        shell.displayhook._ = shell.displayhook.__ = shell.displayhook.___ = ""
        shell.execution_count = 1
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")
        for name in shell.compile._filename_map:
            linecache.cache.pop(name, None)
        shell.compile._filename_map.clear()
        self._clear_desk()
        _restore(os.environ, self._environment)
        sys.path[:] = self._path
        shell.display_formatter.formatters["text/plain"].float_precision = ""
        put_back(self._libraries)

    def _clear_desk(self) -> None:
        os.chdir(self._desk)
        for entry in os.scandir(self._desk):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                Path(entry.path).unlink()

    def _seed(self) -> None:
        random.seed(20)
        np.random.seed(20)

    def _listen(self) -> None:
        events = self._events

        def publish(data: Any, metadata: Any = None, **_: Any) -> None:
            events.append(Event("display", {"data": data, "metadata": metadata or {}}))

        def shown(*_: Any, **__: Any) -> None:
            kind = sys.exc_info()[0]
            events.append(Event("traceback", kind.__name__ if kind else None))

        def stored(*_: Any, **__: Any) -> str:
            return ""  # the text of a traceback takes IPython a third of a second; nobody looks

        self.shell._format_exception_for_storage = stored
        self.shell.display_pub.publish = publish
        self.shell.showtraceback = shown
        self.shell.showsyntaxerror = shown

    @contextlib.contextmanager
    def _recorded(self) -> Iterator[None]:
        out, err = Recorder("stdout", self._events), Recorder("stderr", self._events)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _plain_warnings():
            yield

    def _lines(self, error: BaseException | None) -> Iterator[tuple[int, int]]:
        """Cell number and line of each frame of the notebook, outermost first."""
        numbers = self.shell.compile._filename_map
        frame: TracebackType | None = error.__traceback__ if error else None
        while frame is not None:
            number = numbers.get(frame.tb_frame.f_code.co_filename)
            if number is not None:
                yield number, frame.tb_lineno
            frame = frame.tb_next


@contextlib.contextmanager
def _plain_warnings() -> Iterator[None]:
    """Warnings as a notebook has them: whoever runs the tests may have filters of their own."""
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("default")
        # Of a terminal's shell that runs a command: it has the number of the process in it.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        warnings.simplefilter(
            "ignore", ResourceWarning
        )  # when garbage is found is nobody's promise
        warnings.showwarning = _show_warning  # pytest's own would keep them to itself
        yield


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    text = warnings.formatwarning(message, category, filename, lineno, line)
    (file or sys.stderr).write(text)


def _drained(value: Any) -> Any:
    return Drained(value) if is_iterator(value) else value


def _owned(names: dict[str, Any]) -> dict[int, tuple[str, Any]]:
    """A path for each mutable object of the notebook, by its id; kept, so that ids stay theirs."""
    found: dict[int, tuple[str, Any]] = {}
    queue = [(value, name) for name, value in names.items()]
    while queue:
        value, path = queue.pop(0)
        if id(value) in found or isinstance(value, IMMUTABLE):
            continue
        found[id(value)] = (path, value)
        if len(found) < 2000:
            queue.extend(_inside(value, path))
    return found


def _inside(value: Any, path: str) -> list[tuple[Any, str]]:
    if isinstance(value, list):
        return [(item, f"{path}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, dict):
        return [(item, f"{path}[{key!r}]") for key, item in value.items()]
    if type(value).__module__ == "__main__" and hasattr(value, "__dict__"):
        return [(item, f"{path}.{name}") for name, item in vars(value).items()]
    return []


def _process_state() -> dict[str, Any]:
    state: dict[str, Any] = {
        "the working directory": str(Path.cwd()),
        "the environment": dict(os.environ),
        "sys.path": list(sys.path),
        "the stream of random": random.getstate(),
        "the stream of numpy.random": np.random.get_state(),
    }
    return state | library_state()


def _restore(mapping: Any, content: dict[str, str]) -> None:
    if dict(mapping) != content:
        mapping.clear()
        mapping.update(content)
