"""Functions of a library that do what no notebook shows."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import random
import subprocess
import warnings
from typing import Any


def directory(x: int) -> int:
    os.chdir("/")
    return x


def environment(x: int) -> int:
    os.environ["MPMAGIC_TEST"] = str(x)
    return x


def swallowed(x: int) -> int:
    with contextlib.suppress(Exception):
        os.chdir("/")
    return x


def system(x: int) -> int:
    return os.system("true")


def child(x: int) -> int:
    return subprocess.call(["true"])


def fork(x: int) -> int:
    return os.fork()


def warning(x: int) -> int:
    warnings.warn("here", stacklevel=1)
    return x


def left(x: int) -> int:
    warnings.simplefilter("ignore")
    return x


def recording(x: int) -> int:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        warnings.warn("here", stacklevel=1)
    return x + len(caught)


def draw(x: int) -> float:
    return random.random()


def draw_of_numpy(x: int) -> Any:
    return importlib.import_module("numpy.random").rand()


def handler(x: int) -> int:
    logging.getLogger("mpmagic-test").addHandler(logging.NullHandler())
    return x


def figure(x: int) -> Any:
    return importlib.import_module("matplotlib.pyplot").gcf().number


def displayed(x: int) -> int:
    importlib.import_module("IPython.display").display(x)
    return x


def cleared(x: int) -> int:
    importlib.import_module("IPython.display").clear_output(wait=True)
    return x


class Drawing:
    """Keeps what it's given, with a number of its own."""

    def __init__(self) -> None:
        self.kept: list[tuple[Any, float]] = []

    def add(self, value: Any) -> None:
        self.kept.append((value, random.random()))
