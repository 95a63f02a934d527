"""The user's own modules: what of them the workers must have as the kernel has it.

A module is imported by the workers themselves, so three things could differ: the file may have
been edited since, attributes may have been rebound, and what they hold may have been changed.
The first two are told by the module's source and its attributes, which travel with the loop.
"""

from __future__ import annotations

import enum
import functools
import sys
import sysconfig
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mpmagic.cell.compiled import warnings_kept
from mpmagic.errors import UnsendableValue
from mpmagic.run.attributes import Attributes, look_at

__all__ = [
    "ModuleState",
    "is_users",
    "is_users_file",
    "names_in",
    "source_digest",
    "source_of",
    "states_of",
]

_INSTALLED: Final = {"site-packages", "dist-packages"}
_OURS: Final = str(Path(__file__).resolve().parent.parent)
_LIBRARY: Final = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), _OURS})

_WRAPPERS: Final = (types.FunctionType, functools._lru_cache_wrapper)


@dataclass(frozen=True, slots=True)
class ModuleState:
    """A module as the kernel has it.

    Attributes
    ----------
    name
        Its name.
    source
        The digest of its source; empty for a library's module, of which only those attributes
        matter that the work names.
    attributes
        What can be told of its attributes.
    watched
        Whether changes that the work makes to them are lost writes.
    needed
        Whether workers import it for that, since the work leads to its package.
    """

    name: str
    source: bytes = b""
    attributes: Attributes = field(default_factory=Attributes)
    watched: bool = True
    needed: bool = False


def states_of(
    values: Iterable[Any], reached: Iterable[str], names: set[str], local: frozenset[str]
) -> tuple[ModuleState, ...]:
    """The states of all modules that the work may look into.

    Parameters
    ----------
    values
        The captured values.
    reached
        Modules of the functions and classes that were sent by reference.
    names
        Names and attributes in the code of the work and of the notebook's functions.
    local
        Names of which each worker may keep its own.

    Raises
    ------
    UnsendableValue
        If the workers couldn't have a module as the kernel has it.
    """
    named = [v for v in values if isinstance(v, types.ModuleType)]
    begin = {*reached, *names, *(m.__name__ for m in named)}
    states = []
    for name in _users_modules(begin):
        module = sys.modules[name]
        _check_source(module)
        watched = not {name, name.partition(".")[0]} & local
        attributes = look_at(module)
        _check_own(name, attributes)
        states.append(ModuleState(name, source_digest(module), attributes, watched))
    return (*states, *_named_in_libraries(named, names))


def _check_own(name: str, attributes: Attributes) -> None:
    for path, reference in attributes.references.items():
        if reference.startswith("__main__:"):
            raise UnsendableValue(
                f"`{name}.{path}` was replaced by the notebook, and workers import the module "
                f"themselves; hand it in as an argument"
            )


def _named_in_libraries(
    modules: Iterable[types.ModuleType], names: set[str]
) -> Iterator[ModuleState]:
    """What the work names of modules that aren't the user's, which somebody may have rebound."""
    open_, seen = list(modules), set[int]()
    while open_:
        module = open_.pop()
        if id(module) in seen or is_users(module) or sys.modules.get(module.__name__) is not module:
            continue
        seen.add(id(module))
        found = Attributes()
        for name in names & vars(module).keys():
            value = vars(module)[name]
            if isinstance(value, types.ModuleType):
                open_.append(value)
            else:
                found.note(name, value)
        _check_own(module.__name__, found)
        _forget_patches(found)
        if found.data or found.references:
            yield ModuleState(module.__name__, b"", found, watched=False)


def _forget_patches(found: Attributes) -> None:
    """Leave out what debuggers and event loops put into libraries for the kernel's own sake."""
    for path, reference in list(found.references.items()):
        owner = sys.modules.get(reference.partition(":")[0])
        if "<locals>" in reference and not is_users(owner):
            del found.references[path]


# -- which modules they are --------------------------------------------------------------------


def is_users(module: Any) -> bool:
    """Whether a module is the user's own: from a file that isn't an installed library's."""
    file = getattr(module, "__file__", None)
    spec = getattr(module, "__spec__", None)
    return isinstance(file, str) and spec is not None and is_users_file(file)


@functools.lru_cache(maxsize=8192)
def is_users_file(file: str) -> bool:
    """Whether a file is the source of a module of the user's own."""
    path = Path(file)
    if path.suffix != ".py" or _INSTALLED & set(path.parts):
        return False
    return not any(path.is_relative_to(folder) for folder in _LIBRARY)


def _users_modules(names: Iterable[str]) -> list[str]:
    """The user's modules of these names, and those that they have to do with, as imported."""
    found: set[str] = set()
    open_ = set(names)
    while open_:
        name = open_.pop()
        module = sys.modules.get(name)
        if name in found or name == "__main__" or not is_users(module):
            continue
        assert module is not None
        found.add(name)
        open_ |= _linked(module)
        open_ |= {name.rpartition(".")[0]} if "." in name else set()
    return [name for name in list(sys.modules) if name in found] if found else []


