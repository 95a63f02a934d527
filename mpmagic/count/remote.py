"""Names of remote files: whatever fsspec, if it is installed, can open."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

__all__ = ["fsspec", "is_remote", "matching_urls"]


def fsspec() -> Any:
    """Import fsspec, or say what to install.

    Raises
    ------
    OSError
        If it isn't there.
    """
    try:
        return import_module("fsspec")
    except ImportError:
        raise OSError(errno.ENOTSUP, "a remote file: pip install fsspec") from None


def is_remote(path: str) -> bool:
    """Whether a name is a URL: ``s3://``, ``http://``, ``memory://``."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*(::|://)", path) is not None


def matching_urls(url: str) -> Iterator[str | OSError]:
    """Give the remote files that a URL, which may be a glob, means, or why there are none."""
    try:
        files, path = fsspec().core.url_to_fs(url)
        # A question mark begins a query in many URLs.
        if not any(mark in path for mark in "*["):
            yield url
            return
        found = sorted(files.glob(path))
    except (OSError, ValueError, ImportError) as error:  # such as a scheme that nobody knows
        yield OSError(errno.ENOTSUP, getattr(error, "strerror", None) or str(error), url)
        return
    yield from (str(files.unstrip_protocol(name)) for name in found)
    if not found:
        yield FileNotFoundError(errno.ENOENT, "no file matches", url)
