"""Any executor as an engine: the kernel's half, see `mpmagic.engine.guest` for the worker's.

Large parcels travel once per worker as far as the kernel can tell: after as many as there are
workers only their keys are sent, and a worker that hasn't met a key says so and is sent it all.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, InvalidStateError
from contextlib import nullcontext, suppress
from typing import Any, Final

from mpmagic.engine.beside import in_this_process, refuse_seed
from mpmagic.engine.guest import Home, Known, Missing, here, run_as_guest
from mpmagic.errors import EngineError, MpmagicError
from mpmagic.pool import Parcel
from mpmagic.run.engine import Engine
from mpmagic.run.routing import routed

__all__ = ["LARGE", "Carried", "GuestEngine"]

LARGE: Final = 16 << 10
"""Bytes of a parcel from which on it isn't sent again and again."""


_sent: Final[weakref.WeakKeyDictionary[Any, Counter[bytes]]] = weakref.WeakKeyDictionary()
"""By executor or client, how often each large parcel went to its workers, in all cells."""


class Carried(Future[Any]):
    """What becomes of a call, however often it has to be sent."""

    def __init__(self) -> None:
        super().__init__()
        self._inner: Future[Any] | None = None
        self.is_called_back = False
        self.is_first_attempt = True

    def follow(self, inner: Future[Any], settle: Callable[[Future[Any]], None]) -> None:
        """Have `settle` called when the present attempt is over."""
        self._inner = inner
        inner.add_done_callback(settle)

    def fail(self, error: BaseException) -> None:
        """End it so, if it hasn't ended."""
        with suppress(InvalidStateError):
            self.set_exception(error)

    def cancel(self) -> bool:
        """Call it back, if its executor can still do that."""
        self.is_called_back = True
        return self._inner is not None and self._inner.cancel()


class GuestEngine(Engine):
    """An executor that somebody else has made.

    Parameters
    ----------
    executor
        The executor.
    workers
        How many chunks it runs at the same time.
    name
        What the user calls it.
    home
        The process of its workers, or of one of them.
    owner
        What its workers belong to, if that isn't the executor itself.
    """

    grace = 2.0

    def __init__(
        self, executor: Executor, workers: int, *, name: str, home: Home, owner: Any = None
    ) -> None:
        super().__init__(executor, workers)
        self.name = name
        self.is_apart = home != here()
        self._sent = _sent.setdefault(owner or executor, Counter())

    def session(self) -> Any:
        """As on threads, if its workers are threads of this process."""
        return nullcontext() if self.is_apart else in_this_process()

    def streams(self) -> Any:
        """As on threads, if its workers are threads of this process."""
        return nullcontext() if self.is_apart else routed()

    def check_seedable(self) -> None:
        """Refuse if its workers are threads of this process."""
        if not self.is_apart:
            refuse_seed()

    def submit(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        label: str = "",
        on_report: Callable[[Any], object] | None = None,
    ) -> Carried:
        """Have it called as a guest.

        Raises
        ------
        EngineError
            If the executor takes no more.
        """
        carried = Carried()
        self._send(carried, function, arguments, self._lightened(arguments))
        return carried

    def stop(self, futures: Iterable[Future[Any]]) -> None:
        """Call back what hasn't begun; what runs, runs to its end."""
        for future in futures:
            future.cancel()

    def _lightened(self, arguments: Iterable[Any]) -> list[Any]:
        """The arguments as they go first: of what the workers should have, the keys."""
        return [self._key_or_all(a) if isinstance(a, Parcel) else a for a in arguments]

    def _key_or_all(self, parcel: Parcel) -> Any:
        if not self.is_apart or parcel.payload.nbytes < LARGE:
            return parcel
        self._sent[parcel.key] += 1
        return parcel if self._sent[parcel.key] <= self.workers else Known(parcel.key)

    def _send(
        self, carried: Carried, function: Any, arguments: tuple[Any, ...], sent: Iterable[Any]
    ) -> None:
        try:
            inner = self._begin(run_as_guest, here(), function, *sent)
        except (RuntimeError, BrokenExecutor, OSError) as error:
            raise self._gone(error) from error

        def settle(done: Future[Any]) -> None:
            try:
                self._settle(carried, done, lambda: self._send(carried, function, arguments,
                                                               arguments))  # fmt: skip
            except BaseException as error:  # in whatever thread, so that nobody waits for ever
                carried.fail(error)

        carried.follow(inner, settle)

    def _begin(self, *call: Any) -> Future[Any]:
        return self.executor.submit(*call)

    def _settle(self, carried: Carried, done: Future[Any], again: Callable[[], None]) -> None:
        if done.cancelled():
            if carried.is_called_back:
                carried.set_exception(CancelledError())
            elif carried.is_first_attempt and self._can_retry():
                carried.is_first_attempt = False
                again()
            else:
                raise self._gone(CancelledError())
        elif (error := done.exception()) is not None:
            carried.set_exception(self._told(error))
        elif isinstance(result := done.result(), Missing):
            again()
        else:
            carried.set_result(result)

    def _can_retry(self) -> bool:
        """Whether a call that nobody has called back can be sent again, with all that it needs."""
        return False

    def _told(self, error: BaseException) -> BaseException:
        """What the user is told of an exception that isn't the work's own."""
        if isinstance(error, MpmagicError):
            return error
        if isinstance(error, BrokenExecutor):
            return self._gone(error)
        return error

    def _gone(self, error: BaseException) -> EngineError:
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        return EngineError(
            f"`--on {self.name}`: it takes no more work ({reason}). Make a new one and run the "
            f"cell again, or use `--on processes`."
        )
