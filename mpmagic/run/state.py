"""The state of the process that workers take over from the kernel."""

from __future__ import annotations

import decimal
import os
import sys
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from mpmagic.errors import EngineError
from mpmagic.run.settings import PRINTING, SETTINGS

__all__ = ["ProcessState"]

# Of the kernel alone: figures are drawn without a screen in workers, and thread caps are theirs.
_NOT_TAKEN: Final = frozenset(
    {"MPLBACKEND", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
     "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMEXPR_MAX_THREADS",
     "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS", "ARROW_IO_THREADS", "RAYON_NUM_THREADS",
     "PYTHONHASHSEED", "JPY_PARENT_PID", "JPY_SESSION_NAME", "COLUMNS", "LINES"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What a loop's work sees of its process.

    Attributes
    ----------
    directory
        The working directory.
    path
        `sys.path`.
    environment
        The environment's variables.
    recursion_limit
        Python's.
    filters
        Of warnings.
    decimals
        The decimal context.
    floats
        What numpy does on floating-point errors.
    settings
        The value of each of `mpmagic.run.settings.SETTINGS`.
    host
        The name of the machine.
    """

    directory: str
    path: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    recursion_limit: int
    filters: tuple[Any, ...] = ()
    decimals: decimal.Context | None = field(default=None, compare=False)
    floats: tuple[tuple[str, str], ...] = ()
    settings: tuple[Any, ...] = field(default=(), compare=False)
    host: str = field(default="", compare=False)

    @classmethod
    def of_this_process(cls) -> ProcessState:
        """The state as it is now."""
        environment = sorted((k, v) for k, v in os.environ.items() if k not in _NOT_TAKEN)
        return cls(
            _directory(), tuple(sys.path), tuple(environment), sys.getrecursionlimit(),
            tuple(warnings.filters), decimal.getcontext().copy(), _float_errors(),
            tuple(setting.read() for setting in SETTINGS), os.uname().nodename,
        )  # fmt: skip

    def apply(self) -> None:
        """Make it this process's.

        Raises
        ------
        OSError
            If the working directory isn't there any more.
        """
        if self.decimals is not None:
            decimal.setcontext(self.decimals.copy())
        now = ProcessState.of_this_process()
        if self != now:
            self._take_over()
        for setting, old, wanted in zip(SETTINGS, now.settings, self.settings, strict=True):
            if old != wanted:
                setting.change(old, wanted)

    def apply_to_thread(self) -> None:
        """Make of it this thread's what a thread has of its own."""
        if self.decimals is not None:
            decimal.setcontext(self.decimals.copy())
        if self.floats:
            _set_float_errors(self.floats)
        wanted = self.settings[SETTINGS.index(PRINTING)]
        if (now := PRINTING.read()) != wanted:
            PRINTING.change(now, wanted)

    def for_guest(self) -> ProcessState:
        """The same for a process that was there before, perhaps on another machine.

        There paths and variables of that machine's own stay.

        Raises
        ------
        EngineError
            If it doesn't see the working directory: relative paths would lead elsewhere.
        """
        now = ProcessState.of_this_process()
        if not Path(self.directory).is_dir():
            raise EngineError(
                f"a worker on {now.host} has no directory {self.directory}, where the notebook "
                f"is, so that its work would read other files. Start the workers where they see "
                f'that directory, or change to one that all of them have, as by `os.chdir("/tmp")`'
            )
        if self.host == now.host:
            return self
        environment = tuple(sorted({**dict(self.environment), **dict(now.environment)}.items()))
        path = (*now.path, *(p for p in self.path if p not in now.path))
        return replace(self, environment=environment, path=path)

    def _take_over(self) -> None:
        warnings.filters[:] = self.filters  # type: ignore[index]
        _filters_changed()
        if self.floats:
            _set_float_errors(self.floats)
        if self.directory:
            os.chdir(self.directory)
        sys.path[:] = self.path
        sys.setrecursionlimit(self.recursion_limit)
        wanted = dict(self.environment)
        for name in os.environ.keys() - wanted.keys() - _NOT_TAKEN:
            del os.environ[name]
        for name, value in wanted.items():
            if os.environ.get(name) != value:
                os.environ[name] = value


def _directory() -> str:
    """The working directory; empty if somebody has removed it."""
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return ""


def _set_float_errors(wanted: tuple[tuple[str, str], ...]) -> None:
    import numpy as np

    np.seterr(**dict(wanted))  # type: ignore[arg-type]


def _float_errors() -> tuple[tuple[str, str], ...]:
    numpy = sys.modules.get("numpy")
    return tuple(sorted(numpy.geterr().items())) if numpy is not None else ()


def _filters_changed() -> None:
    """Make `warnings` look at its filters again; adding one is the public way to say so."""
    warnings.simplefilter("default", append=True)
    del warnings.filters[-1]  # type: ignore[attr-defined]
