"""The last look at a loop, when it is reached: what only the objects themselves can tell.

What fails here runs in the kernel, serially: the cell has begun, so refusing would leave half of
it.
"""

from __future__ import annotations

import ast
import builtins
import types
from typing import Any, NamedTuple

from mpmagic.cell import tables
from mpmagic.cell.dependence import Dependence, Unsplittable
from mpmagic.cell.effects import FIGURE
from mpmagic.cell.explain import told
from mpmagic.cell.implicit import changes_itself
from mpmagic.cell.knowledge import Knowledge, bound_names
from mpmagic.cell.paths import root_of
from mpmagic.cell.plan import PlannedLoop
from mpmagic.cell.split import SplitLoop
from mpmagic.cell.splitting import split_loop
from mpmagic.cell.syntax import walk
from mpmagic.errors import UnsendableValue
from mpmagic.run.aliascheck import check_aliases
from mpmagic.run.capture import Captured, capture, classes_to_unpickle, globals_of
from mpmagic.run.context import CellContext
from mpmagic.run.figures import has_open_figures
from mpmagic.run.inreach import modules_in_reach
from mpmagic.run.iterables import PLAIN_ITERATORS, behind, is_fed_meanwhile
from mpmagic.run.iterated import stores_past_rows
from mpmagic.run.modules import ModuleState, is_users
from mpmagic.run.plainvalues import CannotRunAhead
from mpmagic.run.readahead import Upstream, seen_ahead
from mpmagic.run.shadow import Shadow, shadow_of
from mpmagic.run.slots import why_not_sliced
from mpmagic.run.source import ItemSource
from mpmagic.run.stays import StaysInKernel
from mpmagic.run.unseencalls import read_unseen
from mpmagic.run.watch import are_inert, is_of_library
from mpmagic.run.watched import is_watched

__all__ = ["Admitted", "admit", "told_apart"]


class _SlotsMeet(StaysInKernel):
    """What the source takes for sliced isn't."""


class Admitted(NamedTuple):
    """A loop that may be split.

    Attributes
    ----------
    dependence, split
        Its stages and halves.
    captured
        What the work reads.
    verify
        Whether what was captured has to be looked at again when the loop is over.
    modules
        The modules that the work may look into.
    shadow
        What runs ahead of the work, if anything does.
    behind
        Names of the notebook's that what it iterates over reads.
    watched
        Whether workers have to look if the work has changed what was captured.
    """

    dependence: Dependence
    split: SplitLoop
    captured: Captured
    verify: bool
    modules: tuple[ModuleState, ...] = ()
    shadow: Shadow | None = None
    behind: frozenset[str] = frozenset()
    watched: bool = True


def admit(planned: PlannedLoop, iterable: Any, source: ItemSource, cell: CellContext) -> Admitted:
    """Split the loop with what its names stand for now.

    Raises
    ------
    StaysInKernel
        If it can't be.
    """
    source.side.namespace = cell.namespace
    if is_fed_meanwhile(iterable):
        raise StaysInKernel("its items come out of a queue, which may wait for what its body does")
    try:
        source.look()
    except Exception as error:
        raise _item_stays(error) from error
    knowledge = Knowledge(cell.namespace, apart=cell.options.apart)
    knowledge.items_immutable = _items_immutable(iterable)
    knowledge.item_types = _item_types(planned.loop, iterable)
    knowledge.staying = source.packer.staying
    return _admit_as_known(planned, iterable, source, cell, knowledge)


def _admit_as_known(
    planned: PlannedLoop, iterable: Any, source: ItemSource, cell: CellContext, knowledge: Knowledge
) -> Admitted:
    """Split the loop, if need be without what turns out to be something else than it seemed."""
    seemed: StaysInKernel
    try:
        return _admit(planned, iterable, source, cell, knowledge)
    except _SlotsMeet as reason:
        knowledge.slicing, seemed = False, reason
    except CannotRunAhead as reason:
        knowledge.not_plain |= reason.names
        seemed = StaysInKernel(str(reason))
    try:
        return _admit_as_known(planned, iterable, source, cell, knowledge)
    except StaysInKernel:
        raise seemed from None


