"""The user's modules in a worker: imported, and brought to the state that the kernel's have."""

from __future__ import annotations

import functools
import importlib
import pickle
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any, Final

from mpmagic.errors import UnsendableValue
from mpmagic.pool import in_worker
from mpmagic.run.attributes import Attributes, look_at, pickled_if_plain
from mpmagic.run.modules import ModuleState, source_digest
from mpmagic.run.tape import taped
from mpmagic.run.tenancy import Tenancy, tenancy
from mpmagic.run.unplain import states_in

__all__ = ["ModuleWatch", "adopt", "import_as_sent"]

_MISSING: Final = object()

_imported: dict[str, tuple[Any, bytes]] = {}
"""By name, the spec that a module of the user's was imported with, and its source."""

_replaced: dict[tuple[str, str], Any] = {}
"""What attributes of libraries were before they became the kernel's."""


def import_as_sent(states: Iterable[ModuleState]) -> bool:
    """Import the user's modules; whether some had to go that were there, since they were old.

    Raises
    ------
    UnsendableValue
        If a file isn't any more what the kernel has seen.
    """
    if not in_worker() and tenancy() is not Tenancy.GUEST:
        return False
    wanted = {s.name: s.source for s in states if s.source}
    old = [n for n in wanted if n in sys.modules and not _is_current(n, wanted[n])]
    if old:
        for name in list(sys.modules):
            # Not only those: what they import from each other must be of one time.
            if name in wanted or name.startswith(tuple(f"{n}." for n in wanted)):
                del sys.modules[name]
    importlib.invalidate_caches()  # a file may be a moment old
    with taped([]):  # what importing shows, the notebook showed when it imported them
        for name, source in wanted.items():
            _import(name, source)
    return bool(old)


def _is_current(name: str, source: bytes) -> bool:
    spec, known = _imported.get(name, (None, b""))
    return spec is sys.modules[name].__spec__ and known == source


def _import(name: str, source: bytes) -> None:
    try:
        module = importlib.import_module(name)
    except Exception:
        return  # if the work needs it, it fails there, and tells why
    _imported[name] = (module.__spec__, source)
    if source_digest(module) != source:
        del _imported[name]
        raise UnsendableValue(
            f"the file of the module `{name}` was edited while the loop began; reload it"
        )


def adopt(states: Iterable[ModuleState]) -> None:
    """Make the attributes of modules what they are in the kernel.

    Raises
    ------
    UnsendableValue
        If one of them refers to what can't be found here.
    """
    present = [s for s in states if s.name in sys.modules or (s.needed and _is_there(s.name))]
    kept = {(s.name, path) for s in present for path in s.attributes.paths}
    for key in _replaced.keys() - kept:
        _set(sys.modules[key[0]], key[1], _replaced.pop(key))
    updated: dict[int, bytes] = {}
    for state in present:
        module = sys.modules[state.name]
        if state.source:
            _adopt_all(module, state.attributes, updated)
        else:
            for path, value in _differing(module, state.attributes, _named(module, state)):
                _replaced.setdefault((state.name, path), _get(module, path))
                _set(module, path, value())


def _is_there(name: str) -> bool:
    """Import a library's module; if it can't be, the work's own import says why."""
    try:
        importlib.import_module(name)
    except Exception:
        return False
    return True


def _named(module: types.ModuleType, state: ModuleState) -> Attributes:
    found = Attributes()
    for name in state.attributes.paths & vars(module).keys():
        found.note(name, vars(module)[name])
    return found


def _adopt_all(module: types.ModuleType, theirs: Attributes, updated: dict[int, bytes]) -> None:
    own = look_at(module)
    for path, value in list(_differing(module, theirs, own)):
        pickled = theirs.data.get(path, b"")
        if not _update(_get(module, path), value(), pickled, updated):
            _set(module, path, value())
    for path in own.data.keys() - theirs.paths:
        if "." not in path or path.rpartition(".")[0] in theirs.paths:
            _set(module, path, _MISSING)


