"""Functions of libraries that change what belongs to the whole process.

What is called unseen, in the same iteration or in the next, may read it.
"""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterable
from typing import Any, Final

from mpmagic.cell import tables
from mpmagic.cell.knowledge import Knowledge

__all__ = [
    "REASON",
    "changes_logger",
    "changes_process",
    "made_by",
    "stores_taken_back_by",
    "taken_back_by",
]

REASON: Final = "it changes the state of the process, which iterations share"

_CHANGING: Final = frozenset(
    {"posix.chdir", "os.chdir", "posix.fchdir", "posix.umask", "posix.putenv", "posix.unsetenv",
     "warnings.simplefilter", "warnings.filterwarnings", "warnings.resetwarnings",
     "locale.setlocale", "gettext.textdomain", "gettext.bindtextdomain", "time.tzset",
     "sys.setrecursionlimit", "sys.set_int_max_str_digits", "importlib.reload",
     "logging.basicConfig", "logging.disable", "logging.captureWarnings", "logging.addLevelName",
     "logging.setLoggerClass", "logging.setLogRecordFactory",
     "random.seed", "decimal.setcontext",
     "gc.set_threshold", "gc.freeze", "gc.enable", "gc.disable",
     "socket.setdefaulttimeout", "urllib.request.install_opener", "atexit.register",
     "calendar.setfirstweekday",
     "csv.field_size_limit", "csv.register_dialect", "csv.unregister_dialect",
     "codecs.register", "codecs.register_error", "copyreg.pickle", "mimetypes.add_type",
     "_sqlite3.register_adapter", "_sqlite3.register_converter",
     "xml.etree.ElementTree.register_namespace", "resource.setrlimit",
     "numpy.seterr", "numpy.seterrcall", "numpy.setbufsize", "numpy.set_printoptions",
     "pandas.set_option", "pandas.reset_option",
     "matplotlib.rc", "matplotlib.rcdefaults", "matplotlib.rc_file", "matplotlib.rc_file_defaults",
     "matplotlib.pyplot.rc", "matplotlib.pyplot.rcdefaults",
     "matplotlib.style.use", "matplotlib.style.core.use",
     "seaborn.rcmod.set_theme", "seaborn.rcmod.set_style", "seaborn.rcmod.set_context",
     "seaborn.rcmod.set", "seaborn.rcmod.reset_defaults", "seaborn.rcmod.reset_orig",
     "sklearn._config.set_config"}
)  # fmt: skip

_OF_MATPLOTLIB: Final = frozenset(
    {"matplotlib.rc_context", "matplotlib.pyplot.rc_context", "matplotlib.style.context",
     "matplotlib.style.core.context"}
)  # fmt: skip

_TAKEN_BACK_BY: Final = {
    **dict.fromkeys(
        ("warnings.simplefilter", "warnings.filterwarnings", "warnings.resetwarnings"),
        frozenset({"warnings.catch_warnings"}),
    ),
    "numpy.seterr": frozenset({"numpy.errstate"}),
    "numpy.set_printoptions": frozenset({"numpy.printoptions"}),
    "decimal.setcontext": frozenset({"decimal.localcontext"}),
    **dict.fromkeys((n for n in _CHANGING if n.startswith("matplotlib.")), _OF_MATPLOTLIB),
}
"""The context managers that take such a change back when they are left."""

_ASKING: Final = {"locale.setlocale": 1, "csv.field_size_limit": 0}
"""With how many arguments a function only tells what there is."""

_OF_LOGGERS: Final = frozenset(
    {"setLevel", "addHandler", "removeHandler", "addFilter", "removeFilter"}
)


def changes_process(callee: Any, node: ast.Call) -> bool:
    """Whether a call of a library's function changes what belongs to the process."""
    name = tables.qualified_name(callee)
    return name in _CHANGING and (len(node.args) != _ASKING.get(name) or bool(node.keywords))


def taken_back_by(callee: Any) -> frozenset[str]:
    """The context managers in which it would be right, by their qualified names."""
    return _TAKEN_BACK_BY.get(tables.qualified_name(callee), frozenset())


def stores_taken_back_by(value: Any) -> frozenset[str]:
    """The same for stores into a mapping of the process."""
    return _OF_MATPLOTLIB if type(value).__name__ == "RcParams" else frozenset()


def changes_logger(kind: type | None, method: str) -> bool:
    """Whether a method changes a logger, of which there is one of its name."""
    return kind is not None and issubclass(kind, logging.Logger) and method in _OF_LOGGERS


def made_by(contexts: Iterable[ast.expr], knowledge: Knowledge) -> set[str]:
    """Qualified names of what is called for the managers of a ``with``."""
    made = [knowledge.resolve(c.func) for c in contexts if isinstance(c, ast.Call)]
    return {tables.qualified_name(callee) for callee in made} - {""}
