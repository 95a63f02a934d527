"""Exceptions that travel: type, arguments, attributes, notes, causes and traceback.

Plain pickling calls an exception's class with its `args`, which fails for every class whose
`__init__` takes something else, and drops cause, context and traceback. Nothing is registered
with `copyreg`: the notebook's own pickling stays as it is.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mpmagic.errors import MpmagicError
from mpmagic.pool.traces import Spot, flattened, restored

if TYPE_CHECKING:
    from mpmagic.pool.pickling import Pickled

__all__ = ["Failure", "pickle_failure"]

_OURS = str(Path(__file__).parent)
_DEEPEST_CHAIN = 50


class Failure:
    """An exception in a form that can be pickled.

    Parameters
    ----------
    error : BaseException
        Is taken apart; its chain of causes and the members of a group too.
    """

    def __init__(self, error: BaseException, depth: int = 0) -> None:
        self._kind = type(error)
        self._recipe = _recipe(error)
        self._state = {**_slots(error), **error.__dict__}
        self._traceback = _describe(error.__traceback__)
        self._suppress = error.__suppress_context__
        deeper = depth + 1
        self._cause = _next(error.__cause__, deeper)
        # A context that is the cause again would double the chain at each level.
        context = None if error.__context__ is error.__cause__ else error.__context__
        self._context = _next(context, deeper)
        self._members = (
            tuple(Failure(e, deeper) for e in error.exceptions)
            if isinstance(error, BaseExceptionGroup)
            else ()
        )

    def exception(self) -> BaseException:
        """Put the exception together again."""
        error = self._bare()
        for name, value in self._state.items():
            setattr(error, name, value)
        if self._traceback:
            error.__traceback__ = restored(self._traceback)
        error.__cause__ = self._cause.exception() if self._cause else None
        error.__context__ = self._context.exception() if self._context else error.__cause__
        error.__suppress_context__ = self._suppress
        return error

    def _bare(self) -> BaseException:
        if self._members:
            message = self._recipe[1][0]
            members = [f.exception() for f in self._members]
            return self._kind.__new__(self._kind, message, members)
        make, arguments = self._recipe
        return make(*arguments)  # type: ignore[no-any-return]

    def spelt_out(self) -> Failure:
        """Replace what can't be pickled by its text."""
        make, arguments = self._recipe
        if not _is_picklable(self._kind):
            text = f"{self._kind.__qualname__}: {_text(arguments)}"
            self._kind, self._recipe, self._state = MpmagicError, (MpmagicError, (text,)), {}
        else:
            self._recipe = (make, tuple(_picklable(a) for a in arguments))
            self._state = {k: _picklable(v) for k, v in self._state.items()}
        for failure in (self._cause, self._context, *self._members):
            if failure is not None:
                failure.spelt_out()
        return self


def pickle_failure(error: BaseException) -> Pickled:
    """Pickle an exception, whatever it holds."""
    from mpmagic.pool.pickling import pickle_result

    try:
        failure = Failure(error)
        if not _is_picklable(failure):
            failure.spelt_out()
        return pickle_result(failure)
    except Exception as trouble:
        text = f"{type(error).__qualname__}, which can't be pickled ({trouble!r})"
        return pickle_result(Failure(MpmagicError(text).with_traceback(error.__traceback__)))


def _slots(error: BaseException) -> dict[str, Any]:
    """Take down what some built-in exceptions keep beside `args` and `__dict__`."""
    names = ("name", "path") if isinstance(error, (AttributeError, NameError, ImportError)) else ()
    return {n: getattr(error, n) for n in names if getattr(error, n, None) is not None}


def _recipe(error: BaseException) -> tuple[Any, tuple[Any, ...]]:
    kind = type(error)
    if isinstance(error, BaseExceptionGroup):
        return kind, (error.message,)
    if kind.__reduce__ is not BaseException.__reduce__:
        reduced: Any = error.__reduce_ex__(4)
        return reduced[0], tuple(reduced[1])
    return _make, (kind, *error.args)


def _make(kind: type[BaseException], *args: Any) -> BaseException:
    """Make an exception without calling an `__init__` that may want other arguments."""
    error = kind.__new__(kind)
    native = next(base for base in kind.__mro__ if not base.__flags__ & _IS_HEAP_TYPE)
    native.__init__(error, *args)  # type: ignore[misc]
    error.args = args
    return error


_IS_HEAP_TYPE = 1 << 9


def _next(error: BaseException | None, depth: int) -> Failure | None:
    return None if error is None or depth > _DEEPEST_CHAIN else Failure(error, depth)


def _describe(trace: TracebackType | None) -> list[Spot]:
    """Take down a traceback, outermost frame first, without the pool's own frames at its head."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OURS):
        trace = trace.tb_next
    return flattened(trace)


def _picklable(value: Any) -> Any:
    return value if _is_picklable(value) else _text(value)


def _is_picklable(value: Any) -> bool:
    from mpmagic.pool.pickling import pickle_result

    try:
        pickled = pickle_result(value)
        pickle.loads(pickled.stream, buffers=pickled.buffers)
    except Exception:
        return False
    return True


def _text(value: Any) -> str:
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__qualname__}>"