def _item_stays(error: Exception) -> StaysInKernel:
    reason = f"{type(error).__name__}: {error}"
    return StaysInKernel(f"an item can't be sent to a worker: {reason}")


def _admit(
    planned: PlannedLoop, iterable: Any, source: ItemSource, cell: CellContext, knowledge: Knowledge
) -> Admitted:
    dependence, split = _split_again(planned, knowledge, cell)
    shadow = shadow_of(split, planned.loop, (iterable, source), cell.namespace)
    _check_bound(planned, dependence, cell.namespace)
    _check_methods(planned.loop, dependence, cell.namespace)
    if why := seen_ahead(planned.loop, dependence, cell.namespace):
        raise StaysInKernel(why)
    upstream = Upstream(iterable, cell.namespace, dependence.summaries)
    if name := upstream.reads(dependence, cell.namespace):
        raise StaysInKernel(f"what it iterates over reads `{name}`, which the loop changes")
    if dependence.whole.closes_all and FIGURE not in dependence.kernel and has_open_figures():
        raise StaysInKernel("it closes all figures, and the notebook has some that are open")
    if _draws_from_items(source, cell):
        raise StaysInKernel(
            "its items are generators of random numbers, and draws change them; make one in each "
            "iteration, such as `np.random.default_rng([seed, i])`"
        )
    try:
        # Functions among the items read globals too.
        names = split.captured | source.global_names()
        names |= classes_to_unpickle(names, cell.namespace)
        captured = capture(names, cell.namespace, cell.options.local, nans=source.side.nans)
    except UnsendableValue as error:
        raise StaysInKernel(str(error)) from error
    except Exception as error:
        raise _item_stays(error) from error
    try:
        source.side.captured = captured.values
        source.side.class_ids = set(captured.class_ids)
        source.refer_to(told_apart(split, captured))
        source.probe()
    except Exception as error:
        raise _item_stays(error) from error
    if why := read_unseen(dependence, split, captured, cell.namespace):
        raise StaysInKernel(why)
    touched = dependence.whole.touched() | dependence.whole.hidden | captured.names
    if name := upstream.changes(touched - dependence.targets, cell.namespace):
        raise StaysInKernel(f"its body uses `{name}`, which what it iterates over changes")
    _check_slices(dependence, split, iterable, captured)
    verify = check_aliases(dependence, split, captured, (planned.loop, iterable, source), cell)
    verify = verify or planned.lazy or changes_itself(dependence)
    modules = _modules(split, captured, source, cell)
    source.packer.known = frozenset(state.name for state in modules)
    behind = frozenset(upstream.names - upstream.bound)
    watched = is_watched(split, captured)
    return Admitted(dependence, split, captured, verify, modules, shadow, behind, watched)


def _draws_from_items(source: ItemSource, cell: CellContext) -> bool:
    if source.exhausted or cell.options.seed is not None:
        return False
    first = source.first
    return any(tables.is_random(type(p)) for p in (first if type(first) is tuple else (first,)))


def told_apart(split: SplitLoop, captured: Captured) -> dict[str, Any]:
    """Captured values whose parts the workers have as they are, for items to be the same ones."""
    apart = {*captured.own, *split.fresh, *(s.name for s in split.slices)}
    return {name: value for name, value in captured.values.items() if name not in apart}


def _split_again(
    planned: PlannedLoop, knowledge: Knowledge, cell: CellContext
) -> tuple[Dependence, SplitLoop]:
    try:
        dependence, split, _ = split_loop(
            planned.loop, knowledge, cell.options.allowances, cell.filename, element=planned.element
        )
    except Unsplittable as reason:
        raise StaysInKernel(told(reason.refusal)) from reason
    if planned.element is not None and not split.sends_like(planned.split):
        raise StaysInKernel("its names turned out to be something else than the source shows")
    _check_compiles(split)
    return dependence, split


