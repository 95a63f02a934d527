"""Cells that fail, and what they call; for each, what a notebook shows of it."""

from __future__ import annotations

import re
from typing import Final

from tests.kernel.session import KernelSession, Reply

MODULE: Final = """
class ModuleError(Exception):
    pass

def deep(x, left=3):
    if left:
        return deep(x, left - 1)
    if x == 2:
        raise ModuleError("deep", x)
    return x

def apply(function, x):
    return function(x)
"""

SETUP: Final = """
import sys; sys.path.insert(0, {directory!r})
import contextlib, functools, json, threading, time, traceback, warnings
import module_of_mine as mine
class Plain(ValueError): pass
class Keyed(Exception):
    def __init__(self, x, *, key): super().__init__(f"keyed {{x}}"); self.key = key
class Slotted(Exception):
    __slots__ = ("where",)
    def __init__(self, where): super().__init__("slotted"); self.where = where
class NoText(Exception):
    def __str__(self): raise RuntimeError("no text")
class NoRepr(Exception):
    def __repr__(self): raise RuntimeError("no repr")
class Holder(Exception):
    def __init__(self, x): super().__init__(f"holds {{x}}"); self.lock = threading.Lock()
class Bomb:
    def __reduce__(self): return int, ("x",)
class Bombed(Exception):
    def __init__(self): super().__init__("bombed"); self.bomb = Bomb()
def f(x):
    if x == 2:
        raise Plain("two", x)
    return x
def outer(x):
    def inner(y):
        return 1 // (y - 2)
    return inner(x)
def chained(x):
    try:
        return 1 // (x - 2)
    except ZeroDivisionError as error:
        raise Plain("bad item") from error
def during(x):
    try:
        return 1 // (x - 2)
    except ZeroDivisionError:
        raise KeyError(x)
def alone(x):
    try:
        return 1 // (x - 2)
    except ZeroDivisionError:
        raise KeyError(x) from None
def noted(x):
    try:
        return f(x)
    except Plain as error:
        error.add_note("a note of the user's")
        raise
def several(x):
    errors = []
    for call in (f, outer):
        try:
            call(x)
        except Exception as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup("several", [errors[0], ExceptionGroup("more", errors[1:])])
def when(x, error):
    if x == 2: raise error
    return x
def deeper(x):
    return deeper(x) if x == 2 else x
def given(n):
    for i in range(n):
        if i == 2: raise Plain("the iterable")
        yield i
@contextlib.contextmanager
def manager(x):
    yield x
    if x == 2: raise Plain("at exit")
class Shows:
    def __enter__(self): return self
    def __exit__(self, *info): print(*traceback.format_exception(*info))
def hidden(x):
    __tracebackhide__ = True
    return f(x)
"""

_NOTE: Final = re.compile(r"\n[ |]*%%parallel: [^\n]*?in (?:the kernel|worker process \d+)")

ENDING: Final = {
    "in the work": "for x in range(4):\n    y = f(x)\n    z = y + 1",
    "in a commit": "out = {}\nfor x in range(4):\n    y = f(x - 2)\n    out[y - 1 or None]",
    "in an operand": "out = []\nfor x in range(4):\n    out.append(f(x))",
    "in an operand of lines": "out = []\nfor x in range(4):\n    out.append(\n        f(x)\n    )",
    "in a call": "a = f(1)\nb = f(2)\nc = f(3)",
    "in a list": "out = [f(x) for x in range(4)]",
    "in a dictionary": "out = {x: outer(x) for x in range(4)}",
    "in a generator": "total = sum(f(x) for x in range(4))",
    "in a nested function": "out = []\nfor x in range(4):\n    out.append(outer(x))",
    "in a lambda": "g = lambda v: 1 // (v - 2)\nout = []\nfor x in range(4):\n    out.append(g(x))",
    "in a module": "for x in range(4):\n    y = mine.deep(x)",
    "through a module": "for x in range(4):\n    y = mine.apply(lambda v: f(v), x)",
    "in a library": "for x in ['1', '2', '{', '3']:\n    y = json.loads(x)",
    "in a hidden function": "for x in range(4):\n    y = hidden(x)",
    "chained": "for x in range(4):\n    y = chained(x)",
    "in a handler": "for x in range(4):\n    y = during(x)",
    "without its context": "for x in range(4):\n    y = alone(x)",
    "in a handler of the body": "for x in range(4):\n    try:\n        y = f(x)\n"
    "    except Plain:\n        y = {}[x]",
    "with a note": "for x in range(4):\n    y = noted(x)",
    "a group": "for x in range(4):\n    y = several(x)",
    "of the iterable": "for x in given(4):\n    y = f(0)",
    "no iterable": "for x in 5:\n    y = f(x)",
    "at the end of a with": "for x in range(4):\n    with manager(x) as m:\n        y = m + 1",
    "in finally": "for x in range(4):\n    try:\n        y = f(x)\n"
    "    finally:\n        z = {}['a']",
    "StopIteration": "for x in range(4):\n    y = next(iter([1][x:]))",
    "StopIteration in a list": "out = [next(iter([1][x:])) for x in range(4)]",
    "StopIteration in a generator": "out = list(next(iter([1][x:])) for x in range(4))",
    "GeneratorExit": "for x in range(4):\n    y = when(x, GeneratorExit('over'))",
    "SystemExit": "for x in range(4):\n    y = when(x, SystemExit(3))",
    "KeyboardInterrupt": "for x in range(4):\n    y = when(x, KeyboardInterrupt('mine'))",
    "MemoryError": "for x in range(4):\n    y = when(x, MemoryError())",
    "SyntaxError": "for x in range(4):\n"
    "    y = compile('a = 1\\nb = = 2' if x == 2 else '1', 'a.txt', 'exec')",
    "a warning": "warnings.simplefilter('error', UserWarning)\nfor x in range(4):\n"
    "    y = f(0)\n    warnings.warn(f'careful {x}')",
    "an error of the system": "for x in range(4):\n"
    "    y = open('/none' if x == 2 else '/dev/null').close()",
    "undecodable": "for x in range(4):\n    y = (b'\\xff' if x == 2 else b'a').decode()",
    "no attribute": "for x in range(4):\n    y = x.nothing if x == 2 else f(0)",
    "no name": "for x in range(4):\n    y = rang if x == 2 else f(0)",
    "other arguments": "for x in range(4):\n    y = when(x, Keyed(1, key=5))",
    "slots": "for x in range(4):\n    y = when(x, Slotted(1))",
    "without repr": "for x in range(4):\n    y = when(x, NoRepr(1))",
    "without text": "for x in range(4):\n    y = when(x, NoText(1))",
    "that holds a lock": "for x in range(4):\n    y = f(0)\n    if x == 2: raise Holder(1)",
    "with a lock for an argument": "for x in range(4):\n    y = f(0)\n"
    "    if x == 2: raise ValueError('lock', threading.Lock())",
    "that can't be unpickled": "for x in range(4):\n    y = f(0)\n    if x == 2: raise Bombed()",
    "raised on": "try:\n    for x in range(4):\n        y = f(x)\nexcept Plain:\n    raise",
    "from the loop's": "try:\n    for x in range(4):\n        y = f(x)\n"
    "except Plain as error:\n    raise RuntimeError('outer') from error",
    "of the rest of a try": "groups = {}\nfor x in range(4):\n    try:\n        y = f(x)\n"
    "        groups[x].append(y)\n    except KeyError:\n        groups[x] = [y]",
    "after the loop": "out = [f(x) for x in range(2)]\n1 // 0",
}
"""Cells that end in an exception."""

