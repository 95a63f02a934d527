"""What workers need to know of a loop, packed."""

from __future__ import annotations

from mpmagic.cell.formats import carried_formats
from mpmagic.cell.slices import SliceKind
from mpmagic.cell.tallied import Tallied
from mpmagic.pool import Parcel
from mpmagic.run.admission import Admitted
from mpmagic.run.codec import Encoder
from mpmagic.run.context import CellContext
from mpmagic.run.packed import digest
from mpmagic.run.programsource import ProgramSource
from mpmagic.run.side import Side
from mpmagic.run.state import ProcessState
from mpmagic.run.texts import texts_of

__all__ = ["followed_by", "pack_program"]


def pack_program(
    admitted: Admitted,
    private: tuple[str, ...],
    cell: CellContext,
    tallied: Tallied | None = None,
) -> Parcel:
    """What workers need to know of a loop besides the captured values.

    Parameters
    ----------
    admitted
        The loop.
    private
        Names that the work binds in the notebook, in the order of snapshots.
    cell
        The cell.
    tallied
        The form in which it's summed, if it is.
    """
    split = admitted.split
    source = ProgramSource(
        work=split.work.code,
        private=private,
        certain=split.certain & set(private),
        targets=split.targets,
        own=admitted.captured.own,
        filename=cell.filename,
        texts=texts_of(admitted.captured.functions, cell.filename, cell.text),
        state=ProcessState.for_others(),
        class_ids=admitted.captured.class_ids,
        seed=cell.options.seed,
        speculates=split.speculates,
        fresh=tuple(sorted(split.fresh)),
        prepared=split.prepared.names,
        carried=split.prepared.carried,
        drawn=tuple(draw.name for draw in split.prepared.draws),
        silent=split.silent,
        probes=split.probes,
        mirrors=bool(split.slices),
        sliced=tuple(s.name for s in split.slices if s.kind is SliceKind.SLOT),
        modules=admitted.modules,
        tally=None if tallied is None else tallied.half.code,
        counters=() if tallied is None else tallied.counters,
        sums=() if tallied is None else tallied.sums,
        samples=cell.observer.samples,
        local=cell.options.local,
        formats=carried_formats(cell.namespace),
        verbose=cell.verbose,
        residents=cell.lacking(admitted.captured.names),
        version=cell.version,
        kept=cell.kept is not None,
        followed=followed_by(admitted, cell),
        watched=admitted.watched,
    )
    nans = admitted.captured.nans
    with nans.of_program():
        packed = Encoder(Side(cell.namespace, nans=nans), by_reference=False).encode(source)
    return Parcel(digest(packed), packed)


def followed_by(admitted: Admitted, cell: CellContext) -> frozenset[str]:
    """Modules whose global random stream moves with the commits, as the loop's workers see it."""
    if cell.engine().is_apart or admitted.shadow is None:
        return frozenset()
    return admitted.shadow.global_streams
