"""Reuse: which stages and blocks of earlier versions of a run need not be computed again.

A stage whose fingerprint an earlier version has is used where it lies.  Else, where a selection
limits what is done, or an input differs in known blocks only, the other blocks are copied::

    inputs   op       shared tables   selection   blocks that are computed
    same     same     same            any         none: the stage is used as it is
    blocks   same     same            any         those that read blocks that differ; exact
    any      differs  same            one         those that it touches, and as above
    any      any      differ          any         all: what a table says holds everywhere
    any      differs  any             none        all
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Progress
from volkit.engine.columns import read_columns
from volkit.engine.fingerprint import Facts, changes, fingerprint
from volkit.engine.ledger import Ledger
from volkit.engine.map_task import content_check
from volkit.engine.op import Columns
from volkit.engine.reading import read_metered, write_metered
from volkit.engine.reuse_record import BlocksRecord, note_reuse, read_blocks, write_blocks
from volkit.engine.reuse_search import (
    BaseStage,
    base_stage,
    finished_volume,
    parts_place,
    table_place,
)
from volkit.engine.run import Run
from volkit.engine.selection import Selection
from volkit.errors import GeometryError
from volkit.geometry import Grid
from volkit.geometry.touching import touching
from volkit.io.place import Place
from volkit.io.volume import Volume

LIMITED = "limited"
_LAYOUT = ("domain", "block_shape", "dtype", "channels")


@dataclass(frozen=True, slots=True)
class CopyTask:
    """What a worker does for a block that is kept: copy it.

    Parameters
    ----------
    source, target : Volume
        From where, and where to.
    grid : Grid
        The blocks.
    """

    source: Volume
    target: Volume
    grid: Grid

    def __call__(self, number: int) -> int:
        """Copy one block; its check sum."""
        box = self.grid[number].write
        values = read_metered(self.source, box, decides=box)
        write_metered(self.target, box, values)
        return content_check(values)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a stage keeps of earlier versions.

    Parameters
    ----------
    facts : dict
        Of the stage, with the selection where that limits it.
    base : BaseStage or None
        Whose blocks are copied; None where none are.
    changed : tuple of (Grid, ndarray of bool)
        Blocks of inputs that differ from what the base read.
    limited : bool
        Whether the selection counts.
    """

    facts: Facts
    base: BaseStage | None = None
    changed: tuple[tuple[Grid, NDArray[np.bool_]], ...] = ()
    limited: bool = False

    def copy(self, run: Run, name: str, ledger: Ledger, target: Volume, grid: Grid) -> None:
        """Copy what is kept, and mark it; what is left is to be computed.

        Raises
        ------
        GeometryError
            If the selection touches no block.
        """
        if self.base is None:
            note_reuse(run.root, name, None)
            return
        record = read_blocks(ledger.root, len(grid))
        if record is None:
            marks = self._stale(run.selection, run.client, grid)
            record = BlocksRecord(self.base.fingerprint, self.base.volume.identity, marks)
            write_blocks(ledger.root, record)
        note_reuse(run.root, name, {"fingerprint": ledger.fingerprint, **record.counts})
        settled = record.changed | ledger.done()
        if not settled.all():
            numbers = grid.morton_missing(settled)
            task = CopyTask(self.base.volume, target, grid)
            run.work(task, numbers, ledger=ledger, stage=name, voxels=grid.domain.size)

    def _stale(self, selection: Selection | None, client: Any, grid: Grid) -> NDArray[np.bool_]:
        stale = np.zeros(len(grid), bool)
        for blocks, marks in self.changed:
            for number in marks.nonzero()[0].tolist():
                stale[touching(grid, blocks[number].write)] = True
        if self.limited and selection is not None:
            selected = selection.blocks(grid, client=client)
            if not selected.any() and not selection.may_miss:
                raise GeometryError(
                    f"the selection touches no block of {grid.domain}, so nothing would change; "
                    "select something inside it"
                )
            stale |= selected
        return stale


