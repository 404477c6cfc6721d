"""Arguments of operations: what callers may give, brought into the form that engines take."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from volkit.engine.base import Engine
from volkit.engine.lazy import LazyEngine
from volkit.errors import GeometryError
from volkit.geometry import AXES, Box, Coord, Grid
from volkit.io.open import open_volume
from volkit.io.volume import Volume

_BLOCK = 128  # voxels: a default block holds at least this on every axis


@dataclass(frozen=True, slots=True)
class Call:
    """Inputs, grid and engine of one operation.

    Parameters
    ----------
    inputs : tuple
        Volumes or dask arrays.
    grid : Grid
        In which blocks.
    engine : Engine
        Where.
    template : xarray.DataArray or None
        The first input, where results should carry its coordinates.
    """

    inputs: tuple[Any, ...]
    grid: Grid
    engine: Engine
    template: xr.DataArray | None

    def wrap(self, result: Any) -> Any:
        """Give a result the kind of the inputs: a DataArray where they were.

        It keeps attributes, and all coordinates but those of the input's channels.
        """
        if self.template is None or not isinstance(result, da.Array):
            return result
        given = self.template
        coords = {
            name: found
            for name, found in given.coords.items()
            if name != "c" and {*found.dims} <= {*AXES}
        }
        dims = tuple(AXES) if result.ndim == 3 else ("c", *AXES)
        return xr.DataArray(result, dims=dims, coords=coords, attrs=given.attrs)


def arguments(*inputs: Any, grid: Grid | None, engine: Engine | None) -> Call:
    """Check the inputs of an operation and fill in grid and engine.

    Parameters
    ----------
    *inputs : Volume, dask array, ndarray or xarray.DataArray
        Arrays with axes ([c,] z, y, x), aligned voxel by voxel.
    grid : Grid or None
        None takes the chunks of a dask array, or blocks of whole stored objects of a Volume.
    engine : Engine or None
        None is LazyEngine.

    Returns
    -------
    Call

    Raises
    ------
    GeometryError
        If axes do not fit, or chunks are irregular and no grid was given.
    """
    template = next((x for x in inputs if isinstance(x, xr.DataArray)), None)
    arrays = tuple(_array(x) for x in inputs)
    grid = default_grid(arrays[0]) if grid is None else grid
    return Call(arrays, grid, LazyEngine() if engine is None else engine, template)


def default_grid(array: Any) -> Grid:
    """Make the grid of an array's own chunks.

    Parameters
    ----------
    array : Volume or dask array
        Axes ([c,] z, y, x).

    Returns
    -------
    Grid

    Raises
    ------
    GeometryError
        If the chunks of a dask array are irregular.
    """
    if isinstance(array, Volume):
        return Grid(array.domain, _block_shape(array))
    block: Coord = tuple(c[0] for c in array.chunks[-3:])
    grid = Grid(Box.from_shape(array.shape[-3:]), block)
    if grid.chunks != array.chunks[-3:]:
        raise GeometryError(
            f"the array's chunks {array.chunks[-3:]} are irregular; rechunk it to equal ones, such "
            f"as {block}"
        )
    return grid


def _block_shape(volume: Volume) -> Coord:
    z, y, x = (
        min(n, -(-_BLOCK // unit) * unit)
        for n, unit in zip(volume.shape, volume.write_shape, strict=True)
    )
    return z, y, x


def _array(value: Any) -> Any:
    if isinstance(value, Volume):
        return value
    if isinstance(value, np.ndarray):
        return open_volume(value)
    if isinstance(value, xr.DataArray):
        value = _plain(value)
    if not isinstance(value, da.Array) or value.ndim not in (3, 4):
        raise GeometryError(
            f"input is {type(value).__name__} of {getattr(value, 'ndim', '?')} axes; give a "
            "Volume, or a dask array or DataArray with axes ([c,] z, y, x)"
        )
    if not all(isinstance(n, Integral) for n in value.shape):
        raise GeometryError(
            f"the dask array has chunks of unknown size, shape {value.shape}; call its "
            "compute_chunk_sizes() first"
        )
    return value


def _plain(array: xr.DataArray) -> Any:
    """Take the dask array out of a DataArray, with axes in order."""
    if set(array.dims) - {"c"} != set(AXES):
        raise GeometryError(f"DataArray has dims {array.dims}; rename them to z, y, x (and c)")
    ordered = array.transpose(*(d for d in ("c", *AXES) if d in array.dims))
    data = ordered.data
    return data if isinstance(data, da.Array) else da.from_array(data, chunks=-1)
