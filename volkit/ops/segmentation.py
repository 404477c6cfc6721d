"""Segmentation of boundary probabilities: fragments, region graph, labels.

Every step is the same for every grid, to the bit::

    prob ─► seeds ─────► fragments ─────► region graph ──────► labels
            named by     flooded on a     exact sums over      merged by mean
            first voxel  fixed lattice    all contacts         boundary
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Columns, Reduction
from volkit.errors import ConfigError
from volkit.geometry import Block, Grid
from volkit.kernels.agglomerate import agglomerate_mean
from volkit.kernels.contacts import add_contacts, contacts
from volkit.kernels.probability import probabilities
from volkit.ops.arguments import Call, arguments
from volkit.ops.components import components_of, single_channel
from volkit.ops.fragments import FragmentOptions, flooded
from volkit.ops.graph_holder import held_by
from volkit.ops.octree_agglomeration import agglomeration_tree
from volkit.ops.sharded_lookup import rename

Array = NDArray[Any]
Labels = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class SegmentationOptions:
    """How boundary probabilities become labels.

    Parameters
    ----------
    fragments : FragmentOptions
        How the map is cut into fragments.
    threshold : float
        Mean boundary probability at which merging of fragments ends: higher merges more.
    agglomeration : {'whole', 'octree', 'auto'}
        Whether one machine holds the whole graph of fragments, or boxes of blocks merge what is
        certain in them and pass on the rest, for any number of fragments.  What the faces of tiles
        cut off from its fragment is a fragment of its own then, so that a few merges may differ;
        given fragments that are connected, there is no difference.  Auto takes boxes where the
        graph may be more than 16 GiB, whatever the memory of workers (``graph_holder.held_by``).

    Raises
    ------
    ConfigError
        If the threshold lies outside 0 to 1, or the agglomeration is unknown.
    """

    fragments: FragmentOptions = field(default_factory=FragmentOptions)
    threshold: float = 0.7
    agglomeration: Literal["whole", "octree", "auto"] = "whole"

    def __post_init__(self) -> None:
        if self.agglomeration not in ("whole", "octree", "auto"):
            raise ConfigError(
                f"agglomeration is {self.agglomeration!r}; choose 'whole', 'octree' or 'auto'"
            )
        if not 0 <= self.threshold <= 1:
            raise ConfigError(f"threshold is {self.threshold}; give a probability, 0 to 1")


def segment(
    prob: Any,
    *,
    options: SegmentationOptions | None = None,
    grid: Grid | None = None,
    engine: Engine | None = None,
) -> Any:
    """Segment boundary probabilities into cells.

    Parameters
    ----------
    prob : Volume, dask array or DataArray of float or uint8, shape ([C,] Z, Y, X)
        Boundary probability, 0 to 1 (uint8: 255 is 1).
    options : SegmentationOptions, optional
        How.
    grid : Grid, optional
        Blocks to work in; the labels do not depend on it.
    engine : Engine, optional
        Where; None builds a lazy dask array.

    Returns
    -------
    Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        The smallest fragment id of each cell; 0 only where no seed is near.

    Raises
    ------
    ContractError
        By the block that meets NaN or values that are no probabilities.
    GeometryError
        If the chunks of a dask array are thinner than what a step sees around a block.

    References
    ----------
    J. Funke et al., Large scale image segmentation with structured loss based deep learning for
    connectome reconstruction, 2019, https://doi.org/10.1109/TPAMI.2018.2835450
    """
    options = options or SegmentationOptions()
    call = arguments(prob, grid=grid, engine=engine)
    pieces = flooded(call, options.fragments)
    channel = options.fragments.channel
    large = options.agglomeration == "auto" and held_by(call.grid.domain.size) == "boxes"
    if large or options.agglomeration == "octree":
        where: dict[str, Any] = {"grid": call.grid, "engine": call.engine}
        whole = components_of(pieces, connectivity=26, **where, name="pieces")
        tree = agglomeration_tree(
            whole, *call.inputs, options=channel, limit=options.threshold, **where
        )
        return call.wrap(tree.labels(options.threshold))
    return call.wrap(_agglomerated(pieces, call, options.threshold, channel))


def region_graph(
    fragments: Any,
    prob: Any,
    *,
    channel: int = 0,
    grid: Grid | None = None,
    engine: Engine | None = None,
) -> Any:
    """Measure the boundary between all fragments that touch.

    Parameters
    ----------
    fragments : Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        Ids; 0 touches nothing.
    prob : Volume, dask array or DataArray of float or uint8, shape ([C,] Z, Y, X)
        Boundary probability.
    channel : int
        Which channel of the map is the boundary.
    grid : Grid, optional
        Blocks to work in; the graph does not depend on it.
    engine : Engine, optional
        Where; None builds a Delayed.

    Returns
    -------
    dict of ndarray, or Delayed of it
        ``u``, ``v`` (uint64, ``u < v``), ``boundary_sum`` (int64, units of 2**-30) and ``count``
        (int64, faces), sorted by pair.
    """
    call = arguments(fragments, prob, grid=grid, engine=engine)
    graph = _graph_reduction(channel)
    return call.engine.reduce(graph, *call.inputs, grid=call.grid, name="region_graph")


def agglomerate(
    fragments: Any,
    prob: Any,
    *,
    threshold: float = 0.7,
    channel: int = 0,
    grid: Grid | None = None,
    engine: Engine | None = None,
) -> Any:
    """Merge fragments across the weakest boundaries first.

    Parameters
    ----------
    fragments : Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        Ids that are unique in the domain.
    prob : Volume, dask array or DataArray of float or uint8, shape ([C,] Z, Y, X)
        Boundary probability.
    threshold : float
        Mean boundary probability at which merging ends.
    channel : int
        Which channel of the map is the boundary.
    grid : Grid, optional
        Blocks to work in; the labels do not depend on it.
    engine : Engine, optional
        Where; None builds a lazy dask array.

    Returns
    -------
    Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        The smallest fragment id of each group.
    """
    call = arguments(fragments, prob, grid=grid, engine=engine)
    pieces, boundary = call.inputs
    call = Call((boundary,), call.grid, call.engine, call.template)
    return call.wrap(_agglomerated(pieces, call, threshold, channel))


def _agglomerated(pieces: Any, call: Call, threshold: float, channel: int) -> Any:
    merge = _graph_reduction(channel, threshold=threshold)
    lookup = call.engine.reduce(merge, pieces, *call.inputs, grid=call.grid, name="region_graph")
    return rename(pieces, lookup, grid=call.grid, engine=call.engine, name="labels")


def _graph_reduction(channel: int, threshold: float | None = None) -> Reduction:
    """Make the graph's reduction, which ends in a lookup table if there is a threshold."""
    finalize = None if threshold is None else partial(_merged, threshold=threshold)
    return Reduction(
        _contacts_block, add_contacts, finalize, halo=(1, 1, 1), params={"channel": channel}
    )


def _contacts_block(block: Block, pieces: Labels, prob: Array, *, channel: int) -> Columns:
    boundary = probabilities(single_channel(prob, channel))
    return contacts(
        pieces.astype(np.uint64, copy=False), boundary, block.write.relative_to(block.read)
    )


def _merged(graph: Columns, *, threshold: float) -> Columns:
    old, new = agglomerate_mean(
        graph["u"], graph["v"], graph["boundary_sum"], graph["count"], threshold=threshold
    )
    return {"old": old, "new": new}
