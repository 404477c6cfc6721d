"""Watershed on affinities: fragments that are those of the whole volume, for every grid.

Ways of steepest ascent are decided from the six edges of each voxel.  Plateaus that cross the
faces of blocks rise box by box, and are divided where they are whole.  What ways join is a basin;
parts of it in several blocks are united the same way, and no block is sent what lies elsewhere::

    affinities ─► ways ─┬─► open plateaus ─┐
                        └──────────────────┴─► divided ─► parts ─► links ─► fragments
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.cascade import Cascade, Shards, ids_on_faces
from volkit.engine.op import Columns, Op, Reduction
from volkit.errors import ConfigError, ContractError
from volkit.geometry import Block, Grid
from volkit.io.volume import Volume
from volkit.kernels.affinity_ascent import edge_direction, steepest_ways
from volkit.kernels.affinity_basins import basins, crossing_pairs
from volkit.kernels.affinity_plateau import (
    divided_ways,
    open_plateaus,
    rise_plateaus,
    sink_plateaus,
)
from volkit.kernels.histogram import add_histograms, value_histogram
from volkit.kernels.octree_components import rise_links, sink_links
from volkit.kernels.probability import probabilities
from volkit.ops.arguments import Call, arguments
from volkit.ops.components import domain_box, domain_param
from volkit.ops.sharded_lookup import rename_by_shards, risen

Array = NDArray[Any]
Labels = NDArray[np.uint64]
Offsets = Sequence[Sequence[int]]

NEAREST = ((-1, 0, 0), (0, -1, 0), (0, 0, -1))
"""Offsets of affinities that compare a voxel with the one before it on z, y, x."""


@dataclass(frozen=True, slots=True)
class AffinityOptions:
    """How affinities become fragments.

    Parameters
    ----------
    offsets : sequence of (z, y, x)
        From a voxel to the one that channel 0, 1, 2 compares it with: ``NEAREST``, or the same
        with 1.  There is no default, since affinities do not tell, and a wrong guess shifts every
        border by a voxel.
    low : float
        Edges at or below it do not count; voxels without others are background.
    high : float or None
        Edges at or above it always join; None joins none.
    quantiles : bool
        ``low`` and ``high`` are shares of the volume's edges instead, told to 12 bits.
    sections : bool
        Cut every section on its own: edges on z do not count.

    Raises
    ------
    ConfigError
        If the offsets are not those, or the thresholds are not in order within 0 to 1.
    """

    offsets: Offsets
    low: float = 0.0001
    high: float | None = 0.9999
    quantiles: bool = False
    sections: bool = False

    def __post_init__(self) -> None:
        edge_direction(self.offsets)
        if not 0 <= self.low <= (1 if self.high is None else self.high) <= 1:
            kind = "shares of edges" if self.quantiles else "affinities"
            raise ConfigError(
                f"low is {self.low}, high is {self.high}; give {kind} with 0 <= low <= high <= 1"
            )

    @property
    def toward(self) -> int:
        """-1 where affinities are those with the voxels before, 1 where with those after."""
        return edge_direction(self.offsets)


def affinity_watershed(
    affinities: Any,
    *,
    options: AffinityOptions,
    grid: Grid | None = None,
    engine: Engine | None = None,
) -> Any:
    """Cut affinities into the basins of their steepest ascent.

    This is the watershed of Zlateski and Seung on the whole volume, plateaus divided by distance,
    whatever the blocks.  Where their text leaves a choice, it follows their code: a plateau's
    exits are served in C order, and a voxel with several exits takes the one after it, on x
    before y before z.

    Parameters
    ----------
    affinities : Volume, dask array or DataArray of float or uint8, shape (3, Z, Y, X)
        0 to 1, high inside cells (uint8: 255 is 1).
    options : AffinityOptions
        How.
    grid : Grid, optional
        Blocks to work in; the fragments do not depend on it.
    engine : Engine, optional
        Where; None builds a lazy dask array.

    Returns
    -------
    Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        1 + the C-order index, in the domain, of each basin's first voxel; 0 is background.

    Raises
    ------
    ContractError
        If there are not three channels; by the block that meets NaN or values outside 0 to 1.

    References
    ----------
    A. Zlateski, H. S. Seung, Image segmentation by size-dependent single linkage clustering of a
    watershed basin graph, 2015, https://doi.org/10.48550/arXiv.1505.00249
    """
    call = affinity_call(affinities, grid, engine)
    return call.wrap(basin_fragments(call, options))


def affinity_call(affinities: Any, grid: Grid | None, engine: Engine | None) -> Call:
    """Bring affinities into the form that engines take.

    Raises
    ------
    ContractError
        If there are not three channels.
    """
    call = arguments(affinities, grid=grid, engine=engine)
    given = call.inputs[0]
    channels = given.channels if isinstance(given, Volume) else given.shape[:-3]
    if channels not in (3, (3,)):
        raise ContractError(
            f"affinities have shape {given.shape}, channels {channels}; give three channels, those "
            "on z, y, x (leave long-range ones out)"
        )
    return call


def basin_fragments(call: Call, options: AffinityOptions) -> Any:
    """Make the fragments of a call's only input."""
    grid, engine = call.grid, call.engine
    place = {"domain": domain_param(grid)}
    ascent = Op(
        _ways_block,
        dtype=np.uint8,
        halo=(1, 1, 1),
        params={
            "low": options.low,
            "high": options.high,
            "toward": options.toward,
            "sections": options.sections,
        },
    )
    thresholds = (_thresholds(call, options),) if options.quantiles else ()
    ways = engine.map(ascent, *call.inputs, grid=grid, name="ways", shared=thresholds)
    plateaus = Cascade(
        _open_block,
        partial(rise_plateaus, domain_shape=grid.domain.shape),
        halo=(1, 1, 1),
        params=place,
    )
    tree = risen(engine, plateaus, ways, grid=grid, name="plateaus")
    divide = Op(_divided_block, dtype=np.uint8, halo=(1, 1, 1), params=place)
    goes = tree.map(divide, ways, sink=sink_plateaus, name="divided")
    label = Op(_basins_block, dtype=np.uint64, params=place)
    parts = engine.map(label, goes, grid=grid, name="basin_parts")
    links = Cascade(_links_block, rise_links, halo=(1, 1, 1))
    tree = risen(engine, links, parts, goes, grid=grid, name="basin_links")
    return rename_by_shards(tree, parts, sink_links, name="fragments")


