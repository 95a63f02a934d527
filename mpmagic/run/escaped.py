"""What shell escapes in loops call, in whichever process they run: as IPython's shell does it."""

from __future__ import annotations

from typing import Any

__all__ = ["getoutput", "system"]


def system(command: str, names: dict[str, Any]) -> int:
    """Run ``!command``: what it writes is printed, and its exit code comes back.

    Parameters
    ----------
    command
        As it stands in the cell.
    names
        What the names in it are bound to.
    """
    from IPython.utils.process import system as run

    _refuse_background(command)
    return int(run(_expanded(command, names)))


def getoutput(command: str, names: dict[str, Any]) -> Any:
    """Run ``!command`` for the lines that it writes."""
    from IPython.utils.process import getoutput as run
    from IPython.utils.text import SList

    _refuse_background(command)
    return SList(run(_expanded(command, names)).splitlines())


def _refuse_background(command: str) -> None:
    if command.rstrip().endswith("&"):
        raise OSError("Background processes not supported.")


def _expanded(command: str, names: dict[str, Any]) -> str:
    from IPython.utils.text import DollarFormatter

    try:
        return str(DollarFormatter().vformat(command, args=[], kwargs=names))
    except Exception:
        return command  # as in IPython: braces of another language
