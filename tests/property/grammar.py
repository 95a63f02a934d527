"""Makes up cells: loops over shared state, aliases, temporaries, control flow and exceptions.

The grammar leans towards cells that can be split, since a refusal proves little, and mixes in the
shapes that look harmless and aren't: aliases, hidden writes, names that one iteration leaves to the
next. All randomness comes from one `random.Random`, so that hypothesis can steer and shrink it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

_T = TypeVar("_T")

SETUP = """
import bisect, collections, contextlib, io, itertools, operator, random
import numpy as np
def f(x):
    return (x * 7 + 3) % 11
def g(x):
    return x / 3 + 0.1
def h(x):
    if x % 5 == 4:
        raise ValueError("h", x)
    return x + 1
def loud(x):
    print("loud", x)
    return x * 2
def two(x):
    return f(f(x)) + 1
def grow(t, x):
    t.append(x)
    return len(t)
def bump(x):
    global calls
    calls += 1
    return x + calls
def peek():
    return len(out)
def rate(x):
    return x * factor
def tagged(x):
    return {"n": x, "l": [x]}
def gen(n):
    for i in range(n):
        yield (i * 5) % 7
class Box:
    def __init__(self, v):
        self.v = v
        self.items = []
    def add(self, x):
        self.v += x
        self.items.append(x)
    def get(self, x):
        return self.v + x
    def tick(self, x):
        self.v += 1
        return x + self.v
    def __repr__(self):
        return f"Box({self.v})"
