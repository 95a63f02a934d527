"""Made-up cells without a loop: statements that share, change, hand on and raise.

The setup has functions of every kind that matters to calls side by side: pure ones, those that
give back (a part of) their argument, that change it openly or behind the analysis's back, that
read and write globals, print, raise, and make functions or objects that do any of this.
"""

from __future__ import annotations

import random

__all__ = ["SETUP", "make_calls"]

SETUP = """
import collections, re
import numpy as np
def shown(x):
    return re.sub(r" at 0x\\w+", "", repr(x))
class Box:
    def __init__(self, inner=None):
        self.inner = inner
        self.n = 0
    def __repr__(self):
        return f"Box({self.n}, {self.inner!r})"
    def peek(self):
        return self.inner
    def bump(self):
        self.n += 1
        return self.n
    def total(self):
        return self.n + len(level)
def fresh(x):
    return [len(shown(x)), shown(x)[:5]]
def pair(x, y):
    return [x, y]
def same(x):
    return x
def part(x):
    return x[0] if isinstance(x, (list, collections.deque)) and x else x
def some(x):
    return [v for v in x] if isinstance(x, list) else (x, x)
def boxed(x):
    return Box(x)
def push(x):
    if isinstance(x, list):
        x.append(7)
    return 7
def sly(x):
    if isinstance(x, list):
        list.__setitem__(x, slice(len(x), None), [8])
    return 8
def loud(x):
    print("saw", shown(x)[:40])
    return fresh(x)
def picky(x):
    if len(shown(x)) % 3 == 0:
        raise ValueError(shown(x)[:30])
    return fresh(x)
def reads_level(x):
    return [len(level), x]
def writes_level(x):
    global level
    level = [len(level), 1, 2]
    return len(level)
def adder(x):
    def add(y):
        return [shown(x)[:9], y]
    return add
def sneak(x):
    def add(y):
        global level
        level = level + [y]
        return y
    return add
def line_up(x):
    return collections.deque([[1], [2], x])
def numbers(x):
    return np.arange(12.0) + len(shown(x))
def window(x):
    return x[2:5] if isinstance(x, np.ndarray) else x
def reads_a(x):
    return [a, x]
def apply(f, x):
    return f(x) if callable(f) else [f, x]
def remembers(x, seen=[]):
    seen.append(x)
    return len(seen)
def kept(x, own=[[1], [2]]):
    return own[0]
def closing(own):
    def closed(x):
        return own
    return closed
closed = closing([1, 2])
level = [0]
rows = [[1], [2, 3], [4]]
table = {"k": [1, 2], "m": {"deep": [3]}}
arr = np.arange(8.0)
box = Box([5])
bag = {"f": reads_a}
a, b, c, d, e, f = [1], rows, 3, box, "e", fresh
"""

_FUNCTIONS = (
    "fresh", "same", "part", "some", "boxed", "push", "sly", "loud", "picky", "reads_level",
    "writes_level", "adder", "sneak", "line_up", "numbers", "window", "reads_a", "Box",
    "remembers", "kept", "closed", "fresh", "fresh", "loud", "part", "some",
)  # fmt: skip
_LIGHT = ("len", "list", "dict", "type", "bool", "tuple")
_NAMES = ("a", "b", "c", "d", "e", "f")
_GIVEN = (*_NAMES, *_NAMES, "rows", "table", "arr", "box", "level", "bag")


def make_calls(chance: random.Random) -> str:
    """A cell of three to nine statements, most of them assigned calls."""
    return "\n".join(_statement(chance) for _ in range(chance.randint(3, 9))) + "\n"


def _statement(chance: random.Random) -> str:
    if chance.random() < 0.1:
        return _barrier(chance)
    target = chance.choice(_NAMES)
    if chance.random() < 0.06:
        target = f"{target}, {chance.choice(_NAMES)}"
    return f"{target} = {_call(chance)}"


def _call(chance: random.Random) -> str:
    kind = chance.random()
    given = _argument(chance)
    if kind < 0.6:
        return f"{chance.choice(_FUNCTIONS)}({given})"
    if kind < 0.75:
        return f"{chance.choice(('pair', 'apply'))}({given}, {_argument(chance)})"
    if kind < 0.82:
        return f"{chance.choice(_LIGHT)}({chance.choice(_GIVEN)})"
    if kind < 0.9:
        return f"{chance.choice(_NAMES)}({given})"
    method = chance.choice(("peek", "bump", "total", "pop", "popleft", "copy", "get"))
    return f"{chance.choice(_GIVEN)}.{method}({repr('k') if method == 'get' else ''})"


def _argument(chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.65:
        return chance.choice(_GIVEN)
    if kind < 0.75:
        return f"fresh({chance.choice(_GIVEN)})"
    return chance.choice(("1", "'x'", "[9]", "rows[1]", "table['m']", "arr[1:4]", "lambda *v: a"))


def _barrier(chance: random.Random) -> str:
    name = chance.choice(_NAMES)
    return chance.choice(
        (f"{name} = {chance.choice(_GIVEN)}", f"print(shown({name}))", "rows[0].append(6)",
         f"push({name})", f"del {name}", "level = level + [1]")
    )  # fmt: skip
