"""What a call does to pyplot's figures, its own or one of pandas' or seaborn's.

pyplot has a current figure, which is state without a name: drawing changes it, and figures that are
left open are shown when the cell ends.
"""

from __future__ import annotations

import ast
from enum import Enum
from typing import Final

__all__ = ["Touch", "draws_into_axes", "plots", "touch_of"]


class Touch(Enum):
    """What a call does to pyplot's figures."""

    NEW = "makes one, which is the current one then"
    CLOSE = "closes one"
    CLOSE_ALL = "closes every one"
    SHOW = "shows what is open"
    CURRENT = "reads or changes the current one"


_NEW: Final = frozenset({"subplots", "figure", "subplot_mosaic"})
_NEW_IN_SEABORN: Final = frozenset(
    {"relplot", "displot", "catplot", "lmplot", "pairplot", "jointplot", "clustermap", "FacetGrid",
     "PairGrid", "JointGrid"}
)  # fmt: skip
_NO_FIGURE: Final = frozenset(
    {"get_cmap", "rc_context", "color_palette", "load_dataset", "get_dataset_names"}
)
_PANDAS: Final = frozenset({"plot", "hist", "boxplot"})


def touch_of(module: str, name: str, node: ast.Call) -> Touch | None:
    """What calling the function `name` of a module does; None for nothing."""
    package = module.partition(".")[0]
    if name in _NO_FIGURE:
        return None
    if package == "seaborn":
        if name in _NEW_IN_SEABORN:
            return Touch.NEW
        return None if draws_into_axes(node) else Touch.CURRENT
    if module != "matplotlib.pyplot":
        return None
    if name in _NEW:
        numbered = (name == "figure" and node.args) or any(k.arg == "num" for k in node.keywords)
        return Touch.CURRENT if numbered else Touch.NEW
    if name == "close":
        return Touch.CLOSE_ALL if any(map(_is_all, node.args)) else Touch.CLOSE
    return Touch.SHOW if name == "show" else Touch.CURRENT


def draws_into_axes(node: ast.Call) -> bool:
    """Whether a call is handed axes, in the way of pandas and seaborn."""
    return any(keyword.arg == "ax" for keyword in node.keywords)


def _is_all(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == "all"


def plots(kind: type | None, func: ast.Attribute, node: ast.Call) -> bool:
    """Whether a call is a frame's or series' own that draws it.

    Parameters
    ----------
    kind
        The type of the receiver, None if unknown: then the arguments tell, since those of an
        `Axes` are drawn and those of a frame name columns, or axes.
    func, node
        The method and the call.
    """
    if isinstance(func.value, ast.Attribute) and func.value.attr == "plot":
        return True  # `frame.plot.line()`
    if func.attr not in _PANDAS:
        return False
    if kind is not None:
        return str(kind.__module__).partition(".")[0] == "pandas"
    if draws_into_axes(node):
        return True
    first = node.args[0] if node.args else ast.Constant("")
    return isinstance(first, ast.Constant) and isinstance(first.value, str)
