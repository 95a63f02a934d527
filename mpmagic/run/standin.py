"""What `IPython.display` finds in a worker in the place of a shell.

Only that module finds it: to everything else a worker is a process without IPython's shell, as
ever, and libraries that ask for one do there what they do in a script.
"""

from __future__ import annotations

import builtins
import functools
import importlib.machinery
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

__all__ = ["FormattingFailed", "formatting_raises", "stand_in"]

_SHELL: Final = "IPython.core.interactiveshell"
_DISPLAY: Final = "IPython.core.display_functions"

_standing: list[Any] = []
"""What is displayed goes to the last of these."""


@contextmanager
def stand_in(screen: Any) -> Iterator[None]:
    """While open, `display` formats and publishes by `screen`."""
    _install()
    _standing.append(screen)
    try:
        yield
    finally:
        _standing.pop()


@functools.cache
def _install() -> None:
    vars(builtins).setdefault("display", _display)
    if _SHELL in sys.modules:
        _patch(sys.modules[_SHELL])
    else:
        sys.meta_path.insert(0, _AtImport())


def _display(*values: Any, **options: Any) -> Any:
    """What a notebook has as a builtin."""
    from IPython.display import display

    return display(*values, **options)


class _AtImport:
    """Waits for IPython to be imported: most work never does, and it takes a tenth of a second."""

    def find_spec(
        self, name: str, path: Any, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != _SHELL:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            run: Any = spec.loader.exec_module

            def exec_module(module: types.ModuleType) -> None:
                run(module)
                _patch(module)

            vars(spec.loader)["exec_module"] = exec_module
        return spec


def _patch(module: Any) -> None:
    shell = module.InteractiveShell
    initialized, instance = shell.initialized.__func__, shell.instance.__func__

    def is_there(cls: Any) -> bool:
        return bool(_is_for_display() or initialized(cls))

    def found(cls: Any, *args: Any, **named: Any) -> Any:
        if _is_for_display():
            screen = _standing[-1]
            return types.SimpleNamespace(display_formatter=screen, display_pub=screen)
        return instance(cls, *args, **named)

    shell.initialized, shell.instance = classmethod(is_there), classmethod(found)


def _is_for_display() -> bool:
    return bool(_standing) and sys._getframe(2).f_globals.get("__name__") == _DISPLAY


class FormattingFailed(BaseException):
    """A method or printer has raised: IPython would show the traceback and go on."""


class _Raising:
    @staticmethod
    def showtraceback(_: Any) -> None:
        raise FormattingFailed


@contextmanager
def formatting_raises() -> Iterator[None]:
    """While open, IPython's formatters end with `FormattingFailed` where something raises."""
    from IPython.core import formatters

    before = formatters.get_ipython
    formatters.get_ipython = _Raising
    try:
        yield
    finally:
        formatters.get_ipython = before
