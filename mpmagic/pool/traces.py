"""Tracebacks as flat lists of the places where their frames were.

Nested, as they are, a thousand frames of a RecursionError couldn't be pickled. Besides its place a
frame has what whoever shows a traceback asks it for: its code's name, first line and parameters,
and as much of its variables as travels.
"""

from __future__ import annotations

import ast
import dis
import functools
import inspect
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import CodeType, FrameType, FunctionType, TracebackType
from typing import Any, Final, NamedTuple, NoReturn

__all__ = ["Seen", "Shape", "Spot", "flattened", "restored", "space_of_module", "spot_of"]

_OF_A_MODULE: Final[tuple[str, ...]] = ("__name__", "__file__")

_STARRED: Final = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS

_HIDDEN: Final = "__tracebackhide__"
"""A local variable by which a function asks to be left out of tracebacks."""

Place = tuple[int, int | None, int | None, int | None]
"""The line, the last line, and the columns, as `codeobject.co_positions` has them."""


class Shape(NamedTuple):
    """What a frame's code says of itself.

    Attributes
    ----------
    name, qualname
        Its names.
    first
        Its first line, from which IPython counts to the line that it shows.
    flags
        Its flags.
    counts
        How many parameters are positional, positional only, and keyword only.
    parameters
        The names of all.
    """

    name: str
    qualname: str
    first: int
    flags: int
    counts: tuple[int, int, int]
    parameters: tuple[str, ...]

    @classmethod
    def of(cls, code: CodeType) -> Shape:
        """That of a code object."""
        counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount
        starred = (code.co_flags & _STARRED).bit_count()
        parameters = code.co_varnames[: counts[0] + counts[2] + starred]
        names = code.co_name, code.co_qualname
        return cls(*names, code.co_firstlineno, code.co_flags, counts, parameters)

    @property
    def is_function(self) -> bool:
        """Whether it has variables of its own; a module and a class have a namespace."""
        return bool(self.flags & inspect.CO_OPTIMIZED)

    def arguments(self) -> ast.arguments:
        """Its parameters, in the form of a definition."""
        args = [ast.arg(arg=name) for name in self.parameters]
        positional, only, keyword = self.counts
        starred = args[positional + keyword :]
        named = starred[:1] if self.flags & inspect.CO_VARARGS else []
        rest = starred[len(named) :]
        return ast.arguments(
            posonlyargs=args[:only],
            args=args[only:positional],
            vararg=named[0] if named else None,
            kwonlyargs=args[positional : positional + keyword],
            kw_defaults=[None] * keyword,
            kwarg=rest[0] if rest else None,
            defaults=[],
        )


class Spot(NamedTuple):
    """Where a frame was when the exception passed.

    Attributes
    ----------
    filename
        The file of its code.
    shape
        What its code says of itself.
    place
        Where in the file it was.
    module
        Names of its module.
    doing
        What it was about to do there: an operator, ``()`` for a call, ``.name`` for an attribute;
        empty for all else.
    module
        Names of its module.
    variables
        What is known of its variables.
    """

    filename: str
    shape: Shape
    place: Place
    doing: str
    module: dict[str, str]
    variables: Mapping[str, Any]


def flattened(
    trace: TracebackType | None, variables: Callable[[FrameType], dict[str, Any]] | None = None
) -> list[Spot]:
    """The frames of a traceback, outermost first, as what can be pickled.

    Parameters
    ----------
    trace
        The traceback.
    variables
        Gives those of a frame's variables that may travel.
    """
    found = []
    while trace is not None:
        found.append(spot_of(trace, variables(trace.tb_frame) if variables else {}))
        trace = trace.tb_next
    return found


def spot_of(trace: TracebackType, variables: dict[str, Any]) -> Spot:
    """The outermost frame of a traceback."""
    code, names = trace.tb_frame.f_code, trace.tb_frame.f_globals
    module = {n: str(names[n]) for n in _OF_A_MODULE if n in names}
    shape, (place, doing) = Shape.of(code), _place(code, trace.tb_lasti)
    if place[0] != trace.tb_lineno:
        place = trace.tb_lineno or code.co_firstlineno, None, None, None
    # A cell's own code begins where the cell does, whatever part of it was compiled.
    first = 1 if shape.name == "<module>" else min(shape.first, place[0])
    if shape.is_function and _HIDDEN in code.co_varnames:
        variables = {**variables, _HIDDEN: trace.tb_frame.f_locals.get(_HIDDEN)}
    return Spot(code.co_filename, shape._replace(first=first), place, doing, module, variables)


