"""What cells of ``--each`` have changed of their worker's state, and what stays changed.

A loop's work finds the state of the kernel, and in it the options that such cells have set.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from mpmagic.run.settings import SETTINGS
from mpmagic.run.state import ProcessState

__all__ = ["StateChange"]


class StateChange(NamedTuple):
    """What a cell has done to a state.

    Attributes
    ----------
    before, after
        The worker's when the cell began, and when it had ended.
    """

    before: ProcessState
    after: ProcessState

    def on(self, state: ProcessState) -> ProcessState:
        """That state with the same done to it."""
        before, after = self
        names = ("directory", "recursion_limit", "floats", "umask")
        changed = {n: _merged(*(getattr(s, n) for s in (before, after, state))) for n in names}
        environments = (dict(s.environment) for s in (before, after, state))
        return dataclasses.replace(
            state,
            **changed,
            decimals=(after if before.has_other_decimals(after) else state).decimals,
            environment=tuple(sorted(_merged(*environments).items())),
            path=_grown(before.path, after.path, state.path),
            filters=_grown(before.filters, after.filters, state.filters),
            settings=self._settings(state),
        )

    def _settings(self, state: ProcessState) -> tuple[Any, ...]:
        values = zip(self.before.settings, self.after.settings, state.settings, strict=True)
        return tuple(
            _merged(setting.default if before is None else before, after, wanted)
            for setting, (before, after, wanted) in zip(SETTINGS, values, strict=True)
        )


def _merged(before: Any, after: Any, wanted: Any) -> Any:
    """What is wanted, with what has changed from before to after."""
    if before == after:
        return wanted
    together = before, after, wanted
    if all(isinstance(value, dict) for value in together):
        changed = {k: v for k, v in after.items() if k not in before or before[k] != v}
        return {k: v for k, v in wanted.items() if k in after or k not in before} | changed
    if all(type(value) is tuple and len(value) == len(before) for value in together):
        return tuple(_merged(*parts) for parts in zip(*together, strict=True))
    return after


def _grown(
    before: tuple[Any, ...], after: tuple[Any, ...], wanted: tuple[Any, ...]
) -> tuple[Any, ...]:
    """What is wanted, with what has come before or behind it, and without what has gone."""
    kept = tuple(entry for entry in wanted if entry in after or entry not in before)
    new = tuple(entry for entry in after if entry not in before and entry not in kept)
    return (*new, *kept) if new and after[0] == new[0] else (*kept, *new)
