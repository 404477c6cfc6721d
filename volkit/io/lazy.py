"""Volumes as lazy dask and xarray arrays, read block by block inside the tasks."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
from dask.base import tokenize

from volkit.geometry import AXES, Box, Coord, Grid, coord
from volkit.io.axes import Array
from volkit.io.coordinates import SIZE

if TYPE_CHECKING:
    import xarray as xr

    from volkit.io.volume import Volume

_BLOCK_VOXELS = 128**3  # a task reads about so many, so that it takes milliseconds, not micro


def dask_array(volume: "Volume", block_shape: Coord | None = None) -> da.Array:
    """Make a dask array of a volume, one task per block.

    Parameters
    ----------
    volume : Volume
        What to read.
    block_shape : tuple of int or None
        Extent of a block; None chooses.

    Returns
    -------
    dask array, shape ([C,] Z, Y, X)
    """
    block = default_block(volume) if block_shape is None else coord(block_shape, name="block_shape")
    grid = Grid(volume.domain, block)
    lead = () if volume.channels is None else ((volume.channels,),)
    name = f"volume-{tokenize(volume, block)}"
    if volume.uri.startswith("array://"):
        # The voxels are in memory: cut them here, so that a task carries its block and no more.
        chunks = (*(c[0] for c in lead), *block)
        return da.from_array(volume.read(), chunks=chunks, name=name)
    return da.map_blocks(
        _read_block,
        name=name,
        chunks=(*lead, *grid.chunks),
        dtype=volume.dtype,
        meta=np.empty((0,) * (3 + len(lead)), volume.dtype),
        volume=volume,
        grid=grid,
    )


def data_array(volume: "Volume", block_shape: Coord | None = None) -> "xr.DataArray":
    """Make a DataArray of a volume: dims ([c,] z, y, x), centres of voxels in nanometres."""
    import xarray as xr

    scale, domain = volume.scale, volume.domain
    axes = zip(AXES, domain.start, domain.stop, scale.origin_nm, scale.voxel_size_nm, strict=True)
    coords: dict[str, Any] = {
        axis: (axis, origin + np.arange(start, stop) * size, {"units": "nm"})
        for axis, start, stop, origin, size in axes
    }
    return xr.DataArray(
        dask_array(volume, block_shape),
        dims=[*(() if volume.channels is None else "c"), *AXES],
        coords=coords,
        name=Path(volume.uri.partition("?")[0]).stem,
        attrs={"uri": volume.uri, "level": volume.level, SIZE: scale.voxel_size_nm},
    )


def default_block(volume: "Volume") -> Coord:
    """Choose a block of whole stored objects, of about 128³ voxels.

    Objects are joined along the axis where the block is shortest, so that thin planes do not make
    one task each.
    """
    extent, unit = list(volume.shape), volume.write_shape
    block = [min(u, n) for u, n in zip(unit, extent, strict=True)]
    while np.prod(block, dtype=np.int64) < _BLOCK_VOXELS:
        open_axes = [i for i in range(3) if block[i] < extent[i]]
        if not open_axes:
            break
        axis = min(open_axes, key=lambda i: block[i])
        block[axis] = min(2 * block[axis], extent[axis])
    return coord(block, name="block_shape")


def _read_block(volume: "Volume", grid: Grid, block_id: tuple[int, ...]) -> Array:
    z, y, x = block_id[-3:]
    box: Box = grid.block((z, y, x)).write
    return volume.read(box)
