"""What libraries keep for the whole process: read after a cell, and put back before the next.

Without that a parallel cell would find what the serial one has set.
"""

from __future__ import annotations

import csv
import decimal
import locale
import logging
import os
import socket
import sys
import time
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import sklearn  # noqa: F401 - it sets a variable of the environment, once
from pandas._config import config as pandas_config

__all__ = ["library_state", "put_back"]

_OF_THE_SCREEN = {"backend", "backend_fallback", "interactive", "toolbar"}


def library_state() -> dict[str, Any]:
    """The state as it is now."""
    os.umask(umask := os.umask(0o022))
    return {
        "the recursion limit": sys.getrecursionlimit(),
        "the decimal context": _rules(decimal.getcontext()),
        "numpy's errors": np.geterr(),
        "numpy's print options": np.get_printoptions(),
        "the timeout of sockets": socket.getdefaulttimeout(),
        "the limit of csv": csv.field_size_limit(),
        "the dialects of csv": sorted(csv.list_dialects()),
        "the digits of integers": sys.get_int_max_str_digits(),
        "the prefixes of XML": dict(ElementTree._namespace_map),  # type: ignore[attr-defined]
        "the locale": locale.setlocale(locale.LC_ALL),
        "the time zone": time.tzname,
        "the umask": umask,
        "the levels of loggers": _levels(),
        "pandas' options": _options(),
        "matplotlib's parameters": _parameters(),
    }


def put_back(state: dict[str, Any]) -> None:
    """Make that the state again, but for what `os.environ` decides and for new dialects."""
    if library_state() == state:
        return
    sys.setrecursionlimit(state["the recursion limit"])
    decimal.getcontext().prec, decimal.getcontext().rounding = state["the decimal context"]
    np.seterr(**state["numpy's errors"])
    np.set_printoptions(**state["numpy's print options"])
    socket.setdefaulttimeout(state["the timeout of sockets"])
    csv.field_size_limit(state["the limit of csv"])
    sys.set_int_max_str_digits(state["the digits of integers"])
    prefixes = ElementTree._namespace_map  # type: ignore[attr-defined]
    prefixes.clear()
    prefixes.update(state["the prefixes of XML"])
    locale.setlocale(locale.LC_ALL, state["the locale"])
    os.umask(state["the umask"])
    for name in _levels():
        logging.getLogger(name).setLevel(state["the levels of loggers"].get(name, 0))
    for name, value in state["pandas' options"].items():
        if pd.get_option(name) != value:
            pd.set_option(name, value)
    dict.update(mpl.rcParams, state["matplotlib's parameters"])


def _rules(context: decimal.Context) -> tuple[int, str]:
    return context.prec, context.rounding


def _levels() -> dict[str, int]:
    loggers = {n: x for n, x in logging.root.manager.loggerDict.items() if hasattr(x, "level")}
    return {n: x.level for n, x in {**loggers, "root": logging.root}.items() if x.level}


def _options() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in pandas_config._registered_options:
        value = pandas_config._global_config
        for part in name.split("."):
            value = value[part]
        found[name] = value
    return found


def _parameters() -> dict[str, Any]:
    items = list(dict.items(mpl.rcParams))
    return {n: list(v) if isinstance(v, list) else v for n, v in items if n not in _OF_THE_SCREEN}
