"""Gridded statistics: features of bins as an xarray Dataset, and as a volume for viewers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from volkit.engine.op import Columns
from volkit.geometry import Box, Coord, VoxelScale
from volkit.io.layout import UNSTATED
from volkit.io.open import create_volume
from volkit.io.volume import Volume
from volkit.kernels.class_counts import BINS
from volkit.kernels.class_shapes import length_of, surface_of
from volkit.ops.statistics_distances import distance_attributes, distance_columns, laid_mean
from volkit.ops.statistics_totals import bins_of, counted

_NM_PER_UM = 1000.0


def grid_dataset(
    tables: Mapping[str, Columns],
    *,
    classes: Mapping[str, int],
    bins: Coord,
    domain: Box,
    scale: VoxelScale,
    cells: pd.DataFrame | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Lay features of bins out on their grid.

    Parameters
    ----------
    tables : mapping of str to dict of ndarray
        ``counts``, and ``shapes`` where there are any.
    classes : mapping of str to int
        Labels by name.
    bins : tuple of int
        Extent of a bin, voxels.
    domain : Box
        Of the volume; bins begin at its first voxel.
    scale : VoxelScale
        Where voxels lie.
    cells : DataFrame, optional
        Cells count in the bin of their centroid.
    provenance : mapping, optional
        JSON text and numbers for the attributes.

    Returns
    -------
    xarray.Dataset
        dims (z, tile_y, tile_x), coordinates of centres of bins in nm: ``voxels``,
        ``NAME_fraction``, ``NAME_surface_density`` (1/um), ``NAME_length_density`` (1/um^2),
        ``cells``, ``cell_voxels`` (mean size), ``distance_1`` and so on where cells have them (mean
        to the k-th nearest other, anywhere).  NaN where a bin has no voxel or no cell.
    """
    shape = bin_grid(domain, bins)
    dims = ("z", "tile_y", "tile_x")
    counts = tables["counts"]
    voxels = _laid(counts, counts["voxels"], shape)
    found = {"voxels": (dims, voxels, {"units": "voxels", "long_name": "voxels of the bin"})}
    with np.errstate(invalid="ignore", divide="ignore"):
        for name, label in classes.items():
            mine = _of_label(counts, label)
            values = _laid(mine, mine["voxels"], shape) / voxels
            found[f"{name}_fraction"] = (dims, values, {"units": "1"})
        if "shapes" in tables:
            found.update(_shape_densities(tables["shapes"], classes, voxels, scale, dims))
        if cells is not None:
            found.update(_cell_maps(cells, shape, bins, domain, dims))
    coords = {
        dim: (dim, _centres(domain.start[k], bins[k], shape[k], scale, k), {"units": "nm"})
        for k, dim in enumerate(dims)
    }
    about = {
        "bins_voxels": list(bins),
        "voxel_size_nm": list(scale.voxel_size_nm),
        "classes": ", ".join(f"{name} = {label}" for name, label in classes.items()),
    }
    return xr.Dataset(found, coords, {**about, **(provenance or {})})


def profile_dataset(dataset: xr.Dataset) -> xr.Dataset:
    """Average a Dataset over its tiles, weighing each by its voxels: profiles over z.

    Parameters
    ----------
    dataset : xarray.Dataset
        From :func:`grid_dataset`.

    Returns
    -------
    xarray.Dataset
        dim z; counts are summed.
    """
    tiles = ("tile_y", "tile_x")
    found = {}
    for key, values in dataset.data_vars.items():
        name = str(key)
        if name in ("voxels", "cells"):
            found[name] = values.sum(tiles)
        else:
            of_cells = name == "cell_voxels" or name.startswith("distance_")
            weights = dataset["cells" if of_cells else "voxels"].where(values.notnull(), 0)
            found[name] = (values.fillna(0) * weights).sum(tiles) / weights.sum(tiles)
        found[name].attrs = dict(values.attrs)
    return xr.Dataset(found, attrs=dataset.attrs)