@functools.lru_cache(1024)
def _place(code: CodeType, lasti: int) -> tuple[Place, str]:
    """The place of an instruction, and what it does."""
    found = None
    for instruction in dis.get_instructions(code):
        if instruction.offset > lasti:  # of a call, it's in the cache that follows
            break
        found = instruction
    if found is None or found.positions is None:
        return (0, None, None, None), ""
    first, last, begin, end = found.positions
    return (first or 0, last, begin, end), _doing(found)


def _doing(instruction: dis.Instruction) -> str:
    match instruction.opname:
        case "BINARY_OP":
            return instruction.argrepr.removesuffix("=")
        case "BINARY_SUBSCR":
            return "[]"
        case "LOAD_ATTR" | "LOAD_METHOD":
            return f".{instruction.argval}"
        case name:
            return "()" if "CALL" in name and "INTRINSIC" not in name else ""


def restored(
    spots: Iterable[Spot], space_of: Callable[[Spot], dict[str, Any] | None] | None = None
) -> TracebackType | None:
    """A traceback of these frames; None of none.

    Parameters
    ----------
    spots
        The frames, outermost first.
    space_of
        Gives a frame's global variables, where this process has them.
    """
    trace: TracebackType | None = None
    for spot in reversed(list(spots)):
        frame = _frame(spot, space_of and space_of(spot))
        trace = TracebackType(trace, frame, frame.f_lasti, spot.place[0])
    return trace


def _frame(spot: Spot, space: dict[str, Any] | None) -> FrameType:
    """Only code that ran has a frame: run some that stops at the same place."""
    space = dict(spot.module) if space is None else space
    code = _code(spot.filename, spot.shape, spot.place, spot.doing, tuple(spot.variables))
    _given.values = tuple(spot.variables.values())
    try:
        if spot.shape.is_function:
            positional, _, keyword = spot.shape.counts
            named = spot.shape.parameters[positional : positional + keyword]
            FunctionType(code, space)(*[None] * positional, **dict.fromkeys(named))
        else:
            exec(code, space, dict(spot.variables) or space)
    except _Stopped as stopped:
        inner = stopped.__traceback__ and stopped.__traceback__.tb_next
        assert inner is not None
        return inner.tb_frame
    finally:
        del _given.values
    raise AssertionError("it raises")


class Seen:
    """A variable whose value isn't here: what is known of it is its text.

    Parameters
    ----------
    text
        The text.
    """

    def __init__(self, text: str = "...") -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


class _Stopped(AttributeError):
    """What such code raises."""


class _Stopping:
    """Stops whatever is done with it."""

    def __getattr__(self, name: str) -> NoReturn:
        raise _Stopped

    def _stop(self, *_: Any) -> NoReturn:
        raise _Stopped

    __call__ = __getitem__ = __add__ = __sub__ = __mul__ = __matmul__ = __truediv__ = _stop
    __floordiv__ = __mod__ = __pow__ = __lshift__ = __rshift__ = __and__ = __or__ = __xor__ = _stop


_OPERATORS: Final[dict[str, ast.operator]] = {
    "+": ast.Add(), "-": ast.Sub(), "*": ast.Mult(), "@": ast.MatMult(), "/": ast.Div(),
    "//": ast.FloorDiv(), "%": ast.Mod(), "**": ast.Pow(), "<<": ast.LShift(),
    ">>": ast.RShift(), "&": ast.BitAnd(), "|": ast.BitOr(), "^": ast.BitXor(),
}  # fmt: skip


class _Given(threading.local):
    """Where such code finds the values of its variables, and one that isn't known.

    Not among its constants: those must be hashable, and the frames of a recursion have to be of
    equal code for IPython to show one for all.
    """

    values: tuple[Any, ...] = ()
    unknown = Seen()
    stopped = _Stopped
    stopping = (_Stopping(),)


