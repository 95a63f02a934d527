"""Which modules idle workers import ahead, so that the first task finds them warm."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterable
from types import ModuleType

__all__ = ["Preloads"]

# The notebook's own machinery: loaded in each kernel, of no use to a task.
_FRONT_END = """
    IPython ipykernel ipykernel_launcher ipywidgets comm debugpy jedi parso jupyter_client
    jupyter_core matplotlib_inline mpmagic nest_asyncio nest_asyncio2 pexpect pickleshare
    prompt_toolkit psutil ptyprocess pure_eval pydevd pygments pytest stack_data tornado
    traitlets wcwidth zmq asttokens executing decorator backcall appnope cloudpickle xxhash
    pip setuptools pkg_resources coverage hypothesis _pytest pluggy _distutils_hack
    _pydevd_bundle _pydev_bundle nbclient nbformat
"""
_SKIPPED = frozenset(_FRONT_END.split())


class Preloads:
    """Remembers what each worker was told to import.

    Only installed packages that the kernel itself has loaded are among it, never the user's own
    modules: importing those may do anything.
    """

    def __init__(self) -> None:
        self._told: dict[int, int] = {}
        self._modules: tuple[str, ...] = ()
        self._looked_at = 0
        self._is_trusted = True

    def news_for(self, worker: int) -> tuple[str, ...]:
        """Give the modules that this worker hasn't been told of."""
        self._look()
        start = self._told.get(worker, 0)
        self._told[worker] = len(self._modules)
        return self._modules[start:]

    def distrust(self) -> None:
        """Import nothing ahead any more: a worker died with nothing else to do."""
        self._is_trusted = False
        self._modules = ()

    def _look(self) -> None:
        # Modules are hardly ever unloaded, so an equal count means that nothing is new.
        if not self._is_trusted or len(sys.modules) == self._looked_at:
            return
        self._looked_at = len(sys.modules)
        known = set(self._modules)
        news = (n for n in _installed(list(sys.modules.items())) if n not in known)
        self._modules += tuple(news)


def _installed(modules: Iterable[tuple[str, ModuleType]]) -> Iterable[str]:
    """Yield the names of modules from site-packages, packages before what is in them."""
    folders = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    for name, module in modules:
        root = name.partition(".")[0]
        if root in _SKIPPED or root.startswith("__"):
            continue
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.startswith(folders):
            yield name
