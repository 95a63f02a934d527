"""The suite's central helper: a cell with and without ``%%parallel``, compared.

`assert_equal` demands what the promise says: delete the line, get the same cell. `assert_refused`
demands that nothing ran. `judge` does neither and says which of the three it was: equal, refused,
or an error in the middle; a fourth, a different notebook, is always a failure.
"""

from __future__ import annotations

import ast
import enum
import itertools
import re
from dataclasses import dataclass
from typing import Any

from IPython.core.error import UsageError

from mpmagic.errors import MpmagicError, NotParallel
from tests.deep import Drained, difference, is_notebook_class
from tests.notebook import IMMUTABLE, Notebook, Outcome

_SHOWN = 2000  # characters of an output, in a failure's words

MAGIC_LINES = 1
"""How many lines the magic adds on top: line 3 of the cell is line 4 with it."""


class Verdict(enum.Enum):
    """What became of a cell."""

    EQUAL = "equal"
    REFUSED = "refused"
    ERROR = "error"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, with the words for it."""

    verdict: Verdict
    why: str
    serial: Outcome
    parallel: Outcome


def with_magic(cell: str, options: str = "") -> str:
    """`cell` under the magic line."""
    return f"%%parallel -q {options}".rstrip() + "\n" + cell


def judge(
    notebook: Notebook,
    cell: str,
    *,
    setup: str = "",
    options: str = "",
    lost: frozenset[str] = frozenset(),
    free: frozenset[str] = frozenset(),
) -> Judgement:
    """Run `cell` serially and in parallel, each in a fresh notebook, and compare.

    Parameters
    ----------
    notebook : Notebook
        The shell to run in, its engine set.
    cell, setup : str
        Sources. The setup is a cell of its own that runs before.
    options : str
        Options of ``%%parallel``.
    lost : frozenset of str
        Names, and attributes of the exception, that may hold a placeholder, since their value
        can't travel.
    free : frozenset of str
        Names that aren't compared: each worker was allowed its own.
    """
    serial = notebook.run(setup, cell)
    given = {"setup": setup, "options": options}
    return against(notebook, serial, cell, **given, lost=lost, free=free)


def against(
    notebook: Notebook,
    serial: Outcome,
    cell: str,
    *,
    setup: str = "",
    options: str = "",
    lost: frozenset[str] = frozenset(),
    free: frozenset[str] = frozenset(),
) -> Judgement:
    """As `judge`, with the serial outcome at hand; it may be compared with again."""
    parallel = notebook.run(setup, with_magic(cell, options))
    for name in free:
        serial.names.pop(name, None)
        parallel.names.pop(name, None)
    error = parallel.error
    bad_option = isinstance(error, UsageError) and not isinstance(serial.error, UsageError)
    if isinstance(error, NotParallel) or bad_option:
        before = notebook.run(setup, "pass")
        for name in free:
            before.names.pop(name, None)
        why = _trace_of_refused(before, parallel)
        verdict = Verdict.DIFFERENT if why else Verdict.REFUSED
        return Judgement(verdict, why or str(error), serial, parallel)
    if isinstance(error, MpmagicError):
        return Judgement(Verdict.ERROR, f"{type(error).__name__}: {error}", serial, parallel)
    why = compare(serial, parallel, cell=cell, lost=lost)
    return Judgement(Verdict.DIFFERENT if why else Verdict.EQUAL, why, serial, parallel)


def assert_equal(notebook: Notebook, cell: str, **options: Any) -> Judgement:
    """Fail unless the cell leaves with ``%%parallel`` what it leaves without.

    Takes what `judge` takes.
    """
    judgement = judge(notebook, cell, **options)
    assert judgement.verdict is Verdict.EQUAL, explained(judgement, cell)
    return judgement


def assert_refused(
    notebook: Notebook,
    cell: str,
    *,
    setup: str = "",
    options: str = "",
    line: int | None = None,
    name: str = "",
    says: tuple[str, ...] = (),
) -> Judgement:
    """Fail unless the cell is refused before anything ran, for the reason given.

    Parameters
    ----------
    line : int, optional
        The line that the refusal must name, counted without the magic line.
    name : str, optional
        The name that it must name.
    says : tuple of str
        What else it must hold: a part of the reason, a flag.
    """
    judgement = judge(notebook, cell, setup=setup, options=options)
    assert judgement.verdict is Verdict.REFUSED, explained(judgement, cell)
    check_refusal(judgement, line=line, name=name, says=says)
    return judgement


def check_refusal(
    judgement: Judgement, *, line: int | None, name: str, says: tuple[str, ...]
) -> None:
    """Fail unless a refusal says what it must; takes what `assert_refused` takes."""
    message = str(judgement.parallel.error)
    if line is not None:
        assert _names_line(message, line + MAGIC_LINES), f"doesn't name line {line}+1: {message}"
    if name:
        assert re.search(rf"(?<!\w){re.escape(name)}(?!\w)", message), f"no {name!r}: {message}"
    for part in says:
        assert part in message, f"doesn't say {part!r}: {message}"


def compare(
    serial: Outcome, parallel: Outcome, *, cell: str = "", lost: frozenset[str] = frozenset()
) -> str:
    """How the parallel outcome differs from the serial one; empty where it doesn't."""
    found = (
        _errors(serial, parallel, lost),
        _names(serial, parallel, lost),
        _aliases(serial, parallel, _bound_in_loops(cell) | lost),
        difference(serial.outputs, parallel.outputs, "Out"),
        _events(serial, parallel),
        difference(serial.state, parallel.state, "process state"),
        difference(serial.files, parallel.files, "files"),
        _classes(parallel),
    )
    return "\n".join(words for words in found if words)


