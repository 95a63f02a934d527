"""The worker's half of a split loop: a namespace like the notebook's, and the loop's work in it."""

from __future__ import annotations

import builtins
import types
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from mpmagic.errors import UnsendableValue
from mpmagic.pool import Parcel, in_worker
from mpmagic.run.codec import Encoder, decode
from mpmagic.run.finder import Finder
from mpmagic.run.identity import Places
from mpmagic.run.imported import ModuleWatch, adopt, import_as_sent
from mpmagic.run.log import UNBOUND
from mpmagic.run.logged import HandlerWatch
from mpmagic.run.mainmodule import show_in_main
from mpmagic.run.nans import Nans
from mpmagic.run.packed import Packed
from mpmagic.run.programsource import ProgramSource
from mpmagic.run.resident import here, resident_values
from mpmagic.run.sampling import Samples, sampled
from mpmagic.run.side import Side
from mpmagic.run.state import Surroundings
from mpmagic.run.tenancy import Tenancy, post, tenancy
from mpmagic.run.texts import forget_texts, keep_texts
from mpmagic.run.watch import Watch

__all__ = ["Program", "forget_program", "load_program", "opened"]

_KEPT: Final = 4
"""Programs that a worker keeps: a cell with several loops in a `while` comes back to each."""


class Program:
    """A loop's work, ready to run in this process.

    Parameters
    ----------
    source
        What to run.
    captured
        The packed captured values.
    namespace
        Where it runs, if that isn't to be a new namespace.

    Attributes
    ----------
    is_unchecked
        Whether chunks have run after which nobody looked for changes of captured values.
    """

    def __init__(
        self, source: Packed, captured: Packed, namespace: dict[str, Any] | None = None
    ) -> None:
        if namespace is None:
            namespace = {"__name__": "__main__", "__builtins__": builtins}
        self.side = Side(namespace, nans=Nans(numbering=False))
        self.source: ProgramSource = decode(source, self.side)
        self._is_settled = False
        self._state = self.source.state
        if self._state is not None and tenancy() is Tenancy.GUEST:
            self._state = self._state.for_guest()
        if self._state is not None:
            self._state = here().state(self._state)
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
        self._known |= self.source.prepared | set(self.source.residents)
        self._captured = captured, values
        self._watch: Watch | None = None
        if self.source.watched:
            self.watch()
        self._fresh = {
            name: Encoder(Side(namespace), by_reference=False).encode(self.side.captured[name])
            for name in self.source.fresh
            if name in self.side.captured
        }
        self._places: Places | None = None
        self.is_unchecked = False
        keep_texts(self.source.texts)

    def watch(self) -> None:
        """Watch what was captured from now on."""
        if self._watch is None:
            captured, values = self._captured
            kinds = {n for n, v in self.side.captured.items() if isinstance(v, type)}
            nans = self.side.nans
            self._watch = Watch(
                self.side,
                values,
                lambda: decode(_own(captured), Side({}, nans=nans)),
                apart=self.source.local | kinds,
            )

    def changed(self) -> list[str]:
        """Names of what was captured that the work has changed, since it is watched."""
        return [] if self._watch is None else self._watch.changed()

    def enter(self) -> None:
        """Bring this process, or this thread, into the state that the loop began in."""
        shelf = _shelf()
        if shelf.entered is not self or not self._is_settled:
            self._apply_state()
        self._is_settled = False  # until a chunk has ended and left all as it was
        if shelf.entered is not self:
            if tenancy() is not Tenancy.COMPANION:  # there the modules are the kernel's own
                adopt(self.source.modules)
            if in_worker() and tenancy() is Tenancy.OWNER:
                show_in_main(self.side.namespace)
            self.module_watch = ModuleWatch(self.source.modules)
            shelf.entered = self
        self.side.namespace.update(resident_values(self.source.residents))
        # Threads of the notebook's process are kept from these by its guards.
        apart = tenancy() is not Tenancy.COMPANION
        self._surroundings = Surroundings.here() if apart else None
        self._handlers = HandlerWatch()

    def _apply_state(self) -> None:
        if self._state is None:
            return
        if tenancy() is Tenancy.COMPANION:
            self._state.apply_to_thread()
        else:
            self._state.apply()

    def left_changed(self) -> str:
        """What the work has left changed of the process, in words; empty for nothing."""
        if self._state is None:
            return ""
        deviations = self._state.deviations()
        self._is_settled = deviations.is_as_it_was and tenancy() is Tenancy.OWNER
        lost = deviations.lost[0] if deviations.lost else ""
        if not lost and self._surroundings is not None:
            lost = self._surroundings.lost()
        return f"left {lost} changed" if lost else self._handlers.left()

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

    def go_on(self, state: tuple[Any, ...]) -> None:
        """Let carried names have the values that they have where an iteration begins."""
        self.side.namespace.update(zip(self.source.carried, state, strict=True))

    def take_drawn(self, values: Iterable[Any]) -> None:
        """Let the names of what is drawn have the values that an iteration draws."""
        for name, value in zip(self.source.drawn, values, strict=True):
            if value is UNBOUND:  # if it isn't passed over, the draw raises, for the kernel to tell
                self.side.namespace.pop(name, None)
            else:
                self.side.namespace[name] = value

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
        source = self.source
        own = {*source.own, *self._fresh, *source.prepared, *source.private, *source.targets}
        for name, value in self.side.captured.items():
            if name not in own and namespace.get(name, self) is not value:
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
        return decode(_own(packed), side, Finder(side.captured))
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
            _forget_texts(programs.popitem(last=False)[1])
    programs.move_to_end(key)
    return program


def forget_program(program: Program) -> None:
    """Have it made anew when it's asked for again: what it captured isn't what was sent."""
    programs = _shelf().programs
    for key in [key for key, known in programs.items() if known is program]:
        _forget_texts(programs.pop(key))


def _forget_texts(program: Program) -> None:
    forget_texts(program.source.texts, [p.source.texts for p in _shelf().programs.values()])