xs = [3, 1, 4, 1, 5, 9, 2, 6]
ys = [2, 7, 1, 8]
rows = [{"n": 3, "l": [1]}, {"n": 1, "l": []}, {"n": 4, "l": [2, 5]}]
names = {"a": 4, "b": 2, "c": 7}
boxes = [Box(1), Box(5), Box(2)]
out, other, seen, d, e = [], [7], set(), {}, {1: 2}
counts, groups = collections.Counter(), collections.defaultdict(list)
acc, total, best, arg, prev, calls, factor, text = 0, 0.5, -1, None, 0, 0, 3, ""
box, arr, slots = Box(10), np.zeros(8), [1, 2, 3, 4, 5, 6, 7, 8]
table, lookup = [[0], [1], [2, 3]], {0: [1], 1: 2, 2: (3,), 4: 0.5}
nested = {"a": [1], "b": {"c": [2]}}
it = iter(range(200))
num, last, lr, tag = 0, 2, 1.0, ""
buf = io.StringIO()
random.seed(5)
np.random.seed(6)
rng, old = np.random.default_rng(7), np.random.RandomState(8)
mean, sums = np.zeros(3), {i: np.zeros(3) for i in range(3)}
push, poke = operator.methodcaller("append", 3), operator.methodcaller("add", 2)
nans = [1.0, np.nan, float("nan"), 3, np.float64("nan")]
held, ranks = {"all": boxes[:2]}, {b: i for i, b in enumerate(boxes)}
ids, few, of_slots = iter(range(300)), iter([5, 2, 8, 1]), iter(slots)
"""

ALIASES = (
    "same = out",
    "nested['a'] = out",
    "nested['b']['c'] = other",
    "other = out",
    "box.items = out",
    "rows[1] = rows[0]",
    "rows[2]['l'] = rows[0]['l']",
    "boxes[2] = boxes[0]",
    "boxes[1] = box",
    "view = arr[2:5]",
    "view = arr[::-1]",
    "mirror = slots",
    "e = d",
    "names = d = {'a': 1, 'b': 5}",
    "ys = xs",
    "pair = (out, 1)",
    "hook = out.append",
    "reader = lambda: len(out)",
    "part = box.add",
)
"""Statements of the setup by which two names share something; a cell has at most two."""

COMMITS = (
    "out.append({e})",
    "out.append({e})",
    "out.append(nans[{e} % 5])",
    "out.append(boxes[{e} % 3])",
    "out.append(({e}, {e}))",
    "out.append({{'n': {e}, 'l': [{e}]}})",
    "out.extend([{e}, {e}])",
    "out += [{e}]",
    "other.append({e})",
    "other.insert(0, {e})",
    "acc += {e}",
    "acc += {e}",
    "acc = acc + {e}",
    "acc -= {e}",
    "acc = (acc * 31 + {e}) % 1009",
    "total += {e} / 7",
    "total = total + g({e})",
    "total *= 1 + {e} / 100",
    'text += f"{{{e}}},"',
    "best = max(best, {e})",
    "d[{e}] = {e}",
    "d[{e}] = d.get({e}, 0) + 1",
    "d.setdefault({e}, []).append({e})",
    "counts[{e}] += 1",
    "counts[{e}] += {e}",
    "groups[{e}].append({e})",
    "seen.add({e})",
    "box.v += {e}",
    "box.add({e})",
    "box.items.append({e})",
    "arr[{i}] = {e}",
    "arr[{i}] += {e}",
    "slots[{i}] = {e}",
    "nested['a'].append({e})",
    "nested['b']['c'].append({e})",
    "buf.write(str({e}))",
    "lo, hi = min(best, {e}), max(best, {e})",
    "best, arg = {e}, {e}",
    "prev = {e}",
    "factor = {e} % 5",
    "seen.discard({e})",
    "e.update({{{e}: {e}}})",
    "out.append(table[{e} % 4])",
    "out.append((lookup[{e} % 6], {e}))",
    "d[{e}] = table[{e} % 5]",
    "acc += table[{e} % 4][0]",
    "out[len(out):] = [{e}]",
    "out[:1] = [{e}, {e}]",
    "out.insert({e} % 3, {e})",
    "out.extend(q for q in range({e} % 3))",
    "out.extend(map(f, [{e}, {e}]))",
    "out.append(({e}, len(out)))",
    "out.append({{**tagged({e})}})",
    "out.append({e}) if {e} % 2 else seen.add({e})",
    "other[0] += {e}",
    "seen |= {{{e}}}",
    "d |= {{{e}: {e}}}",
    "d[{e}, {e}] = {e}",
    "d[{e}] = [*groups[{e}], {e}]",
    "groups[{e}] += [{e}]",
    "names['a'] += {e}",
    "names.update(a={e}, b={e})",
    "acc, best = best, acc + {e}",
    "box.v, arg = {e}, {e}",
    "best = {e} if best < {e} else best",
    "(acc := acc + {e})",
    "arr[:3] += {e}",
    "arr[[{i}, 0]] = {e}",
    "print({e}, file=buf)",
    "buf.writelines([str({e}), ','])",
)

RARE_COMMITS = (
    "slots[{i}] = f(slots[{i}])",
    "arr[{i}] = f(arr[{i}])",
    "c = out\n    c.append({e})",
    "c = nested['a']\n    c.append({e})",
    "c = box\n    c.v = {e}",
    "c = nested['b']\n    c['c'].append({e})",
    "part_ = tagged({e})\n    out.append(part_)\n    part_['l'].append({e})",
    "part_ = tagged({e})\n    part_['n'] = {e}\n    out.append(part_)",
    "part_ = tagged({e})\n    acc += part_['n']\n    part_['n'] = acc\n    out.append(str(part_))",
    "out.append(lambda: {e})",
    "out.append([{e} for k in range(3)])",
    "out.append(sum(f(k) for k in range({e} % 5)))",
    "other.pop()",
    "del d[{e}]",
    "grow(out, {e})",
    "setattr(box, 'w', {e})",
    "out.sort(key=str)",
    "d, e = e, d",
    "if len(xs) < 12:\n        xs.append({e})",
    "for q in (out, other):\n        q.append({e})",
    "row_ = rows[{e} % 3]\n    row_['n'] = {e}",
    "rows[{e} % 3]['l'].append({e})",
    "boxes[{e} % 3].v = {e}",
    "box_ = boxes[{e} % 3]\n    box_.add({e})",
    "(out if {e} % 2 else other).append({e})",
    "buf_ = [{e}]\n    out.append(buf_)\n    buf_ += [{e}]",
)

SHARED_READS = (
    "acc",
    "len(out)",
    "best",
    "prev",
    "d.get({e}, 0)",
    "sum(other)",
    "box.v",
    "box.get({e})",
    "len(nested['a'])",
    "peek()",
    "arr[{i}]",
    "slots[{i}]",
    "len(seen)",
    "rows[{e} % 3]['n']",
    "boxes[0].v",
    "rate({e})",
    "rate({e})",
    "sum(slots)",
    "len(text)",
    "names.get('a', 0)",
    "factor",
    "int({e} in nans)",
    "int(np.nan in nans)",
    "nans.count(nans[{e} % 5])",
    "ranks.get(boxes[{e} % 3], 7)",
    "held['all'].count(boxes[{e} % 3])",
)

PREPARED = (
    "num += 1",
    "num += 1",
    "num += {x}",
    "last = {x}",
    "last = {x}",
    "lr *= 0.5",
    "lr = max(lr - 0.25, 0.125)",
    "num, last = num + 1, num",
    "num = (num * 5 + {x}) % 17",
    "tag += str({x})",
    "tag = f'{{{x}}}'",
    "tag = (tag + '-' + str(num)).strip('-')[-6:]",
    "if {x} % 2:\n    num += 1",
    "if num % 3 == 2:\n    num = 0\nelse:\n    num += 1",
    "if {x} > 5:\n    last = {x}\n    continue",
    "if num > 5:\n    break",
    "odd_ = {x} % 2\nif odd_:\n    num += odd_",
    "num = 12 // ({x} - 4)",
    "last = 6 // (3 - num)",
    "last = (num, {x})[1]",
    "x = {x} + 1\nnum += x",
    "num += factor",
    "last = acc",
    "num: int = num + 2",
    "last = t",
)
"""Statements that the kernel can run ahead of the work, if nothing around them bars it."""

DRAWS = (
    "t = int(rng.integers(9))",
    "t = random.randint(0, 8)",
    "t = f(random.randint(0, 3 + {x}))",
    "u = int(rng.normal({x}, 2, size=3).sum())",
    "u = int(old.rand() * 9)",
    "v = int(np.random.randint(1, 5, size=num % 4).sum())",
    "v = random.choice(xs)",
    "w = random.choice(slots) % 9",
    "t = random.sample([3, 1, 4, 1], 2)\nt.sort()\nout.append(t)\nt = t[0]",
    "t = rng.permutation(ys)\nt += {x}\nt = int(t[0])",
    "out.append(f(random.randrange(7)))",
    "out.append((int(rng.integers(5)), random.random()))",
    "d[random.randrange(5)] = {x}",
    "acc += random.randint(1, 3)",
    "num += random.randint(0, 3)",
    "last = rng.random()",
    "if random.random() < 0.5:\n    num += 1",
    "if old.randint(9) > 6:\n    continue",
    "if {x} % 2:\n    t = random.randint(0, 5)\nelse:\n    t = int(rng.integers(6))",
    "t = random.randrange({x} - 1)",
    "t = int(rng.integers({x} % 5))",
    "t = f({x}) + random.randint(0, 3)",
    "print(random.random())",
    "t = [random.random() for _ in range({x} % 4)]\nt.sort()\nv = f(len(t))\nout.append(t)",
    "v = sum(int(rng.integers(9)) for _ in range(num % 3))",
    "t = [random.randint(0, y) + {x} for y in ys]\nout.append(f(t[0]))",
    "t = [y for y in xs if random.random() < 0.5]\nv = f(len(t))\nother.append(t)",
    "t = [[old.rand() for _ in range(2)] for y in range(3) if y != {x}]\nv = f(len(t))",
    "t = random.choice(table)\nt.append(f({x}))",
    "t = random.choice(table)\nout.append((f({x}), t))",
    "t = random.choice([xs, ys])\nif len(t) < 12:\n    t.append({x})",
    "t = tuple(random.choice(table) for _ in range(2))\nout.append((t, f({x})))",
    "random.shuffle(slots)",
    "if f({x}) > 6:\n    t = random.randint(0, 9)",
    "if rng.random() < 0.1:\n    break",
    "t = next(ids)",
    "t = f(next(ids))",
    "num += next(ids)",
    "if {x} % 3:\n    u = next(few, 7)",
    "v = next(few)",
    "out.append(next(few, {x}))",
    "w = next(of_slots, 0) % 9",
)
"""Draws of random numbers; most can be made ahead of the work."""

DRAWN_ELEMENTS = (
    "f(random.randint(0, 8))",
    "two(int(rng.integers(9))) + x",
    "f(random.randint(0, x + 3)) + next(it)",
    "h(random.randrange(7))",
    "(random.random(), f(x)) > (0.5, 3)",
    "f(int(old.randint(1, 4)) + len(other))",
    "int(rng.integers(x % 4)) + f(x)",
    "loud(random.choice(slots)) + lookup[random.randrange(5)]",
    "f(x) + random.randint(0, 3)",
    "f(len([y for y in range(5) if rng.random() < 0.5]))",
    "sum(random.randint(0, 3) for _ in range(x % 4)) + f(x)",
    "f(next(it)) if x % 2 else 0",
)
"""Of comprehensions."""

PREPARED_READS = ("num", "num", "last", "len(tag)", "int(lr * 8)")

GUARDS = (
    "{e} not in seen",
    "{e} in d",
    "len(out) < 4",
    "best < {e}",
    "acc % 3 > 0",
    "{e} > acc or not out",
    "prev is None or h({e}) < best",
    "d.get({e}) is None",
    "box.v % 2 and f({e})",
)
"""Tests of shared state that decide whether work runs."""

MEMOS = (
    "try:\n    t = d[{k}]\nexcept KeyError:\n    t = d[{k}] = {e}",
    "if {k} in d:\n    t = d[{k}]\nelse:\n    t = {e}\n    d[{k}] = t",
    "t = d.get({k})\nif t is None:\n    t = d[{k}] = {e}",
    "t = d.setdefault({k}, {e})",
    "t = d[{k}] if {k} in d else {e}",
    "t = d.get({k}) or {e}",
    "if {k} not in seen:\n    seen.add({k})\n    t = {e}\n    u = f(t)\n    out.append(u)",
    "if {k} not in d:\n    t = [{e}]\n    t.append({e})\n    d[{k}] = len(t)\n    acc += 1",
    "if len(out) < 5:\n    t = []\n    for q in range(3):\n        t.append(f(q + {k}))\n"
    "    out.append(t)\n    print(t)",
    "if best < {k}:\n    best, arg = {k}, {e}\nelif best > 6:\n    t = {e}\n    out.append(t)",
    "v = tagged({k})\nif acc % 2:\n    t = two(v['n'])\n    out.append(t)\nacc += v['n']",
)
"""Work that shared state lets pass, or not, and what is kept of it."""

HANDED = (
    (
        ("h_ = [{e}, {e}]", "h_ = tagged({e})['l']", "h_ = sorted([{e}, {e}])"),
        ("out.extend(h_)", "out += h_", "out.append(h_)", "d[{e}] = h_", "groups[{e}] += h_",
         "groups[{e}].extend(h_)", "other[1:] = h_", "acc += h_[0]", "print(h_)",
         "out.append(sum(h_))", "if h_ not in out:\n    out.append(1)", "best, arg = len(h_), h_",
         "for q_ in h_:\n    acc += q_", "lo_, *prev = h_", "out.append((h_, len(h_)))",
         "if len(h_) > best:\n    best, arg = sum(h_), h_", "acc += len(out) + h_[-1]"),
        ("h_.append({e})", "h_ += [{e}]", "h_[0] = {e}", "bisect.insort(h_, {e})", "push(h_)",
         "list(map(h_.append, [1]))", "grow(h_, {e})", "h_.sort()", "w_ = h_\nw_.append({e})",
         "operator.iadd(h_, [{e}])", "h_ = h_[:]"),
    ),
    (
        ("h_ = np.ones(3) * {e}", "h_ = np.arange(3.0) + {e}"),
        ("arr[:3] += h_", "arr[:3] = h_", "mean = mean + h_", "mean += h_", "out.append(h_)",
         "sums[{e} % 3] += h_", "acc += float(h_.sum())", "arr[3:6] = h_ * 2",
         "arr[:2] += h_[:2]", "out.extend(h_)", "if h_.sum() > best:\n    best, arg = 1, h_"),
        ("h_ += 1", "h_[0] = {e}", "np.multiply(h_, 2, out=h_)", "h_.fill({e})",
         "h_ -= h_.min()", "h_.sort()", "np.add(h_, 1, h_)", "w_ = h_[:2]\nw_ *= 2"),
    ),
    (
        ("h_ = {{{e}: {e}}}", "h_ = tagged({e})"),
        ("e.update(h_)", "d |= h_", "out.append(h_)", "out.extend(h_)", "d[{e}] = h_",
         "counts.update(h_.keys())"),
        ("h_[{e}] = 1", "h_.update(a=1)", "h_.pop({e}, 0)", "h_.setdefault({e}, 2)",
         "operator.setitem(h_, 1, {e})"),
    ),
    (
        ("h_ = Box({e})",),
        ("out.append(h_.v)", "out.extend(h_.items)", "d[{e}] = h_", "other += h_.items",
         "acc += h_.v", "box.items += h_.items", "out.append(h_)"),
        ("h_.add({e})", "h_.v = {e}", "h_.items.append({e})", "poke(h_)", "h_.tick({e})"),
    ),
)  # fmt: skip
"""Objects that an iteration makes: how, what commits do with them, and how work changes them."""

HIDDEN_WRITES = (
    "grow(other, {e})",
    "bump({e})",
    "box.tick({e})",
    "next(it)",
    "slots.pop()",
    "d.pop({e}, 1)",
    "(other.append({e}) or {e})",
    "len(groups[{e}])",
    "(seen.add({e}) or {e})",
)

ITERABLES = (
    ("x", "xs"),
    ("x", "xs"),
    ("x", "xs"),
    ("x", "ys"),
    ("x", "range(7)"),
    ("x", "range(len(slots))"),
    ("x", "range(6, 0, -2)"),
    ("x", "[]"),
    ("x", "[3]"),
    ("j, x", "enumerate(xs)"),
    ("x, y", "zip(xs, ys)"),
    ("k, x", "names.items()"),
    ("x", "names.values()"),
    ("x", "sorted(xs)"),
    ("x", "gen(6)"),
    ("x", "(v + 1 for v in xs)"),
    ("x", "iter(ys)"),
    ("x", "xs[2:]"),
    ("x", "set(ys)"),
    ("x", "tuple(xs)"),
    ("x", "map(f, xs)"),
    ("x", "np.arange(5)"),
    ("x", "list(out) + ys"),
    ("x", "range(len(out) + 3)"),
    ("x", "slots"),
    ("x", "slots[:]"),
    ("x", "out[:]"),
    ("x", "other[::-1]"),
    ("x", "arr[2:]"),
    ("x", "other.copy()"),
    ("x", "sorted(seen)"),
    ("x", "list(d)"),
    ("x", "reversed(xs)"),
    ("x", "filter(None, xs)"),
    ("x, *y_", "zip(xs, ys, xs)"),
    ("(x, y), j", "zip(zip(xs, ys), range(9))"),
    ("x", "[*xs, *ys]"),
    ("x", "xs if acc else ys"),
    ("x", "map(loud, ys)"),
    ("x", "itertools.islice(xs, 5)"),
    ("y, x", "zip(iter(xs), ys)"),
    ("x", "iter(iter(xs).__next__, 5)"),
    ("x", "itertools.chain(xs, out[:2])"),
    ("x", "itertools.accumulate(ys)"),
    ("x", "nans"),
    ("x", "(v for v in nans)"),
)

OBJECT_ITEMS = (
    (
        "r",
        "rows",
        ("r['n']", "len(r['l'])"),
        ("r['n'] = {e}", "r['l'].append({e})", "r['m'] = {e}"),
    ),
    (
        "r",
        "boxes",
        ("r.v", "r.get({e})", "ranks.get(r, 8)", "held['all'].count(r)"),
        ("r.v = {e}", "r.add({e})", "r.v += {e}"),
    ),
    (
        "r",
        "rows[:]",
        ("r['n']", "len(r['l'])"),
        ("r['n'] = {e}", "rows[0]['n'] = {e}", "rows.append({{'n': {e}, 'l': []}})"),
    ),
    ("i, r", "enumerate(rows)", ("r['n']", "i"), ("out.append(r)", "rows[i]['n'] = {e}")),
)
"""Loops over objects: how their items are read, and how they are changed."""


@dataclass(slots=True)
class Cell:
    """A made-up cell, the aliases of its setup, and what options it needs."""

    source: str
    setup: str
    options: str = ""


@dataclass(slots=True)
class Scope:
    """What the body that is being written can use."""

    reads: list[str]
    changes: tuple[str, ...] = ()
    temporaries: list[str] = field(default_factory=list)
    depth: int = 0
    inner: bool = False


def make_cell(source: random.Random) -> Cell:
    """A cell from the choices of `source`."""
    return _Writer(source).cell()


class _Writer:
    """Writes one cell. Rarities have their own odds per cell, so that most cells are tame."""

    def __init__(self, source: random.Random) -> None:
        self._random = source
        self._shared = self._odds(0.05, 0.0, 0.25)
        self._hidden = self._odds(0.0, 0.0, 0.1)
        self._rare = self._odds(0.05, 0.0, 0.5)
        self._raises = self._odds(0.0, 0.15)
        self._guards = self._odds(0.0, 0.0, 0.3)
        self._prepares = self._odds(0.0, 0.0, 0.12, 0.3)
        self._draws = self._odds(0.0, 0.0, 0.5)
        self._hands = self._pick((0, 0, 4, 20))
        self._breaks = False
        self._guarded = False
        self._counter = 0

    def cell(self) -> Cell:
        parts = [self._prologue(), self._looping(), self._between(), self._epilogue()]
        source = "\n".join(part for part in parts if part) + "\n"
        needed = self._breaks or self._guarded
        ahead = self._chance(0.85) if needed else self._chance(0.15)
        aliases = [self._pick(ALIASES) for _ in range(self._pick((0, 0, 0, 1, 1, 2)))]
        setup = SETUP + "\n".join(aliases) + "\n"
        return Cell(source, setup, "--ahead" if ahead else "")

    def _prologue(self) -> str:
        return self._pick(("", "", "", "z = f(3)", "out = []", "print('start')", "acc = 5"))

    def _between(self) -> str:
        return self._looping() if self._chance(0.15) else ""

    def _epilogue(self) -> str:
        endings = ("", "", "", "out", "acc;", "print(acc, len(out))", "out.append(acc)", "last = x")
        return self._pick((*endings, "out and out[-1]", "n = len(d)", "total"))

    def _looping(self) -> str:
        if self._chance(0.12):
            return self._comprehension()
        loop = self._loop()
        wrap = self._random.randrange(16)
        if wrap == 0:
            handler = "except (ValueError, KeyError) as err:\n    msg = str(err)"
            return f"try:\n{_indented(loop)}\n{handler}"
        if wrap == 1:
            return f"if {self._expression(Scope(['acc']))} >= 0:\n{_indented(loop)}"
        if wrap == 2:
            return f"for epoch in range(2):\n{_indented(loop)}\n    factor = acc % 7"
        if wrap == 3:
            return f"with contextlib.suppress(KeyError):\n{_indented(loop)}"
        if wrap == 4:
            return f"todo = 2\nwhile todo:\n{_indented(loop)}\n    todo -= 1"
        return loop

    def _loop(self) -> str:
        if self._chance(0.15):
            target, iterable, reads, changes = self._pick(OBJECT_ITEMS)
            changes = changes if self._chance(0.5) else ()
            scope = Scope(list(reads), changes)
        else:
            target, iterable = self._pick(ITERABLES)
            numbers = [n for n in re.findall(r"\w+", target) if n not in ("k", "y_")]
            scope = Scope(numbers)
        body = self._body(scope, self._random.randrange(1, 6))
        text = f"for {target} in {iterable}:\n{body}"
        if self._chance(0.1):
            text += "\nelse:\n    out.append('else')"
        return text

    def _comprehension(self) -> str:
        scope = Scope(["x"])
        target, iterable = "x", self._pick(("xs", "ys", "range(6)", "gen(4)", "slots"))
        draws = self._chance(self._draws)
        element = self._pick(DRAWN_ELEMENTS) if draws else self._expression(scope)
        test = f" if {self._expression(scope)} % 3" if self._chance(0.3) else ""
        test = " if random.random() < 0.7" if draws and self._chance(0.2) else test
        inside = f"{element} for {target} in {iterable}{test}"
        forms = ("v = [{}]", "v = sum({})", "v = {{{}}}", "out.extend({})", "acc += sum([{}])")
        more = ("v = max({})", "v = sorted({})", "print([{}])", "v = tuple({})", "v = any({})")
        if self._chance(0.2):
            key = self._expression(scope)
            return f"v = {{{key}: {inside}}}"
        return self._pick((*forms, *more)).format(inside)

    def _body(self, scope: Scope, size: int) -> str:
        lines = [self._statement(scope) for _ in range(size)]
        return _indented("\n".join(lines))

    def _statement(self, scope: Scope) -> str:
        if scope.changes and self._chance(0.3):
            return self._filled(self._pick(scope.changes), scope)
        if self._chance(self._guards):
            self._guarded = True
            return self._memo(scope) if self._chance(0.4) else self._guard(scope)
        if self._chance(self._prepares if scope.depth == 0 else self._prepares / 4):
            return self._prepared(scope)
        kinds: list[tuple[int, Callable[[Scope], str]]] = [
            (30, self._temporary),
            (34, self._commit),
            (6, self._print),
            (8 if scope.depth < 3 else 0, self._if),
            (3 if scope.depth < 2 else 0, self._try),
            (3 if scope.depth < 2 else 0, self._inner_loop),
            (2 if scope.depth < 2 else 0, self._suppress),
            (4, self._jump),
            (2, self._oddity),
            (self._hands, self._handed),
        ]
        weights = [weight for weight, _ in kinds]
        return self._random.choices([kind for _, kind in kinds], weights)[0](scope)

    def _temporary(self, scope: Scope) -> str:
        name = self._pick(("t", "u", "v", "w"))
        if name in scope.temporaries and self._chance(0.2):
            return f"{name} += {self._expression(scope)}"
        text = f"{name} = {self._expression(scope)}"
        if name not in scope.temporaries:
            scope.temporaries.append(name)
        return text

    def _prepared(self, scope: Scope) -> str:
        item = "x" if "x" in scope.reads else str(self._random.randrange(6))
        templates = DRAWS if self._chance(self._draws) else PREPARED
        text = self._pick(templates).replace("{x}", item).replace("{{", "{").replace("}}", "}")
        self._breaks |= "break" in text
        return text

    def _commit(self, scope: Scope) -> str:
        rare = self._chance(self._rare)
        text = self._filled(self._pick(RARE_COMMITS if rare else COMMITS), scope)
        return "\n".join(line.removeprefix("    ") for line in text.split("\n"))

    def _handed(self, scope: Scope) -> str:
        """An object of the iteration's own, handed to commits and changed in between."""
        makes, uses, changes = self._pick(HANDED)
        steps = [self._pick(makes)]
        for _ in range(self._random.randrange(2, 6)):
            steps.append(self._pick(uses if self._chance(0.5) else changes))
        return "\n".join(self._filled(step, scope) for step in steps)

    def _print(self, scope: Scope) -> str:
        return f"print({self._expression(scope)}, {self._expression(scope)})"

    def _if(self, scope: Scope) -> str:
        test = f"{self._expression(scope)} {self._pick(('> 3', '% 2', '< 5', '== 1'))}"
        text = f"if {test}:\n{self._block(scope)}"
        if self._chance(0.3):
            text += f"\nelif {self._expression(scope)} > 6:\n{self._block(scope)}"
        if self._chance(0.4):
            text += f"\nelse:\n{self._block(scope)}"
        return text

    def _guard(self, scope: Scope) -> str:
        """Work behind tests of shared state, with more of the same inside."""
        inside = self._block if scope.depth < 3 else self._temporary_inside
        text = f"if {self._filled(self._pick(GUARDS), scope)}:\n{inside(scope)}"
        if self._chance(0.3):
            text += f"\nelif {self._filled(self._pick(GUARDS), scope)}:\n{inside(scope)}"
        if self._chance(0.5):
            text += f"\nelse:\n{inside(scope)}"
        return text

    def _temporary_inside(self, scope: Scope) -> str:
        return _indented(self._temporary(scope))

    def _memo(self, scope: Scope) -> str:
        text = self._pick(MEMOS).replace("{k}", self._leaf(scope))
        if "t" not in scope.temporaries:
            scope.temporaries.append("t")
        return self._filled(text, scope)

    def _try(self, scope: Scope) -> str:
        error = self._pick(("ValueError", "KeyError", "LookupError", "Exception"))
        tail = self._pick(("", " as err"))
        text = f"try:\n{self._block(scope)}\nexcept {error}{tail}:\n{self._block(scope)}"
        if self._chance(0.2):
            text += f"\nelse:\n{self._block(scope)}"
        if self._chance(0.2):
            text += f"\nfinally:\n{self._block(scope)}"
        return text

    def _suppress(self, scope: Scope) -> str:
        return f"with contextlib.suppress(ValueError):\n{self._block(scope)}"

    def _inner_loop(self, scope: Scope) -> str:
        self._counter += 1
        if self._chance(0.2):
            name = f"w{self._counter}"
            inside = self._block(scope, inner=True)
            return f"{name} = 2\nwhile {name} > 0:\n    {name} -= 1\n{inside}"
        name = f"k{self._counter}"
        reads = [*scope.reads, name]
        inner = Scope(reads, scope.changes, list(scope.temporaries), scope.depth + 1, True)
        body = self._body(inner, self._random.randrange(1, 3))
        return f"for {name} in range(int({self._expression(scope)}) % 4):\n{body}"

    def _block(self, scope: Scope, *, inner: bool = False) -> str:
        deeper = Scope(
            scope.reads,
            scope.changes,
            list(scope.temporaries),
            scope.depth + 1,
            inner or scope.inner,
        )
        text = self._body(deeper, self._random.randrange(1, 3))
        if self._chance(0.5):  # a name bound in a branch only may be read after it
            scope.temporaries[:] = deeper.temporaries
        return text

    def _jump(self, scope: Scope) -> str:
        test = f"if {self._expression(scope)} == {self._random.randrange(6)}:"
        if self._chance(self._raises):
            return f"{test}\n    raise ValueError('jump', {self._expression(scope)})"
        if scope.inner and self._chance(0.5):
            return f"{test}\n    break"
        if self._chance(0.25):
            self._breaks = True
            return f"{test}\n    break"
        return f"{test}\n    continue"

    def _oddity(self, scope: Scope) -> str:
        e = self._expression
        choices = (
            f"t = lambda q: q + {e(scope)}\nu = t(2)",
            f"t, *v = [{e(scope)}, {e(scope)}]\nv = len(v)",
            f"t = u = {e(scope)}",
            f"if (w := {e(scope)}) > 4:\n    out.append(w)",
            f"def local(q):\n    return q + {e(scope)}\nt = local(1)",
            f"match {e(scope)} % 3:\n    case 0:\n        t = 1\n    case _:\n        t = 2",
            f"t = {e(scope)}\ndel t",
            f"assert {e(scope)} != 5, 'five'",
            f"t = [{e(scope)}]\nt.append({e(scope)})\nout.append(t)\nt = 0",
            f"t: int = {e(scope)}",
            f"with io.StringIO() as s_:\n    s_.write(str({e(scope)}))\n    t = s_.tell()\ndel s_",
            f"class Local:\n    v = {e(scope)}\nt = Local.v",
            f"t = [{e(scope)}, {e(scope)}]\nt[0], t[1] = t[1], t[0]\nt = t[0]",
            f"try:\n    t = {e(scope)} // ({e(scope)} % 2)\nexcept ZeroDivisionError:\n    t = -1\n"
            "finally:\n    u = t",
            f"t = next((q for q in [1, {e(scope)}] if q > 1), 0)",
            f"import math\nt = math.floor({e(scope)})",
            f"t = int(np.array([{e(scope)}, 1]).sum())",
            f"for q_ in [{e(scope)}]:\n    t = q_\nelse:\n    u = q_",
            f"t = 0\nfor q_ in range(4):\n    if q_ == {e(scope)}:\n        break\n    t += q_\n"
            "else:\n    t = -1",
            f"while True:\n    t = {e(scope)}\n    break",
            f"t = [q + {e(scope)} for q in (1, 2)]\nout.append(t)\nt = t[0]",
            f"t = {{'a': [{e(scope)}]}}\nt['a'].append({e(scope)})\nd[{e(scope)}] = t\nt = 1",
            f"t = Box({e(scope)})\nt.add({e(scope)})\nout.append(t.v)\nt = t.get(1)",
            f"t = gen({e(scope)} % 4)\nu = next(t, 0)\nt = sum(t)",
        )
        return self._pick(choices)

    def _expression(self, scope: Scope, depth: int = 0) -> str:
        if self._chance(self._hidden):
            return self._filled(self._pick(HIDDEN_WRITES), scope, depth + 1)
        if self._chance(self._prepares):
            return self._pick(PREPARED_READS)
        if self._chance(self._shared):
            return self._filled(self._pick(SHARED_READS), scope, depth + 1)
        if depth >= 2 or self._chance(0.3):
            return self._leaf(scope)
        inside = self._expression(scope, depth + 1)
        call = self._pick(("f", "f", "f", "two", "two", "loud", "h" if self._chance(0.3) else "f"))
        forms = (
            f"{call}({inside})",
            f"{call}({inside})",
            f"{call}({inside})",
            f"({inside} + {self._leaf(scope)})",
            f"({inside} if {self._leaf(scope)} > 2 else {self._leaf(scope)})",
            f"({inside} and {self._leaf(scope)})",
            f"sum([f(q) for q in range(int({inside}) % 4)])",
            f"(lambda q: q * 2)({inside})",
            f"abs({inside})",
            f"max({inside}, {self._leaf(scope)})",
        )
        return self._pick(forms)

    def _leaf(self, scope: Scope) -> str:
        if scope.temporaries and self._chance(0.4):
            return self._pick(tuple(scope.temporaries))
        if self._chance(0.8):
            return self._filled(self._pick(tuple(scope.reads)), Scope(["2"]), 2)
        return str(self._random.randrange(6))

    def _filled(self, template: str, scope: Scope, depth: int = 1) -> str:
        while "{e}" in template:
            template = template.replace("{e}", self._expression(scope, depth), 1)
        index = self._pick((f"{self._leaf(scope)} % 8", "j" if "j" in scope.reads else "x"))
        index = index if "x" in scope.reads or "%" in index else "3"
        return template.replace("{i}", index).replace("{{", "{").replace("}}", "}")

    def _pick(self, options: Sequence[_T]) -> _T:
        return options[self._random.randrange(len(options))]

    def _chance(self, share: float) -> bool:
        return share > 0 and self._random.random() < share

    def _odds(self, *shares: float) -> float:
        return shares[self._random.randrange(len(shares))]


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.split("\n"))
