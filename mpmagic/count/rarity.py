"""Which bytes of a literal are rare in the texts that people count: logs, tables, source."""

from __future__ import annotations

from typing import Final

__all__ = ["rarest_first"]

_FREQUENT: Final = b" e0t1aoin2rs5834697dlcuhm.p,/-:g_fb\"'=wvy;()kx\tAETSIONRCDLPMUGFHBWVYKjzqXJQZ"
_RANK: Final = {byte: len(_FREQUENT) - at for at, byte in enumerate(_FREQUENT)}


def rarest_first(literal: bytes) -> list[int]:
    """The places of a literal's bytes, those of rare ones first."""
    return sorted(range(len(literal)), key=lambda at: (_RANK.get(literal[at], 0), at))
