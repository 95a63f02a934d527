"""`%mppool`: the workers, a row each; in a notebook the table goes on living while they work."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from html import escape
from typing import Any, Final
from weakref import ref

from mpmagic.count.progress import readable_size
from mpmagic.pool import Pool, WorkerState, WorkerStatus
from mpmagic.show.columns import Columns
from mpmagic.show.quantities import duration
from mpmagic.show.style import CLASS, wrapped

__all__ = ["LiveTable", "WorkerTable", "publish_again"]

_PAUSE_SECONDS: Final = 0.5
_THREAD: Final = "mpmagic-pooltable"

_COLUMNS: Final = Columns(
    ("pid", "state", "at", "for", "tasks", "CPU time", "CPU", "memory", "restarts"),
    words=frozenset({"state", "at"}),
)


class WorkerTable:
    """The pool's workers at one moment.

    Parameters
    ----------
    workers
        Their states.
    before
        Their states `seconds` ago: from both follows how busy a processor was with each.
    seconds
        See there.
    """

    def __init__(
        self,
        workers: Sequence[WorkerStatus],
        before: Sequence[WorkerStatus] = (),
        seconds: float = 0.0,
    ) -> None:
        used = {worker.pid: worker.cpu for worker in before}
        self._rows = [_row(w, _load(w.cpu, used.get(w.pid), seconds)) for w in workers]
        self._states = [worker.state for worker in workers]

    # What the thread compares, to say nothing while nothing changes.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, WorkerTable) and self._rows == other._rows

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        if not self._rows:
            return _NOBODY
        return "\n".join(_COLUMNS.lines(self._rows))

    def _repr_html_(self) -> str:
        if not self._rows:
            return wrapped(escape(_NOBODY))
        head = _COLUMNS.html_head()
        rows = "".join(
            _COLUMNS.html_row(row, css="busy" if state is WorkerState.BUSY else "")
            for row, state in zip(self._rows, self._states, strict=True)
        )
        return wrapped(f"<table>{head}{rows}</table>", rules=_RULES)


class LiveTable:
    """A displayed table that is brought up to date as long as its pool lives.

    It says nothing while nothing changes. What a thread publishes must not land in what
    `%%capture` above some other cell gathers, so it goes through the publisher that was there.

    Parameters
    ----------
    publisher
        The kernel's publisher of displays.
    """

    def __init__(self, publisher: Any) -> None:
        self._publisher = publisher
        self._over = threading.Event()

    @staticmethod
    def can_live(shell: Any) -> bool:
        """Whether a shell's displays can be changed later."""
        from IPython.core.displaypub import CapturingDisplayPublisher

        captured = isinstance(shell.display_pub, CapturingDisplayPublisher)
        return hasattr(shell, "kernel") and not captured

    def show(self, pool: Pool) -> None:
        """Display the table, and keep it up to date."""
        from IPython.display import display

        workers = pool.workers()
        ident = display(WorkerTable(workers), display_id=True).display_id
        # It refers to no pool that nobody else does.
        threading.Thread(
            target=self._follow, args=(ref(pool), workers, ident), name=_THREAD, daemon=True
        ).start()

    def freeze(self) -> None:
        """Leave it as it is."""
        self._over.set()

    def _follow(self, pool: ref[Pool], before: list[WorkerStatus], ident: str) -> None:
        shown = WorkerTable(before)
        while not self._over.wait(_PAUSE_SECONDS):
            workers = _workers_of(pool())
            if workers is None:
                return
            table = WorkerTable(workers, before, _PAUSE_SECONDS)
            if table != shown:
                publish_again(self._publisher, table, ident)
            shown, before = table, workers


def publish_again(publisher: Any, shown: Any, ident: str) -> None:
    """Bring a display up to date, of what has a text and an HTML; from any thread."""
    content = {"text/plain": repr(shown), "text/html": shown._repr_html_()}
    publisher.publish(content, transient={"display_id": ident}, update=True)


def _workers_of(pool: Pool | None) -> list[WorkerStatus] | None:
    return None if pool is None else pool.workers()


def _row(worker: WorkerStatus, load: str) -> tuple[str, ...]:
    return (
        str(worker.pid or ""),
        worker.state.value,
        _at(worker),
        duration(worker.since) if worker.state is WorkerState.BUSY else "",
        f"{worker.done:,}",
        duration(worker.cpu) if worker.cpu else "",
        load,
        readable_size(worker.rss) if worker.rss else "",
        str(worker.restarts),
    )


def _at(worker: WorkerStatus) -> str:
    """Its task and, of a chunk of several iterations, the present one."""
    if worker.mark is None or worker.label.endswith(f" {worker.mark}"):
        return worker.label
    return f"{worker.label}, at {worker.mark}"


def _load(cpu: float, before: float | None, seconds: float) -> str:
    return f"{(cpu - before) / seconds:.0%}" if before is not None and seconds else ""


_NOBODY: Final = "no workers: the pool starts with the first parallel cell"
_RULES: Final = f".{CLASS} tr.busy td:nth-child(2){{color:var(--mp-work)}}"
