"""Mutex watershed of fragments: near affinities join them, far ones keep them apart.

Boxes of blocks decide what is certain in them and pass on the rest, or one machine holds the graph;
labels are the same.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.cascade import Cascade
from volkit.engine.op import Columns, Reduction
from volkit.errors import ConfigError, ContractError
from volkit.geometry import Block, Coord, Grid
from volkit.kernels.mutex import mutex_graph
from volkit.kernels.octree_agglomeration import sink
from volkit.kernels.octree_mutex import rise_signed, signed_table
from volkit.kernels.probability import probabilities
from volkit.kernels.signed_graph import add_signed_graphs, edge_weights, signed_graph
from volkit.ops.arguments import arguments
from volkit.ops.components import domain_param
from volkit.ops.contact_tables import fragment_places
from volkit.ops.graph_holder import Held, who_holds
from volkit.ops.sharded_lookup import rename, rename_by_shards, risen

Array = NDArray[Any]

STAGE = "signed_graph"
"""Of a job."""

EDGES_PER_CONTACT = 3
"""How many edges there are for one of neighbours: 3.2 in a FIB-SEM map, at 1, 4 and 9 voxels."""


def mutex_agglomerate(
    fragments: Any,
    affinities: Any,
    *,
    offsets: Sequence[Sequence[int] | None],
    attractive: int | Sequence[int] = 3,
    held: Held = "auto",
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "labels",
) -> Any:
    """Merge fragments by the mutex watershed of their graph.

    Two fragments attract each other with the mean of the near affinities between them, and repel
    each other with 1 - the mean of the far ones.  No threshold is asked for.  A fragment that lies
    within reach of the offsets from a face of a box may have more edges, and is decided about in a
    larger box; so is what it might join, and what excludes something that this might be
    (`volkit.kernels.settled_mutex`).  Whether two cells that cross a box are one elsewhere can
    matter all along where they touch: in real tissue a box passes on more than its faces ask for.

    Parameters
    ----------
    fragments : Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        Ids; 0 is left out.  For boxes, connected regions named after one of their voxels (1 + its
        C-order index in the domain), as ``affinity_watershed`` and ``components_of`` give them.
    affinities : Volume, dask array or DataArray of float or uint8, shape (C, Z, Y, X)
        0 to 1, high inside cells (uint8: 255 is 1).
    offsets : sequence of (z, y, x) or None
        From a voxel to the one that each channel compares it with; None leaves a channel out.
    attractive : int or sequence of int
        The first channels attract, or these; all others repel.
    held : {'auto', 'whole', 'boxes'}
        Who holds the graph: one machine, no one but boxes of blocks, or what ``held_by`` says of
        a volume three times as large, since far edges come on top.  The labels are the same.
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
        If there is no offset or one has not three numbers, more channels attract than there are, or
        nobody knows who is to hold the graph.
    ContractError
        By the block that meets NaN or values outside 0 to 1, or another number of channels; by the
        box in which a fragment ends that stands elsewhere too.

    References
    ----------
    S. Wolf et al., The mutex watershed and its objective: efficient, parameter-free graph
    partitioning, 2020, https://doi.org/10.1109/TPAMI.2020.2980827
    """
    params = _parted(offsets, attractive)
    call = arguments(fragments, affinities, grid=grid, engine=engine)
    where: dict[str, Any] = {"grid": call.grid, "engine": call.engine}
    if who_holds(held, call.grid.domain.size, edges=EDGES_PER_CONTACT) == "boxes":
        cascade = signed_cascade(offsets, attractive, call.grid)
        tree = risen(call.engine, cascade, *call.inputs, grid=call.grid, name=STAGE)
        # What was decided lies below every threshold: there is none.
        always = partial(sink, threshold=1.0)
        return call.wrap(rename_by_shards(tree, call.inputs[0], always, name=name))
    graph = Reduction(
        _graph_block,
        add_signed_graphs,
        _merged,
        halo=_reach(params["offsets"], least=0),
        params=params,
    )
    lookup = call.engine.reduce(graph, *call.inputs, grid=call.grid, name=STAGE)
    return call.wrap(rename(call.inputs[0], lookup, **where, name=name))


def signed_cascade(
    offsets: Sequence[Sequence[int] | None], attractive: int | Sequence[int], grid: Grid
) -> Cascade:
    """Say how the signed graph of fragments rises through boxes of blocks.

    Parameters
    ----------
    offsets : sequence of (z, y, x) or None
        From a voxel to the one that each channel compares it with; None leaves a channel out.
    attractive : int or sequence of int
        The first channels attract, or these; all others repel.
    grid : Grid
        The blocks.

    Returns
    -------
    Cascade
        Of fragments and affinities.
    """
    params = {**_parted(offsets, attractive), "domain": domain_param(grid)}
    # Neighbours must be seen even if none of the offsets reaches them: fragments go on there.
    halo = _reach(params["offsets"], least=1)
    return Cascade(_table_block, rise_signed, halo=halo, params=params)


def _parted(
    offsets: Sequence[Sequence[int] | None], attractive: int | Sequence[int]
) -> dict[str, Any]:
    """Put the channels that attract first, and leave out those without an offset."""
    plain = {n: [int(o) for o in offset] for n, offset in enumerate(offsets) if offset is not None}
    near = list(range(attractive)) if isinstance(attractive, int) else list(attractive)
    channels = [*near, *(n for n in plain if n not in near)]
    if not plain:
        raise ConfigError(
            f"offsets are {list(offsets)}: no channel has one, and a graph without edges joins "
            "nothing; give (z, y, x) for every channel"
        )
    negative = isinstance(attractive, int) and attractive < 0
    if negative or sorted(channels) != list(plain) or any(len(o) != 3 for o in plain.values()):
        raise ConfigError(
            f"offsets are {list(offsets)}, of which {attractive} attract; give (z, y, x) for every "
            "channel"
        )
    if (0, 0, 0) in {tuple(o) for o in plain.values()}:
        raise ConfigError(
            f"offsets are {list(offsets)}, and (0, 0, 0) compares a voxel with itself; give null "
            "for a channel that is to be left out"
        )
    params = {"offsets": [plain[n] for n in channels], "attractive": len(near)}
    whole = channels == list(range(len(offsets)))
    return params if whole else {**params, "channels": channels}


def _reach(offsets: list[list[int]], *, least: int) -> Coord:
    z, y, x = (max([least, *(abs(offset[axis]) for offset in offsets)]) for axis in range(3))
    return z, y, x


def _graph_block(
    block: Block,
    pieces: Array,
    affinities: Array,
    *,
    offsets: list[list[int]],
    attractive: int,
    channels: list[int] | None = None,
) -> Columns:
    if channels is not None:
        if max(channels) >= len(affinities):
            raise ContractError(
                f"there are {len(affinities)} channels, offsets are stated for channel "
                f"{max(channels)}, counted from 0; state those of the channels that there are"
            )
        affinities = affinities[channels]
    return signed_graph(
        pieces.astype(np.uint64, copy=False),
        probabilities(affinities),
        block.write.relative_to(block.read),
        offsets=offsets,
        attractive=attractive,
    )


def _table_block(
    block: Block,
    pieces: Array,
    affinities: Array,
    *,
    offsets: list[list[int]],
    domain: list[list[int]],
    **how: Any,
) -> Columns:
    graph = _graph_block(block, pieces, affinities, offsets=offsets, **how)
    labels, reach = pieces.astype(np.uint64, copy=False), _reach(offsets, least=1)
    return {**signed_table(graph), **fragment_places(block, labels, domain, reach=reach)}


def _merged(graph: Columns) -> Columns:
    old, new = mutex_graph(graph["u"], graph["v"], edge_weights(graph), ~graph["far"])
    return {"old": old, "new": new}
