"""Exchange as a dask graph: each window once, and boundary strips between the tasks of blocks.

::

    cut      the parts of other chunks that the windows of a block see     (dask arrays only)
    sums     the windows that begin in a block ─► {receiver: sums}
    strip    what one block gave to another                                travels alone
    finish   own sums + strips ─► chunk
"""

from collections.abc import Iterator
from functools import partial
from operator import getitem
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph

from volkit.engine.contributions import run_contribution, run_finish, spread_of
from volkit.engine.op import Array, Op
from volkit.engine.partners import givers, receivers
from volkit.engine.run import load_shared
from volkit.geometry import Block, Box, Grid
from volkit.io.volume import Volume

Key = tuple[Any, ...]


def exchange_array(
    op: Op, inputs: tuple[Any, ...], grid: Grid, *, name: str, shared: tuple[Any, ...]
) -> da.Array:
    """Build a lazy array whose blocks exchange what reaches over their faces.

    Parameters
    ----------
    op : Op
        With a Spread.
    inputs : tuple of Volume or dask array
        What it reads; chunks of dask arrays are the grid's blocks, of any thickness.
    grid : Grid
        The blocks.
    name : str
        Of the layer.
    shared : tuple
        Values that every block gets; may be Delayed.

    Returns
    -------
    dask array
        Of ``op.dtype``, shape ``([C,] *grid.domain.shape)``.
    """
    token = tokenize(exchange_array, op, grid, inputs, shared)
    arrays = [x for x in inputs if isinstance(x, da.Array)]
    delayed = [x for x in shared if isinstance(x, Delayed)]
    layer: dict[Any, Any] = {}
    sums, out = f"{name}-sums-{token}", f"{name}-{token}"
    values = [x.key if isinstance(x, Delayed) else x for x in shared]
    contribute, finish = partial(_contribute, op, grid), partial(_finish, op, grid)
    lead: Key = () if op.channels is None else (0,)
    for block in grid:
        pieces = [_pieces(x, op, grid, block, layer, token) for x in inputs]
        layer[sums, *block.index] = (contribute, block.number, pieces, values)
    spread = spread_of(op)
    for block in grid:
        strips: list[Any] = []
        for giver in givers(spread, grid, block):
            key = (f"{name}-strip-{token}", giver.number, block.number)
            layer[key] = (getitem, (sums, *giver.index), block.number)
            strips.append([giver.number, key])
        own = (f"{name}-own-{token}", block.number)
        layer[own] = (getitem, (sums, *block.index), block.number)
        layer[out, *lead, *block.index] = (finish, block.number, own, strips, values)
    collections: list[Any] = [*arrays, *delayed]
    graph = HighLevelGraph.from_collections(out, layer, dependencies=collections)
    chunks = grid.chunks if op.channels is None else ((op.channels,), *grid.chunks)
    return da.Array(graph, out, chunks, np.dtype(op.dtype))


def _pieces(value: Any, op: Op, grid: Grid, block: Block, layer: dict[Any, Any], token: str) -> Any:
    """Give what the task of a block reads: a handle, or parts of chunks and where they lie."""
    if isinstance(value, Volume):
        return value
    reads = spread_of(op).reads(block)
    found = []
    for other in _meeting(grid, reads):
        part = other.write.intersect(reads)
        chunk = (value.name, *(0 for _ in range(value.ndim - 3)), *other.index)
        if part != other.write:
            cut = (f"cut-{token}", value.name, block.number, other.number)
            layer[cut] = (_cut, chunk, part.relative_to(other.write).slices)
            chunk = cut
        found.append([part, chunk])
    return [value.dtype, value.shape[:-3], found]


def _cut(chunk: Array, slices: tuple[slice, slice, slice]) -> Array:
    return np.ascontiguousarray(chunk[(..., *slices)])


def _meeting(grid: Grid, box: Box) -> Iterator[Block]:
    """Yield the blocks that meet a box."""
    if box.size == 0:
        return
    inside = box.relative_to(grid.domain)
    ranges = [
        range(a // n, -(-b // n))
        for a, b, n in zip(inside.start, inside.stop, grid.block_shape, strict=True)
    ]
    for z in ranges[0]:
        for y in ranges[1]:
            for x in ranges[2]:
                yield grid.block((z, y, x))


def _contribute(
    op: Op, grid: Grid, number: int, pieces: list[Any], shared: list[Any]
) -> dict[int, Array]:
    """Evaluate the windows of a block, and cut the sums into what each receiver gets."""
    block, spread = grid[number], spread_of(op)
    reads, covers = spread.reads(block), spread.covers(block)
    arrays = [_assembled(found, reads) for found in pieces]
    sums = run_contribution(op, block, arrays, load_shared(shared))
    own = np.zeros((sums.shape[0], *block.write.shape), sums.dtype)
    part = block.write.intersect(covers)
    if part.size:
        own[(..., *part.relative_to(block.write).slices)] = _at(sums, part, covers)
    given = {
        other.number: np.ascontiguousarray(_at(sums, other.write.intersect(covers), covers))
        for other in receivers(spread, grid, block)
    }
    return {number: own, **given}


def _finish(
    op: Op, grid: Grid, number: int, own: Array, strips: list[Any], shared: list[Any]
) -> Array:
    """Add the strips to a block's own sums, and finish it."""
    block, spread, total = grid[number], spread_of(op), own.copy()
    for giver, strip in strips:
        part = spread.covers(grid[giver]).intersect(block.write)
        total[(..., *part.relative_to(block.write).slices)] += strip
    return run_finish(op, block, total, load_shared(shared))


def _assembled(pieces: Any, reads: Box) -> Array:
    if isinstance(pieces, Volume):
        empty = np.zeros((0, 0, 0), pieces.dtype)
        return pieces.read(reads) if reads.size else empty
    dtype, lead, found = pieces
    values = np.empty((*lead, *reads.shape), dtype)
    for part, chunk in found:
        values[(..., *part.relative_to(reads).slices)] = chunk
    return values


def _at(sums: Array, part: Box, covers: Box) -> Array:
    found: Array = sums[(..., *part.relative_to(covers).slices)]
    return found
