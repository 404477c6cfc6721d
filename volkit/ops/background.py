"""Background given to labels: a flood of the boundary map from the labels themselves."""

from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Op
from volkit.errors import ConfigError
from volkit.geometry import Block, Coord, Grid, Windows, coord
from volkit.kernels.probability import probabilities
from volkit.kernels.watershed import flood
from volkit.ops.arguments import arguments
from volkit.ops.components import domain_box, domain_param, single_channel

Array = NDArray[Any]
Labels = NDArray[np.uint64]


def fill_background(
    labels: Any,
    prob: Any,
    *,
    tile: Coord = (128, 128, 128),
    halo: Coord = (32, 32, 32),
    channel: int = 0,
    grid: Grid | None = None,
    engine: Engine | None = None,
) -> Any:
    """Give every voxel of the background to the label whose flood reaches it first.

    Tiles of a fixed lattice are flooded, each with what it sees around itself, so that the result
    does not depend on blocks.

    Parameters
    ----------
    labels : Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        Ids; 0 is filled.
    prob : Volume, dask array or DataArray of float or uint8, shape ([C,] Z, Y, X)
        Boundary probability, which the flood climbs.
    tile : tuple of int
        Extent of the tiles that are flooded one by one, voxels.
    halo : tuple of int
        What a tile sees around itself, voxels: more than the background is thick.
    channel : int
        Which channel of the map is the boundary.
    grid : Grid, optional
        Blocks to work in; the labels do not depend on it.
    engine : Engine, optional
        Where; None builds a lazy dask array.

    Returns
    -------
    Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        Labels; 0 only in tiles that see none.

    Raises
    ------
    ConfigError
        If tiles are empty or a halo is negative.
    GeometryError
        If the chunks of a dask array are thinner than what tiles see around a block.
    """
    tile, halo = coord(tile, name="tile"), coord(halo, name="halo")
    if min(tile) < 1 or min(halo) < 0:
        raise ConfigError(
            f"tile is {tile}, halo is {halo}; give a tile of at least 1 voxel and a halo of 0 or "
            "more on every axis"
        )
    call = arguments(labels, prob, grid=grid, engine=engine)
    z, y, x = (h + t - gcd(t, b) for h, t, b in zip(halo, tile, call.grid.block_shape, strict=True))
    fill = Op(
        _fill_block,
        dtype=np.uint64,
        halo=(z, y, x),
        params={
            "tile": list(tile),
            "halo": list(halo),
            "channel": channel,
            "domain": domain_param(call.grid),
        },
    )
    return call.wrap(call.engine.map(fill, *call.inputs, grid=call.grid, name="filled"))


def _fill_block(
    block: Block,
    labels: Array,
    prob: Array,
    *,
    tile: list[int],
    halo: list[int],
    channel: int,
    domain: list[list[int]],
) -> Labels:
    """Flood every tile that touches a block; keep the block's part of each."""
    boundary, whole = probabilities(single_channel(prob, channel)), domain_box(domain)
    shape = tuple(t + 2 * h for t, h in zip(tile, halo, strict=True))
    lattice = Windows(whole, shape, tuple(tile), tuple(halo))  # type: ignore[arg-type]
    out = np.zeros(block.write.shape, np.uint64)
    for index in lattice.touching(block.write):
        seen = lattice.window(index).intersect(whole)
        kept = lattice.trusted_box(index).intersect(block.write)
        here = seen.relative_to(block.read).slices
        flooded = flood(boundary[here], labels[here].astype(np.uint64, copy=False))
        out[kept.relative_to(block.write).slices] = flooded[kept.relative_to(seen).slices]
    return out