HANDLED: Final = {
    "in the work": "try:\n    for x in range(4):\n        y = f(x)\nexcept Plain as error:\n"
    "    print(traceback.format_exc(), error.__traceback__.tb_lineno, error.args)\n"
    "    print(getattr(error, '__notes__', None))",
    "in a commit": "out = []\ntry:\n    for x in range(4):\n        out.append(1 // (abs(x) - 2))\n"
    "except ZeroDivisionError:\n    print(traceback.format_exc())",
    "in a list": "try:\n    out = [f(x) for x in range(4)]\nexcept Plain:\n"
    "    print(traceback.format_exc())",
    "in a condition": "try:\n    if [mine.deep(x) for x in range(4)]:\n        pass\n"
    "except mine.ModuleError:\n    print(traceback.format_exc())",
    "in what is drained": "s = []\ntry:\n    for k in range(3):\n        s.extend(\n"
    "            f(x)\n            for x in range(k, 4))\nexcept Plain:\n"
    "    print(traceback.format_exc())",
    "of the iterable": "try:\n    for x in given(4):\n        y = f(0)\nexcept Plain:\n"
    "    print(traceback.format_exc())",
    "no iterable": "try:\n    for x in 5:\n        y = f(x)\nexcept TypeError:\n"
    "    print(traceback.format_exc())",
    "of the rest of a try": "groups = {}\ntry:\n    for x in range(4):\n        try:\n"
    "            y = f(x) + 1\n            groups[x].append(y)\n        except KeyError:\n"
    "            groups[x] = [y]\nexcept Plain:\n    print(traceback.format_exc())",
    "under with": "with Shows():\n    if True:\n        for x in range(4):\n            y = f(x)",
    "in finally": "try:\n    try:\n        for x in range(4):\n            y = f(x)\n    finally:\n"
    "        print(*traceback.format_exception(sys.exc_info()[1]))\nexcept Plain:\n    pass",
    "again and again": "for k in range(2):\n    try:\n        out = [f(x) for x in range(k, 4)]\n"
    "    except Plain:\n        print(traceback.format_exc())",
    "printed by the work": "for k in range(2):\n    try:\n        y = f(2)\n    except Plain:\n"
    "        print(traceback.format_exc())",
    "a group": "try:\n    for x in range(4):\n        y = several(x)\nexcept* Plain as error:\n"
    "    print(*traceback.format_exception(error))\nexcept* ZeroDivisionError:\n    pass",
}
"""Cells whose own code looks at the traceback."""


def shown(session: KernelSession, cell: str) -> str:
    """All that is shown of a cell, without what differs from one to the next."""
    reply = session.execute(cell)
    session.execute("warnings.resetwarnings()")
    evalue = f"{reply.content.get('ename')}: {reply.content.get('evalue')}"
    return without_numbers("\n".join([*texts(reply), evalue]))


def texts(reply: Reply) -> list[str]:
    """What a reply shows, by channel."""
    return [reply.stream(), reply.stream("stderr"), reply.traceback]


def without_numbers(text: str) -> str:
    """A text without the cell's first line and number, addresses and our own note."""
    text = re.sub(r"^(-*>? *\d+ )(?:# serial|%%parallel.*)$", r"\1FIRST", text, flags=re.M)
    text = re.sub(r"In\[\d+\]", "In[N]", text)
    text = re.sub(r"ipykernel_\d+/\d+\.py", "cell.py", text)
    return _NOTE.sub("", re.sub(r"0x[0-9a-f]{6,}", "ADDRESS", text))


def as_serial(session: KernelSession, cell: str) -> tuple[str, str]:
    """What is shown of a cell without the magic, and with it."""
    return shown(session, f"# serial\n{cell}"), shown(session, f"%%parallel -q\n{cell}")
