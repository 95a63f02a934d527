"""What a pattern means, and into which faster form it may be put without changing that.

The meaning is Python's `re`: a line matches if `re.search(pattern, line)` finds something, the
line taken as text without its end. Two faster forms are used where they provably agree:

- a literal is looked for by comparing bytes;
- a pattern of literals, classes, groups, alternatives, repeats and line anchors is written anew
  for PCRE2, every class spelt out without the newline, so that no match can leave its line.
  For such patterns whether something matches doesn't depend on how an engine searches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

__all__ = ["Pattern", "parse", "portable", "required"]


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern of a query.

    Attributes
    ----------
    source : str
        As the user wrote it.
    fixed : bool
        Whether it is a literal and no regular expression.
    ignore_case : bool
        Whether case matters not.

    Raises
    ------
    ValueError
        If it isn't a regular expression.
    """

    source: str
    fixed: bool = False
    ignore_case: bool = False

    def __post_init__(self) -> None:
        try:
            self.compiled()
        except re.error as error:
            raise ValueError(f"not a regular expression: {self.source!r}: {error}") from None

    @property
    def expression(self) -> str:
        """The pattern as a regular expression."""
        return re.escape(self.source) if self.fixed else self.source

    def compiled(self) -> re.Pattern[str]:
        """Compile it for `re`."""
        return re.compile(self.expression, re.IGNORECASE if self.ignore_case else 0)

    @property
    def literal(self) -> bytes | None:
        """The bytes that it stands for, if it stands for nothing else."""
        if self.ignore_case and not self.source.isascii():
            return None
        if not self.fixed and re.search(r"[][\\.^$*+?{}|()]", self.source):
            return None
        if not self.source or re.search(r"[\r\n]", self.source):
            return None
        return self.source.encode("utf-8", "surrogateescape")


def parse(pattern: Pattern) -> Any:
    """Give the syntax tree that `re` itself makes of a pattern."""
    flags = re.IGNORECASE if pattern.ignore_case else 0
    return import_module("re._parser").parse(pattern.expression, flags)


def required(pattern: Pattern) -> bytes | None:
    """The longest literal that each matching line holds; None if there is none worth a search."""
    if not pattern.source.isascii():
        return None
    tree = parse(pattern)
    if tree.state.flags & ~re.UNICODE:  # `(?i)`, `(?x)`: as they are
        return None
    runs = max(_runs(tree), key=len, default="")
    return runs.encode() if len(runs) >= _LEAST and runs.isprintable() else None


_LEAST = 3


def _runs(items: Iterable[tuple[Any, Any]]) -> Iterator[str]:
    """Literals that stand side by side in a sequence, and those of groups inside it."""
    run = ""
    for operation, argument in items:
        if str(operation) == "LITERAL":
            run += chr(argument)
            continue
        yield run
        run = ""
        if str(operation) == "SUBPATTERN" and not argument[1]:
            yield from _runs(argument[3])
    yield run


class _NotPortable(Exception):
    pass


def portable(pattern: Pattern, *, capture: bool = False) -> bytes | None:
    """Write a pattern for PCRE2, or give None if it might mean something else there.

    With `capture` the first group, or the whole if there is none, is captured; it must be one
    that takes part in every match.

    What is written holds for ASCII lines only.
    """
    if not pattern.source.isascii():
        return None
    tree = parse(pattern)
    allowed = re.IGNORECASE | re.UNICODE
    # What matches nothing at all may match twice in a line.
    if tree.state.flags & ~allowed or tree.getwidth()[0] == 0:
        return None
    try:
        written = _capturing(tree) if capture else _sequence(tree)
    except _NotPortable:
        return None
    ignore_case = tree.state.flags & re.IGNORECASE
    return (f"(?i:{written})" if ignore_case else f"(?:{written})").encode()


def _sequence(items: Iterable[tuple[Any, Any]]) -> str:
    return "".join(_write(str(operation), argument) for operation, argument in items)


