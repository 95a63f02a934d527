"""The traceback of a child process, as the notebook shows its own: with cells and their lines."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from mpmagic.mp.sources import labels

__all__ = ["report_crashes"]

_OURS = str(Path(__file__).parent)


def report_crashes(process: Any) -> None:
    """Have a process show what its `run` raises before it ends with status 1."""
    process.run = partial(_run, process.run, process.name)


def _run(run: Callable[[], object], name: str) -> None:
    try:
        run()
    except SystemExit:
        raise
    except BaseException as error:
        sys.stderr.write(f"Process {name}:\n{_described(error)}")
        sys.exit(1)


def _described(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and _is_plumbing(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    shown = traceback.TracebackException(type(error), error, trace)
    text = "".join(shown.format())
    for name, label in labels({f.filename for f in traceback.extract_tb(trace)}).items():
        text = text.replace(f'File "{name}", line', f"{label}, line")
    return text


def _is_plumbing(filename: str) -> bool:
    return filename.startswith(_OURS) or Path(filename).match("multiprocessing/process.py")
