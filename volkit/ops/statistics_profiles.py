"""Profiles of regions: features of every region over z, as an xarray Dataset."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from volkit.engine.op import Columns
from volkit.geometry import Box, Coord, VoxelScale
from volkit.ops.statistics_distances import distance_attributes, distance_columns, laid_mean
from volkit.ops.statistics_totals import bins_of, counted


def region_profiles(
    counts: Columns,
    cells: pd.DataFrame | None,
    *,
    classes: Mapping[str, int],
    bins: Coord,
    domain: Box,
    scale: VoxelScale,
    names: Mapping[str, int] | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Lay features of regions out over z.

    Parameters
    ----------
    counts : dict of ndarray
        From :func:`volkit.kernels.class_counts.class_counts`.
    cells : DataFrame or None
        Rows of cells or of :func:`volkit.ops.statistics_totals.grouped`; a cell counts in the
        region that holds most of it, and at its centroid.
    classes : mapping of str to int
        Labels by name.
    bins : tuple of int
        Extent of a bin, voxels.
    domain : Box
        Of the volume; bins begin at its first voxel.
    scale : VoxelScale
        Where voxels lie.
    names : mapping of str to int, optional
        Ids of regions by name: these are there even without a voxel.
    attributes : mapping, optional
        Of the Dataset.

    Returns
    -------
    xarray.Dataset
        dims (region, z), coordinates ``region`` (id) and ``z`` (centres of bins, nm): ``voxels``,
        ``NAME_fraction``, ``cells``, ``cell_voxels`` (mean size), and mean distances between cells
        where these have them.  NaN where a region has no voxel or no cell.  The attribute
        ``regions`` has the names of ids.
    """
    called = {int(x): str(x) for x in np.unique(counts["region"])}
    called.update({label: name for name, label in (names or {}).items()})
    ids = np.array(sorted(called), np.uint64)
    depth = -(-domain.shape[0] // bins[0])

    def laid(region: NDArray[Any], z_bin: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
        table = np.zeros((len(ids), depth), values.dtype)
        np.add.at(table, (np.searchsorted(ids, region), z_bin), values)
        return table

    dims = ("region", "z")
    voxels = laid(counts["region"], counts["z_bin"], counts["voxels"])
    found: dict[str, Any] = {"voxels": (dims, voxels, {"units": "voxels"})}
    with np.errstate(invalid="ignore"):
        for name, label in classes.items():
            own = {key: column[counts["label"] == label] for key, column in counts.items()}
            share = laid(own["region"], own["z_bin"], own["voxels"]) / voxels
            found[f"{name}_fraction"] = (dims, share, {"units": "1"})
        if cells is not None:
            totals = counted(cells)
            region = (
                totals["region"].to_numpy() if "region" in totals else ids[:1].repeat(len(totals))
            )
            z_bin = bins_of(cells, domain, bins)["z_bin"]
            count = laid(region, z_bin, totals["cells"].to_numpy())
            size = laid(region, z_bin, totals["voxels"].to_numpy()) / count
            found["cells"] = (dims, count, {"units": "1", "long_name": "by their centroid"})
            found["cell_voxels"] = (dims, size, {"units": "voxels", "long_name": "mean size"})
            for name in distance_columns(cells):
                mean = laid_mean(totals, name, (np.searchsorted(ids, region), z_bin), count.shape)
                found[name.removesuffix("_nm")] = (dims, mean, distance_attributes(name))
    centre = domain.start[0] + np.arange(depth) * bins[0] + (bins[0] - 1) / 2
    z = scale.origin_nm[0] + centre * scale.voxel_size_nm[0]
    coords = {
        "region": ("region", ids),
        "z": ("z", z, {"units": "nm"}),
    }
    # Names are no coordinate: Zarr has no stable form for text.
    regions = ", ".join(f"{called[int(x)]} = {int(x)}" for x in ids)
    return xr.Dataset(found, coords, {**(attributes or {}), "regions": regions})
