"""Objects: one row for each cell, in voxels and nanometres, as a table for Parquet."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.engine.op import Columns
from volkit.geometry import AXES, Box, VoxelScale
from volkit.io.tables import Column, Schema
from volkit.kernels.object_shape import (
    centroids,
    covariances,
    intensities,
    principal_axes,
    touches,
)
from volkit.kernels.object_table import STARTS, STOPS

_LIGHT = ("mean", "deviation", "lowest", "highest")


def object_frame(
    table: Columns,
    *,
    domain: Box,
    scale: VoxelScale,
    intensity_range: tuple[float, float] | None = None,
    regions: Columns | None = None,
) -> pd.DataFrame:
    """Make rows of the sums of objects.

    Parameters
    ----------
    table : dict of ndarray
        As :func:`volkit.kernels.object_table.object_sums` makes it.
    domain : Box
        The volume: objects at its faces may go on beyond.
    scale : VoxelScale
        Where voxels lie.
    intensity_range : tuple of float, optional
        Of an image that was not of 8 or 16 bits.
    regions : dict of ndarray, optional
        Voxels of every object in every region (``id``, ``region``, ``voxels``).

    Returns
    -------
    pandas.DataFrame
        Columns of :func:`object_schema`, in the order of ids.
    """
    size = scale.voxel_size_nm
    centre = centroids(table)
    lengths, longest = principal_axes(covariances(table, size))
    columns: dict[str, NDArray[Any]] = {"id": table["id"], "voxels": table["voxels"]}
    columns["volume_nm3"] = table["voxels"] * float(np.prod(size))
    columns.update({name: table[name] for name in (*STARTS, *STOPS)})
    for k, axis in enumerate(AXES):
        columns[axis] = centre[:, k]
    for k, axis in enumerate(AXES):
        columns[f"{axis}_nm"] = scale.origin_nm[k] + centre[:, k] * size[k]
    for k, name in enumerate(("long", "middle", "short")):
        columns[f"{name}_axis_nm"] = lengths[:, k]
    for k, axis in enumerate(AXES):
        columns[f"direction_{axis}"] = longest[:, k]
    columns["at_border"] = touches(table, domain)
    if "light" in table:
        low, high = intensity_range or (0.0, 65535.0)
        light = intensities(table, low=low, high=high)
        columns.update({f"intensity_{name}": light[name] for name in _LIGHT})
    if regions is not None:
        columns["region"] = most_shared(table["id"], regions)
    return pd.DataFrame(columns)


def object_schema(*, intensity: bool, regions: bool) -> Schema:
    """Give the columns of a table of objects.

    Parameters
    ----------
    intensity, regions : bool
        Whether there was an image, and whether there were regions.

    Returns
    -------
    Schema
    """
    columns = [
        Column("id", "uint64", "", "of the cell"),
        Column("voxels", "int64", "voxels", "its size"),
        Column("volume_nm3", "float64", "nm^3", "the same"),
        *(Column(name, "int64", "voxels", "first voxel of its box") for name in STARTS),
        *(Column(name, "int64", "voxels", "one after the last of its box") for name in STOPS),
        *(Column(axis, "float64", "voxels", "centroid") for axis in AXES),
        *(Column(f"{axis}_nm", "float64", "nm", "the same in space") for axis in AXES),
        *(
            Column(f"{name}_axis_nm", "float64", "nm", "of the ellipsoid that spreads alike")
            for name in ("long", "middle", "short")
        ),
        *(Column(f"direction_{axis}", "float64", "", "of the long axis") for axis in AXES),
        Column("at_border", "bool", "", "reaches a face of the volume"),
    ]
    if intensity:
        columns += [
            Column(f"intensity_{name}", "float64", "", "of the image in it") for name in _LIGHT
        ]
    if regions:
        columns.append(Column("region", "uint64", "", "that holds most of it"))
    return Schema(tuple(columns))


def most_shared(ids: NDArray[np.uint64], overlap: Columns) -> NDArray[np.uint64]:
    """Find the region that holds most voxels of each object; the smallest id of equals.

    Parameters
    ----------
    ids : ndarray of uint64
        Objects, sorted.
    overlap : dict of ndarray
        ``id``, ``region``, ``voxels``.

    Returns
    -------
    ndarray of uint64

    Examples
    --------
    >>> columns = {"id": [4, 4, 9], "region": [2, 1, 3], "voxels": [5, 5, 1]}
    >>> overlap = {name: np.array(column) for name, column in columns.items()}
    >>> most_shared(np.array([4, 9], np.uint64), overlap).tolist()
    [1, 3]
    """
    order = np.lexsort((overlap["region"], -overlap["voxels"], overlap["id"]))
    found, first = np.unique(overlap["id"][order], return_index=True)
    best = overlap["region"][order][first]
    result: NDArray[np.uint64] = best[np.searchsorted(found, ids)].astype(np.uint64)
    return result
