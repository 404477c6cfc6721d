"""Lookup tables in shards: a block reads the names of its own ids, and no one holds them all."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.cascade import Cascade, Shards, Sink, ids_on_faces
from volkit.engine.cascade_graph import GraphCascade, cascade_in_graph
from volkit.engine.cascade_job import StoredCascade, cascade_in_job
from volkit.engine.job import JobEngine
from volkit.engine.lazy import LazyEngine
from volkit.engine.op import Columns, Op
from volkit.geometry import Block, Grid
from volkit.kernels.label import touching_pairs
from volkit.kernels.octree_components import rise_links, sink_links
from volkit.kernels.relabel import renamed

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class PlannedCascade:
    """A cascade in an engine that knows none: what it would read and write.

    Parameters
    ----------
    engine : Engine
        That computes nothing.
    grid : Grid
        The blocks.
    """

    engine: Engine
    grid: Grid

    def map(self, op: Op, labels: Any, *, sink: Sink, name: str) -> Any:
        """Record an Op."""
        return self.engine.map(op, labels, grid=self.grid, name=name, shared=(None,))


Risen = StoredCascade | GraphCascade | PlannedCascade


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
    StoredCascade, GraphCascade or PlannedCascade
        Whose ``map`` lets lookup tables sink.
    """
    if isinstance(engine, LazyEngine):
        return cascade_in_graph(cascade, *inputs, grid=grid, name=name)
    if isinstance(engine, JobEngine):
        return cascade_in_job(engine, cascade, *inputs, grid=grid, name=name)
    engine.reduce(cascade.reduction, *inputs, grid=grid, name=name)
    return PlannedCascade(engine, grid)


def rename_by_shards(tree: Risen, labels: Any, sink: Sink, *, name: str) -> Any:
    """Replace labels by the lookup tables of their blocks.

    Parameters
    ----------
    tree : StoredCascade, GraphCascade or PlannedCascade
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
    return tree.map(Op(_rename_block, dtype=np.uint64), labels, sink=sink, name=name)


def united_by_shards(
    parts: Any, connectivity: int, grid: Grid, engine: Engine, *, name: str, equal: Any = None
) -> Any:
    """Give the parts of components in blocks the names of the whole.

    Parameters
    ----------
    parts : Volume or dask array of uint64, shape (Z, Y, X)
        Components of each block alone, named by first voxels.
    connectivity : int
        6, 18 or 26.
    grid : Grid
        The blocks in which they were labelled.
    engine : Engine
        Where to run.
    name : str
        Of the result in a job; the tables are the stage ``name_links``.
    equal : Volume or dask array of int, shape (Z, Y, X), optional
        Labels that must be equal for parts to be one component.

    Returns
    -------
    Volume or dask array of uint64, shape (Z, Y, X)
    """
    inputs = (parts,) if equal is None else (parts, equal)
    cascade = Cascade(
        _links_block, rise_links, halo=(1, 1, 1), params={"connectivity": connectivity}
    )
    tree = risen(engine, cascade, *inputs, grid=grid, name=f"{name}_links")
    return rename_by_shards(tree, parts, sink_links, name=name)


def _links_block(block: Block, parts: Array, *equal: Array, connectivity: int) -> Columns:
    core = block.write.relative_to(block.read)
    a, b = touching_pairs(parts, core, connectivity=connectivity, equal=equal[0] if equal else None)
    return {"a": a, "b": b, **ids_on_faces(parts, core)}


def _rename_block(block: Block, labels: Array, shards: Shards) -> Array:
    lookup = shards.of(block.number)
    return renamed(labels, lookup["old"], lookup["new"])
