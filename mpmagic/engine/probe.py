"""What a worker of somebody else's has to say of itself before it gets any work.

The questions are plain text for `eval`: a worker that lacks mpmagic, or has another one, must be
able to answer, and a function that it can't unpickle would break some executors for ever.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

from mpmagic.engine.guest import Home, here
from mpmagic.errors import EngineError

__all__ = ["ASK_MPMAGIC", "ASK_PYTHON", "Answer", "Interpreter", "answer", "check", "interpreter"]

ASK_PYTHON: Final = (
    "(lambda sys, os, util: (util.MAGIC_NUMBER, '.'.join(map(str, sys.version_info[:3])),"
    " os.uname().nodename, sys.executable, util.find_spec('mpmagic') is not None))"
    "(__import__('sys'), __import__('os'), __import__('importlib.util').util)"
)
ASK_MPMAGIC: Final = "tuple(__import__('mpmagic.engine.probe', fromlist=['answer']).answer())"


class Interpreter(NamedTuple):
    """A worker's Python."""

    magic: bytes
    version: str
    host: str
    executable: str
    has_mpmagic: bool


class Answer(NamedTuple):
    """A worker's mpmagic: the process that it runs in, and a digest of its code."""

    home: Home
    code: str


def interpreter() -> Interpreter:
    """This process's Python."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Interpreter(
        importlib.util.MAGIC_NUMBER, version, os.uname().nodename, sys.executable, True
    )


def answer() -> Answer:
    """This process's mpmagic."""
    return Answer(here(), _digest())


def check(python: Any, mpmagic: Any, where: str) -> Home:
    """Make sure that a worker can run what this process sends.

    Parameters
    ----------
    python, mpmagic
        What it answered; of the second the exception, if that is what came.
    where
        What the user calls the engine.

    Returns
    -------
    Home
        The worker's process.

    Raises
    ------
    EngineError
        If it has another Python, no mpmagic, or another one.
    """
    theirs, ours = Interpreter(*python), interpreter()
    worker = f"the workers of {where} (Python {theirs.version}, {theirs.executable})"
    if theirs.host != ours.host:
        worker = f"{worker[:-1]} on {theirs.host})"
    if theirs.magic != ours.magic:
        raise EngineError(
            f"{worker} run another Python than the notebook, whose is {ours.version}: compiled "
            f"code can't travel. Start them with the notebook's version"
        )
    if not theirs.has_mpmagic:
        raise EngineError(
            f"{worker} haven't got mpmagic. Install it there, in the version that the notebook "
            f"has, and start them again"
        )
    if isinstance(mpmagic, BaseException) or mpmagic[1] != _digest():
        raise EngineError(
            f"{worker} have another version of mpmagic than the notebook. Install the same on "
            f"both sides, and start them and the kernel again"
        )
    return Home(*mpmagic[0])


@functools.cache
def _digest() -> str:
    """What the package's sources are."""
    folder = Path(__file__).resolve().parent.parent
    state = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.rglob("*.py")):
        state.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return state.hexdigest()
