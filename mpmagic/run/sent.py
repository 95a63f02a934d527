"""What the work of a loop was sent: whether the loop's commits have changed it in the kernel.

What the source shows of that is known before the loop begins, and what the objects show. But a
commit may come to a function in ways that neither does: out of a table, or as a sort's ``key``.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from mpmagic.run.admission import Admitted
from mpmagic.run.capture import Captured
from mpmagic.run.codec import Encoder, decode
from mpmagic.run.imported import ModuleWatch
from mpmagic.run.packed import digest
from mpmagic.run.seen import holds_frames
from mpmagic.run.sendable import is_small
from mpmagic.run.side import Side
from mpmagic.run.state import ProcessState
from mpmagic.run.watch import Watch, seen_digest

__all__ = ["Sent"]

_SMALL: Final = 1 << 20
"""Bytes of captured values under which all are watched: to look at them twice takes 2 ms."""

_UNBOUND: Final = object()


class Sent:
    """Remembers what the work sees as it was when the loop began.

    Large values only where it's in doubt that they stay so.

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
        captured = admitted.captured
        bound = admitted.dependence.whole.binds.keys() | admitted.dependence.targets
        names = (captured.names | admitted.behind) - bound - captured.own.keys()
        names -= admitted.split.private
        self._bindings = {n: namespace.get(n, _UNBOUND) for n in names}
        self._modules = ModuleWatch(admitted.modules)
        self._state = ProcessState.of_this_process()
        self._digest, self._seen = b"", b""
        values, is_large = self._values(), captured.packed.nbytes >= _SMALL
        if is_large:
            values = {n: v for n, v in values.items() if is_small(v, namespace)}
        # Not a method: the watch would lead back to us.
        again = partial(_sent_values, captured, namespace)
        self._watch = Watch(_side(captured, namespace), values, again)
        if is_large and admitted.verify:
            self._digest = self._digest_now() if admitted.split.slices else key
        if (admitted.verify or not is_large) and holds_frames(captured.modules):
            self._seen = self._seen_now()

    def changed(self) -> str:
        """What of it isn't in the kernel what it was, in words; empty if all is."""
        for name, value in self._bindings.items():
            if self._namespace.get(name, _UNBOUND) is not value:
                return f"`{name}`"
        if name := self._modules.changed():
            return f"`{name}`"
        if lost := self._state.deviations().lost:
            return lost[0]
        found = self._differing()
        # To look into a frame fills caches, which its pickle holds.
        return "" if found and self._seen and self._seen == self._seen_now() else found

    def _differing(self) -> str:
        if names := self._watch.changed():
            return f"`{names[0]}`"
        same = not self._digest or self._digest_now() == self._digest
        return "" if same else "what its work was reading"

    def _seen_now(self) -> bytes:
        return seen_digest(self._values(), Side(self._namespace))

    def _digest_now(self) -> bytes:
        side = Side(self._namespace, nans=self._admitted.captured.nans)
        return digest(Encoder(side, by_reference=False).encode(self._values()))

    def _values(self) -> dict[str, Any]:
        """What was sent, sliced state apart."""
        captured, split = self._admitted.captured, self._admitted.split
        apart = captured.own.keys() | {s.name for s in split.slices}
        return {n: v for n, v in captured.values.items() if n not in apart}


def _side(captured: Captured, namespace: dict[str, Any]) -> Side:
    return Side(namespace, class_ids=set(captured.class_ids), nans=captured.nans)


def _sent_values(captured: Captured, namespace: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = decode(captured.packed, _side(captured, namespace))
    return values