def _linked(module: types.ModuleType) -> set[str]:
    """Names of modules that a module's attributes come from, or that its code may import."""
    linked = set()
    for value in list(vars(module).values()):
        if isinstance(value, types.ModuleType):
            linked.add(value.__name__)
        else:
            owner = value if isinstance(value, type | types.FunctionType) else type(value)
            linked.add(str(getattr(owner, "__module__", "")))
    for code in _codes(module):
        linked |= names_in(code)
    return linked


@functools.lru_cache(maxsize=4096)
def names_in(code: types.CodeType) -> frozenset[str]:
    """Globals, attributes and modules that code names, inner functions included."""
    inner = [names_in(c) for c in code.co_consts if isinstance(c, types.CodeType)]
    return frozenset(code.co_names).union(*inner)


# -- whether they are what their files say -----------------------------------------------------


class Source:
    """A source file as it is now.

    Parameters
    ----------
    file
        Its path.

    Attributes
    ----------
    digest
        Of its content and its place, 16 bytes.
    """

    def __init__(self, file: str) -> None:
        content = Path(file).read_bytes()
        # With its place: a module of that name from somewhere else is another one.
        import hashlib  # loads OpenSSL, and few workers come here

        self.digest = hashlib.blake2b(file.encode() + b"\0" + content, digest_size=16).digest()
        self._content, self._file = content, file

    @functools.cached_property
    def signatures(self) -> frozenset[Any]:
        """Those of all code objects in it."""
        return frozenset(signature(code) for code in _within(self._compiled()))

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """Globals, attributes and modules that its code names."""
        return names_in(self._compiled())

    def _compiled(self) -> types.CodeType:
        with warnings_kept():  # given when it was imported
            return compile(self._content, self._file, "exec", dont_inherit=True)


def _within(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _within(constant)


@functools.lru_cache(maxsize=4096)
def signature(code: types.CodeType) -> tuple[Any, ...]:
    """What code does, wherever it stands: IPython's autoreload compiles functions by themselves."""
    constants = tuple(_constant(c) for c in code.co_consts)
    names = (code.co_name, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    return (code.co_code, constants, names, counts, code.co_exceptiontable)


def _constant(value: Any) -> Any:
    if isinstance(value, types.CodeType):
        return signature(value)
    # Equal sets may be written in any order; of numbers, equal ones may still be others.
    return (type(value), value if isinstance(value, frozenset) else repr(value))


@functools.lru_cache(maxsize=256)
def _source(file: str, modified: int, size: int) -> Source:
    return Source(file)


def _stamp(file: Any) -> tuple[str, int, int]:
    status = Path(file).stat()
    return file, status.st_mtime_ns, status.st_size


def source_of(file: Any) -> Source:
    """A source file as it is now; read and compiled once as long as it stays so."""
    return _source(*_stamp(file))


def source_digest(module: types.ModuleType) -> bytes:
    """The digest of the file that a module comes from, as it is now."""
    return source_of(module.__file__).digest


_agreed: dict[str, tuple[Any, tuple[types.CodeType, ...]]] = {}


def _check_source(module: types.ModuleType) -> None:
    """Nothing of the module is older than its file: a worker will import that.

    Raises
    ------
    UnsendableValue
        Naming what is.
    """
    name = module.__name__
    try:
        codes = tuple(_codes(module))
        stamps = {file: _stamp(file) for file in {module.__file__, *(c.co_filename for c in codes)}}
        if _agreed.get(name) == (stamps, codes):
            return
        old = [c for c in codes if signature(c) not in _source(*stamps[c.co_filename]).signatures]
    except (OSError, SyntaxError) as error:
        raise UnsendableValue(f"the module `{name}` can't be imported again: {error}") from error
    if old:
        raise UnsendableValue(
            f"`{old[0].co_qualname}` of the module `{name}` isn't what its file says now, so "
            f"that workers would get another; reload it: `importlib.reload({name})`"
        )
    _agreed[name] = (stamps, codes)


def _codes(module: types.ModuleType) -> Iterator[types.CodeType]:
    """The code of the functions in a module, methods included, that come from the user's files."""
    for value in list(vars(module).values()):
        members = [value]
        if isinstance(value, type) and is_users(sys.modules.get(value.__module__)):
            plain = not issubclass(value, enum.Enum)
            members = list(vars(value).values()) if plain else []
        for member in members:
            function = _function_in(member)
            if function is not None and is_users_file(function.__code__.co_filename):
                yield function.__code__


def _function_in(member: Any) -> types.FunctionType | None:
    if isinstance(member, staticmethod | classmethod):
        member = member.__func__
    elif isinstance(member, property):
        member = member.fget
    elif isinstance(member, functools.cached_property):
        member = member.func
    inner = getattr(member, "__wrapped__", None) if isinstance(member, _WRAPPERS) else None
    function = member if inner is None else inner
    return function if isinstance(function, types.FunctionType) else None
