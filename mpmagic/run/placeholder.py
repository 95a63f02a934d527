"""What stands in the place of a value that can't travel from a worker."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from mpmagic.errors import UnsendableValue

__all__ = ["Placeholder"]

_TEMPORARY: Final = "a temporary of a loop's work"


class Placeholder:
    """What is left of a value that stayed in a worker; using it says so.

    Parameters
    ----------
    name
        The name of the temporary, or the attribute of an exception, that had it.
    kind
        What it was, in a few words.
    owner
        What had it.
    text
        What it looks like, if that is part of something's text.
    """

    def __init__(self, name: str, kind: str, owner: str = _TEMPORARY, text: str = "") -> None:
        text = text or f"<{name}: {kind} that stayed in a worker>"
        self.__dict__.update(_name=name, _kind=kind, _owner=owner, _text=text)

    def __repr__(self) -> str:
        return str(self._text)

    def __reduce__(self) -> tuple[Any, ...]:
        return Placeholder, (self._name, self._kind, self._owner, self._text)

    def _used(self, *_arguments: Any) -> NoReturn:
        raise UnsendableValue(
            f"`{self._name}` was {self._owner}, {self._kind}, which can't be sent "
            f"back from the worker; make it again here, or keep in a list what you need of it"
        )

    def __getattr__(self, attribute: str) -> NoReturn:
        if attribute.startswith(("__", "_repr_")) or "canary" in attribute:
            raise AttributeError(attribute)  # questions that only look what it is
        self._used()

    __setattr__ = __delattr__ = __call__ = __iter__ = __len__ = __bool__ = _used
    __getitem__ = __setitem__ = __enter__ = __exit__ = __contains__ = __add__ = __radd__ = _used