_given = _Given()
_GIVEN: Final = "\0given\0"
"""Stands for that object until the code is compiled: a syntax tree can't hold it."""


def _from_given(name: str) -> ast.expr:
    return ast.Attribute(value=ast.Constant(_GIVEN), attr=name, ctx=ast.Load())


def _item_of(name: str, number: int = 0) -> ast.expr:
    # No attribute alone: of the call of one, the compiler moves the line.
    return ast.Subscript(value=_from_given(name), slice=ast.Constant(number), ctx=ast.Load())


@functools.lru_cache(256)
def _code(
    filename: str, shape: Shape, place: Place, doing: str, names: tuple[str, ...]
) -> CodeType:
    """Code that sets the variables and stops."""
    if shape.is_function:
        function = _function(shape, [*_assignments(shape, names), *_stop(place, doing)])
        code = _compiled([function], shape.first, filename)
        code = next(c for c in code.co_consts if isinstance(c, CodeType))
    else:
        # Code holds its lines by their distance from its first one.
        above, last = shape.first - 1, place[1] and place[1] - shape.first + 1
        stop = _stop((place[0] - above, last, *place[2:]), doing)
        code = _compiled([*stop], 1, filename)
    known = (_given if c == _GIVEN else c for c in code.co_consts)
    return code.replace(
        co_name=shape.name,
        co_qualname=shape.qualname,
        co_firstlineno=shape.first,
        co_consts=tuple(known),
    )


def _assignments(shape: Shape, names: tuple[str, ...]) -> Iterator[ast.stmt]:
    values: dict[str, ast.expr] = {name: _from_given("unknown") for name in shape.parameters}
    for number, name in enumerate(names):
        values[name] = _item_of("values", number)
    for name, value in values.items():
        yield ast.Assign(targets=[ast.Name(id=name, ctx=ast.Store())], value=value)


def _function(shape: Shape, body: list[ast.stmt]) -> ast.stmt:
    # Parsed rather than built: which fields a function has depends on Python's version.
    (function,) = ast.parse("def function(): pass").body
    assert isinstance(function, ast.FunctionDef)
    function.args, function.body = shape.arguments(), body
    function.lineno = function.end_lineno = shape.first
    return function


def _stop(place: Place, doing: str) -> Iterator[ast.stmt]:
    """Stops, if possible by what was done there: IPython looks for that to highlight it."""
    statements: list[ast.stmt] = [ast.Expr(value=_stopping(doing))] if doing else []
    statements.append(ast.Raise(exc=_from_given("stopped"), cause=None))
    for node in statements:
        for part in ast.walk(node):
            _locate(part, place)
        yield node


def _stopping(doing: str) -> ast.expr:
    stopping, other = _item_of("stopping"), _item_of("stopping")
    if doing == "()":
        return ast.Call(func=stopping, args=[], keywords=[])
    if doing == "[]":
        return ast.Subscript(value=stopping, slice=other, ctx=ast.Load())
    if doing in _OPERATORS:
        return ast.BinOp(left=stopping, op=_OPERATORS[doing], right=other)
    return ast.Attribute(value=stopping, attr=doing.removeprefix("."), ctx=ast.Load())


def _compiled(body: list[ast.stmt], line: int, filename: str) -> CodeType:
    module = ast.Module(body=body, type_ignores=[])
    for node in ast.walk(module):
        if not hasattr(node, "lineno"):
            _locate(node, (line, None, None, None))
    return compile(module, filename, "exec", dont_inherit=True)


def _locate(node: ast.AST, place: Place) -> None:
    line, last, begin, end = place
    if "lineno" in node._attributes:
        node.lineno, node.end_lineno = line, last or line  # type: ignore[attr-defined]
        node.col_offset, node.end_col_offset = begin or 0, end or 0  # type: ignore[attr-defined]


def space_of_module(spot: Spot) -> dict[str, Any] | None:
    """The globals of the module that a frame was of, if this process has imported the same."""
    module = sys.modules.get(spot.module.get("__name__", ""))
    space = getattr(module, "__dict__", None)
    if space is None or str(space.get("__file__")) != spot.module.get("__file__", "None"):
        return None
    return space  # type: ignore[no-any-return]
