"""What the errors of a loop say: what can't come back from its work, and what to do about it."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from mpmagic.errors import EachFailed, LostWrite, UnsendableValue
from mpmagic.run.figures import LEFT_FIGURES

__all__ = ["inputs_changed", "item_changed", "left_in_workers", "lost_write", "refused_chunk",
           "shared_draws", "unsendable_value"]  # fmt: skip


def unsendable_value(
    operands: Sequence[ast.expr], position: int, iteration: int, *, kind: str, reason: str
) -> UnsendableValue:
    """An operand of a commit can't leave the worker.

    Parameters
    ----------
    operands, position
        What the commit takes from the work, and which of it.
    iteration
        Whose it is.
    kind, reason
        The type of the value, and why it can't.
    """
    line, text = 0, "a value"
    if position < len(operands):
        line, text = operands[position].lineno, ast.unparse(operands[position])
    return UnsendableValue(
        f"line {line}: the value of `{text}` ({kind}) in iteration {iteration} can't be sent "
        f"back from the worker ({reason}); the iterations before it are committed. "
        f"Give the loop a value that can be pickled, or run the cell without %%parallel"
    )


def refused_chunk(line: int, where: str, reason: str) -> UnsendableValue:
    """The worker has done what can't be right, in these iterations of the loop in `line`."""
    return UnsendableValue(
        f"the loop in line {line}, {where}: {reason}. Earlier iterations are committed"
    )


def lost_write(line: int, what: str, where: str) -> LostWrite:
    """The work of the loop in `line` did something in a worker that the notebook would have kept.

    Parameters
    ----------
    line
        The loop's.
    what
        What it did, such as ``changed `cache```.
    where
        In which iterations.
    """
    return LostWrite(
        f"the work of the loop in line {line} {what} in a worker ({where}); the notebook "
        f"would have kept that, and it can't come back. Earlier iterations are committed. "
        f"To mend it, {_remedy(what)}"
    )


def _remedy(what: str) -> str:
    if what.startswith("drew"):
        return "hand in a generator or a `random_state` for each iteration, or use `--seed N`"
    if what == LEFT_FIGURES:
        return "close it in the iteration, or draw by a statement of the loop's own body"
    if what.startswith("left"):
        return "set it before the loop, or take it back in the work, best by a context manager"
    named = re.search(r"`(\w+)", what)
    name = named.group(1) if named is not None else "NAME"
    return f"write it as a statement of the loop's body, or allow it with `--local {name}`"


def shared_draws(line: int, module: str) -> LostWrite:
    """Something in the loop in `line` drew from the global stream of `module`, beside threads."""
    return LostWrite(
        f"something in the loop in line {line} drew from the global stream of `{module}`, which "
        f"all threads of the notebook's process share, so that nobody can tell who drew what. "
        f"Earlier iterations are committed. Hand in a generator of its own to what draws, or use "
        f"`--on processes`"
    )


def inputs_changed(line: int, what: str) -> LostWrite:
    """The commits of the loop in `line` changed what the workers were computing with."""
    return LostWrite(
        f"the commits of the loop in line {line} changed {what}, of which the workers had copies, "
        f"so that results may differ from the serial loop's; copy it before the loop, or run the "
        f"cell without %%parallel"
    )


def item_changed(line: int, iteration: int) -> LostWrite:
    """What the loop in `line` iterates over has changed an item after it gave it."""
    return LostWrite(
        f"line {line}: what the loop iterates over changed the item of iteration {iteration} when "
        f"it was read ahead, and the commits read it. Earlier iterations are committed. Let it "
        f"yield objects that it leaves alone, or run the cell without %%parallel"
    )


def left_in_workers(line: int, name: str, reason: object) -> EachFailed:
    """The loop in `line` has to run in the kernel, for a reason, and reads what only workers have.

    Parameters
    ----------
    line
        The loop's.
    name
        What it reads.
    reason
        Why it can't be split.
    """
    return EachFailed(
        f"the loop in line {line} reads `{name}`, which a cell of `--each` has left in the workers "
        f"alone, and would have to run in the kernel: {reason}. Nothing of the loop ran; what "
        f"stands before it is done"
    )
