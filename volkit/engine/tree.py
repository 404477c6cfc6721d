"""Tree reduction in a job: partial tables are stored, added up level by level, and resumed.

Blocks are gathered in cubes of a grid over the grid; each cube leaves one table.  The tables are
gathered the same way, until one is left.  Which blocks meet is decided by the grid alone.
"""

import logging
from dataclasses import dataclass
from typing import Any, Protocol

from volkit.engine.columns import read_columns, write_columns
from volkit.engine.fan_in import CUBE, fan_in, put_together
from volkit.engine.final_table import clear_parts, store_table, stored_table
from volkit.engine.fingerprint import Facts, facts, kernel_identity
from volkit.engine.on_demand import as_asked
from volkit.engine.op import Columns, Reduction, is_columns, run_partial
from volkit.engine.reading import read_metered
from volkit.engine.reuse import shared_table
from volkit.engine.run import Run, load_shared
from volkit.errors import SourceError
from volkit.geometry import Box, Grid
from volkit.io.place import Place
from volkit.io.volume import Volume

_logger = logging.getLogger(__name__)
_PARALLEL = 4096  # from here on, whole cubes of blocks are pieces enough for many workers


class LevelTask(Protocol):
    """What a worker does for one table of a level."""

    @property
    def folder(self) -> Place:
        """Where the tables of the level lie."""

    def __call__(self, number: int) -> None:
        """Compute and store one table."""


@dataclass(frozen=True, slots=True)
class PartialTask:
    """What a worker does for a cube of blocks: reduce each, add up, store."""

    reduction: Reduction
    grid: Grid
    cubes: Grid
    inputs: tuple[Volume, ...]
    shared: tuple[Any, ...]
    folder: Place

    def __call__(self, number: int) -> None:
        """Compute and store one partial table."""
        shared = load_shared(self.shared)
        parts = []
        for cell in Grid(self.cubes[number].write, (1, 1, 1)):
            block = self.grid.block(cell.write.start)
            arrays = [
                read_metered(volume, self.reduction.reads(block, n), decides=block.write)
                for n, volume in enumerate(self.inputs)
            ]
            given = as_asked(self.reduction, block, arrays, self.inputs)
            parts.append(run_partial(self.reduction, block, given, shared))
        write_part(self.folder, number, self.reduction.combine(parts))


@dataclass(frozen=True, slots=True)
class CombineTask:
    """What a worker does for a cube of tables: add up and store."""

    reduction: Reduction
    tables: Grid
    cubes: Grid
    below: LevelTask
    folder: Place

    def __call__(self, number: int) -> None:
        """Combine and store one table."""
        cells = Grid(self.cubes[number].write, (1, 1, 1))
        numbers = [self.tables.block(cell.write.start).number for cell in cells]
        parts = (read_part(self.below, n) for n in numbers)
        write_part(self.folder, number, put_together(parts, self.reduction.combine))


def reduce_tree(
    run: Run,
    reduction: Reduction,
    inputs: tuple[Volume, ...],
    *,
    grid: Grid,
    name: str,
    shared: tuple[Any, ...],
) -> Any:
    """Reduce over all blocks, storing every level.

    Parameters
    ----------
    run : Run
        Folder and workers.
    reduction : Reduction
        What to apply.
    inputs : tuple of Volume
        From what.
    grid : Grid
        In which blocks, with the reduction's halo.
    name : str
        Name of the stage.
    shared : tuple
        Values that every block gets.

    Returns
    -------
    object
        What ``reduction.finalize`` returns; the combined Columns without it.
    """
    what = facts(reduction, inputs, grid, shared)
    path = run.root.inside(f"{name}.npz")
    combined = shared_table(run, name, what)
    if combined is None:
        combined = stored_table(path, what, replace=run.replace_stale)
    if combined is None:
        combined = _levels(run, reduction, inputs, what, grid=grid, name=name, shared=shared)
        store_table(path, combined, what)
    clear_parts(run.root, name)
    if reduction.finalize is None:
        return combined
    return _finalized(run, reduction, combined, what, name)


