"""Settings of the standard library's and others' that change what the same code gives.

Each is read in the kernel when a loop begins and compared before each chunk, so reading one takes
microseconds: of pandas and matplotlib only what differs from their defaults, and only if the
kernel has imported them.
"""

from __future__ import annotations

import locale
import logging
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, Final, NamedTuple

__all__ = ["LOG_LEVELS", "PRINTING", "SETTINGS", "Setting"]

_OF_THE_SCREEN: Final = ("backend", "backend_fallback", "interactive", "toolbar")
"""Parameters of matplotlib's that belong to the kernel alone."""


class Setting(NamedTuple):
    """A setting: how it is read, and how it is brought from what it is to what it shall be."""

    read: Callable[[], Any]
    change: Callable[[Any, Any], None]


def _locale() -> str:
    return locale.setlocale(locale.LC_ALL)


def _change_locale(_: str, wanted: str) -> None:
    locale.setlocale(locale.LC_ALL, wanted)


def _timezone() -> tuple[str, str]:
    return time.tzname


def _change_timezone(_: Any, __: Any) -> None:
    time.tzset()  # the environment, which says which, has been taken over already


def _log_levels() -> tuple[int, dict[str, tuple[int, bool]]]:
    known = list(logging.root.manager.loggerDict.items())
    loggers = [(n, x) for n, x in known if isinstance(x, logging.Logger)]
    levels = {n: (logger.level, logger.disabled) for n, logger in loggers}
    levels["root"] = (logging.root.level, logging.root.disabled)
    return logging.root.manager.disable, levels


def _change_log_levels(now: Any, wanted: tuple[int, dict[str, tuple[int, bool]]]) -> None:
    if now[0] != wanted[0]:
        logging.disable(wanted[0])
    # Loggers that the kernel doesn't know keep the level that their library gave them.
    for name, (level, disabled) in wanted[1].items() - now[1].items():
        if name in now[1] or level or disabled:
            logger = logging.getLogger(name)
            logger.setLevel(level)
            logger.disabled = disabled


def _print_options() -> dict[str, Any]:
    numpy = sys.modules.get("numpy")
    return dict(numpy.get_printoptions()) if numpy is not None else {}


def _change_print_options(_: Any, wanted: dict[str, Any]) -> None:
    if wanted:
        import numpy as np

        np.set_printoptions(**wanted)


def _pandas_options() -> dict[str, Any]:
    config = sys.modules.get("pandas._config.config")
    if config is None:
        return {}
    found = {}
    for name, option in config._registered_options.items():
        value = config._global_config
        for part in name.split("."):
            value = value[part]
        if _differs(value, option.defval):
            found[name] = value
    return found


def _change_pandas_options(now: dict[str, Any], wanted: dict[str, Any]) -> None:
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the kernel was told what is deprecated
        for name in now.keys() - wanted.keys():
            pd.reset_option(name)
        for name, value in wanted.items():
            pd.set_option(name, value)


def _plot_parameters() -> dict[str, Any]:
    matplotlib = sys.modules.get("matplotlib")
    parameters = getattr(matplotlib, "rcParams", None)
    if parameters is None:  # its import is under way, or has failed
        return {}
    defaults = matplotlib.rcParamsDefault  # type: ignore[union-attr]
    # The class's own access looks for what is deprecated, and resolves the backend.
    return {
        name: value
        for name, value in dict.items(parameters)
        if _differs(value, dict.get(defaults, name)) and name not in _OF_THE_SCREEN
    }


def _change_plot_parameters(now: dict[str, Any], wanted: dict[str, Any]) -> None:
    import matplotlib as mpl

    parameters: Any = mpl.rcParams
    defaults: Any = mpl.rcParamsDefault
    back = {name: dict.get(defaults, name) for name in now.keys() - wanted.keys()}
    dict.update(parameters, {**back, **wanted})


def _differs(value: Any, default: Any) -> bool:
    return value is not default and (type(value) is not type(default) or bool(value != default))


PRINTING: Final = Setting(_print_options, _change_print_options)
"""Of numpy, from its second version on by thread."""

LOG_LEVELS: Final = Setting(_log_levels, _change_log_levels)
"""Of all loggers that there are."""

SETTINGS: Final = (
    Setting(_locale, _change_locale),
    Setting(_timezone, _change_timezone),
    LOG_LEVELS,
    PRINTING,
    Setting(_pandas_options, _change_pandas_options),
    Setting(_plot_parameters, _change_plot_parameters),
)
