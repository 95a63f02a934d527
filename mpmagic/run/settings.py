"""Settings that change what the same code gives.

Each is read in the kernel when a loop begins and compared for each chunk, so reading one takes
microseconds.
"""

from __future__ import annotations

from typing import Final

from mpmagic.run import librarysettings, pythonsettings
from mpmagic.run.librarysettings import THREADS_OWN
from mpmagic.run.pythonsettings import LOG_LEVELS
from mpmagic.run.setting import Setting

__all__ = ["LOG_LEVELS", "SETTINGS", "THREADS_OWN"]

SETTINGS: Final[tuple[Setting, ...]] = (*pythonsettings.SETTINGS, *librarysettings.SETTINGS)
