"""Python source as HTML in the colours of the notebook's own editor."""

from __future__ import annotations

from typing import Final

from mpmagic.show.style import SCOPE

__all__ = ["RULES", "highlighted"]

_PREFIX: Final = "mp-"

# By the first letters of Pygments' short names: JupyterLab's variable, the colour elsewhere (of
# middle lightness, for either background), and the weight that JupyterLab's editor gives.
_TOKENS: Final = {
    "k": ("keyword", "#3d9a4b", "font-weight:bold"),
    "ow": ("keyword", "#3d9a4b", "font-weight:bold"),
    "o": ("operator", "#a45ee5", "font-weight:bold"),
    "nb": ("builtin", "#3d9a4b", ""),
    "nf": ("def", "#4a7fdc", ""),
    "nc": ("def", "#4a7fdc", ""),
    "m": ("number", "#3d9a4b", ""),
    "s": ("string", "#cf5a50", ""),
    "c": ("comment", "#5b9393", "font-style:italic"),
}


def _rule(token: str, name: str, colour: str, weight: str) -> str:
    selector = f'{SCOPE} [class^="{_PREFIX}{token}"]'
    # Nearer to the text's colour than in the editor: the lines have tints.
    ink = f"color-mix(in srgb,var(--jp-mirror-editor-{name}-color,{colour}) 80%,var(--mp-text))"
    return f"{selector}{{color:{ink};{weight}}}"


RULES: Final = "".join(_rule(token, *look) for token, look in _TOKENS.items())
"""The style sheet's rules for the classes of `highlighted`."""


def highlighted(source: str) -> list[str]:
    """The source's lines as HTML, in which each token has its class."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    lexer = PythonLexer(stripnl=False, ensurenl=False)
    formatter = HtmlFormatter(nowrap=True, classprefix=_PREFIX)
    lines: list[str] = highlight(source, lexer, formatter).split("\n")
    return lines[: source.count("\n") + 1]  # the formatter ends the last line too
