"""What is reached of what was sent, where the objects are unusual."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mpmagic.run.alias import Aliases
from mpmagic.run.reachable import Reachable


def test_a_view_that_was_released_shows_nothing() -> None:
    view = memoryview(bytearray(b"abc"))
    view.release()
    sent = {"held": [view, np.zeros(3)]}
    assert Aliases(sent, ()).shared_with([np.ones(3)], deep=True) == ""


def _failed(held: list[int]) -> BaseException:
    with pytest.raises(ZeroDivisionError) as caught:
        print(len(held) / 0)
    return caught.value


def test_an_exceptions_frames_lead_to_their_variables() -> None:
    held = [1]
    assert Aliases({"error": _failed(held)}, ()).shared_with(held, deep=True) == "error"


def test_they_lead_no_further() -> None:
    """Not to all that the notebook has, by the frame of its cell."""
    namespace: dict[str, Any] = {}
    exec("try:\n    1 / 0\nexcept ZeroDivisionError as caught:\n    error = caught", namespace)
    assert id(namespace) not in Reachable([namespace["error"]], deep=True).ids
