"""Lines that match, and what a group captured in them: the fastest form that agrees with `re`.

Measured per core on an access log: `re` line by line 70 to 550 MB/s; `re` over many lines at once
500 to 650; PCRE2 with its JIT over many lines 1,500 to 2,500, a third of that for 1 MiB at once:
what the allocator has to ask the system for costs more than the search. For groups PCRE2 is
slower than `re.findall`. Both hold the GIL, so they are run on processes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any

from mpmagic.count.literals import Literals
from mpmagic.count.patterns import Pattern, portable
from mpmagic.count.query import Query

__all__ = ["Grouper", "Matcher"]

_CODEC = ("utf-8", "surrogateescape")
_BITE = 48 << 10


class Matcher:
    """Counts the lines that match at least one of a query's patterns.

    Parameters
    ----------
    patterns : tuple of Pattern
        The patterns; at least one.
    """

    def __init__(self, patterns: tuple[Pattern, ...]) -> None:
        self._searches = [pattern.compiled().search for pattern in patterns]
        self._ignore_case = patterns[0].ignore_case
        literals = [pattern.literal for pattern in patterns]
        self._literals: Literals | None = None
        self._fast: Any = None
        if None not in literals:
            found = tuple(literal for literal in literals if literal is not None)
            self._literals = Literals(found, ignore_case=self._ignore_case)
        else:
            self._fast = _over_many_lines(patterns)

    def count(self, block: memoryview) -> int:
        """Count the lines of a block of whole lines that match."""
        if self._literals is not None and not self._ignore_case:
            return self._literals.count(block)
        found, rest = 0, []
        for text, plain in _by_alphabet(block):
            if plain and self._literals is not None:
                found += self._literals.count(memoryview(text))
            elif plain and self._fast is not None:
                found += self._quickly(text)
            else:
                rest.append(text)
        return found + sum(self._one_by_one(text) for text in rest)

    def select(self, lines: list[str], *, invert: bool = False) -> list[str]:
        """Give the lines that match, or with `invert` the others."""
        return [line for line in lines if any(find(line) for find in self._searches) != invert]

    def _quickly(self, text: bytes) -> int:
        try:
            # Each match takes the rest of its line along, so a line counts once.
            return sum(self._fast.subn(b"", bite)[1] for bite in _bites(text))
        except Exception as error:
            if not type(error).__module__.startswith("pcre2"):
                raise
            self._fast = None  # it ran into one of its limits; `re` has none
            return self._one_by_one(text)

    def _one_by_one(self, text: bytes) -> int:
        lines = _lines(text)
        if len(self._searches) > 1:
            return len(self.select(lines))
        return len(lines) - list(map(self._searches[0], lines)).count(None)


class Grouper:
    """Counts lines by what the first group of a pattern, or all of it, captured in them.

    Parameters
    ----------
    query : Query
        Has `by`; with `match` too, only the lines that match are grouped.
    """

    def __init__(self, query: Query) -> None:
        assert query.by is not None
        compiled = query.by.compiled()
        self._search = compiled.search
        self._group = min(1, compiled.groups)
        self._matcher = Matcher(query.match) if query.match else None
        self._invert = query.invert
        self._fast = None if query.match else _all_groups(query.by)

    def count(self, block: memoryview) -> Counter[str]:
        """Count the lines of a block of whole lines by group."""
        groups: Counter[str] = Counter()
        for text, plain in _by_alphabet(block):
            if plain and self._fast is not None:
                found: Counter[bytes] = Counter()
                for bite in _bites(text):
                    found.update(self._fast(bite))
                groups.update({key.decode(): number for key, number in found.items()})
            else:
                groups.update(self._one_by_one(text))
        return groups

    def _one_by_one(self, text: bytes) -> Counter[str]:
        lines = _lines(text)
        if self._matcher is not None:
            lines = self._matcher.select(lines, invert=self._invert)
        found = filter(None, map(self._search, lines))
        return Counter(match[self._group] or "" for match in found)


def _over_many_lines(patterns: tuple[Pattern, ...]) -> Any:
    """Compile the patterns so that each match takes one line; None if that might differ."""
    written = [portable(pattern) for pattern in patterns]
    if None in written:
        return None
    alternatives = b"|".join(form for form in written if form is not None)
    expression = b"(?m)(?:%s).*" % alternatives
    with suppress(ImportError):
        # (*LF): whatever this build of it takes for a line's end.
        return import_module("pcre2").compile(b"(*LF)" + expression)
    return re.compile(expression)


def _all_groups(pattern: Pattern) -> Callable[[bytes], list[bytes]] | None:
    written = portable(pattern, capture=True)
    return None if written is None else re.compile(b"(?m)%s.*" % written).findall


def _bites(text: bytes) -> Iterator[bytes]:
    """Cut whole lines into shorter stretches of whole lines."""
    start = 0
    while start < len(text):
        stop = text.find(b"\n", start + _BITE) + 1 or len(text)
        yield text[start:stop]
        start = stop


def _by_alphabet(block: memoryview) -> list[tuple[bytes, bool]]:
    """Cut a block into its ASCII lines, where bytes and text are the same, and the others."""
    text = bytes(block)
    if b"\r" in text:
        text = re.sub(rb"\r\n", b"\n", text)
    if text.isascii():
        return [(text, True)]
    lines = text.splitlines(keepends=True) if b"\r" not in text else re.findall(rb".*\n|.+", text)
    plain = b"".join(line for line in lines if line.isascii())
    other = b"".join(line for line in lines if not line.isascii())
    return [(part, at == 0) for at, part in enumerate((plain, other)) if part]


def _lines(text: bytes) -> list[str]:
    lines = text.decode(*_CODEC).split("\n")
    if not lines[-1]:
        lines.pop()
    return lines
