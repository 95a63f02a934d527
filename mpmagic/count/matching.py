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

from mpmagic.count.captures import Captures, captures_of
from mpmagic.count.literals import Literals
from mpmagic.count.nativelines import NativeLiteral, native_literal
from mpmagic.count.nativeregex import NativeRegex, native_regex
from mpmagic.count.patterns import Pattern, portable, required
from mpmagic.count.query import Query
from mpmagic.count.substitution import Substitution

__all__ = ["Grouper", "Matcher", "bites", "lets_others_run"]

_Substitute = Callable[[bytes, bytes], tuple[bytes, int] | None]

_CODEC = ("utf-8", "surrogateescape")
# What an allocation of this size takes, the allocator has at hand; from 128 kB on it asks the
# system for fresh pages each time, which takes longer than searching them.
_BITE = 96 << 10
# To find and copy lines that many have takes longer than to search them all.
_SIFTED = 0.1


def lets_others_run(patterns: tuple[Pattern, ...], beginning: bytes) -> bool:
    """Whether threads that search texts which begin like that don't wait for each other."""
    if all(pattern.literal is not None for pattern in patterns):
        return True
    native = _native(patterns)
    return native is not None and native.count(memoryview(beginning)) is not None


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
        self._fast: _Substitute | None = None
        self._native: NativeRegex | None = None
        self._sieve: NativeLiteral | None = None
        if None not in literals:
            found = tuple(literal for literal in literals if literal is not None)
            self._literals = Literals(found, ignore_case=self._ignore_case)
        else:
            self._native = _native(patterns)
            self._fast = _over_many_lines(patterns)
            self._sieve = _sieve(patterns)

    def count(self, block: memoryview) -> int:
        """Count the lines of a block of whole lines that match."""
        if self._sieve is not None:
            block = self._sifted(self._sieve, block)
        if self._native is not None and (found := self._native.count(block)) is not None:
            return found
        if self._literals is not None and not self._ignore_case:
            return self._literals.count(block)
        if self._literals is not None:
            return sum(self._count(*part) for part in _by_alphabet(bytes(block)))
        return sum(self._count(*part) for bite in bites(block) for part in _by_alphabet(bite))

    def _sifted(self, sieve: NativeLiteral, block: memoryview) -> memoryview:
        """The lines that hold what each matching line holds; no more, if most lines do."""
        lines = sieve.lines(block)
        if len(lines) > _SIFTED * len(block):
            self._sieve = None
        return lines

    def _count(self, text: bytes, plain: bool) -> int:
        if plain and self._literals is not None:
            return self._literals.count(memoryview(text))
        if plain and self._fast is not None:
            return self._quickly(text)
        return self._one_by_one(text)

    def select(self, lines: list[str], *, invert: bool = False) -> list[str]:
        """Give the lines that match, or with `invert` the others."""
        return [line for line in lines if any(find(line) for find in self._searches) != invert]

    def _quickly(self, text: bytes) -> int:
        # Each match takes the rest of its line along, so a line counts once.
        assert self._fast is not None
        replaced = self._fast(b"", text)
        if replaced is None:
            self._fast = None
            return self._one_by_one(text)
        return replaced[1]

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
        self._captures = None if query.match else _all_captures(query.by)

    def count(self, block: memoryview) -> Counter[str]:
        """Count the lines of a block of whole lines by group."""
        groups: Counter[str] = Counter()
        for text, plain in (part for bite in bites(block) for part in _by_alphabet(bite)):
            if plain and self._captures is not None:
                self._captures.add(text)
            else:
                groups.update(self._one_by_one(text))
        if self._captures is not None:
            groups.update({key.decode(): n for key, n in self._captures.take().items()})
        return groups

    def _one_by_one(self, text: bytes) -> Counter[str]:
        lines = _lines(text)
        if self._matcher is not None:
            lines = self._matcher.select(lines, invert=self._invert)
        found = filter(None, map(self._search, lines))
        return Counter(match[self._group] or "" for match in found)


def _sieve(patterns: tuple[Pattern, ...]) -> NativeLiteral | None:
    literal = required(patterns[0]) if len(patterns) == 1 else None
    return None if literal is None else native_literal(literal)


def _native(patterns: tuple[Pattern, ...]) -> NativeRegex | None:
    written = _alternatives(patterns)
    return None if written is None else native_regex(written)


def _over_many_lines(patterns: tuple[Pattern, ...]) -> _Substitute | None:
    """Compile the patterns so that each match takes one line; None if that might differ."""
    if (alternatives := _alternatives(patterns)) is None:
        return None
    expression = b"(?m)%s.*" % alternatives
    with suppress(ImportError):
        return Substitution(expression)
    return re.compile(expression).subn


def _alternatives(patterns: tuple[Pattern, ...]) -> bytes | None:
    written = [portable(pattern) for pattern in patterns]
    if None in written:
        return None
    return b"(?:%s)" % b"|".join(form for form in written if form is not None)


def _all_captures(pattern: Pattern) -> Captures | None:
    written = portable(pattern, capture=True)
    return None if written is None else captures_of(b"(?m)%s.*" % written)


def bites(block: memoryview) -> Iterator[bytes]:
    """Cut a block of whole lines into stretches of whole lines that are cheap to allocate."""
    start = 0
    while start < len(block):
        room = _BITE
        text = bytes(block[start : start + room])
        while not (end := text.rfind(b"\n") + 1) and start + room < len(block):
            room *= 2
            text = bytes(block[start : start + room])
        yield text if start + room >= len(block) or end == len(text) else text[:end]
        start = start + room if start + room >= len(block) else start + end


def _by_alphabet(text: bytes) -> list[tuple[bytes, bool]]:
    """Part ASCII lines, where bytes and text are the same, from the others."""
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
