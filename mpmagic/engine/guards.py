"""What work in the notebook's own process must not do, and is stopped at before it has done it.

The working directory, the environment, pyplot's current figure, descriptor 1 and what libraries
keep as their settings belong to the process. Work that changes them in one thread, be it for a
moment, would change what the others, and the notebook's commits, see at some moment or other.
"""

from __future__ import annotations

import functools
import logging
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from mpmagic.engine.filters import FilterRouting
from mpmagic.run.routing import Patches
from mpmagic.run.tenancy import Tenancy, post

__all__ = ["guarded"]

_AUDITED: Final = {
    "os.chdir": "changes the working directory",
    "os.putenv": "changes the environment",
    "os.unsetenv": "changes the environment",
    "os.system": "runs a command by `os.system`, whose output goes to descriptor 1",
    "os.fork": "forks the process",
    "os.forkpty": "forks the process",
    "os.posix_spawn": "starts a process by `os.posix_spawn`, whose output goes to descriptor 1",
}
"""What Python itself tells of, before it happens."""

_PYPLOT: Final = "uses `matplotlib.pyplot`, whose current figure"
_CHILD: Final = "starts a process that writes to descriptor 1 (give it a `stdout` of its own)"
_HANDLERS: Final = "adds a handler to a logger"
_DISPLAY: Final = "displays something by the notebook's shell"


def _refuse(what: str) -> None:
    at = post()
    if at is not None and at.tenancy is Tenancy.COMPANION:
        at.refuse(what)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _users:
        return
    if (what := _AUDITED.get(event)) is not None:
        _refuse(what)
    elif event == "exec" and _is_figures_code(arguments[0]):
        _refuse(_PYPLOT)


def _is_figures_code(code: Any) -> bool:
    """Whether it's that of the module which keeps pyplot's figures, as it's imported."""
    return isinstance(code, types.CodeType) and code.co_filename.endswith("_pylab_helpers.py")


_CSV: Final = "sets a limit, or a dialect, of `csv`"
_TIMEOUT: Final = "sets the timeout of sockets"

_SETTING: Final = (
    ("locale", "setlocale", "sets the locale", 2),
    ("time", "tzset", "sets the time zone", 0),
    ("os", "umask", "sets the umask", 0),
    ("sys", "setrecursionlimit", "sets the recursion limit", 0),
    ("socket", "setdefaulttimeout", _TIMEOUT, 0),
    ("_socket", "setdefaulttimeout", _TIMEOUT, 0),
    ("csv", "field_size_limit", _CSV, 1),
    ("csv", "register_dialect", _CSV, 0),
    ("csv", "unregister_dialect", _CSV, 0),
    ("xml.etree.ElementTree", "register_namespace", "sets a prefix of XML's namespaces", 0),
    ("logging", "disable", "disables levels of logging", 0),
)
"""Functions that set what libraries keep for the process, called by their modules' names, and with
how many arguments they set it.

A context manager that takes such a setting back makes no difference to the other threads.
"""

_lock: Final = threading.Lock()
_patches: Final = Patches()
_filters: FilterRouting | None = None
_users = 0
_is_audited = False


@contextmanager
def guarded() -> Iterator[None]:
    """While open, by whomever, work at a post in this process can't do such things."""
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            _install()
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _uninstall()


def _install() -> None:
    global _is_audited, _filters
    if not _is_audited:  # a hook can't be taken away again
        sys.addaudithook(_audit)
        _is_audited = True
    _filters = FilterRouting(_patches)
    _guard(logging.Logger, "addHandler", _HANDLERS)
    _patches.set(subprocess.Popen, "_get_handles", _handles(vars(subprocess.Popen)["_get_handles"]))
    if (shell := _shell()) is not None:
        _guard(shell.display_pub, "publish", _DISPLAY)
        _guard(shell.display_pub, "clear_output", _DISPLAY)
        _guard(shell.display_formatter, "format", _DISPLAY)
    for module, function, what, least in _SETTING:
        if function in vars(sys.modules.get(module, _guard)):
            _guard(sys.modules[module], function, what, least)
    _guard_options()
    if (mpl := sys.modules.get("matplotlib")) is not None and hasattr(mpl, "RcParams"):
        _guard_parameters(mpl.RcParams, mpl)
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    if helpers is not None:
        for name in ("get_active", "get_fig_manager", "_set_new_active_manager", "set_active"):
            _guard(helpers.Gcf, name, _PYPLOT)


def _uninstall() -> None:
    global _filters
    if _filters is not None:
        _filters.end()
        _filters = None
    _patches.undo()


def _guard(owner: Any, name: str, what: str, least: int = 0) -> None:
    call = getattr(owner, name)

    @functools.wraps(call)
    def guarding(*arguments: Any, **named: Any) -> Any:
        if len(arguments) + len(named) >= least:
            _refuse(what)
        return call(*arguments, **named)

    is_method = isinstance(vars(owner).get(name), classmethod)
    _patches.set(owner, name, staticmethod(guarding) if is_method else guarding)


def _guard_options() -> None:
    """Guard pandas' options; the one that it sets itself, in `groupby`, is of warnings alone."""
    for module in filter(None, map(sys.modules.get, ("pandas", "pandas._config.config"))):
        setting = [n for n, f in vars(module).items() if callable(f) and "set_option" in n]
        for name in setting:  # how those are called that do it varies with the version
            _patches.set(module, name, _guarded_option(getattr(module, name)))


def _guarded_option(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def guarding(*arguments: Any, **named: Any) -> Any:
        if "mode.chained_assignment" not in arguments:
            _refuse("sets an option of pandas")
        return call(*arguments, **named)

    return guarding


def _guard_parameters(kind: Any, module: Any) -> None:
    """Guard matplotlib's parameters; those that it reads from style sheets are no concern."""
    store = kind.__setitem__

    def storing(parameters: Any, name: str, value: Any) -> None:
        if parameters is module.rcParams:
            _refuse("sets a parameter of matplotlib")
        store(parameters, name, value)

    _patches.set(kind, "__setitem__", storing)


def _shell() -> Any:
    ipython = sys.modules.get("IPython.core.interactiveshell")
    shell = getattr(ipython, "InteractiveShell", None)
    return shell.instance() if shell is not None and shell.initialized() else None


def _handles(get: Callable[..., Any]) -> Callable[..., Any]:
    def handling(process: Any, stdin: Any, stdout: Any, stderr: Any) -> Any:
        if stdout is None:
            _refuse(_CHILD)
        return get(process, stdin, stdout, stderr)

    return handling
