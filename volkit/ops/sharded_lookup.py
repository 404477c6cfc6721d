"""Lookup tables in shards: a block reads the names of its own ids, and is sent nothing else.

Where parts are united, tables rise and sink box by box, and nobody holds them all.  Where one
table follows from a whole graph, it is cut into segments by place, of which a block reads its own.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from dask.delayed import Delayed, delayed
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.cascade import Cascade, Shards, Sink
from volkit.engine.cascade_eager import EagerCascade, cascade_at_once
from volkit.engine.cascade_graph import GraphCascade, cascade_in_graph, map_tables
from volkit.engine.cascade_job import StoredCascade, cascade_in_job
from volkit.engine.columns import digest
from volkit.engine.job import JobEngine
from volkit.engine.lazy import LazyEngine, block_tables
from volkit.engine.op import Columns, Op, Reduction
from volkit.engine.replay import ReplayEngine
from volkit.engine.segments import SEGMENT_ROWS, SegmentedColumns, write_segments
from volkit.geometry import Block, Grid
from volkit.io.volume import Volume
from volkit.kernels.relabel import present_labels, renamed

Array = NDArray[Any]

FOLDER = "lookups"
"""Where the segments of large tables lie in the folder of a run."""

Risen = StoredCascade | GraphCascade | EagerCascade


def risen(engine: Engine, cascade: Cascade, *inputs: Any, grid: Grid, name: str) -> Risen:
    """Let a cascade rise in an engine.

    Parameters
    ----------
    engine : Engine
        Where.
    cascade : Cascade
        What.
    *inputs : Volume or dask array
        Arrays of shape ([C,] Z, Y, X).
    grid : Grid
        In which blocks.
    name : str
        Of the stage.

    Returns
    -------
    StoredCascade, GraphCascade or EagerCascade
        Whose ``map`` lets lookup tables sink.
    """
    if isinstance(engine, LazyEngine):
        return cascade_in_graph(cascade, *inputs, grid=grid, name=name)
    if isinstance(engine, JobEngine | ReplayEngine):
        return cascade_in_job(engine, cascade, *inputs, grid=grid, name=name)
    return cascade_at_once(engine, cascade, *inputs, grid=grid, name=name)


def rename(labels: Any, lookup: Any, *, grid: Grid, engine: Engine, name: str) -> Any:
    """Replace labels by a table, of which every block gets the rows of its own labels.

    Parameters
    ----------
    labels : Volume or dask array of int, shape (Z, Y, X)
        Ids; those that are not in the table stay.
    lookup : Columns or Delayed
        ``old``, sorted, and ``new``.
    grid : Grid
        Blocks to work in.
    engine : Engine
        Where to run.
    name : str
        Of the result in a job.

    Returns
    -------
    Volume or dask array of uint64, shape (Z, Y, X)
    """
    if isinstance(engine, LazyEngine):
        return _renamed_in_graph(labels, lookup, grid, name)
    op, table = Op(_rename_block, dtype=np.uint64), _travelling(engine, lookup, grid)
    return engine.map(op, labels, grid=grid, name=name, shared=(table,))


def _travelling(engine: Engine, lookup: Any, grid: Grid) -> Any:
    """Give what the blocks of a job are sent of a table: a handle of segments where it is large."""
    if not isinstance(engine, JobEngine):
        return lookup
    if max(len(column) for column in lookup.values()) <= SEGMENT_ROWS:
        return lookup
    names = {name: lookup[name] for name in ("old", "new")}
    return write_segments(engine.place.inside(FOLDER), names, grid, sha256=digest(lookup))


def rename_by_shards(tree: Risen, labels: Any, sink: Sink, *, name: str) -> Any:
    """Replace labels by the lookup tables of their blocks.

    Parameters
    ----------
    tree : StoredCascade, GraphCascade or EagerCascade
        From :func:`risen`, over the same blocks.
    labels : Volume or dask array of int, shape (Z, Y, X)
        Ids.
    sink : callable
        What becomes of the ids of a box.
    name : str
        Of the result in a job.

    Returns
    -------
    Volume or dask array of uint64, shape (Z, Y, X)
    """
    return tree.map(Op(rename_shard, dtype=np.uint64), labels, sink=sink, name=name)


def _renamed_in_graph(labels: Any, lookup: Any, grid: Grid, name: str) -> Any:
    """Send every block of a dask graph the rows of its labels."""
    grid = grid.with_halo((0, 0, 0))
    whole = lookup if isinstance(lookup, Delayed) else delayed(lookup, pure=True, traverse=False)
    if isinstance(labels, Volume):  # two tasks of a block look at them: read once
        read = Op(_read_block, dtype=labels.dtype)
        labels = LazyEngine().map(read, labels, grid=grid, name=f"{name}-read")
    present = block_tables(
        Reduction(_present_block, _merge_present), labels, grid=grid, name=f"{name}-ids"
    )
    task = delayed(_picked, pure=True)
    rows = [task(whole, ids) for ids in present]
    return map_tables(Op(rename_shard, dtype=np.uint64), labels, rows, grid=grid, name=name)


def _present_block(block: Block, labels: Array) -> Columns:
    return {"label": present_labels(labels)}


def _merge_present(tables: Sequence[Columns]) -> Columns:
    return {"label": np.unique(np.concatenate([table["label"] for table in tables]))}


def _read_block(block: Block, labels: Array) -> Array:
    return labels


def _picked(lookup: Columns, present: Columns) -> Columns:
    """Take the rows of some labels, by looking each of them up: they are few."""
    old, ids = lookup["old"], present["label"]
    at = np.searchsorted(old, ids)
    at = at[at < len(old)]
    at = at[old[at] == ids[: len(at)]]
    return {"old": old[at], "new": lookup["new"][at]}


def _rename_block(block: Block, labels: Array, lookup: Columns | SegmentedColumns) -> Array:
    if isinstance(lookup, SegmentedColumns):
        lookup = lookup.of(present_labels(labels))
    return renamed(labels, lookup["old"], lookup["new"])


def rename_shard(block: Block, labels: Array, shards: Shards) -> Array:
    """Replace the labels of a block by its own table: the kernel of an Op.

    Parameters
    ----------
    block : Block
        Where.
    labels : ndarray of int, shape (Z, Y, X)
        Ids; those that are not in the table stay.
    shards : Shards
        ``old``, sorted, and ``new``, for every block.

    Returns
    -------
    ndarray of uint64, shape (Z, Y, X)
    """
    lookup = shards.of(block.number)
    return renamed(labels, lookup["old"], lookup["new"])
