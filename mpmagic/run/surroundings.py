"""What a loop's work sees besides its values: the process, and modules that it may import.

For each a digest that lasts, under words by which a user knows it.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, Final

from mpmagic.run.lasting import lasting
from mpmagic.run.modules import is_users, is_users_file, names_in, source_of
from mpmagic.run.settings import LOG_LEVELS, SETTINGS
from mpmagic.run.state import ProcessState

__all__ = ["surroundings", "user_sources"]

_OF_THE_SESSION: Final = (
    "JPY_", "PYDEVD_", "SSH_", "XDG_SESSION", "TMUX", "VSCODE_", "DBUS_", "GPG_", "LESS",
    "TERM_SESSION", "ITERM_", "WINDOWID", "COLORTERM", "JOURNAL_STREAM", "INVOCATION_ID", "SHLVL",
    "PWD", "OLDPWD", "LS_COLORS", "DISPLAY", "WAYLAND_", "PS1", "PYTEST_CURRENT_TEST", "TERM",
)  # fmt: skip
"""What names of variables begin with that belong to a terminal or to a front end."""


def surroundings(codes: Iterable[types.CodeType], namespace: dict[str, Any]) -> dict[str, str]:
    """What there is now.

    Parameters
    ----------
    codes
        The work's, and the functions' that it calls.
    namespace
        The notebook's.
    """
    state = ProcessState.for_others()
    seen: dict[str, Any] = {
        "the working directory": state.directory,
        "`sys.path`": state.path,
        "the recursion limit": state.recursion_limit,
        "the umask": state.umask,
        "the filters of warnings": state.filters,
        "the decimal context": state.decimals,
        "what numpy does on floating-point errors": state.floats,
    }
    for name, value in state.environment:
        if name != "_" and not name.startswith(_OF_THE_SESSION):
            seen[f"the environment's `{name}`"] = value
    for setting, value in zip(SETTINGS, state.settings, strict=True):
        if setting is not LOG_LEVELS:  # of all loggers that are there, as libraries leave them
            seen[setting.words] = value
    found = {what: lasting(value, namespace).digest.hex() for what, value in seen.items()}
    names = {name for code in codes for name in names_in(code)}
    return found | {f"the module `{n}`": source for n, source in user_sources(names).items()}


def user_sources(names: Iterable[str]) -> dict[str, str]:
    """Digests of the sources of the user's modules of these names, and of those that they name.

    They needn't be imported yet: a function may do so when it is called.
    """
    found: dict[str, str] = {}
    open_, seen = set(names), set[str]()
    while open_:
        name = open_.pop()
        seen.add(name)
        if (file := _file_of(name)) is not None:
            source = source_of(file)
            found[name] = source.digest.hex()
            with suppress(SyntaxError, ValueError):  # whoever imports it gets that too
                open_ |= source.names - seen
    return found


def _file_of(name: str) -> str | None:
    """The file of a module of the user's; None for other names."""
    module = sys.modules.get(name)
    if module is not None:
        file = module.__file__ if is_users(module) else None
    else:
        spec = None if "." in name else PathFinder.find_spec(name)
        file = None if spec is None else spec.origin
    return file if file is not None and is_users_file(file) and Path(file).is_file() else None
