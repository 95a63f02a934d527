"""The look that all HTML of mpmagic shares: a notebook's own colours, in light and dark.

Colours are JupyterLab's CSS variables, then those of VS Code, and else mixed from the page's text
colour, so that a page without either is readable too. `prefers-color-scheme` isn't asked: it is
the system's, and notebooks have themes of their own. In a notebook that isn't trusted the style
sheet is dropped, so nothing is said by colour or place alone.
"""

from __future__ import annotations

from typing import Final

__all__ = ["CLASS", "SCOPE", "WORKER_COLOURS", "css", "wrapped"]

CLASS: Final = "mpmagic"
"""The class of the outermost element."""

SCOPE: Final = f".{CLASS}" * 3
"""What every selector begins with: three classes outweigh JupyterLab's own rules for tables."""

WORKER_COLOURS: Final = tuple(f"var(--mp-worker-{index})" for index in range(8))
"""Colours that tell workers apart, for `fill` and `background`; they repeat from the ninth on."""

_VARIABLES: Final = {
    "text": "var(--jp-content-font-color1, var(--vscode-editor-foreground, currentColor))",
    "faint": "color-mix(in srgb, var(--mp-text) 66%, transparent)",
    "line": "color-mix(in srgb, var(--mp-text) 16%, transparent)",
    "fill": "color-mix(in srgb, var(--mp-text) 5%, transparent)",
    "work": "var(--jp-brand-color1, #1976d2)",
    "prepare": "var(--jp-info-color1, #00838f)",
    "commit": "var(--jp-success-color1, #388e3c)",
    "kernel": "color-mix(in srgb, var(--mp-text) 55%, transparent)",
    "warn": "var(--jp-warn-color1, #f57c00)",
    "error": "var(--jp-error-color1, #d32f2f)",
    "sans": "var(--jp-ui-font-family, system-ui, sans-serif)",
    "mono": "var(--jp-code-font-family, ui-monospace, Menlo, Consolas, monospace)",
}

# Alike in lightness, so that none stands out, and in the middle of it, for either background.
_WORKERS: Final = (
    "#4a8fdc",
    "#e08a3c",
    "#4fa66a",
    "#c76ba8",
    "#8f7fe0",
    "#3aa5b0",
    "#b8973a",
    "#d96a63",
)


def css() -> str:
    """The style sheet's rules: the variables ``--mp-...`` and the basics.

    The variables are ``text``, ``faint`` (second to text), ``line`` (hairlines), ``fill`` (panels),
    ``work``, ``prepare``, ``commit``, ``kernel``, ``warn``, ``error``, ``worker-0`` to
    ``worker-7``, and the font families ``sans`` and ``mono``. Numbers in ``.num`` stand right,
    digit under digit.
    """
    workers = {f"worker-{index}": colour for index, colour in enumerate(_WORKERS)}
    variables = ";".join(f"--mp-{name}:{value}" for name, value in (_VARIABLES | workers).items())
    return (
        f"{SCOPE}{{{variables};"
        "color:var(--mp-text);font-family:var(--mp-sans);font-size:13px;line-height:1.5}"
        f"{SCOPE} table{{border-collapse:collapse;table-layout:auto;margin:0;font-size:inherit}}"
        f"{SCOPE} table :is(tr,th,td){{background:none;border:0;text-align:left;padding:2px 12px "
        "2px 0;font-size:inherit;white-space:nowrap;max-width:none}"
        f"{SCOPE} table th{{color:var(--mp-faint);font-weight:500;"
        "border-bottom:1px solid var(--mp-line)}"
        f"{SCOPE} table .num{{text-align:right;font-variant-numeric:tabular-nums}}"
        f"{SCOPE} .faint{{color:var(--mp-faint)}}"
        f"{SCOPE} code{{font-family:var(--mp-mono);font-size:inherit;background:none;"
        "color:inherit;padding:0}"
    )


def wrapped(body: str, *, rules: str = "") -> str:
    """The HTML of one output: it brings its style along, so that a saved notebook shows the same.

    Parameters
    ----------
    body
        HTML; text in it is escaped already.
    rules
        Further CSS rules, whose selectors begin with `SCOPE`.
    """
    return f'<div class="{CLASS}"><style>{css()}{rules}</style>{body}</div>'
