"""The part of a process's state that the same code may depend on."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import NamedTuple

__all__ = ["Surroundings"]


class Surroundings(NamedTuple):
    """Where a process looks for modules and files, and its environment."""

    path: tuple[str, ...]
    folder: str | None
    environ: dict[str, str]

    @classmethod
    def here(cls) -> Surroundings:
        """Take down those of this process."""
        try:
            folder: str | None = str(Path.cwd())
        except FileNotFoundError:  # the working directory was deleted under us
            folder = None
        return cls(tuple(map(str, sys.path)), folder, dict(os.environ))

    def with_caps(self, caps: dict[str, str]) -> Surroundings:
        """Add variables that the environment doesn't have."""
        return self._replace(environ={**caps, **self.environ})

    def apply(self) -> None:
        """Make this process's the same.

        The environment is changed variable by variable: `os.environ` must stay the object that
        other modules hold, and an unchanged variable needs no call of `setenv`.
        """
        sys.path[:] = self.path
        for name in os.environ.keys() - self.environ.keys():
            del os.environ[name]
        for name, value in self.environ.items():
            if os.environ.get(name) != value:
                os.environ[name] = value
        if self.folder is not None:
            # Unreadable for this process or deleted meanwhile: relative paths will say so.
            with contextlib.suppress(OSError):
                os.chdir(self.folder)
