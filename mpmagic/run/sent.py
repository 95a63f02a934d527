"""What the work of a loop was sent: whether the loop's commits have changed it in the kernel."""

from __future__ import annotations

from typing import Any

from mpmagic.run.admission import Admitted
from mpmagic.run.codec import Encoder
from mpmagic.run.packed import digest
from mpmagic.run.seen import holds_frames
from mpmagic.run.side import Side
from mpmagic.run.watch import seen_digest

__all__ = ["Sent"]


class Sent:
    """Remembers captured values as they were when the loop began, where that is in doubt.

    Parameters
    ----------
    admitted
        The loop.
    key
        The digest of its captured values.
    namespace
        The notebook's.
    """

    def __init__(self, admitted: Admitted, key: bytes, namespace: dict[str, Any]) -> None:
        self._admitted, self._namespace = admitted, namespace
        self._digest, self._seen = key, b""
        if admitted.verify and admitted.split.slices:
            self._digest = self._digest_now()
        if admitted.verify and holds_frames(admitted.captured.modules):
            self._seen = seen_digest(self._values(), Side(namespace))

    def changed(self) -> bool:
        """Whether what the work was sent isn't in the kernel what it was."""
        if not self._admitted.verify or self._digest_now() == self._digest:
            return False
        return not self._seen or seen_digest(self._values(), Side(self._namespace)) != self._seen

    def _digest_now(self) -> bytes:
        side = Side(self._namespace, nans=self._admitted.captured.nans)
        return digest(Encoder(side, by_reference=False).encode(self._values()))

    def _values(self) -> dict[str, Any]:
        """What was sent, sliced state apart."""
        captured, split = self._admitted.captured, self._admitted.split
        apart = captured.own.keys() | {s.name for s in split.slices}
        return {n: v for n, v in captured.values.items() if n not in apart}
