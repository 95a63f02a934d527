"""Random streams of an iteration's own (``--seed N``).

Derived from the seed and the iteration's index by `numpy.random.SeedSequence` spawn keys: the
same for any number of workers and any size of chunk, never the same stream twice, and not the
serial loop's.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

__all__ = ["seed_iteration"]


def seed_iteration(seed: int, index: int, captured: Mapping[str, Any]) -> None:
    """Seed the global streams and every captured generator for one iteration.

    Parameters
    ----------
    seed
        The user's seed.
    index
        The iteration's index.
    captured
        Captured values; generators among them are seeded in place.
    """
    import numpy as np  # workers do where the work does, or here

    _seed_python(random, np.random.SeedSequence(seed, spawn_key=(index, 0)))
    if "numpy.random" in sys.modules:
        np.random.seed(np.random.SeedSequence(seed, spawn_key=(index, 1)).generate_state(8))
    if (torch := sys.modules.get("torch")) is not None:
        # A key that no captured name has: those count from 2.
        sequence = np.random.SeedSequence(seed, spawn_key=(index, 0, 0))
        torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]))
    for number, name in enumerate(sorted(captured), 2):
        _seed_value(captured[name], np.random.SeedSequence(seed, spawn_key=(index, number)))


def _seed_value(value: Any, sequence: np.random.SeedSequence) -> None:
    import numpy as np

    if isinstance(value, random.Random):
        _seed_python(value, sequence)
    elif isinstance(value, np.random.RandomState):
        value.seed(sequence.generate_state(8))
    elif isinstance(value, np.random.Generator):
        kind = type(value.bit_generator)
        value.bit_generator.state = kind(sequence).state


def _seed_python(generator: Any, sequence: np.random.SeedSequence) -> None:
    generator.seed(int.from_bytes(sequence.generate_state(8).tobytes(), "little"))
