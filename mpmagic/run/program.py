"""The worker's half of a split loop: a namespace like the notebook's, and the loop's work in it."""

from __future__ import annotations

import builtins
import linecache
import types
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

from mpmagic.errors import UnsendableValue
from mpmagic.pool import Parcel
from mpmagic.run.codec import Encoder, Packed, Side, decode
from mpmagic.run.identity import Places
from mpmagic.run.imported import ModuleWatch, adopt, import_as_sent
from mpmagic.run.modules import ModuleState
from mpmagic.run.sampling import Samples, sampled
from mpmagic.run.state import ProcessState
from mpmagic.run.tenancy import Tenancy, post, tenancy
from mpmagic.run.watch import Watch

__all__ = ["Program", "ProgramSource", "forget_program", "load_program", "opened"]

_KEPT: Final = 4
"""Programs that a worker keeps: a cell with several loops in a `while` comes back to each."""


@dataclass(frozen=True, slots=True)
class ProgramSource:
    """What a worker needs to know of a loop besides the captured values.

    Attributes
    ----------
    work
        Code of the work, see `mpmagic.cell.split.SplitLoop`.
    private
        Names that the work binds in the namespace, in the order of snapshots.
    certain
        Those of them that every iteration binds.
    targets
        Names of the loop's target.
    own
        Captured values of which each worker keeps its own (``--local``).
    filename, text
        The cell's file name and source, for tracebacks and `inspect`.
    state
        The process state that the kernel had when the loop began.
    class_ids
        Classes of the notebook among what was captured.
    seed
        Of iterations' random streams, None for none.
    speculates
        Whether the work goes on after what the kernel may skip.
    sliced
        Captured names into whose slots the work stores.
    mirrors
        Whether it stores into what was sent at all, as the commits will.
    fresh
        Captured names of which each iteration has a copy of its own.
    modules
        The modules that the work may look into, as the kernel has them.
    tally, counters, sums
        Code of the loop as it sums, see `mpmagic.cell.tallied.Tallied`; None if it can't be.
    samples
        Whether workers note where the work spends its time.
    """

    work: types.CodeType
    private: tuple[str, ...]
    certain: frozenset[str]
    targets: frozenset[str]
    own: dict[str, Any] = field(default_factory=dict)
    filename: str = ""
    text: str = ""
    state: ProcessState | None = None
    class_ids: frozenset[str] = frozenset()
    seed: int | None = None
    speculates: bool = False
    sliced: tuple[str, ...] = ()
    mirrors: bool = False
    fresh: tuple[str, ...] = ()
    modules: tuple[ModuleState, ...] = ()
    tally: types.CodeType | None = None
    counters: tuple[str, ...] = ()
    sums: tuple[str, ...] = ()
    samples: bool = False