def explained(judgement: Judgement, cell: str) -> str:
    """A message for a failed assertion: the cell with its line numbers, and what happened."""
    lines = [f"{i + MAGIC_LINES + 1:3} | {text}" for i, text in enumerate(cell.splitlines())]
    return "\n".join([f"{judgement.verdict.value}: {judgement.why}", "  1 | %%parallel", *lines])


def _errors(serial: Outcome, parallel: Outcome, lost: frozenset[str]) -> str | None:
    a, b = serial.error, parallel.error
    if a is None and b is None:
        return None
    if a is None or b is None:
        return f"the exception: {a!r} became {b!r}"
    if isinstance(a, SyntaxError) and isinstance(b, SyntaxError):
        return _syntax_errors(a, b)
    for name in lost & vars(b).keys():
        if type(vars(b)[name]).__module__.startswith("mpmagic"):
            vars(b)[name] = vars(a)[name]
    if found := difference(a, b, "the exception"):
        return found
    top = (parallel.number, 1)
    expected = _distinct([_shifted(serial, *place) for place in serial.lines])
    got = _distinct([place for place in parallel.lines if place != top])
    if isinstance(a, RecursionError):  # how deep depends on who calls
        expected, got = sorted(set(expected)), sorted(set(got))
    return None if expected == got else f"(cell, line) of the traceback: {expected} became {got}"


