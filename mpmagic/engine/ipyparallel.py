"""ipyparallel as an engine: the engines of an `ipyparallel.Client`, load-balanced."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from typing import Any

from mpmagic.engine.guest import here
from mpmagic.engine.guests import GuestEngine
from mpmagic.engine.probe import ASK_MPMAGIC, ASK_PYTHON, check
from mpmagic.errors import EngineError

__all__ = ["IpyparallelEngine", "is_client"]


def is_client(value: Any) -> bool:
    """Whether it is one of ipyparallel's, which isn't imported for that."""
    return any(f"{k.__module__}.{k.__qualname__}" == "ipyparallel.client.client.Client"
               for k in type(value).__mro__)  # fmt: skip


class _Balanced(Executor):
    """A load-balanced view; its own executor waits for its engines in `shutdown`."""

    def __init__(self, view: Any) -> None:
        self._view = view

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have the call made by an engine that has the least to do."""
        future: Future[Any] = self._view.apply_async(fn, *args, **kwargs)
        return future


class IpyparallelEngine(GuestEngine):
    """The engines of a controller.

    Parameters
    ----------
    client
        The client.
    workers
        How many engines are kept busy; None for all.
    name
        What the user calls it.
    """

    chunk_cost = 1.2e-3

    def __init__(self, client: Any, workers: int | None, *, name: str) -> None:
        self.name = name
        ids = client.ids
        if not ids:
            raise EngineError(
                f"`--on {name}`: the controller has no engines; nothing of the cell ran. Start "
                f"some with `ipcluster engines`"
            )
        homes = [self._home(client[each]) for each in ids]
        view = client.load_balanced_view()
        home = here() if here() in homes else homes[0]
        count = min(workers or len(ids), len(ids))
        super().__init__(_Balanced(view), count, name=name, home=home, owner=client)

    def _home(self, engine: Any) -> Any:
        python = engine.apply_sync(eval, ASK_PYTHON)
        mpmagic: Any = None
        if python[-1]:
            try:
                mpmagic = engine.apply_sync(eval, ASK_MPMAGIC)
            except Exception as error:  # whatever another version of it raises
                mpmagic = error
        return check(python, mpmagic, f"`{self.name}`")

    def _told(self, error: BaseException) -> BaseException:
        """An exception of a remote engine comes as its name and text."""
        kind, text = getattr(error, "ename", ""), getattr(error, "evalue", str(error))
        if kind != "EngineError":
            return super()._told(error)
        if " died " not in text:  # mpmagic's own error of that name
            return EngineError(text)
        return EngineError(
            f"`--on {self.name}`: an engine is gone ({text}). The others can be used at once."
        )

    def _gone(self, error: BaseException) -> EngineError:
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        hint = "" if isinstance(error, CancelledError) else f" ({reason})"
        return EngineError(
            f"`--on {self.name}`: the controller takes no more work{hint}. Make a new client and "
            f"run the cell again, or use `--on processes`."
        )