def _differing(module: types.ModuleType, theirs: Attributes, own: Attributes) -> Iterator[Any]:
    """Paths at which this process has something else, each with what gives the kernel's value."""
    for path, pickled in theirs.data.items():
        if not _equal(own.data.get(path), pickled) and _get_holder(module, path) is not None:
            yield path, functools.partial(pickle.loads, pickled)
    for path, reference in theirs.references.items():
        if own.references.get(path) != reference and _get_holder(module, path) is not None:
            yield path, functools.partial(_resolve, module.__name__, path, reference)


def _equal(own: bytes | None, theirs: bytes) -> bool:
    if own is None or own == theirs:
        return own is not None
    # What is one object twice and what is two equal ones is pickled differently.
    return pickle.dumps(pickle.loads(own)) == pickle.dumps(pickle.loads(theirs))


def _update(own: Any, value: Any, pickled: bytes, updated: dict[int, bytes]) -> bool:
    """Change a container in place, since others may hold it; not if that makes one of two."""
    if type(own) is not type(value) or type(own) not in (dict, list, set):
        return False
    if updated.setdefault(id(own), pickled) != pickled:
        return False
    own.clear()
    (own.extend if type(own) is list else own.update)(value)
    return True


def _resolve(module: str, path: str, reference: str) -> Any:
    name, _, qualname = reference.partition(":")
    try:
        return functools.reduce(getattr, qualname.split("."), importlib.import_module(name))
    except (ImportError, AttributeError) as error:
        raise UnsendableValue(
            f"`{module}.{path}` is `{qualname}` of `{name}` in the notebook, which a worker "
            f"can't find; hand it in as an argument"
        ) from error


def _get_holder(module: Any, path: str) -> Any:
    for name in path.split(".")[:-1]:
        module = vars(module).get(name)
        if not hasattr(module, "__dict__"):
            return None
    return module


def _get(module: Any, path: str) -> Any:
    return vars(_get_holder(module, path)).get(path.rpartition(".")[2], _MISSING)


def _set(module: Any, path: str, value: Any) -> None:
    holder, name = _get_holder(module, path), path.rpartition(".")[2]
    if isinstance(holder, type | types.ModuleType):
        delattr(holder, name) if value is _MISSING else setattr(holder, name, value)
    elif value is _MISSING:
        del vars(holder)[name]
    else:
        vars(holder)[name] = value  # past a frozen class's own way


class ModuleWatch:
    """Tells what the work has changed of the user's modules.

    Parameters
    ----------
    states
        The modules, as they are now.
    """

    def __init__(self, states: Iterable[ModuleState]) -> None:
        names = [s.name for s in states if s.source and s.watched and s.name in sys.modules]
        self._before = {n: look_at(sys.modules[n]) for n in names}
        self._states = {n: states_in(sys.modules[n], seen.data) for n, seen in self._before.items()}

    def changed(self) -> str:
        """The attribute that isn't what it was, with its module; empty for none."""
        for name, before in self._before.items():
            now = look_at(sys.modules[name])
            if now.data == before.data and now.references == before.references:
                continue
            for path in sorted(now.paths | before.paths):
                if self._differs(path, before, now):
                    return f"{name}.{path}"
        for name, states in self._states.items():
            seen = states_in(sys.modules[name], self._before[name].data)
            for path in states.keys() & seen.keys():
                if states[path] != seen[path]:
                    return f"{name}.{path}"
        return ""

    @staticmethod
    def _differs(path: str, before: Attributes, now: Attributes) -> bool:
        old, new = before.data.get(path), now.data.get(path)
        if before.references.get(path) != now.references.get(path):
            return True
        # None became an object: made at its first use, as each process does for itself.
        return old != new and not (old == pickled_if_plain(None) and new is None
                                   and path in now.paths)  # fmt: skip