def ready(affinities: Array, *, sections: bool = False) -> NDArray[np.float32]:
    """Check a block of affinities; take away edges on z where sections are cut on their own."""
    checked = probabilities(affinities)
    if sections:
        checked = checked.copy() if checked is affinities else checked
        checked[0] = 0
    return checked


def _thresholds(call: Call, options: AffinityOptions) -> Any:
    """Turn shares of edges into thresholds, by an exact histogram of the whole volume."""
    count = Reduction(
        _histogram_block,
        add_histograms,
        partial(_quantiles, low=options.low, high=options.high),
        params={
            "toward": options.toward,
            "sections": options.sections,
            "domain": domain_param(call.grid),
        },
    )
    return call.engine.reduce(count, *call.inputs, grid=call.grid, name="affinity_histogram")


def _histogram_block(
    block: Block, affinities: Array, *, toward: int, sections: bool, domain: list[list[int]]
) -> Columns:
    """Count the edges of a block, but none that leads out of the domain."""
    whole, counted = domain_box(domain), []
    checked = probabilities(affinities)
    for axis in range(1 if sections else 0, 3):
        inside = [slice(None)] * 3
        if toward < 0 and block.write.start[axis] == whole.start[axis]:
            inside[axis] = slice(1, None)
        if toward > 0 and block.write.stop[axis] == whole.stop[axis]:
            inside[axis] = slice(None, -1)
        counted.append(checked[axis][tuple(inside)].ravel())
    return value_histogram(np.concatenate(counted))


def _quantiles(histogram: Columns, *, low: float, high: float | None) -> Columns:
    share = np.cumsum(histogram["count"]) / max(1, histogram["count"].sum())
    value = np.append(histogram["value"], 1.0)
    return {
        name: value[np.searchsorted(share, np.array([q]))]
        for name, q in (("low", low), ("high", high))
        if q is not None
    }


def _ways_block(
    block: Block,
    affinities: Array,
    *shared: Columns,
    low: float,
    high: float | None,
    toward: int,
    sections: bool,
) -> NDArray[np.uint8]:
    if shared:
        low = float(shared[0]["low"][0])
        high = None if high is None else float(shared[0]["high"][0])
    return steepest_ways(
        ready(affinities, sections=sections),
        block.write.relative_to(block.read),
        low=low,
        high=np.inf if high is None else high,
        toward=toward,
    )


def _open_block(block: Block, ways: Array, *, domain: list[list[int]]) -> Columns:
    core, whole = block.write.relative_to(block.read), domain_box(domain)
    start = block.write.relative_to(whole).start
    return open_plateaus(ways, core, start=start, domain_shape=whole.shape)


def _divided_block(
    block: Block, ways: Array, shards: Shards, *, domain: list[list[int]]
) -> NDArray[np.uint8]:
    core, whole = block.write.relative_to(block.read), domain_box(domain)
    start, crossing = block.write.relative_to(whole).start, shards.of(block.number)
    return divided_ways(ways, core, crossing, start=start, domain_shape=whole.shape)


def _basins_block(block: Block, ways: Array, *, domain: list[list[int]]) -> Labels:
    whole = domain_box(domain)
    return basins(ways, start=block.write.relative_to(whole).start, domain_shape=whole.shape)


def _links_block(block: Block, parts: Labels, ways: Array) -> Columns:
    core = block.write.relative_to(block.read)
    a, b = crossing_pairs(parts, ways, core)
    return {"a": a, "b": b, **ids_on_faces(parts, core)}