def keep(run: Run, name: str, what: Facts, inputs: Sequence[Volume], grid: Grid) -> Kept:
    """Decide what a stage can keep of earlier versions.

    Parameters
    ----------
    run : Run
        Whose ``bases`` are the earlier versions, that whose blocks count first.
    name : str
        Of the stage.
    what : dict
        Its facts.
    inputs : sequence of Volume
        What it reads.
    grid : Grid
        Its blocks.

    Returns
    -------
    Kept

    Raises
    ------
    GeometryError
        If a selection is to limit a stage whose blocks are others than before.
    """
    base = base_stage(run.bases, name)
    if base is None or base.fingerprint == fingerprint(what):
        return Kept(what)
    old = {key: value for key, value in base.facts.items() if key != LIMITED}
    if old == what and run.selection is None:
        return Kept(base.facts)  # what does not change stays limited as it was
    if _tables(old) != _tables(what):
        return Kept(what)
    changed = _changed_inputs(old, what, inputs)
    same_op = _own(old) == _own(what) and LIMITED not in base.facts
    if changed is None or not (same_op or run.selection):
        return Kept(what)
    if same_op:
        return Kept(what, base, changed)
    before, now = ({key: facts.get(key) for key in _LAYOUT} for facts in (old, what))
    if before != now or run.selection is None:
        raise GeometryError(
            f"stage {name} cannot be limited to a part, since it is cut otherwise than before: "
            f"{'; '.join(changes(before, now))}. Keep that, or compute everything"
        )
    about = {
        "base": base.fingerprint,
        "base_volume": base.volume.identity,
        "selection": run.selection.facts,
    }
    return Kept({**what, LIMITED: about}, base, changed, limited=True)


def shared_volume(run: Run, name: str, what: Facts, total: int) -> Volume | None:
    """Find the volume of a stage that an earlier version has finished.

    Returns
    -------
    Volume or None
        None where it has to be computed.
    """
    wanted = fingerprint(what)
    found = finished_volume(run.bases, name, wanted)
    if found is not None:
        note_reuse(run.root, name, {"fingerprint": wanted, "shared": True, "blocks": total})
        if run.on_progress is not None:
            run.on_progress(Progress(name, total, total, 0, total, 0.0))
    return found


def shared_table(run: Run, name: str, what: Facts) -> Columns | None:
    """Read the table of a reduction that an earlier version has finished.

    Returns
    -------
    dict of ndarray or None
        None where it has to be computed.
    """
    wanted = fingerprint(what)
    place = table_place(run.bases, name, wanted)
    if place is None:
        return None
    note_reuse(run.root, name, {"fingerprint": wanted, "shared": True})
    return read_columns(place)


def shared_parts(run: Run, name: str, levels: Sequence[Facts]) -> Place | None:
    """Find the tables of the boxes of a cascade that an earlier version has finished.

    Returns
    -------
    Place or None
        None where they have to be computed.
    """
    wanted = [fingerprint(what) for what in levels]
    place = parts_place(run.bases, name, wanted)
    shared = None if place is None else {"fingerprint": wanted[0], "shared": True}
    note_reuse(run.root, name, shared)
    return place


def _tables(facts: Facts) -> dict[str, Any]:
    """Take the tables among the shared values: they follow from inputs, and hold everywhere."""
    shared = facts.get("shared", {})
    return {key: value for key, value in shared.items() if "table" in value or "shards" in value}


def _own(facts: Facts) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if key != "inputs"}


def _changed_inputs(
    old: Facts, new: Facts, inputs: Sequence[Volume]
) -> tuple[tuple[Grid, NDArray[np.bool_]], ...] | None:
    """Find the blocks in which inputs differ; None where that is not known."""
    before, now = old.get("inputs", []), new["inputs"]
    if len(before) != len(now):
        return None
    found = []
    for was, is_now, volume in zip(before, now, inputs, strict=True):
        if was == is_now:
            continue
        difference = known_difference(volume, was)
        if difference is None:
            return None
        found.append(difference)
    return tuple(found)


def known_difference(volume: Volume, before: str) -> tuple[Grid, NDArray[np.bool_]] | None:
    """Find the blocks in which a stage's volume differs from the one that it was copied from.

    Parameters
    ----------
    volume : Volume
        Of a stage.
    before : str
        Identity of the other one.

    Returns
    -------
    tuple of Grid and ndarray of bool, or None
        None where it was not copied from that.
    """
    from volkit.engine.reuse_search import blocks_of

    found = blocks_of(volume)
    if found is None or found[1].base_volume != before:
        return None
    return found[0], found[1].changed