def _distinct(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Without repetitions: a comprehension may have a frame of its own, on the same line."""
    return [place for place, _ in itertools.groupby(places)]


def _syntax_errors(a: SyntaxError, b: SyntaxError) -> str | None:
    """Its text may name a line too: only what was wrong is compared, and where."""
    words = [re.sub(r" on line \d+", "", str(e.msg)) for e in (a, b)]
    lines = [(a.lineno or 0) + MAGIC_LINES, b.lineno]
    same = type(a) is type(b) and words[0] == words[1] and lines[0] == lines[1]
    return None if same else f"{type(a).__name__} {words}, lines {lines}"


def _shifted(serial: Outcome, cell: int, line: int) -> tuple[int, int]:
    return cell, line + (MAGIC_LINES if cell == serial.number else 0)


def _names(serial: Outcome, parallel: Outcome, lost: frozenset[str]) -> str | None:
    a, b = serial.names, parallel.names
    if missing := [name for name in a if name not in b]:
        return f"names that are missing: {', '.join(missing)}"
    if extra := [name for name in b if name not in a]:
        return f"names that are too many: {', '.join(extra)}"
    found = []
    for name in a:
        # An iterator can't travel: what a temporary holds of one is a placeholder.
        may_be_lost = name in lost or isinstance(a[name], Drained)
        if may_be_lost and type(b[name]).__module__.startswith("mpmagic"):
            continue
        if words := difference(a[name], b[name], name):
            found.append(words)
    return "\n".join(found) or None


def _aliases(serial: Outcome, parallel: Outcome, loose: frozenset[str]) -> str | None:
    """Names that shared an object still do, also with what the notebook held before.

    What went through a worker is another object, so names that a loop binds (`loose`) are only
    held to share no object that the serial cell keeps apart.
    """
    for name, value in serial.names.items():
        expected = _owner(serial, value)
        got = _owner(parallel, parallel.names.get(name))
        if expected != got and not (name in loose and got is None):
            return (
                f"{name} is {expected or 'an object of its own'} became {got or 'its own object'}"
            )
    a, b = _groups(serial, loose), _groups(parallel, loose)
    return None if a == b else f"names of one object: {a} became {b}"


def _owner(outcome: Outcome, value: object) -> str | None:
    """The path by which the notebook held the object before the cell ran."""
    return outcome.owned.get(id(value), (None, None))[0]


def _groups(outcome: Outcome, loose: frozenset[str]) -> list[list[str]]:
    groups: dict[int, list[str]] = {}
    for name, value in outcome.names.items():
        if not isinstance(value, IMMUTABLE) and name not in loose:
            groups.setdefault(id(value), []).append(name)
    return [sorted(names) for names in groups.values() if len(names) > 1]


def _bound_in_loops(cell: str) -> frozenset[str]:
    """Names that the body of a loop binds; the items themselves stay the kernel's own."""
    try:
        tree = ast.parse(cell)
    except SyntaxError:
        return frozenset()
    loops = [node for node in ast.walk(tree) if isinstance(node, (ast.For, ast.While))]
    inside = [node for loop in loops for part in loop.body for node in ast.walk(part)]
    names = [n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    underscores = ("_", "__", "___", *(f"_{n}" for n in range(1, 4)))
    return frozenset([*names, *underscores])


def _events(serial: Outcome, parallel: Outcome) -> str | None:
    a = [(e.channel, _placed(e.content, serial, MAGIC_LINES)) for e in serial.events]
    b = [(e.channel, _placed(e.content, parallel, 0)) for e in parallel.events]
    if not (words := difference(a, b, "output")):
        return None
    new = next((e for e, old in itertools.zip_longest(b, a) if difference(old, e, "")), None)
    return f"{words}; there is now {str(new)[:_SHOWN]}"


def _placed(content: Any, outcome: Outcome, lines: int) -> Any:
    """Text with places of warnings, ``<ipython-input-3-...>:4:``, and addresses made comparable."""

    def place(found: re.Match[str]) -> str:
        number, line = int(found[1]), int(found[2])
        return f"<cell {number}>:{line + (lines if number == outcome.number else 0)}"

    if isinstance(content, str):
        content = re.sub(r" at 0x[0-9a-f]+", " at an address", content)
        content = re.sub(r"<ipython-input-(\d+)-\w+>:(\d+)", place, content)
        return re.sub(r"(?<=^<>:)\d+", lambda n: str(int(n[0]) + lines), content, flags=re.M)
    return content


def _classes(parallel: Outcome) -> str | None:
    """Instances of the notebook's classes are of the kernel's class, not of a copy."""
    for name, value in parallel.names.items():
        for item in [value, *(value if isinstance(value, (list, tuple)) else ())]:
            cls = type(item)
            kernel = parallel.names.get(cls.__qualname__)
            if is_notebook_class(cls) and isinstance(kernel, type) and kernel is not cls:
                return f"{name} holds an instance of a copy of the class {cls.__qualname__}"
    return None


def _trace_of_refused(before: Outcome, parallel: Outcome) -> str:
    """What a refused cell did nevertheless; empty where nothing ran."""
    found = (
        _names(before, parallel, frozenset()),
        difference(before.files, parallel.files, "files"),
        difference(before.state, parallel.state, "process state"),
        difference([], [e for e in parallel.events if e.channel == "stdout"], "stdout"),
    )
    words = "\n".join(words for words in found if words)
    return f"refused, but something ran: {words}" if words else ""


def _names_line(message: str, line: int) -> bool:
    return re.search(rf"\bline {line}\b", message) is not None
