"""Skeletons across blocks: centre lines of a mask, the same for every grid and engine.

Every block thins what it sees.  What depends on voxels beyond is gathered from all blocks and
settled together, so that the halo decides the cost and never the result::

    mask ─► moments ─┬─► leftovers ─┐
                     └──────────────┴─► skeleton
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Columns, Op, Reduction
from volkit.errors import ConfigError
from volkit.geometry import Block, Box, Coord, Grid, coord
from volkit.kernels.sparse_voxels import within
from volkit.kernels.thinning import KEPT, Moments, thinning_moments
from volkit.kernels.thinning_leftovers import (
    add_leftovers,
    gather_leftovers,
    settle_leftovers,
)
from volkit.ops.arguments import Call, arguments
from volkit.ops.components import domain_box, domain_param, foreground

Array = NDArray[Any]
Faces = tuple[bool, bool, bool]


def skeletonize(
    mask: Any,
    *,
    threshold: float = 0.0,
    halo: Coord = (16, 16, 16),
    channel: int = 0,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "skeleton",
) -> Any:
    """Thin a mask to lines one voxel wide that hang together as the mask does.

    Components, tunnels and cavities are those of the mask (objects by faces, edges and corners,
    background by faces); ends of vessels stay.

    Parameters
    ----------
    mask : Volume, dask array or DataArray of bool, int or float, shape ([C,] Z, Y, X)
        A mask, or a map of probabilities.
    threshold : float
        Voxels above it are vessel.
    halo : tuple of int
        What a block sees around itself, voxels: some two radii of the widest vessel.  With less
        the skeleton is the same, and more of it is settled in one place.
    channel : int
        Which channel, where there are several.
    grid : Grid, optional
        Blocks to work in; the skeleton does not depend on it.
    engine : Engine, optional
        Where; None builds a lazy dask array.
    name : str
        Of the result in a job.

    Returns
    -------
    Volume, dask array or DataArray of uint8, shape (Z, Y, X)
        1 on the skeleton.

    Raises
    ------
    ConfigError
        If the halo is negative.
    ContractError
        By the block that meets NaN.
    """
    call = arguments(mask, grid=grid, engine=engine)
    return call.wrap(
        skeleton_stages(call, threshold=threshold, halo=halo, channel=channel, name=name)
    )


def skeleton_stages(
    call: Call, *, threshold: float, halo: Coord, channel: int = 0, name: str = "skeleton"
) -> Any:
    """Make the skeleton of a call's first input.

    Raises
    ------
    ConfigError
        If the halo is negative.
    """
    halo = coord(halo, name="halo")
    if min(halo) < 0:
        raise ConfigError(f"halo is {halo}; give 0 or more voxels on every axis")
    grid, engine = call.grid, call.engine
    place = {"domain": domain_param(grid)}
    thin = Op(
        _moments_block,
        dtype=np.uint8,
        halo=halo,
        params={"threshold": threshold, "channel": channel, **place},
        version=2,
    )
    moments = engine.map(thin, call.inputs[0], grid=grid, name=f"{name}_moments")
    gather = Reduction(
        _leftovers_block,
        add_leftovers,
        partial(settle_leftovers, start=grid.domain.start, domain_shape=grid.domain.shape),
        halo=(1, 1, 1),
        params=place,
        version=2,
        before=True,
    )
    settled = engine.reduce(gather, moments, grid=grid, name=f"{name}_leftovers")
    keep = Op(_skeleton_block, dtype=np.uint8, params=place)
    return engine.map(keep, moments, grid=grid, name=name, shared=(settled,))


def open_faces(block: Block, domain: Box) -> tuple[Faces, Faces]:
    """Tell on which faces the domain goes on beyond what a block reads: before, and after."""
    z, y, x = (a > b for a, b in zip(block.read.start, domain.start, strict=True))
    k, j, i = (a < b for a, b in zip(block.read.stop, domain.stop, strict=True))
    return (z, y, x), (k, j, i)


def _moments_block(
    block: Block, values: Array, *, threshold: float, channel: int, domain: list[list[int]]
) -> Moments:
    before, after = open_faces(block, domain_box(domain))
    mask = foreground(values, threshold=threshold, channel=channel)
    if not mask[block.crop].any():
        return np.zeros(block.write.shape, np.uint8)
    moments = thinning_moments(
        mask,
        start=block.read.start,
        open_before=before,
        open_after=after,
    )
    return np.ascontiguousarray(moments[block.crop])


def _leftovers_block(block: Block, moments: Moments, *, domain: list[list[int]]) -> Columns:
    whole = domain_box(domain)
    return gather_leftovers(
        moments, place=block.read.relative_to(whole).start, domain_shape=whole.shape
    )


def _skeleton_block(
    block: Block, moments: Moments, settled: Columns, *, domain: list[list[int]]
) -> NDArray[np.uint8]:
    skeleton = (moments == KEPT).astype(np.uint8)
    if len(settled["index"]):
        here = block.write.relative_to(domain_box(domain))
        places = np.stack(np.unravel_index(settled["index"], domain_box(domain).shape), -1)
        z, y, x = (places[within(places, here)] - here.start).T
        skeleton[z, y, x] = 1
    return skeleton
