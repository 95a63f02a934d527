"""Made-up cells that draw: into figures that are shared, or one of each iteration's own.

What is compared is how all open figures look at the cell's end, pixel by pixel, and what figures
that were closed before have saved.
"""

from __future__ import annotations

import random

from tests.property.grammar import Cell

__all__ = ["SETUP", "make_drawing"]

SETUP = """
import io
import numpy as np
import pandas as pd
import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt
def f(x):
    return (x * 7 + 3) % 11
def h(x):
    if x == 4:
        raise ValueError("h", x)
    return x + 1
def curve(x):
    return np.sin(np.arange(9.0) * x)
def picture(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="rgba", dpi=30)
    return buffer.getvalue()
def drawn(x):
    figure, pane = plt.subplots(figsize=(2, 1))
    pane.plot(curve(x))
    seen = picture(figure)
    plt.close(figure)
    return seen
def mark(x):
    plt.axvline(f(x))
def left_open(x):
    plt.figure(figsize=(2, 1))
    plt.plot(curve(x))
def pixels():
    pictures = [(n, picture(plt.figure(n))) for n in plt.get_fignums()]
    plt.close("all")
    return pictures
plt.close("all")
xs = [3, 1, 4, 1, 5]
frame = pd.DataFrame({"a": [1.0, 3.0, 2.0], "b": [2.0, 2.5, 0.0]})
out, acc, best = [], 0, -1
"""

_BEGINNINGS = (
    "",
    "fig, ax = plt.subplots(figsize=(2, 2))",
    "fig, ax = plt.subplots(figsize=(2, 2))",
    "fig, axes = plt.subplots(1, 2, figsize=(3, 2))\nax = axes[1]",
    "plt.figure(figsize=(2, 2))",
)

_SHARED = (
    "plt.plot(curve({e}))",
    "plt.plot([x, {e}], label=str(x))",
    "y = curve({e})\nplt.plot(y, linewidth=2)",
    "plt.title(f'{{x}} of {{{e}}}')",
    "plt.axhline({e} / 10)",
    "plt.scatter([x, 2], [{e}, 1], s={e} * 3 + 1)",
    "plt.bar(x, {e})",
    "plt.text(1, 0.5, str({e}))",
    "plt.xlim(0, {e} + 1)",
    "plt.gca().set_ylabel(str({e}))",
    "line, = plt.plot(curve(x))\nline.set_linewidth({e} / 3 + 1)",
    "pd.Series(curve({e})).plot()",
    "frame['a'].plot(title=str({e}))",
    "(frame * {e}).plot(ax=plt.gca())",
    "mark({e})",
    "plt.legend(['l'])",
)

_OF_AXES = (
    "ax.plot(curve({e}))",
    "ax.set_title(str({e}))",
    "ax.bar(x, {e})",
    "ax.annotate(str(x), (0.1 * x, {e} / 11))",
    "ax.fill_between(range(9), curve({e}))",
    "y = curve({e})\nax.plot(y)\nax.axhline(y.mean())",
    "plt.sca(ax)",
    "frame.plot(ax=ax, legend={e} > 5)",
)

_OWN = (
    "plt.figure(figsize=(2, 1))\nplt.plot(curve({e}))\nout.append(picture(plt.gcf()))\nplt.close()",
    "own, pane = plt.subplots(figsize=(2, 1))\npane.plot(curve({e}))\nout.append(picture(own))\n"
    "plt.close(own)",
    "own = plt.figure(figsize=(2, 1))\nplt.bar([1, 2], [x, {e}])\nseen = picture(own)\n"
    "plt.close(own)\nout.append(seen)",
    "out.append(drawn({e}))",
    "out.append(drawn({e}))",
)

_ODD = (
    "plt.subplot(2, 2, x % 4 + 1)",
    "plt.figure(x)",
    "plt.figure(figsize=(1, 1))",
    "left_open(x)",
    "plt.clf()",
    "plt.cla()",
    "plt.close()",
    "plt.close('all')",
    "if {e} > 6:\n    plt.close()",
    "plt.show()",
    "plt.rcParams['lines.linewidth'] = {e}",
    "out.append(plt.get_fignums())",
    "own = plt.gcf()\nown.set_facecolor('0.9')",
)

_WORK = (
    "t = {e}",
    "out.append({e})",
    "acc += {e}",
    "if {e} > best:\n    best = {e}",
    "print({e})",
    "if {e} % 5 == 3:\n    continue",
    "t = h(x)",
)

_ENDINGS = ("", "", "out.append(acc)", "plt.title('end')", "plt.plot([1, 2])")

_CLOSING = "seen = pixels()\nfig = ax = axes = line = own = pane = None"


def make_drawing(source: random.Random) -> Cell:
    """A cell from the choices of `source`."""
    return _Writer(source).cell()


class _Writer:
    def __init__(self, source: random.Random) -> None:
        self._random = source

    def cell(self) -> Cell:
        beginning = self._random.choice(_BEGINNINGS)
        kinds = [_SHARED, _WORK, _WORK, self._random.choice((_OWN, _SHARED))]
        kinds += [_OF_AXES, _OF_AXES] if "ax" in beginning else []
        kinds += [_ODD] if self._random.random() < 0.3 else []
        lines = [self._line(kinds) for _ in range(self._random.randrange(1, 5))]
        items = self._random.choice(("xs", "range(5)", "sorted(xs)"))
        loop = f"for x in {items}:\n{_indented(lines)}"
        inner = [beginning, loop, self._random.choice(_ENDINGS)]
        text = "\n".join(part for part in inner if part)
        if "h(" in text:
            return Cell(f"try:\n{_indented([text])}\nfinally:\n{_indented([_CLOSING])}\n", SETUP)
        return Cell(f"{text}\n{_CLOSING}\n", SETUP)

    def _line(self, kinds: list[tuple[str, ...]]) -> str:
        text = self._random.choice(self._random.choice(kinds)).format(e=self._expression())
        if self._random.random() < 0.15:
            return f"if {self._expression()} % 2:\n{_indented([text])}"
        return text

    def _expression(self) -> str:
        return self._random.choice(("x", "f(x)", "f(x) + x", "f(f(x))", "x % 3"))


def _indented(lines: list[str]) -> str:
    return "\n".join("    " + line for text in lines for line in text.split("\n"))