def density_volume(
    path: Path, dataset: xr.Dataset, *, bins: Coord, domain: Box, scale: VoxelScale
) -> Volume:
    """Store the fractions of classes as an OME-Zarr volume, one voxel for each bin.

    It lies over the volume that it was made of, so that viewers show both together.

    Parameters
    ----------
    path : Path
        Target; what was there before is replaced.
    dataset : xarray.Dataset
        From :func:`grid_dataset`; coordinates in voxels have no size to take over.
    bins, domain, scale
        As there.

    Returns
    -------
    Volume
        float32, one channel for each class in the order of the mapping.
    """
    names = [str(name) for name in dataset.data_vars if str(name).endswith("_fraction")]
    values = np.stack([dataset[name].to_numpy() for name in names]).astype(np.float32)
    z, y, x = (v * b for v, b in zip(scale.voxel_size_nm, bins, strict=True))
    oz, oy, ox = (
        scale.origin_nm[k] + (domain.start[k] + (bins[k] - 1) / 2) * scale.voxel_size_nm[k]
        for k in range(3)
    )
    volume = create_volume(
        path,
        overwrite=True,
        attributes={
            "channels": [name.removesuffix("_fraction") for name in names],
            **({UNSTATED: False} if dataset["z"].attrs.get("units") == "voxels" else {}),
        },
        shape=values.shape[1:],
        channels=len(names),
        dtype=np.float32,
        voxel_size_nm=(z, y, x),
        origin_nm=(oz, oy, ox),
    )
    volume.write(volume.domain, np.nan_to_num(values))
    return volume


def bin_grid(domain: Box, bins: Coord) -> Coord:
    """Count the bins on every axis; the last may be cut by the end of the volume."""
    z, y, x = (-(-n // b) for n, b in zip(domain.shape, bins, strict=True))
    return z, y, x


def _of_label(table: Columns, label: int) -> Columns:
    mine = table["label"] == label
    return {name: column[mine] for name, column in table.items()}


def _laid(table: Columns, values: NDArray[Any], shape: Coord) -> NDArray[Any]:
    """Add values up where their bins lie."""
    grid = np.zeros(shape, values.dtype)
    np.add.at(grid, tuple(table[name] for name in BINS), values)
    return grid


def _shape_densities(
    shapes: Columns,
    classes: Mapping[str, int],
    voxels: NDArray[np.int64],
    scale: VoxelScale,
    dims: tuple[str, ...],
) -> dict[str, Any]:
    size = tuple(v / _NM_PER_UM for v in scale.voxel_size_nm)
    volume = voxels * float(np.prod(size))
    found = {}
    for name, label in classes.items():
        mine = _of_label(shapes, label)
        if len(mine["label"]):
            area = _laid(mine, surface_of(mine, size), voxels.shape)
            curve = _laid(mine, length_of(mine, size), voxels.shape)
            found[f"{name}_surface_density"] = (dims, area / volume, {"units": "1/um"})
            found[f"{name}_length_density"] = (dims, curve / volume, {"units": "1/um^2"})
    return found


def _cell_maps(
    cells: pd.DataFrame, shape: Coord, bins: Coord, domain: Box, dims: tuple[str, ...]
) -> dict[str, Any]:
    place: Columns = dict(bins_of(cells, domain, bins))
    totals = counted(cells)
    count = _laid(place, totals["cells"].to_numpy(), shape)
    total = _laid(place, totals["voxels"].to_numpy(), shape)
    found = {
        "cells": (dims, count, {"units": "1", "long_name": "cells with their centroid here"}),
        "cell_voxels": (dims, total / count, {"units": "voxels", "long_name": "mean size"}),
    }
    for name in distance_columns(cells):
        mean = laid_mean(totals, name, tuple(place[axis] for axis in BINS), shape)
        found[name.removesuffix("_nm")] = (dims, mean, distance_attributes(name))
    return found


def _centres(start: int, size: int, count: int, scale: VoxelScale, k: int) -> NDArray[np.float64]:
    voxel = start + np.arange(count) * size + (size - 1) / 2
    return np.asarray(scale.origin_nm[k] + voxel * scale.voxel_size_nm[k])