def _capturing(tree: Any) -> str:
    if tree.state.groups == 1:
        return f"({_sequence(tree)})"
    return "".join(_around_first_group(str(operation), argument) for operation, argument in tree)


def _around_first_group(operation: str, argument: Any) -> str:
    if operation == "SUBPATTERN" and argument[0] == 1:
        return f"({_group(argument)})"
    written = _write(operation, argument)
    # Inside a repeat or an alternative it may be captured several times, or never.
    if operation in ("MAX_REPEAT", "MIN_REPEAT", "BRANCH", "SUBPATTERN") and _holds_first(argument):
        raise _NotPortable
    return written


def _holds_first(argument: Any) -> bool:
    return "(SUBPATTERN, (1," in repr(argument)


def _write(operation: str, argument: Any) -> str:
    if operation not in _WRITERS:
        raise _NotPortable
    return _WRITERS[operation](argument)


def _character(code: int) -> str:
    if code in (10, 13) or code > 127:  # a line holds neither; and only ASCII is searched
        raise _NotPortable
    return f"\\x{code:02x}"


def _anchor(place: Any) -> str:
    anchors = {"AT_BEGINNING": "^", "AT_END": "$", "AT_BOUNDARY": "\\b"}
    if str(place) not in anchors:
        raise _NotPortable
    return anchors[str(place)]


def _class(members: Sequence[tuple[Any, Any]]) -> str:
    negated = bool(members) and str(members[0][0]) == "NEGATE"
    inner = "".join(_member(str(kind), value) for kind, value in members[negated:])
    return f"[^{inner}\\n]" if negated else f"[{inner}]"


def _member(kind: str, value: Any) -> str:
    if kind == "LITERAL":
        return _character(value)
    if kind == "RANGE":
        low, high = value
        if low <= 10 <= high or low <= 13 <= high:
            raise _NotPortable
        return f"{_character(low)}-{_character(high)}"
    if kind == "CATEGORY" and str(value) in _CATEGORIES:
        return _CATEGORIES[str(value)]
    raise _NotPortable


# As `re` has them for ASCII characters in text, where \s means more than in bytes; without the
# newline.
_CATEGORIES = {
    "CATEGORY_DIGIT": "0-9",
    "CATEGORY_WORD": "0-9A-Za-z_",
    "CATEGORY_SPACE": r"\x09\x0b-\x0d\x1c-\x20",
    "CATEGORY_NOT_DIGIT": r"\x00-\x09\x0b-\x2f\x3a-\x7f",
    "CATEGORY_NOT_WORD": r"\x00-\x09\x0b-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f",
    "CATEGORY_NOT_SPACE": r"\x00-\x08\x0e-\x1b\x21-\x7f",
}


def _repeat(suffix: str) -> Callable[[tuple[Any, Any, Any]], str]:
    def write(argument: tuple[Any, Any, Any]) -> str:
        least, most, inner = argument
        upper = "" if str(most) == "MAXREPEAT" else str(int(most))
        if int(least) > 1000 or (upper and int(upper) > 1000):
            raise _NotPortable
        return f"(?:{_sequence(inner)}){{{int(least)},{upper}}}{suffix}"

    return write


def _group(argument: tuple[Any, int, int, Any]) -> str:
    _, added, removed, inner = argument
    if added or removed:
        raise _NotPortable
    return f"(?:{_sequence(inner)})"


def _branch(argument: tuple[Any, Sequence[Any]]) -> str:
    return "(?:" + "|".join(map(_sequence, argument[1])) + ")"


_WRITERS: dict[str, Callable[[Any], str]] = {
    "LITERAL": _character,
    "NOT_LITERAL": lambda code: f"[^{_character(code)}\\n]",
    "ANY": lambda _: "[^\\n]",
    "AT": _anchor,
    "IN": _class,
    "MAX_REPEAT": _repeat(""),
    "MIN_REPEAT": _repeat("?"),
    "SUBPATTERN": _group,
    "BRANCH": _branch,
}
