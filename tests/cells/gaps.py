"""Cells of the table on which mpmagic isn't yet what the table says: failures that are expected.

Each is tried in every run, and shows as XPASS when it starts to pass: then it goes off this list.
"""

from __future__ import annotations

from typing import Final

__all__ = ["EVERYWHERE", "ON_POOL", "RACES", "reason_of"]

EVERYWHERE: Final[dict[str, tuple[str, ...]]] = {
    "work that shared state guards isn't hoisted with --ahead": (
        "flow/guarded-work",
        "flow/guarded-work-by-continue",
        "spec/guarded-work",
    ),
    "refused or run in the kernel needlessly": (
        "functions/cached-property-is-benign",
        "iterables/slice-of-what-the-loop-commits",
        "reallife/collatz-longest",
        "soundness/15-benign-caches",
    ),
    "the traceback shows one frame of the cell too few": ("exceptions/recursion-error",),
    "the refusal doesn't name the flag that helps": (
        "comprehensions/any-needs-ahead",
        "spec/function-that-writes-a-global",
        "spec/hidden-fill",
    ),
    "--private isn't there, nor the refusal that names it or --local": (
        "spec/outer-model",
        "spec/outer-model-scored",
        "spec/upload-without-other-work",
    ),
    "an error where the serial cell has none": (
        "functions/slots",
        "soundness/8-file-written-by-a-commit-and-read-by-work",
    ),
    "the end of an interrupt that the work raises itself isn't the serial one": (
        "exceptions/keyboard-interrupt-raised-by-the-work",
    ),
    "names of a tuple assignment count as aliases of all its values": (
        "independent/integers-factored",
        "independent/local-list-with-pops",
    ),
    "augmented assignment to an immutable item counts as a change of the item": (
        "independent/item-augmented",
        "independent/item-converted-and-augmented",
        "independent/item-name-augmented-through-another-name",
        "independent/string-item-augmented",
    ),
    "a change of a copy counts as a change of the original": (
        "independent/array-item-normalised",
        "independent/config-merged",
        "independent/list-copied-and-changed",
        "independent/list-sliced-and-changed",
    ),
    "a commit that may raise under try takes the work along": (
        "independent/try-with-array-store",
        "independent/try-with-frame-store",
        "independent/try-with-sums",
    ),
    "an index, a bar or rows count as read while the loop changes their owner": (
        "independent/rows-by-iterrows-into-a-new-column-of-the-frame",
    ),
    "columns, records and objects that keep their own result could be split": (
        "independent/frame-new-columns-from-old",
    ),
    "a different notebook: what a walrus in a comprehension binds is lost": (
        "independent/walrus-in-a-comprehension",
        "nasty/walrus-in-a-condition-of-a-comprehension",
    ),
    "a different notebook: the iterable looks at what the body changes": (
        "nasty/generator-told-to-stop-by-the-body",
        "nasty/pandas-itertuples-and-stores",
    ),
    "what a function hands on of what it was given is a copy": (
        "nasty/result-of-a-function-that-hands-a-captured-object-on",
        "nasty/result-of-a-function-that-hands-its-item-on",
    ),
}

ON_POOL: Final[dict[str, tuple[str, ...]]] = {}

RACES: Final = ("soundness/8-one-file-rewritten-by-each-iteration",)
"""The order of effects outside Python: the promise leaves it open, chance decides."""


def reason_of(case: str, *, pool: bool) -> str:
    """Why a cell is expected to fail; empty if it isn't."""
    for table in (EVERYWHERE, ON_POOL) if pool else (EVERYWHERE,):
        for reason, cases in table.items():
            if case in cases:
                return reason
    return ""
