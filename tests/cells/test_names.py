"""The analysis knows functions of libraries by name: each Python still has them under that name."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from mpmagic.cell import processwide, tables

KNOWN = {
    "state of the process": processwide._CHANGING,
    "takes it back": frozenset().union(*processwide._TAKEN_BACK_BY.values()),
    "stays": tables._MAKING_WHAT_STAYS,
    "changes arguments": frozenset(tables._MUTATED_ARGUMENTS),
}


def found(name: str) -> Any:
    """What a qualified name stands for; None where there is no such thing."""
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return None


@pytest.mark.parametrize("table", KNOWN)
def test_names_are_those_that_are_looked_up(table: str) -> None:
    names = KNOWN[table]
    there = {name: found(name) for name in names}
    other = {
        name: tables.qualified_name(function)
        for name, function in there.items()
        if function is not None and tables.qualified_name(function) not in names
    }
    assert not other
    assert sum(function is not None for function in there.values()) > len(names) / 2