def _levels(
    run: Run,
    reduction: Reduction,
    inputs: tuple[Volume, ...],
    what: Facts,
    *,
    grid: Grid,
    name: str,
    shared: tuple[Any, ...],
) -> Columns:
    """Work off the levels of the tree, from blocks to the one table at its root."""
    parts = run.root.inside(f"{name}.parts")
    blocks = Grid(Box.from_shape(grid.shape), (1, 1, 1))
    cubes = Grid(blocks.domain, CUBE if len(grid) >= _PARALLEL else (1, 1, 1))
    task: LevelTask = PartialTask(reduction, grid, cubes, inputs, shared, parts.inside("0"))
    work_level(run, task, cubes, what, level=0, name=name, voxels=grid.domain.size)
    level = 0
    while len(cubes) > 1:
        level += 1
        tables = Grid(Box.from_shape(cubes.shape), (1, 1, 1))
        cubes = Grid(tables.domain, fan_in(tables.shape))
        task = CombineTask(reduction, tables, cubes, task, parts.inside(str(level)))
        # What a table holds is among its facts, where it is not the usual.
        usual = cubes.shape == Grid(tables.domain, CUBE).shape
        told = what if usual else {**what, "fan_in": list(cubes.block_shape)}
        work_level(run, task, cubes, told, level=level, name=name, voxels=0)
    return read_part(task, 0)


def work_level(
    run: Run,
    task: LevelTask,
    cubes: Grid,
    what: Facts,
    *,
    level: int | str,
    name: str,
    voxels: int,
) -> None:
    """Work off one level of a tree of tables; a table is finished when marked and still there.

    Parameters
    ----------
    run : Run
        Folder and workers.
    task : callable
        Gets the number of a table and leaves it in its ``folder``.
    cubes : Grid
        Whose blocks are the tables.
    what : dict
        Facts of the stage.
    level : int or str
        Of the tree, or its key; 0 are the leaves.
    name : str
        Of the stage.
    voxels : int
        That the tasks read.
    """
    stage = name if level == 0 else f"{name}.parts/{level}"
    ledger = run.ledger(stage, {**what, "level": level}, len(cubes))
    done = ledger.done()
    there = set(task.folder.objects.keys()) if done.any() else set()
    gone = [n for n in done.nonzero()[0] if part_key(int(n)) not in there]
    if gone:
        # Somebody removed tables; their marks would hide that.
        ledger.reset()
        done[gone] = False
        kept = done.nonzero()[0].tolist()
        ledger.mark(kept, [0.0] * len(kept))
    run.work(task, cubes.morton_missing(done), ledger=ledger, stage=stage, voxels=voxels)


def _finalized(run: Run, reduction: Reduction, combined: Columns, what: Facts, name: str) -> Any:
    """Finalize, keeping the result where it is a table that took time to make."""
    if reduction.finalize is None:
        return combined
    what = {**what, "finalize": kernel_identity(reduction.finalize)}
    path = run.root.inside(f"{name}.final.npz")
    found = shared_table(run, f"{name}.final", what) or stored_table(path, what, replace=True)
    if found is not None:
        return found
    value = reduction.finalize(combined)
    if is_columns(value):
        store_table(path, value, what)
    return value


def part_place(folder: Place, number: int) -> Place:
    """Place the partial table of a cube."""
    return folder.inside(part_key(number))


def write_part(folder: Place, number: int, table: Columns) -> None:
    """Write a partial table, which is not waited for: whoever reads a torn one makes it again."""
    write_columns(part_place(folder, number), table, lasting=False)


def read_part(task: LevelTask, number: int, *, begin: tuple[str, ...] = ("",)) -> Columns:
    """Read a partial table; make it again if it is torn, as after a power failure.

    Parameters
    ----------
    task : callable
        What makes it.
    number : int
        Of the table.
    begin : tuple of str
        With what the names of the columns begin that are wanted.

    Returns
    -------
    dict of ndarray

    Raises
    ------
    SourceError
        If it is not there, or cannot be read.
    """
    place = part_place(task.folder, number)
    try:
        return read_columns(place, begin=begin)
    except SourceError:
        if place.above.objects.modified(place.name) is None:
            raise
        _logger.warning("the table %s was torn, and is made again", place)
    task(number)
    return read_columns(place, begin=begin)


def part_key(number: int) -> str:
    """Name the partial table of a cube; a thousand to a folder."""
    return f"{number // 1000:06d}/{number:09d}.npz"
