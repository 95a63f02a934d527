"""PCRE2's substitution, which finds the matches in many lines with one call."""

from __future__ import annotations

from importlib import import_module

__all__ = ["Substitution"]


class Substitution:
    """Replaces what an expression matches.

    Parameters
    ----------
    expression : bytes
        The expression; lines end with a newline only.

    Raises
    ------
    ImportError
        If `pcre2` isn't installed.
    """

    def __init__(self, expression: bytes) -> None:
        # (*LF): whatever this build of it takes for a line's end.
        self._subn = import_module("pcre2").compile(b"(*LF)" + expression).subn

    def __call__(self, replacement: bytes, text: bytes) -> tuple[bytes, int] | None:
        """Give the new text and how often something was replaced; None if that takes too much.

        PCRE2 has limits to what it tries and remembers; `re` has none.
        """
        try:
            replaced: tuple[bytes, int] = self._subn(replacement, text)
        except Exception as error:  # by other names in other versions
            if not type(error).__module__.startswith("pcre2"):
                raise
            return None
        return replaced
