"""Errors of mpmagic's own on their way through the cell's code, which must not handle them.

The serial cell has none of them: an ``except Exception`` around a loop that catches one would go
on with results that the serial cell hasn't got.
"""

from __future__ import annotations

from mpmagic.errors import MpmagicError

__all__ = ["Fence", "Stopped"]


class Stopped(BaseException):
    """What the cell's code sees of such an error: like an interrupt, nothing for its handlers."""


class Fence:
    """Keeps the error that a cell ends with, whatever its own code makes of `Stopped`.

    Attributes
    ----------
    error
        The error; None as long as all is well.
    """

    def __init__(self) -> None:
        self.error: MpmagicError | None = None

    def stop(self, error: MpmagicError) -> Stopped:
        """What to raise in the cell's code in place of `error`."""
        self.error = self.error or error
        return Stopped(str(error))

    def check(self) -> None:
        """Go no further if the cell's code has caught even that.

        Raises
        ------
        Stopped
            If it has.
        """
        if self.error is not None:
            raise Stopped(str(self.error))

    def raise_error(self) -> None:
        """End the cell.

        Raises
        ------
        MpmagicError
            The error, if there is one.
        """
        if self.error is not None:
            raise self.error from None
