"""What the loops of one cell share while the cell runs."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mpmagic.run.engine import Engine
from mpmagic.run.fence import Fence
from mpmagic.run.observer import Observer
from mpmagic.run.options import Options, RunReport
from mpmagic.run.origins import Origins
from mpmagic.run.past import Past
from mpmagic.run.wait import Inbox

if TYPE_CHECKING:
    from mpmagic.run.resume import KeptCell

__all__ = ["CellContext"]


@dataclass(slots=True)
class CellContext:
    """A cell on its way.

    Attributes
    ----------
    namespace
        The user's namespace.
    filename, text
        Under which the cell is compiled, and its source as it stands in the notebook.
    options
        What the user asks for.
    engine
        Gives the engine, started when the first loop is reached.
    workers
        How many run at the same time.
    inbox
        How the main thread waits.
    report
        What became of the cell's loops.
    origins
        Where the exceptions that its loops and calls raised came from.
    fence
        Keeps errors of ours from the handlers of the cell's code.
    observer
        Is told what happens.
    verbose
        Whether tracebacks are shown with the values of variables.
    residents
        Names that cells of ``--each`` have left in the workers, whether the notebook has them or
        not.
    version
        Which cells those were.
    underway
        What gives the rows of comprehensions that haven't ended. Nobody but the comprehension may
        hold it: where `any` or `next` has enough, it ends there and then, and not in whichever
        thread happens to collect garbage, where waiting for workers would hang.
    kept
        What earlier runs of it have kept, if it is to go on where they ended.
    past
        What the iterations of loops took when their cells ran last.
    sends_all
        Whether work is sent that workers are no help with.
    """

    namespace: dict[str, Any]
    filename: str
    text: str
    options: Options
    engine: Callable[[], Engine]
    workers: int
    inbox: Inbox
    report: RunReport = field(default_factory=RunReport)
    origins: Origins = field(default_factory=Origins)
    fence: Fence = field(default_factory=Fence)
    observer: Observer = field(default_factory=Observer)
    verbose: bool = False
    residents: frozenset[str] = frozenset()
    version: int = 0
    underway: list[weakref.ref[Generator[Any]]] = field(default_factory=list)
    kept: KeptCell | None = None
    past: Past = field(default_factory=Past)
    sends_all: bool = False

    def begun(self, rows: Generator[Any]) -> Generator[Any]:
        """Another comprehension runs."""
        others = [o for o in self.underway if o() is not None]
        self.underway = [*others, weakref.ref(rows)]
        return rows

    def leave(self, error: BaseException) -> None:
        """End comprehensions that an exception has left in the middle.

        They would go on until nobody has its traceback any more, in which they are.
        """
        while self.underway:
            rows, traceback = self.underway.pop()(), error.__traceback__
            if rows is None:
                continue
            try:
                if isinstance(error, StopIteration):  # no generator lets one through
                    rows.close()
                else:
                    rows.throw(error)
            except BaseException as other:
                if other is not error:
                    raise
            finally:
                error.__traceback__ = traceback

    def lacking(self, names: Collection[str]) -> tuple[str, ...]:
        """Those of some names that the workers have, and the notebook hasn't."""
        return tuple(sorted(self.residents.intersection(names) - self.namespace.keys()))

    def look_again(self) -> None:
        """Take those for the notebook's own that it has by now: the cell has bound them."""
        if taken := self.options.residents & self.namespace.keys():
            self.options = self.options._replace(residents=self.options.residents - taken)

    def worker_named(self, number: int) -> str:
        """What a worker is called that goes by that number."""
        return f"worker process {number}" if self.options.apart else f"thread {number}"
