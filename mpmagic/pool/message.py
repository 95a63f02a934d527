"""What the kernel, its fork server and its workers say to each other.

All are named tuples of plain values: cheap to pickle, and nothing in them runs code when it is
unpickled. What belongs to the user travels inside as bytes (`Pack`) and is opened elsewhere.
"""

from __future__ import annotations

from typing import NamedTuple

from mpmagic.pool.surroundings import Surroundings

__all__ = [
    "Clock",
    "Distant",
    "Done",
    "Drop",
    "Exited",
    "Fork",
    "ForkFailed",
    "Forked",
    "Hold",
    "HoldParcel",
    "Inline",
    "Kill",
    "Message",
    "Output",
    "Pack",
    "Part",
    "Preload",
    "Ready",
    "Report",
    "Run",
    "Seal",
    "SendAgain",
    "Setup",
    "Slice",
    "Stop",
    "Taken",
]

Text = tuple[tuple[str, str], ...]  # pieces of output: ("stdout" or "stderr", text)


class Inline(NamedTuple):
    """A buffer so small that it travels with its message."""

    data: bytes
    readonly: bool


class Slice(NamedTuple):
    """A buffer in a segment of shared memory.

    `segment` is the key under which the receiver holds it, or, in messages from a worker, the
    position of its descriptor among those that came with the message.
    """

    segment: bytes | int
    offset: int
    size: int
    readonly: bool


class Distant(NamedTuple):
    """A buffer in the sender's memory, where the receiver reads it."""

    address: int
    size: int
    readonly: bool


class Seal(NamedTuple):
    """Random bytes at an address of the sender's: who finds them there reads its memory."""

    address: int
    nonce: bytes


Part = Inline | Slice | Distant


class Pack(NamedTuple):
    """One pickled object: the stream first, then its out-of-band buffers."""

    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        return sum(len(p.data) if isinstance(p, Inline) else p.size for p in self.parts)


# From the kernel to a worker


class Setup(NamedTuple):
    """The first message to each worker."""

    surroundings: Surroundings
    initializer: Pack | None
    memory_limit: int | None
    authkey: bytes


class Hold(NamedTuple):
    """Keep the segment whose descriptors come with this message.

    Each of its files has `stripe` of its `size` bytes, and the last one what is left.
    """

    key: bytes
    size: int
    stripe: int


class HoldParcel(NamedTuple):
    """Keep this parcel's payload."""

    key: bytes
    payload: Pack


class Drop(NamedTuple):
    """Let go of these, to stay within the budget."""

    segments: tuple[bytes, ...]
    parcels: tuple[bytes, ...]


class Preload(NamedTuple):
    """Import these modules when there is nothing else to do."""

    modules: tuple[str, ...]


class Run(NamedTuple):
    """Call the pickled (function, args, kwargs)."""

    task: int
    call: Pack


class Taken(NamedTuple):
    """What the last task has left in place has been read."""


class SendAgain(NamedTuple):
    """What a task has left in place can't be read from here."""

    task: int


class Stop(NamedTuple):
    """Leave."""


# From a worker to the kernel


class Ready(NamedTuple):
    """Set up; `error` is what the initialiser raised, if it did."""

    pid: int
    error: Pack | None


class Clock(NamedTuple):
    """From now on the task's time counts."""

    task: int


class Report(NamedTuple):
    """A value on the way, before the task is done."""

    task: int
    value: Pack


class Output(NamedTuple):
    """Text that the task wrote."""

    text: Text


class Done(NamedTuple):
    """The task has ended: `value` is its result, or its exception as a `Failure`.

    With a seal, buffers of the result are where the worker has them, and it waits for `Taken`, or
    for `SendAgain` and says the same once more, without.
    """

    task: int
    is_failure: bool
    value: Pack
    text: Text
    dropped: tuple[bytes, ...]  # parcels that the task threw away
    seal: Seal | None = None


# Between the kernel and the fork server


class Fork(NamedTuple):
    """Make a worker out of the descriptors that come with this message."""

    number: int


class Kill(NamedTuple):
    """Send a signal to a worker and all that it started."""

    number: int
    signal: int


class Forked(NamedTuple):
    number: int
    pid: int


class ForkFailed(NamedTuple):
    number: int
    reason: str


class Exited(NamedTuple):
    number: int
    status: int  # as os.waitpid gives it
    peak: int  # bytes of memory, at most


Message = (
    Setup
    | Hold
    | HoldParcel
    | Drop
    | Preload
    | Run
    | Taken
    | SendAgain
    | Stop
    | Ready
    | Clock
    | Report
    | Output
    | Done
    | Fork
    | Kill
    | Forked
    | ForkFailed
    | Exited
)