class Program:
    """A loop's work, ready to run in this process.

    Parameters
    ----------
    source
        What to run.
    captured
        The packed captured values.
    """

    def __init__(self, source: Packed, captured: Packed) -> None:
        namespace: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
        self.side = Side(namespace)
        self.source: ProgramSource = decode(source, self.side)
        self._state = self.source.state
        if self._state is not None and tenancy() is Tenancy.GUEST:
            self._state = self._state.for_guest()
        self._apply_state()  # modules of the notebook are imported by its paths
        if import_as_sent(self.source.modules):
            _shelf().programs.clear()  # they hold what came from the modules' old selves
        self.enter()
        values = opened(captured, self.side, "what the work reads")
        self.side.captured = {**values, **self.source.own}
        self.side.class_ids = set(self.source.class_ids)
        namespace |= self.side.captured
        self.work = types.FunctionType(self.source.work, namespace)
        tally = self.source.tally
        self.tally = None if tally is None else types.FunctionType(tally, namespace)
        self._known = set(namespace) | set(self.source.private) | self.source.targets
        self.watch = Watch(self.side, values, lambda: decode(_own(captured), Side({})))
        self._fresh = {
            name: Encoder(Side(namespace), by_reference=False).encode(self.side.captured[name])
            for name in self.source.fresh
            if name in self.side.captured
        }
        self._places: Places | None = None
        _keep_source(self.source.filename, self.source.text)

    def enter(self) -> None:
        """Bring this process, or this thread, into the state that the loop began in."""
        self._apply_state()
        shelf = _shelf()
        if shelf.entered is not self:
            if tenancy() is not Tenancy.COMPANION:  # there the modules are the kernel's own
                adopt(self.source.modules)
            self.module_watch = ModuleWatch(self.source.modules)
            shelf.entered = self

    def _apply_state(self) -> None:
        if self._state is None:
            return
        if tenancy() is Tenancy.COMPANION:
            self._state.apply_to_thread()
        else:
            self._state.apply()

    @property
    def places(self) -> Places:
        """Of the captured values, those apart that each worker or each iteration has its own of."""
        if self._places is None:
            apart = {*self.source.own, *self.source.fresh}
            shared = {n: v for n, v in self.side.captured.items() if n not in apart}
            self._places = Places(shared, deep=not self.source.mirrors)
        return self._places

    def begin_chunk(self) -> None:
        """Forget what the chunk before has bound."""
        self.forget_temporaries()
        for name in self.source.targets:
            self.side.namespace.pop(name, None)

    def renew(self) -> None:
        """Give the iteration that begins its own copies."""
        for name, packed in self._fresh.items():
            self.side.namespace[name] = decode(packed.apart(), self.side)

    def sampled(self) -> AbstractContextManager[Samples | None]:
        """While open, note where the work spends its time, if that is wanted."""
        if not self.source.samples:
            return nullcontext()
        return sampled(self.source.filename, self.side.namespace)

    def forget_temporaries(self) -> None:
        """Forget what the work has bound."""
        for name in self.source.private:
            self.side.namespace.pop(name, None)

    def rebound(self) -> Iterable[str]:
        """Names of the notebook that functions have bound behind the loop's back."""
        namespace = self.side.namespace
        for name, value in self.side.captured.items():
            apart = name in self.source.own or name in self._fresh
            if not apart and namespace.get(name, self) is not value:
                yield name
        yield from (n for n in namespace.keys() - self._known if not n.startswith("__"))


def opened(packed: Packed, side: Side, what: str) -> Any:
    """What the kernel has sent.

    Raises
    ------
    UnsendableValue
        If its own code fails to make it again: the cell would never have run that.
    """
    try:
        return decode(_own(packed), side)
    except MemoryError:
        raise
    except Exception as error:
        raise UnsendableValue(
            f"{what} can't be unpickled in a worker ({type(error).__name__}: {error}). Make it in "
            f"the work itself, or run the cell without %%parallel"
        ) from error


def _own(packed: Packed) -> Packed:
    """What came, in memory that this program may write to.

    A worker's own mapping is private. Elsewhere others read the same memory: the notebook itself,
    or the next program that is sent the same.
    """
    return packed if tenancy() is Tenancy.OWNER else packed.apart()


def _keep_source(filename: str, text: str) -> None:
    """Let tracebacks and `inspect` find the cell's lines."""
    if text and tenancy() is not Tenancy.COMPANION:
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)


def _forget_source(program: Program) -> None:
    """Keep no source for ever; that of a cell of which there is another program stays."""
    filename = program.source.filename
    if tenancy() is Tenancy.COMPANION:
        return  # it's the notebook's
    if all(p.source.filename != filename for p in _shelf().programs.values()):
        linecache.cache.pop(filename, None)


class _Shelf:
    """The programs of this process, or of a thread at a post.

    Attributes
    ----------
    entered
        The one whose state the modules have.
    programs
        By the keys of their parcels, the one that was used last at the end.
    """

    def __init__(self) -> None:
        self.entered: Program | None = None
        self.programs: OrderedDict[tuple[bytes, bytes], Program] = OrderedDict()


_of_the_process: Final = _Shelf()


def _shelf() -> _Shelf:
    at = post()
    if at is None:
        return _of_the_process
    if at.programs is None:
        at.programs = _Shelf()
    return at.programs  # type: ignore[no-any-return]


def load_program(source: Parcel, captured: Parcel) -> Program:
    """The program for these parcels, made if this process hasn't got it."""
    key, programs = (source.key, captured.key), _shelf().programs
    program = programs.get(key)
    if program is None:
        program = programs[key] = Program(source.payload, captured.payload)
        while len(programs) > _KEPT:
            _forget_source(programs.popitem(last=False)[1])
    programs.move_to_end(key)
    return program


def forget_program(program: Program) -> None:
    """Have it made anew when it's asked for again: what it captured isn't what was sent."""
    programs = _shelf().programs
    for key in [key for key, known in programs.items() if known is program]:
        _forget_source(programs.pop(key))