def _check_compiles(split: SplitLoop) -> None:
    for half in (split.work, split.commit):
        try:
            _ = half and half.code
        except (SyntaxError, RecursionError) as error:
            raise StaysInKernel(f"it can't be compiled apart from the cell: {error}") from error


def _item_types(loop: ast.For, iterable: Any) -> dict[str, type]:
    """The type of the items, if all are of one class of the notebook's and keep their name."""
    if type(iterable) not in (list, tuple, set, dict) or not isinstance(loop.target, ast.Name):
        return {}
    name, kinds = loop.target.id, set(map(type, iterable))
    if len(kinds) != 1 or name in set().union(*map(bound_names, loop.body)):
        return {}
    (kind,) = kinds
    return {} if is_of_library(kind) else {name: kind}


def _items_immutable(iterable: Any) -> bool:
    if type(iterable) in (range, str, bytes):
        return True
    if type(iterable) in (list, tuple, set, frozenset, dict):
        return are_inert(iterable)
    if type(iterable) in (enumerate, zip):
        inner = iterable.__reduce__()[1]
        parts = inner[:1] if isinstance(iterable, enumerate) else inner
        return all(type(p) in PLAIN_ITERATORS and _items_immutable(behind(p)) for p in parts)
    return False


def _check_bound(planned: PlannedLoop, dependence: Dependence, namespace: dict[str, Any]) -> None:
    """Without shared state the serial loop raises `NameError` before it computes operands."""
    binds, exposed = dependence.whole.binds, dependence.flow.exposed
    # Read where nothing can have bound them yet, as the target of `total += f(x)` is.
    read_first = {n for n in exposed.keys() & binds.keys() if exposed[n] <= binds[n]}
    for name in dependence.kernel.keys() - (binds.keys() - read_first) - dependence.targets:
        if not name.isidentifier():  # a figure, a file
            continue
        if name not in namespace and not hasattr(builtins, name):
            raise StaysInKernel(f"`{name}` isn't defined")
    for statement in planned.loop.body:
        for node in walk(statement):
            if isinstance(node, ast.ExceptHandler) and node.name in namespace:
                raise StaysInKernel(f"`{node.name}`, bound before, is unbound by `except`")


def _check_methods(loop: ast.For, dependence: Dependence, namespace: dict[str, Any]) -> None:
    """A commit whose method isn't there raises before its operands are computed."""
    for node in walk(loop):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = root_of(node.func.value)
            plain = isinstance(node.func.value, ast.Name) and name in dependence.kernel
            if plain and name in namespace and name not in dependence.whole.binds:
                if not hasattr(namespace[name], node.func.attr):
                    raise StaysInKernel(f"`{name}` has no `{node.func.attr}`")


def _check_slices(
    dependence: Dependence, split: SplitLoop, iterable: Any, captured: Captured
) -> None:
    sent = {n: v for n, v in captured.values.items() if n not in captured.own}
    read = globals_of(captured.functions)
    for slice_ in split.slices:
        if slice_.name in read:
            raise _SlotsMeet(f"a function reads `{slice_.name}`, into which the loop stores")
        value = sent.get(slice_.name)
        past = stores_past_rows(slice_.name, value, dependence, iterable)
        loop = dependence.target, iterable
        if why := why_not_sliced(slice_, loop, sent, own_items=past):
            raise _SlotsMeet(f"it stores into `{slice_.name}`: {why}")


def _modules(
    split: SplitLoop, captured: Captured, source: ItemSource, cell: CellContext
) -> tuple[ModuleState, ...]:
    """The modules that the work may look into; none of them may be changed by commits."""
    try:
        first = () if source.exhausted else (source.first,)
        states = modules_in_reach(
            split.work.code, captured, cell, reached=source.packer.modules, items=first
        )
    except UnsendableValue as error:
        raise StaysInKernel(str(error)) from error
    changed = [cell.namespace[n] for n in split.shared & cell.namespace.keys()]
    for module in [m for m in changed if isinstance(m, types.ModuleType) and is_users(m)]:
        if any(state.name == module.__name__ for state in states):
            raise StaysInKernel(
                f"the work may read the module `{module.__name__}`, which it changes"
            )
    return states
