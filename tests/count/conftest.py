"""Each test counts as if it were the first to do so."""

from __future__ import annotations

import pytest

from mpmagic.count import remembered


@pytest.fixture(autouse=True)
def _nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "_files", type(remembered._files)())
