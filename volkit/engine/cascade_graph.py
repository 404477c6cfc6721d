"""Cascades in a dask graph: one task for every box on the way up, and one on the way down."""

from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.delayed import delayed

from volkit.engine.cascade import Boxes, Cascade, Sink
from volkit.engine.lazy import block_tables, check_inputs, with_halo
from volkit.engine.op import Array, Columns, Op, run_block
from volkit.geometry import Block, Box, Grid
from volkit.io.volume import Volume


@dataclass(frozen=True, slots=True)
class GraphCascade:
    """A cascade that rises when it is computed.

    Parameters
    ----------
    boxes : Boxes
        Of the cascade.
    both : tuple of list of Delayed
        For every level, what each box passes on and keeps.
    """

    boxes: Boxes
    both: tuple[list[Any], ...]

    def map(self, op: Op, labels: Any, *, sink: Sink, name: str) -> da.Array:
        """Let lookup tables sink to the blocks, and apply an Op that reads them.

        Parameters
        ----------
        op : Op
            Its kernel gets the block, its labels, and ``Shards``.
        labels : Volume or dask array of int, shape (Z, Y, X)
            Ids.
        sink : callable
            What becomes of the ids of a box.
        name : str
            Of the layer.

        Returns
        -------
        dask array
        """
        task, above = delayed(_sunk, pure=True), [None]
        for level in reversed(range(len(self.both))):
            top = level + 1 == len(self.both)
            above = [
                task(sink, both, None if top else above[self.boxes.above(level, n)])
                for n, both in enumerate(self.both[level])
            ]
        return map_tables(op, labels, above, grid=self.boxes.grid, name=name)


def map_tables(op: Op, labels: Any, tables: list[Any], *, grid: Grid, name: str) -> da.Array:
    """Apply an Op of which every block has a table of its own.

    Parameters
    ----------
    op : Op
        Its kernel gets the block, its labels, and ``Shards``.
    labels : Volume or dask array of int, shape (Z, Y, X)
        Ids.
    tables : list of Delayed
        A table for every block, in C order.
    grid : Grid
        The blocks.
    name : str
        Of the layer.

    Returns
    -------
    dask array
    """
    grid = grid.with_halo(op.halo)
    check_inputs((labels,), grid)
    given = isinstance(labels, Volume)
    pieces = (
        [labels] * len(grid)
        if given
        else with_halo(labels, grid).to_delayed(optimize_graph=False).ravel()
    )
    work, made = delayed(_applied, pure=True), np.empty(len(grid), object)
    for n, (piece, table) in enumerate(zip(pieces, tables, strict=True)):
        key = f"{name}-{tokenize(op, piece, table, grid[n])}"
        block = work(op, grid[n], piece, table, dask_key_name=key)
        made[n] = da.from_delayed(block, grid[n].write.shape, op.dtype)
    return da.block(made.reshape(grid.shape).tolist())


def cascade_in_graph(cascade: Cascade, *inputs: Any, grid: Grid, name: str) -> GraphCascade:
    """Build the graph of a cascade.

    Parameters
    ----------
    cascade : Cascade
        What to do.
    *inputs : Volume or dask array
        Arrays of shape ([C,] Z, Y, X); the space of a dask array is the grid's domain.
    grid : Grid
        In which blocks.
    name : str
        Of the layers.

    Returns
    -------
    GraphCascade
    """
    boxes = Boxes(grid.with_halo(cascade.halo))
    tables = block_tables(cascade.reduction, *inputs, grid=boxes.grid, name=name)
    first, task = delayed(_first, pure=True), delayed(_risen, pure=True)
    levels = [[first(cascade, boxes, n, table) for n, table in enumerate(tables)]]
    for level in range(1, len(boxes.levels)):
        own = []
        for number in range(len(boxes.levels[level])):
            below = boxes.below(level, number)
            spans = [boxes.box(level - 1, n) for n in below]
            parts = [levels[-1][n] for n in below]
            own.append(task(cascade, boxes, boxes.box(level, number), spans, *parts))
        levels.append(own)
    return GraphCascade(boxes, tuple(levels))


def _first(cascade: Cascade, boxes: Boxes, number: int, table: Columns) -> Any:
    box = boxes.box(0, number)
    return cascade.rise([boxes.still_open(table, box, box)])


def _risen(cascade: Cascade, boxes: Boxes, box: Box, spans: list[Box], *parts: Any) -> Any:
    tables = [boxes.still_open(up, s, box) for (up, _), s in zip(parts, spans, strict=True)]
    return cascade.rise(tables)


def _sunk(sink: Sink, both: tuple[Columns, Columns], above: Columns | None) -> Columns:
    return sink(both[1], above)


def _applied(op: Op, block: Block, labels: Volume | Array, lookup: Columns) -> Array:
    array = labels.read(block.read) if isinstance(labels, Volume) else labels
    return run_block(op, block, [array], [_Shard(lookup)])


@dataclass(frozen=True, slots=True)
class _Shard:
    """The lookup table of the block that is at work."""

    columns: Columns

    def of(self, number: int) -> Columns:
        """Give it."""
        return self.columns
