"""ReplayEngine: an engine that computes sample blocks of a finished run again, and writes nothing.

What it computes is compared with what is stored, voxel by voxel, and with the check sum that the
ledger keeps: same inputs and versions must give the same bytes.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.columns import StoredColumns, digest, read_columns
from volkit.engine.fingerprint import Facts, changes, facts, fingerprint, kernel_identity
from volkit.engine.ledger import Ledger, read_header
from volkit.engine.map_task import content_check
from volkit.engine.op import Columns, Op, Reduction, is_columns, run_block
from volkit.engine.reuse_record import read_blocks
from volkit.engine.table_about import read_about
from volkit.errors import SourceError, StaleLedgerError
from volkit.geometry import Box, Coord, Grid
from volkit.io.place import Place
from volkit.io.volume import Volume

_LIMITED = "limited"


@dataclass(frozen=True, slots=True)
class Difference:
    """A block, or a table, that did not come out as it is stored.

    Parameters
    ----------
    number : int or None
        Of the block; None for a table.
    box : Box or None
        Its voxels.
    voxels : int
        How many differ; 0 where the store agrees, and only the ledger says otherwise.
    most : float
        The largest difference of two values.
    """

    number: int | None
    box: Box | None
    voxels: int
    most: float


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came out for one stage.

    Parameters
    ----------
    stage : str
        Its name.
    kind : {'blocks', 'table'}
        What was computed again.
    checked, total : int
        Blocks that were, and all.
    differences : tuple of Difference
        Empty where all is the same.
    """

    stage: str
    kind: str
    checked: int
    total: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class ReplayEngine:
    """Compute sample blocks again and compare.

    Parameters
    ----------
    root : Place
        Folder of a finished run.
    blocks : int
        Samples of each stage: corners and the middle first, then others at random.
    seed : int
        Of those.
    rows : list of Replayed
        What came out, in the order of the stages.

    Raises
    ------
    SourceError
        By ``map`` and ``reduce``: if the stage is not finished.
    StaleLedgerError
        By ``map`` and ``reduce``: if the stage is of another computation.
    """

    root: Place
    blocks: int = 8
    seed: int = 0
    rows: list[Replayed] = field(default_factory=list)

    def map(
        self, op: Op, *inputs: Any, grid: Grid, name: str, shared: tuple[Any, ...] = ()
    ) -> Volume:
        """Compute sample blocks of a stage again; give the volume that is stored."""
        grid = grid.with_halo(op.halo)
        what = facts(op, inputs, grid, self._handles(shared))
        ledger = self._ledger(name, what)
        place = self.root.inside(f"{name}.zarr")
        volume = Volume(place.uri, 0, place.options)
        checks = last_checks(ledger)
        record = read_blocks(ledger.root, len(grid))
        own = np.ones(len(grid), bool) if record is None else record.changed
        numbers = sample_blocks(grid, self.blocks, own, seed=self.seed ^ zlib.crc32(name.encode()))
        found = []
        for number in numbers:
            block = grid[number]
            result = run_block(op, block, [v.read(block.read) for v in inputs], shared)
            stored = volume.read(block.write)
            same_sum = checks[number] in (0, content_check(result))
            voxels, most = _compared(result, stored)
            if voxels or not same_sum:
                found.append(Difference(number, block.write, voxels, most))
        self.rows.append(Replayed(name, "blocks", len(numbers), len(grid), tuple(found)))
        return volume

    def reduce(
        self,
        reduction: Reduction,
        *inputs: Any,
        grid: Grid,
        name: str,
        shared: tuple[Any, ...] = (),
    ) -> Any:
        """Finalize a stored table again; give what that gives."""
        grid = grid.with_halo(reduction.halo)
        what = facts(reduction, inputs, grid, self._handles(shared))
        combined = self._table(name, what)
        if combined is None:
            raise self._unfinished(name)
        if reduction.finalize is None:
            return combined
        value = reduction.finalize(combined)
        if is_columns(value):
            what = {**what, "finalize": kernel_identity(reduction.finalize)}
            stored = self._table(f"{name}.final", what)
            if stored is not None:
                same = digest(stored) == digest(value)
                wrong = () if same else (Difference(None, None, 0, 0.0),)
                self.rows.append(Replayed(name, "table", 1, 1, wrong))
        return value

    def _handles(self, shared: Sequence[Any]) -> list[Any]:
        """Describe tables as a job does, without storing them."""
        return [StoredColumns(self.root, digest(x)) if is_columns(x) else x for x in shared]

    def _ledger(self, name: str, what: Facts) -> Ledger:
        place = self.root.inside(f"{name}.ledger")
        header = read_header(place)
        if header is None:
            raise self._unfinished(name)
        _check_same(name, header["facts"], what)
        ledger = Ledger(place, int(header["total"]), str(header["fingerprint"]))
        if not ledger.done().all():
            raise self._unfinished(name)
        return ledger

    def _table(self, name: str, what: Facts) -> Columns | None:
        place = self.root.inside(f"{name}.npz")
        about = read_about(place)
        if about is None:
            return None
        _check_same(name, about.facts, what)
        return read_columns(place)

    def _unfinished(self, name: str) -> SourceError:
        return SourceError(
            f"stage {name} of {self.root} is not finished there, so it cannot be compared; run "
            "the workflow to its end first"
        )


