"""Settings of Python's own library that change what the same code gives."""

from __future__ import annotations

import locale
import logging
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

from mpmagic.run.setting import Setting

__all__ = ["LOG_LEVELS", "SETTINGS"]

_Levels = tuple[int, dict[str, tuple[int, bool]]]
"""Up to which level nothing is logged, and by name of each logger its own and whether it's off."""

_LEVELS: Final = {0: "NOTSET", 10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}
_CSV: Final[tuple[int, dict[str, Any]]] = (131072, {})
_DIALECTS: Final = frozenset({"excel", "excel-tab", "unix"})
_DIALECT: Final = (
    "delimiter", "doublequote", "escapechar", "lineterminator", "quotechar", "quoting",
    "skipinitialspace", "strict",
)  # fmt: skip
_XML: Final = "xml.etree.ElementTree"
_PREFIXES: Final = frozenset({"xml", "html", "rdf", "wsdl", "xs", "xsi", "dc"})
"""Those that it has from the start."""


def _locale() -> str:
    return locale.setlocale(locale.LC_ALL)


def _change_locale(_: str, wanted: str) -> None:
    locale.setlocale(locale.LC_ALL, wanted)


def _timezone() -> tuple[str, str]:
    return time.tzname


def _change_timezone(_: Any, __: Any) -> None:
    time.tzset()  # the environment, which says which, has been taken over already


def _log_levels() -> _Levels:
    known = list(logging.root.manager.loggerDict.items())
    loggers = [(n, x) for n, x in known if isinstance(x, logging.Logger)]
    levels = {n: (logger.level, logger.disabled) for n, logger in loggers}
    levels["root"] = (logging.root.level, logging.root.disabled)
    return logging.root.manager.disable, levels


def _change_log_levels(now: _Levels, wanted: _Levels) -> None:
    if now[0] != wanted[0]:
        logging.disable(wanted[0])
    for name, (level, disabled) in _other_levels(now, wanted):
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.disabled = disabled


def _are_levels(now: _Levels, wanted: _Levels) -> bool:
    return now[0] == wanted[0] and next(_other_levels(now, wanted), None) is None


def _other_levels(now: _Levels, wanted: _Levels) -> Iterator[tuple[str, tuple[int, bool]]]:
    """Loggers that the kernel doesn't know keep the level that their library gave them."""
    for name, (level, disabled) in wanted[1].items() - now[1].items():
        if name in now[1] or level or disabled:
            yield name, (level, disabled)


def _level_names() -> dict[int, str]:
    return {n: name for n, name in logging._levelToName.items() if _LEVELS.get(n) != name}


def _change_level_names(now: dict[int, str], wanted: dict[int, str]) -> None:
    for level in now.keys() - wanted.keys():
        logging._nameToLevel.pop(now[level], None)
        if level in _LEVELS:
            logging.addLevelName(level, _LEVELS[level])
        else:
            del logging._levelToName[level]
    for level, name in wanted.items():
        logging.addLevelName(level, name)


def _first_weekday() -> int | None:
    module = sys.modules.get("calendar")
    return None if module is None else int(module.firstweekday())


def _change_first_weekday(_: int | None, wanted: int) -> None:
    import calendar

    calendar.setfirstweekday(wanted)


def _socket_timeout() -> tuple[float | None] | None:
    module = sys.modules.get("socket")
    return None if module is None else (module.getdefaulttimeout(),)


def _change_socket_timeout(_: Any, wanted: tuple[float | None]) -> None:
    import socket

    socket.setdefaulttimeout(wanted[0])


def _csv() -> tuple[int, dict[str, tuple[Any, ...]]] | None:
    module = sys.modules.get("csv")
    if module is None:
        return None
    own = {n: module.get_dialect(n) for n in module.list_dialects() if n not in _DIALECTS}
    dialects = {n: tuple(getattr(d, part) for part in _DIALECT) for n, d in own.items()}
    return module.field_size_limit(), dialects


def _change_csv(now: Any, wanted: tuple[int, dict[str, tuple[Any, ...]]]) -> None:
    import csv

    csv.field_size_limit(wanted[0])
    for name in () if now is None else now[1].keys() - wanted[1].keys():
        csv.unregister_dialect(name)
    for name, parts in wanted[1].items():
        csv.register_dialect(name, **dict(zip(_DIALECT, parts, strict=True)))


def _change_digits(_: int, wanted: int) -> None:
    sys.set_int_max_str_digits(wanted)


def _xml_prefixes() -> dict[str, str] | None:
    module = sys.modules.get(_XML)
    if module is None:
        return None
    return {uri: p for uri, p in module._namespace_map.items() if p not in _PREFIXES}


def _change_xml_prefixes(now: dict[str, str] | None, wanted: dict[str, str]) -> None:
    from xml.etree import ElementTree

    known: dict[str, str] = ElementTree._namespace_map  # type: ignore[attr-defined]
    for uri in (now or {}).keys() - wanted.keys():
        del known[uri]
    known.update(wanted)


LOG_LEVELS: Final = Setting(
    "the levels of loggers", _log_levels, _change_log_levels, is_met=_are_levels
)
"""Of all loggers that there are."""

SETTINGS: Final = (
    Setting("the locale", _locale, _change_locale),
    Setting("the time zone", _timezone, _change_timezone),
    LOG_LEVELS,
    Setting("the names of logging's levels", _level_names, _change_level_names),
    Setting("the first day of calendars' weeks", _first_weekday, _change_first_weekday, 0),
    Setting("the timeout of sockets", _socket_timeout, _change_socket_timeout, (None,)),
    Setting("the limit or the dialects of `csv`", _csv, _change_csv, _CSV),
    Setting("the longest integer in text", sys.get_int_max_str_digits, _change_digits),
    Setting("the prefixes of XML's namespaces", _xml_prefixes, _change_xml_prefixes, {}),
)
