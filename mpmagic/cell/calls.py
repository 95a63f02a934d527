"""What a call does: to its arguments and its owner, to the process, to pyplot's figure.

A function of the notebook does what its body does; anything else what the tables say of it, and a
method of an object of unknown type what methods of its name do anywhere.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import types
from typing import Any, Final, NamedTuple

from mpmagic.cell import tables
from mpmagic.cell.attribute import attribute
from mpmagic.cell.collector import Collector
from mpmagic.cell.effects import FIGURE, Effects, FunctionSummary, Mutation
from mpmagic.cell.escapes import is_escape
from mpmagic.cell.figures import Touch, draws_into_axes, plots, touch_of
from mpmagic.cell.files import file_uses
from mpmagic.cell.knowledge import UNKNOWN
from mpmagic.cell.paths import root_of, roots_of
from mpmagic.cell.processwide import REASON, changes_logger, changes_process, taken_back_by
from mpmagic.cell.syntax import brief

__all__ = ["Calls"]

_KERNEL_ONLY: Final = {
    "id": "an object's id is another one in a worker",
    "hash": "hashes differ between processes",
    "input": "only the kernel can ask",
    "breakpoint": "only the kernel can be debugged",
}
_SHOWS: Final = frozenset(
    f"IPython.core.display_functions.{name}"
    for name in ("display", "update_display", "publish_display_data", "clear_output")
)


class Calls:
    """Notes the effects of calls.

    Parameters
    ----------
    collector
        Where they are noted.

    Attributes
    ----------
    touches
        What calls do to pyplot's figures.
    """

    def __init__(self, collector: Collector) -> None:
        self.touches: dict[ast.Call, Touch] = {}
        self._collector = collector
        self._knowledge = collector.knowledge

    def callee(self, node: ast.Call) -> Any:
        """What a call calls, or `UNKNOWN`."""
        if isinstance(node.func, ast.Name):
            if self._collector.owns(node.func.id):
                return UNKNOWN
            if self._knowledge.is_hidden(node.func.id):
                return _ByName(node.func.id)
        return self._knowledge.resolve(node.func)

    def note(self, callee: Any, node: ast.Call, *, statement: bool) -> None:
        """Note what a call does; `statement` where nothing uses what it gives."""
        for file in file_uses(callee, node, resolve=self._knowledge.resolve, fixed=self._is_fixed):
            self._collector.effects.reads.setdefault(file.name, node.lineno)
            if file.writes:
                self._collector.mutate(file.name, node)
        self._handed_over(node)
        if callee is not UNKNOWN:
            self._called(callee, node, statement=statement)
        elif isinstance(node.func, ast.Attribute):
            self._method_called(node.func, node, statement=statement)

    def _handed_over(self, node: ast.Call) -> None:
        """Functions of the notebook that are arguments: a sort's ``key`` is called, say."""
        for part in (*node.args, *(keyword.value for keyword in node.keywords)):
            if isinstance(part, ast.Name | ast.Attribute):
                self._perhaps_called(part, node)

    def _perhaps_called(self, function: ast.Name | ast.Attribute, node: ast.Call) -> None:
        """Note what a function of the notebook's, or a method, may change and reads if called."""
        root = root_of(function)
        if root is None or self._collector.owns(root):
            return
        if isinstance(function, ast.Name):
            summary, changes_root = self._collector.summary_of_function(function.id), False
        else:
            summary = self._collector.summary_of_member(function)
            changes_root = summary is not None and 0 in summary.mutated_parameters
        if summary is None:
            return
        own = {root} if changes_root or summary.changes_itself else set()
        for name in sorted(own | summary.effects.mutates.keys() | summary.effects.binds.keys()):
            self._collector.mutate(name, node)
        for name in summary.effects.reads:
            self._collector.effects.reads.setdefault(name, node.lineno)
            self._collector.effects.hidden.add(name)

    def _is_fixed(self, name: str) -> bool:
        """Whether a name is bound to the same in all iterations."""
        knowledge = self._knowledge
        bound_here = self._collector.owns(name) or name in knowledge.varying
        return knowledge.defined(name) and not bound_here

    def _called(self, callee: Any, node: ast.Call, *, statement: bool) -> None:
        if isinstance(node.func, ast.Name) and self._changes_owner(callee, statement=statement):
            self._collector.mutate(node.func.id, node)
        if self._changes_itself(callee):
            self._changes(node.func, node)
        if type(callee) in (str, tuple):
            return  # it can't be called, and would be taken for the name of something
        given = node.args
        if isinstance(callee, classmethod) and isinstance(node.func, ast.Attribute):
            callee, given = callee.__func__, [node.func.value, *given]
        summary = self._collector.summarise(callee.name if isinstance(callee, _ByName) else callee)
        if summary is not None:
            self._absorb_call(summary, given, node)
            return
        line, name = node.lineno, attribute(callee, "__name__", "")
        if isinstance(node.func, ast.Name) and self._collector.is_builtin(node.func.id):
            name = node.func.id  # a kernel has an `input` of its own
        if name in _KERNEL_ONLY and getattr(builtins, name) is callee:
            self._collector.effects.kernel_only[line] = f"`{name}`: {_KERNEL_ONLY[name]}"
        if tables.qualified_name(callee) in _SHOWS and not self._knowledge.shows_in_workers:
            self._keep(node, "only the kernel can display")
        if changes_process(callee, node):
            self._collector.refuse(line, brief(node.func), REASON, taken_back_by(callee))
        if tables.call_draws(callee):
            self._collector.effects.draws.append(Mutation(node))
        for position in tables.mutated_arguments(callee):
            if position < len(node.args):
                part = node.args[position]
                if isinstance(part, ast.Name) and self._collector.owns(part.id):
                    self._collector.mutate(part.id, node, shallow=True)
                else:
                    self._changes(part, node)
        self._filled(node, tables.inputs_of(callee))
        if callee is print:
            self._printed_to([k.value for k in node.keywords if k.arg == "file"], node)
        self._drawn_into(node)
        owner = attribute(callee, "__objclass__")  # list.append(xs, v)
        if owner is not None and node.args and tables.mutates(owner, name, statement=False):
            self._collector.mutate(root_of(node.args[0]), node)
        self._draws_picture(callee, node)

    def _drawn_into(self, node: ast.Call) -> None:
        """Axes that are handed to what draws: pandas, seaborn and others call them so."""
        for keyword in node.keywords:
            if keyword.arg == "ax":
                self._changes(keyword.value, node)

    def _filled(self, node: ast.Call, inputs: int | None = None) -> None:
        """Arrays that are handed in for the result: by name, or to a ufunc after its inputs."""
        given = [k.value for k in node.keywords if k.arg == "out"]
        for part in (*given, *(node.args[inputs:] if inputs is not None else ())):
            self._changes(part, node)

    def _changes(self, part: ast.expr, node: ast.Call) -> None:
        """Note that a call may change what a part of it leads to."""
        for root in roots_of(part, self._knowledge):
            self._collector.mutate(root, node)

    def _printed_to(self, files: list[ast.expr], node: ast.Call) -> None:
        for name in {root for file in files for root in roots_of(file, self._knowledge)}:
            # `sys.stderr` is the worker's own as well.
            if not isinstance(self._knowledge.value(name), types.ModuleType):
                self._collector.mutate(name, node)

    def _changes_owner(self, callee: Any, *, statement: bool) -> bool:
        """Whether a bound method under a name of its own (``add = rows.append``) changes its owner.

        What the owner is besides, the objects tell when the loop is reached.
        """
        owner = attribute(callee, "__self__")
        if not isinstance(callee, types.BuiltinFunctionType | types.MethodType):
            return False
        if owner is None or isinstance(owner, types.ModuleType | type) or tables.call_draws(callee):
            return False
        summary = (
            self._collector.summarise(callee.__func__)
            if isinstance(callee, types.MethodType)
            else None
        )
        if summary is not None:
            return 0 in summary.mutated_parameters
        return tables.mutates(type(owner), callee.__name__, statement=statement)

    def _changes_itself(self, callee: Any) -> bool:
        """Whether an object of a class of the notebook's changes itself when it is called."""
        summary = self._collector.summarise((type(callee), "__call__"))
        return summary is not None and 0 in summary.mutated_parameters

    def _absorb_call(
        self, summary: FunctionSummary, arguments: list[ast.expr], node: ast.Call
    ) -> None:
        self._collector.effects.absorb(_at_call(summary.effects, node))
        if summary.changes_itself:
            self._changes(node.func, node)
        if FIGURE in summary.effects.touched():
            self.touches[node] = Touch.CURRENT
        given: dict[int | str, ast.expr] = dict(enumerate(arguments))
        for keyword in node.keywords:
            if keyword.arg:
                given[keyword.arg] = keyword.value
        mutated = summary.mutated
        for parameter, part in given.items():
            if parameter not in mutated:
                continue
            if parameter in summary.augmented and isinstance(part, ast.Name | ast.Constant):
                self._augments(part, node)
            else:
                self._changes(part, node)

    def _augments(self, part: ast.Name | ast.Constant, node: ast.Call) -> None:
        """Note that a call assigns to its parameter in an augmented way (``n //= 10``)."""
        if isinstance(part, ast.Name):
            kind = None if self._collector.owns(part.id) else self._knowledge.type_of(part)
            if part.id in self._knowledge.varying or not tables.is_immutable_type(kind):
                self._collector.mutate(part.id, node, shallow=True, augments=True)

    def _method_called(self, func: ast.Attribute, node: ast.Call, *, statement: bool) -> None:
        receiver = func.value
        if is_escape(node) and not self._knowledge.apart:
            self._keep(node, "a shell command forks the process")
        if statement and isinstance(receiver, ast.Call) and _is_super(receiver):
            for name in filter(self._collector.owns, ("self", "cls")):
                self._collector.mutate(name, node)  # as far as it shows here
        root = root_of(receiver)
        if not roots_of(receiver, self._knowledge) and not isinstance(receiver, ast.Call):
            return
        value = (
            self._knowledge.resolve(receiver)
            if root and not self._collector.owns(root)
            else UNKNOWN
        )
        if root is not None and isinstance(value, types.ModuleType):
            self._draws_picture(value, node)
            return  # a function that the module makes up when asked for it
        if tables.inputs_of(value) is not None:  # `np.add.at(counts, keys, 1)`
            if func.attr == "at" and node.args:
                self._changes(node.args[0], node)
            return
        kind = None if root and self._collector.owns(root) else self._knowledge.type_of(receiver)
        if root in self._knowledge.varying and tables.is_immutable_type(kind):
            kind = None  # the loop may have bound it to something that can be changed
        summary = self._collector.summarise((kind, func.attr))
        if summary is not None:
            self._absorb_call(summary, [receiver, *node.args], node)
            if kind is not None:
                return
        if changes_logger(kind, func.attr):
            self._collector.refuse(node.lineno, brief(func), REASON)
            return
        self._drawn_into(node)
        self._filled(node)
        if plots(kind, func, node):
            if not draws_into_axes(node):
                self._touch_figure(node, Touch.CURRENT)
            return
        if tables.method_draws(kind, func.attr):
            self._collector.effects.draws.append(Mutation(node))
        if tables.mutates(kind, func.attr, statement=statement):
            is_name = isinstance(receiver, ast.Name)
            taken = set() if is_name else self._collector.holding(receiver)  # `stack.pop()`
            for name in roots_of(receiver, self._knowledge) | taken:
                self._collector.mutate(name, node, shallow=is_name)

    def _keep(self, node: ast.Call, reason: str) -> None:
        self._collector.effects.kernel_only[node.lineno] = reason

    # -- pyplot --------------------------------------------------------------------------------

    def _draws_picture(self, callee: Any, node: ast.Call) -> None:
        module = attribute(callee, "__module__") or attribute(callee, "__name__", "")
        if isinstance(module, str):
            name = getattr(node.func, "attr", "") or getattr(node.func, "id", "")
            touch = touch_of(module, name, node)
            if touch is not None:
                self._touch_figure(node, touch)

    def _touch_figure(self, node: ast.Call, touch: Touch) -> None:
        if touch is Touch.SHOW and self._knowledge.shows_figures and not node.args + node.keywords:
            touch = Touch.CLOSE_ALL  # and a worker can display them
        self.touches[node] = touch
        if not self._knowledge.apart:
            self._keep(node, "pyplot keeps one list of figures for all threads")
        effects = self._collector.effects
        effects.closes_all |= touch is Touch.CLOSE_ALL
        if touch is Touch.NEW:
            effects.binds.setdefault(FIGURE, node.lineno)
        else:
            effects.reads.setdefault(FIGURE, node.lineno)
            self._collector.mutate(FIGURE, node)


def _is_super(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id == "super"


class _ByName(NamedTuple):
    """A callee that the cell itself defines before the loop."""

    name: str


def _at_call(effects: Effects, node: ast.Call) -> Effects:
    """A function's effects as those of a call: its own lines may be another cell's."""
    line = node.lineno
    kept = dict.fromkeys(effects.kernel_only.values())
    return dataclasses.replace(
        effects,
        mutates={n: Mutation(node, m.shallow) for n, m in effects.mutates.items()},
        draws=[Mutation(node) for _ in effects.draws],
        kernel_only={line: "; ".join(kept)} if kept else {},
        refusals=[refusal._replace(line=line) for refusal in effects.refusals],
    )
