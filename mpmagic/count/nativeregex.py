"""Patterns that PCRE2 searches for many lines at once, called from the kernel in C.

So other threads run meanwhile, which `pcre2` from PyPI doesn't let them. It takes the system's own
library, where there is one that can compile patterns to machine code: it comes with git and grep.
"""

from __future__ import annotations

import ctypes
import functools
import weakref
from typing import Any, Final

from mpmagic.count.native import LineMatcher, line_matcher, memory_of, plain_test

__all__ = ["NativeRegex", "native_regex"]

_NAMES: Final = ("libpcre2-8.so.0", "libpcre2-8.0.dylib", "libpcre2-8.dylib")
_MULTILINE: Final = 0x00000400
_JIT_COMPLETE: Final = 1
_POINTER: Final = ctypes.c_void_p
_SIGNATURES: Final[dict[str, tuple[Any, ...]]] = {
    "compile": (_POINTER, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint32, _POINTER, _POINTER,
                _POINTER),
    "jit_compile": (ctypes.c_int, _POINTER, ctypes.c_uint32),
    "match_data_create": (_POINTER, ctypes.c_uint32, _POINTER),
    "get_ovector_pointer": (_POINTER, _POINTER),
    "match": (ctypes.c_int, _POINTER, _POINTER, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_uint32,
              _POINTER, _POINTER),
    "code_free": (None, _POINTER),
    "match_data_free": (None, _POINTER),
}  # fmt: skip
"""Of PCRE2's functions what they give and take; their names begin and end with what all have."""


def native_regex(expression: bytes) -> NativeRegex | None:
    """Compile an expression that matches within a line; None where that can't be done here."""
    match, library = line_matcher(), _library()
    if match is None or library is None:
        return None
    pattern = b"(*LF)" + expression  # whatever this build of it takes for a line's end
    number, place = ctypes.c_int(), ctypes.c_size_t()
    code = library["compile"](
        pattern, len(pattern), _MULTILINE, ctypes.byref(number), ctypes.byref(place), None
    )
    if not code:
        return None
    if library["jit_compile"](code, _JIT_COMPLETE) != 0:
        library["code_free"](code)
        return None
    return NativeRegex(code, match, library)


class NativeRegex:
    """A compiled pattern. Each thread has its own.

    Parameters
    ----------
    code : int
        PCRE2's, which is freed with this object.
    match : LineMatcher
        The kernel.
    library : dict
        PCRE2's functions.
    """

    def __init__(self, code: int, match: LineMatcher, library: dict[str, Any]) -> None:
        self._code = code
        self._match = match
        self._found = library["match_data_create"](1, None)
        self._bounds = library["get_ovector_pointer"](self._found)
        self._run = ctypes.cast(library["match"], _POINTER)
        weakref.finalize(self, library["code_free"], code)
        weakref.finalize(self, library["match_data_free"], self._found)

    def count(self, block: memoryview) -> int | None:
        """Count the lines of a block that match.

        None if not all of it is ASCII without carriage returns, or if the search takes more than
        PCRE2 allows: it has limits to what it tries and remembers, and `re` has none.
        """
        memory, is_plain = memory_of(block), plain_test()
        if is_plain is None or not is_plain(memory, len(block)):
            return None
        failure = ctypes.c_int(0)
        count = self._match(
            self._run, self._code, self._found, self._bounds, memory, len(block),
            ctypes.byref(failure),
        )  # fmt: skip
        return None if failure.value else count


@functools.cache
def _library() -> dict[str, Any] | None:
    for name in _NAMES:
        try:
            return _functions(ctypes.CDLL(name))
        except (OSError, AttributeError):  # not there, or another of that name
            continue
    return None


def _functions(library: ctypes.CDLL) -> dict[str, Any]:
    found = {}
    for name, (given, *parameters) in _SIGNATURES.items():
        function = library[f"pcre2_{name}_8"]
        function.restype, function.argtypes = given, parameters
        found[name] = function
    return found
