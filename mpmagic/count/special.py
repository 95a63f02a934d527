"""Files that are neither regular nor pipes: named and left alone."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from mpmagic.count.places import Place

__all__ = ["refusal"]


def refusal(place: Place) -> OSError | None:
    """Say why a file that is neither regular nor a pipe isn't counted: it may have no end."""
    kinds = {stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
    kind = kinds.get(stat.S_IFMT(place.mode))
    if kind is None or _is_null(place):
        return None
    return OSError(errno.ENOTSUP, f"{kind}, not a file", place.path)


def _is_null(place: Place) -> bool:
    return stat.S_ISCHR(place.mode) and place.device == Path(os.devnull).stat().st_rdev