def sample_blocks(grid: Grid, count: int, allowed: NDArray[np.bool_], *, seed: int) -> list[int]:
    """Choose blocks: opposite corners and the middle first, then more corners, then any.

    Parameters
    ----------
    grid : Grid
        Of which.
    count : int
        How many, at most.
    allowed : ndarray of bool
        For every block, whether it may be chosen.
    seed : int
        Of the last ones.

    Returns
    -------
    list of int
        Sorted numbers, each once.

    Examples
    --------
    >>> grid = Grid(Box.from_shape((8, 8, 8)), (2, 2, 2))
    >>> sample_blocks(grid, 3, np.ones(64, bool), seed=0)
    [0, 42, 63]
    """
    ends = [(0, n - 1) for n in grid.shape]
    middle: Coord = tuple(n // 2 for n in grid.shape)  # type: ignore[assignment]
    corners: list[Coord] = [(z, y, x) for z in ends[0] for y in ends[1] for x in ends[2]]
    first = [corners[0], corners[-1], middle, *corners[1:-1]]
    numbers = dict.fromkeys(grid.block(at).number for at in first)
    chosen = [number for number in numbers if allowed[number]][:count]
    left = allowed.copy()
    left[chosen] = False
    others = np.flatnonzero(left)
    more = min(count - len(chosen), len(others))
    if more > 0:
        random = np.random.default_rng(seed).choice(others, more, replace=False)
        chosen += [int(number) for number in random]
    return sorted(chosen)


def last_checks(ledger: Ledger) -> NDArray[np.uint32]:
    """Give the check sum of every block, by its last record; 0 where it is not known."""
    checks = np.zeros(ledger.total, np.uint32)
    records = ledger.records()
    records = records[records["number"] < ledger.total]
    checks[records["number"]] = records["content"]
    return checks


def _compared(result: NDArray[Any], stored: NDArray[Any]) -> tuple[int, float]:
    """Count the voxels that differ, and say by how much at most."""
    differs = result != stored
    if result.dtype.kind == "f":
        differs &= ~(np.isnan(result) & np.isnan(stored))
    count = int(differs.sum())
    if not count:
        return 0, 0.0
    apart = np.abs(result[differs].astype(np.float64) - stored[differs].astype(np.float64))
    return count, float(np.nanmax(apart, initial=0.0))


def _check_same(name: str, stored: Facts, wanted: Facts) -> None:
    own = {key: value for key, value in stored.items() if key != _LIMITED}
    if fingerprint(own) != fingerprint(wanted):
        raise StaleLedgerError(
            f"stage {name} is of another computation than the workflow asks for: "
            f"{'; '.join(changes(own, wanted))}. Check it with the workflow that made it"
        )
