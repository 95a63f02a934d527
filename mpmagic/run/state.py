"""The state of the process that workers take over from the kernel."""

from __future__ import annotations

import contextlib
import decimal
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from mpmagic.errors import EngineError
from mpmagic.run.setting import Remembered
from mpmagic.run.settings import LOG_LEVELS, SETTINGS, THREADS_OWN
from mpmagic.run.tenancy import Tenancy, tenancy
from mpmagic.run.warningfilters import Filter, filters_here, is_same, take_over

__all__ = ["Deviations", "ProcessState", "Surroundings"]

# Of the kernel alone: figures are drawn without a screen in workers, and thread caps are theirs.
_NOT_TAKEN: Final = frozenset(
    {"MPLBACKEND", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
     "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMEXPR_MAX_THREADS",
     "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS", "ARROW_IO_THREADS", "RAYON_NUM_THREADS",
     "PYTHONHASHSEED", "JPY_PARENT_PID", "JPY_SESSION_NAME", "COLUMNS", "LINES"}
)  # fmt: skip


_NUMPYS: Final = (("divide", "warn"), ("invalid", "warn"), ("over", "warn"), ("under", "ignore"))
"""What numpy does from the start."""

_HOST: Final = os.uname().nodename


class Deviations(NamedTuple):
    """How a process's state has changed.

    Attributes
    ----------
    lost
        In words, what would have stayed in the notebook's process. Importing a library may change
        the environment, the path of modules, filters of warnings and levels of loggers: that isn't
        among it; `Surroundings` tells of the first two.
    is_as_it_was
        Whether nothing has changed at all.
    """

    lost: list[str]
    is_as_it_was: bool


class Surroundings(NamedTuple):
    """What a library may change when it is imported, and nobody else without leaving a trace.

    Attributes
    ----------
    modules
        How many are imported.
    environment, path
        As those of `ProcessState`.
    """

    modules: int
    environment: tuple[tuple[str, str], ...]
    path: tuple[str, ...]

    @classmethod
    def here(cls) -> Surroundings:
        """Those of this process."""
        return cls(len(sys.modules), _environment(), tuple(sys.path))

    def lost(self) -> str:
        """What is another one now, in words, if nothing has been imported; empty for nothing."""
        now = Surroundings.here()
        if now.modules != self.modules or now == self:
            return ""
        return "the environment" if now.environment != self.environment else "the path of modules"


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
    umask
        What files that are made may not be; None if it was taken for granted.
    """

    directory: str
    path: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    recursion_limit: int
    filters: tuple[Filter, ...] = field(default=(), compare=False)
    decimals: decimal.Context | None = field(default=None, compare=False)
    floats: tuple[tuple[str, str], ...] = _NUMPYS
    settings: tuple[Any, ...] = field(default=(), compare=False)
    host: str = field(default="", compare=False)
    umask: int | None = field(default=None, compare=False)

    @classmethod
    def for_others(cls) -> ProcessState:
        """The state as it is now, with what is too slow to be looked at for each chunk."""
        return replace(cls.of_this_process(), umask=_umask())

    @classmethod
    def of_this_process(cls) -> ProcessState:
        """The state as it is now."""
        return cls(
            _directory(), tuple(sys.path), _environment(), sys.getrecursionlimit(),
            filters_here(), decimal.getcontext().copy(), _float_errors(),
            tuple(setting.read() for setting in SETTINGS), _HOST,
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
        if self.umask is not None:
            os.umask(self.umask)
        now = ProcessState.of_this_process()
        if not self._is_like(now):
            self._take_over()
        for setting, old, wanted in zip(SETTINGS, now.settings, self.settings, strict=True):
            if setting.differs(old, wanted):
                setting.change(old, wanted)

    def apply_to_thread(self) -> None:
        """Make of it this thread's what a thread has of its own."""
        if self.decimals is not None:
            decimal.setcontext(self.decimals.copy())
        _set_float_errors(self.floats)
        for setting, wanted in zip(SETTINGS, self.settings, strict=True):
            if setting in THREADS_OWN and setting.differs(now := setting.read(), wanted):
                setting.change(now, wanted)

    def deviations(self) -> Deviations:
        """How this process's state differs from this one."""
        now = ProcessState.of_this_process()
        words = list(self._lost_in(now))
        # Threads of the notebook's process are kept from what isn't theirs by its guards.
        looked_at = THREADS_OWN if tenancy() is Tenancy.COMPANION else SETTINGS
        of_settings = zip(SETTINGS, now.settings, self.settings, strict=True)
        differing = [s for s, v, w in of_settings if s in looked_at and s.differs(v, w)]
        words += [setting.words for setting in differing if setting is not LOG_LEVELS]
        return Deviations(words, is_as_it_was=self._is_like(now) and not words and not differing)

    def _is_like(self, now: ProcessState) -> bool:
        return self == now and is_same(self.filters, now.filters)

    def has_other_decimals(self, other: ProcessState) -> bool:
        """Whether decimal arithmetic has other rules; contexts themselves are never equal."""
        return _rules(self.decimals) != _rules(other.decimals)

    def _lost_in(self, now: ProcessState) -> Iterator[str]:
        if now.directory != self.directory:
            yield "the working directory"
        if now.recursion_limit != self.recursion_limit:
            yield "the recursion limit"
        # To ask for it is to set it; the notebook's isn't ours to set.
        ours = None if tenancy() is Tenancy.COMPANION else self.umask
        if ours is not None and os.umask(ours) != ours:
            yield "the umask"
        if self.decimals is not None and self.has_other_decimals(now):
            yield "the decimal context"
        if now.floats != self.floats:
            yield "what numpy does on floating-point errors"

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
        _set_float_errors(self.floats)
        if self.directory:
            os.chdir(self.directory)
        sys.path[:] = self.path
        take_over(self.filters)  # it may import the modules of their categories
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
        return os.getcwd()  # noqa: PTH109 - asked for each chunk, and a path takes thrice as long
    except FileNotFoundError:
        return ""


def _umask() -> int:
    """Only by setting another one can it be asked for, but the system may tell it too."""
    with contextlib.suppress(OSError, StopIteration), Path("/proc/self/status").open() as status:
        line = next(line for line in status if line.startswith("Umask:"))
        return int(line.split()[1], 8)
    os.umask(now := os.umask(0o077))
    return now


def _environment() -> tuple[tuple[str, str], ...]:
    return _variables.within(os.environ._data)  # type: ignore[attr-defined,no-any-return]


def _find_variables() -> tuple[tuple[str, str], ...]:
    return tuple(sorted((k, v) for k, v in os.environ.items() if k not in _NOT_TAKEN))


_variables: Final = Remembered(_find_variables)


def _rules(context: decimal.Context | None) -> tuple[Any, ...]:
    """What a context is but for the flags that each operation may raise."""
    if context is None:
        return ()
    limits = context.prec, context.Emin, context.Emax, context.clamp
    return (*limits, context.rounding, context.capitals, context.traps)


def _set_float_errors(wanted: tuple[tuple[str, str], ...]) -> None:
    if wanted != _float_errors():
        import numpy as np

        np.seterr(**dict(wanted))  # type: ignore[arg-type]


def _float_errors() -> tuple[tuple[str, str], ...]:
    numpy = sys.modules.get("numpy")
    return _NUMPYS if numpy is None else tuple(sorted(numpy.geterr().items()))
