"""Mutex watershed of fragments: near affinities join them, far ones keep them apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Columns, Reduction
from volkit.errors import ConfigError
from volkit.geometry import Block, Grid
from volkit.kernels.contacts import ONE
from volkit.kernels.mutex import mutex_graph
from volkit.kernels.probability import probabilities
from volkit.kernels.signed_graph import add_signed_graphs, signed_graph
from volkit.ops.arguments import arguments
from volkit.ops.sharded_lookup import rename

Array = NDArray[Any]


def mutex_agglomerate(
    fragments: Any,
    affinities: Any,
    *,
    offsets: Sequence[Sequence[int]],
    attractive: int = 3,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "labels",
) -> Any:
    """Merge fragments by the mutex watershed of their graph.

    Two fragments attract each other with the mean of the near affinities between them, and repel
    each other with 1 - the mean of the far ones.  No threshold is asked for.  The whole graph is
    held by one machine: one decision can reach through all of it.  Blocks are sent the names of
    their own fragments.

    Parameters
    ----------
    fragments : Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        Ids; 0 is left out.
    affinities : Volume, dask array or DataArray of float or uint8, shape (C, Z, Y, X)
        0 to 1, high inside cells (uint8: 255 is 1).
    offsets : sequence of (z, y, x)
        From a voxel to the one that each channel compares it with.
    attractive : int
        The first channels attract; all others repel.
    grid : Grid, optional
        Blocks to work in; the labels do not depend on it.
    engine : Engine, optional
        Where; None builds a lazy dask array.
    name : str
        Of the result in a job; the graph is the stage ``signed_graph``.

    Returns
    -------
    Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        The smallest fragment id of each group.

    Raises
    ------
    ConfigError
        If an offset has not three numbers, or more channels attract than there are.
    ContractError
        By the block that meets NaN or values outside 0 to 1, or another number of channels.

    References
    ----------
    S. Wolf et al., The mutex watershed and its objective: efficient, parameter-free graph
    partitioning, 2020, https://doi.org/10.1109/TPAMI.2020.2980827
    """
    plain = [[int(o) for o in offset] for offset in offsets]
    if any(len(offset) != 3 for offset in plain) or not 0 <= attractive <= len(plain):
        raise ConfigError(
            f"offsets are {plain}, of which {attractive} attract; give (z, y, x) for every channel"
        )
    call = arguments(fragments, affinities, grid=grid, engine=engine)
    z, y, x = (max(abs(offset[axis]) for offset in plain) for axis in range(3))
    graph = Reduction(
        _graph_block,
        add_signed_graphs,
        _merged,
        halo=(z, y, x),
        params={"offsets": plain, "attractive": attractive},
    )
    lookup = call.engine.reduce(graph, *call.inputs, grid=call.grid, name="signed_graph")
    return call.wrap(rename(call.inputs[0], lookup, grid=call.grid, engine=call.engine, name=name))


def _graph_block(
    block: Block, pieces: Array, affinities: Array, *, offsets: list[list[int]], attractive: int
) -> Columns:
    return signed_graph(
        pieces.astype(np.uint64, copy=False),
        probabilities(affinities),
        block.write.relative_to(block.read),
        offsets=offsets,
        attractive=attractive,
    )


def _merged(graph: Columns) -> Columns:
    mean = graph["sum"] / (graph["count"] * float(ONE))
    weight = np.where(graph["far"], 1 - mean, mean)
    old, new = mutex_graph(graph["u"], graph["v"], weight, ~graph["far"])
    return {"old": old, "new": new}
