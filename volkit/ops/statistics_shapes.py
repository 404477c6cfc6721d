"""Shapes of classes: surface, length and connectivity of the whole volume."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from volkit.engine.op import Columns
from volkit.geometry.scale import Vector
from volkit.kernels.class_shapes import length_of, surface_of

_NM_PER_UM = 1000.0


def shape_frame(
    shapes: Columns, counts: Columns, *, classes: Mapping[str, int], voxel_size_nm: Vector
) -> pd.DataFrame:
    """Compute surface, length and connectivity of classes in the whole volume.

    Parameters
    ----------
    shapes, counts : dict of ndarray
        Tables of the same bins.
    classes : mapping of str to int
        Labels by name.
    voxel_size_nm : tuple of float
        (z, y, x).

    Returns
    -------
    DataFrame
        ``class``, ``surface_um2``, ``surface_per_volume`` (1/um), ``length_um``,
        ``length_per_volume`` (1/um^2), ``euler``.
    """
    size = tuple(v / _NM_PER_UM for v in voxel_size_nm)
    volume = int(counts["voxels"].sum()) * float(np.prod(size))
    surface, length = surface_of(shapes, size), length_of(shapes, size)
    rows = []
    for name, label in classes.items():
        mine = shapes["label"] == label
        area, curve = float(surface[mine].sum()), float(length[mine].sum())
        rows.append(
            {
                "class": name,
                "surface_um2": area,
                "surface_per_volume": area / volume,
                "length_um": curve,
                "length_per_volume": curve / volume,
                "euler": int(shapes["euler"][mine].sum()),
            }
        )
    return pd.DataFrame(rows).astype({"class": "str"})
