"""The workers of a pool: making them, hearing them, losing them."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing.process
import os
import selectors
import signal
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple, Protocol

from mpmagic.pool.books import Books
from mpmagic.pool.cpus import thread_caps
from mpmagic.pool.launcher import Exit, ForkServerLauncher, Launcher, SpawnLauncher
from mpmagic.pool.member import Member
from mpmagic.pool.message import Message, Pack, Preload, Setup, Stop
from mpmagic.pool.preload import Preloads
from mpmagic.pool.status import WorkerState
from mpmagic.pool.surroundings import Surroundings

__all__ = ["Crew", "Orders", "Overseer"]


class Orders(NamedTuple):
    """How the workers of a pool are to be.

    Attributes
    ----------
    method : str
        "forkserver" or "spawn".
    workers : int
        How many there will be, for the thread caps.
    hash_seed : str
        PYTHONHASHSEED of all of them: sets of strings iterate in the same order in each.
    initializer : Pack or None
        Pickled (function, args, kwargs) to call in each.
    memory_limit : int or None
        Bytes.
    threads : int or None
        Of BLAS and the like in each; 0 for as many as these take in this process, None for a fair
        share of the cores.
    budget : int
        Bytes of shared data that each may hold.
    most_held : callable
        Says how many segments each of so many workers may hold.
    start_limit : float or None
        Seconds that the initialiser may take.
    most_tasks : int or None
        Tasks after which each is replaced.
    preload : tuple of str
        Modules that the fork server imports for all.
    """

    method: str
    workers: int
    hash_seed: str
    initializer: Pack | None
    memory_limit: int | None
    threads: int | None
    budget: int
    most_held: Callable[[int], int]
    start_limit: float | None = None
    most_tasks: int | None = None
    preload: tuple[str, ...] = ()

    def environ(self) -> dict[str, str]:
        """Give the environment in which an interpreter starts."""
        here = dict(os.environ)
        return {**self._caps(here), **here, "PYTHONHASHSEED": self.hash_seed}

    def setup(self) -> Setup:
        """Give a new worker's first message: the surroundings are the kernel's of this moment."""
        here = Surroundings.here()
        return Setup(
            surroundings=here.with_caps(self._caps(here.environ)),
            initializer=self.initializer,
            memory_limit=self.memory_limit,
            authkey=bytes(multiprocessing.process.current_process().authkey),
        )

    def _caps(self, environ: Mapping[str, str]) -> dict[str, str]:
        if self.threads == 0:
            return {}
        return thread_caps(self.workers, environ, threads=self.threads)


class Overseer(Protocol):
    """Is told what the workers say and what becomes of them."""

    def on_message(self, member: Member, message: Message, descriptors: list[int]) -> None: ...

    def on_lost(self, member: Member, how: Exit) -> None: ...

    def on_failed_start(self, how: Exit) -> None: ...


class Crew:
    """The members, in the supervisor's thread.

    Parameters
    ----------
    orders : Orders
    selector : selectors.BaseSelector
        The supervisor's; a key's data is called with the events when it is ready.
    overseer : Overseer
        The supervisor.
    """

    def __init__(
        self, orders: Orders, selector: selectors.BaseSelector, overseer: Overseer
    ) -> None:
        self._orders = orders
        self._selector = selector
        self._overseer = overseer
        self._members: dict[int, Member] = {}
        self._numbers = itertools.count(1)
        self._losses = 0
        self._preloads = Preloads()
        make: Callable[..., Launcher] = (
            SpawnLauncher if orders.method == "spawn" else ForkServerLauncher
        )
        self._launcher: Launcher = make(self, selector, orders.environ, orders.preload)

    def __iter__(self) -> Iterator[Member]:
        return iter(list(self._members.values()))

    def __len__(self) -> int:
        """Count those that will take tasks."""
        return sum(m.state is not WorkerState.LEAVING and not m.is_retiring for m in self)

    @property
    def is_empty(self) -> bool:
        return not self._members

    def count(self, state: WorkerState) -> int:
        return sum(m.state is state for m in self)

    # Making and ending

    def hire(self) -> Member | None:
        """Begin to make one more worker; None if there can't be one now."""
        restarts, self._losses = (1, self._losses - 1) if self._losses else (0, 0)
        try:
            books = Books(self._orders.budget, lambda: self._orders.most_held(len(self)))
            member = Member(
                next(self._numbers),
                books=books,
                restarts=restarts,
                most_tasks=self._orders.most_tasks,
            )
        except OSError as error:  # no descriptors left
            self._overseer.on_failed_start(Exit(None, reason=f"could not start: {error}"))
            return None
        self._members[member.number] = member
        self._selector.register(
            member.channel, selectors.EVENT_READ, partial(self._on_ready, member)
        )
        member.channel.send(self._orders.setup())
        self._mind_room(member)
        self._launcher.launch(member.number, member.ends)
        return member

    def dismiss(self, member: Member) -> None:
        """Let an idle worker go."""
        member.leave()
        self.say(member, Stop())

    def signal(self, member: Member, signum: int) -> None:
        """Signal a worker and all that it started."""
        self._launcher.signal(member.number, signum)

    def forsake(self) -> None:
        """Close this process's copies of what belongs to its parent."""
        self._launcher.forsake()
        for member in self:
            member.go()

    def close(self) -> None:
        """End whatever is left, at once."""
        self._launcher.close()
        for member in self:
            self._let_go(member)

    # Talking

    def say(self, member: Member, message: Message) -> None:
        member.channel.send(message)
        self._mind_room(member)

    def begun(self, member: Member) -> None:
        """Mind what a task has left in the member's channel."""
        self._mind_room(member)

    def preload(self, member: Member) -> None:
        """Tell a worker of what the kernel has imported since it was told last."""
        modules = self._preloads.news_for(member.number)
        if modules:
            self.say(member, Preload(modules))

    def _mind_room(self, member: Member) -> None:
        events = selectors.EVENT_READ
        if member.channel.is_congested:
            events |= selectors.EVENT_WRITE
        key = self._selector.get_map().get(member.channel)
        if key is not None and key.events != events:
            self._selector.modify(member.channel, events, key.data)

    def _on_ready(self, member: Member, events: int) -> None:
        if member.is_gone:  # by what was heard in this same round
            return
        if events & selectors.EVENT_WRITE:
            member.channel.flush()
            self._mind_room(member)
        if events & selectors.EVENT_READ:
            self._hear(member)

    def _hear(self, member: Member) -> None:
        try:
            for message, descriptors in member.channel.receive():
                self._overseer.on_message(member, message, descriptors)
        except EOFError:
            # Its end is near, or it has closed a descriptor that wasn't its own to close. The
            # launcher will say how it ended; until then there is nothing to hear.
            self._selector.unregister(member.channel)
            self.signal(member, signal.SIGKILL)

    # From the launcher

    def on_started(self, number: int, pid: int) -> None:
        self._members[number].pid = pid

    def on_exited(self, number: int, how: Exit) -> None:
        member = self._members[number]
        self._hear_out(member)
        if member.state is not WorkerState.LEAVING:
            self._losses += 1
            if member.is_between:  # an import ahead may have done it
                self._preloads.distrust()
        self._overseer.on_lost(member, how)
        self._let_go(member)
        del self._members[number]

    def _hear_out(self, member: Member) -> None:
        """Read all that a dead worker had sent: its last result may be among it."""
        with contextlib.suppress(EOFError):
            while not member.is_gone:
                before = member.channel.received
                for message, descriptors in member.channel.receive():
                    self._overseer.on_message(member, message, descriptors)
                if member.channel.received == before:
                    return

    def _let_go(self, member: Member) -> None:
        if not member.is_gone:
            with contextlib.suppress(KeyError):
                self._selector.unregister(member.channel)
            member.go()
