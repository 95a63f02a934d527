"""Packing a loop's items for the workers, who must have all that these have to do with."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from typing import Any

from mpmagic.errors import UnsendableValue
from mpmagic.run.capture import globals_of
from mpmagic.run.codec import Encoder
from mpmagic.run.identity import Places
from mpmagic.run.modules import is_users
from mpmagic.run.nans import Nans
from mpmagic.run.side import Side
from mpmagic.run.staying import masked, staying_names
from mpmagic.run.watch import are_inert

__all__ = ["ItemPacker"]


class ItemPacker:
    """Packs them.

    Parameters
    ----------
    target
        What the loop binds its items to.
    modules
        Names of modules that its iterable has to do with.

    Attributes
    ----------
    side
        The kernel's side, by which items are packed.
    modules
        Names of modules whose functions and classes are among the items that were seen.
    staying
        Names of the target whose values can't travel, with their types, once the first item is
        known: workers get items without them.
    known
        Those modules of the user's that the workers have as the kernel has them; None as long as
        the items are being looked at, for what has to do with them to be sent.
    """

    def __init__(self, target: ast.expr, modules: set[str]) -> None:
        self._target = target
        self.side = Side({}, nans=Nans.of_run())
        self.modules = modules
        self.staying: dict[str, str] = {}
        self.known: frozenset[str] | None = None
        self._roots: dict[str, Any] = {}
        self._places: Places | None = None

    def meet(self, item: Any) -> None:
        """See which names of the target stay in the kernel, on the first item."""
        self.staying = staying_names(self._target, item, self.side)

    def refer_to(self, roots: dict[str, Any]) -> None:
        """Send parts of these captured values as references to what the workers have.

        An item that is found in one of them is found there by a worker too.
        """
        self._roots, self._places = roots, None  # once more, if the loop is split in another way

    def sent(self, item: Any) -> Any:
        """What of an item is sent."""
        return masked(self._target, item, self.staying) if self.staying else item

    def pack(self, sent: list[Any], *, mutable: bool = True) -> Any:
        """Pack items, or what of them is sent.

        Parameters
        ----------
        sent
            That.
        mutable
            Whether the work could change one.

        Raises
        ------
        UnsendableValue
            If they have to do with something that the workers weren't told of.
        Exception
            Whatever pickling one of them raises.
        """
        encoder = self._encoder(sent, mutable=mutable)
        packed = encoder.encode(sent)
        if self.known is not None:
            self._check_modules(encoder, self.known)
            self._check_globals(encoder)
        return packed

    def pack_again(self, item: Any) -> Any:
        """Pack an item that has been packed before, as it is now."""
        sent = [self.sent(item)]
        return self._encoder(sent).encode(sent)

    def try_on(self, part: Any) -> None:
        """Pack what is sent of an item, or a part of one, to see whether that can be packed."""
        self._encoder([part]).encode(part)

    def first_that_fails(self, items: Sequence[Any]) -> int:
        """The position of the first that can't be packed; their number if all can."""
        for index, item in enumerate(items):
            try:
                Encoder(self.side, by_reference=True).encode(item)
            except Exception:
                return index
        return len(items)

    def global_names(self, sample: list[Any]) -> set[str]:
        """Globals of the notebook's functions among some items."""
        encoder = Encoder(self.side, by_reference=False)
        encoder.encode(sample)
        self.modules |= encoder.modules
        return globals_of(encoder.functions)

    def _encoder(self, sent: list[Any], *, mutable: bool = True) -> Encoder:
        if self._roots and mutable and not are_inert(sent):
            if self._places is None:
                self._places = Places(self._roots)
            if self._places.may_be_in(sent):
                return Encoder(self.side, by_reference=True, place_of=self._places.sent)
        return Encoder(self.side, by_reference=True)

    def _check_globals(self, encoder: Encoder) -> None:
        for name in globals_of(encoder.functions) & self.side.namespace.keys():
            if name not in self.side.captured:
                raise UnsendableValue(
                    f"a function among the items reads the notebook's `{name}`, which was not "
                    f"sent to the workers; name it in the loop's body"
                )

    def _check_modules(self, encoder: Encoder, known: frozenset[str]) -> None:
        for name in encoder.modules - known:
            if is_users(sys.modules.get(name)):
                raise UnsendableValue(
                    f"an item has to do with the module `{name}`, about which the workers weren't "
                    f"told when the loop began; name it in the loop's body"
                )
