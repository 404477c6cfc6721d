"""Vessel segments: what a branch is like, in columns of a table."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Coord
from volkit.kernels.skeleton_branches import Branches
from volkit.kernels.skeleton_runs import (
    BORDER,
    FIRST,
    HIGH,
    LOW,
    PLACE,
    POINTS,
    RADIUS,
    RADIUS_UNIT,
    THICKEST,
    THINNEST,
)
from volkit.kernels.vessel_radius import Spacing

Columns = dict[str, NDArray[Any]]


def segment_columns(
    branches: Branches, *, spacing_um: Spacing, start: Coord = (0, 0, 0)
) -> Columns:
    """Describe the branches of a graph.

    Parameters
    ----------
    branches : Branches
        The graph, in the unit of ``spacing_um``.
    spacing_um : tuple of float
        Extent of a voxel, (z, y, x), micrometres.
    start : tuple of int
        First voxel of the domain.

    Returns
    -------
    dict of ndarray
        One row for each: ``segment_id``, ``node_a``, ``node_b`` (uint64), ``free_ends``,
        ``n_points`` (int64), ``length_um``, ``radius_um_mean``, ``radius_um_min``,
        ``radius_um_max``, ``tortuosity`` (float64; NaN where both ends are one), ``depth_um``
        (below the first plane of the domain), ``centroid_z``, ``_y``, ``_x`` (float64, voxels),
        ``z0`` … ``x1`` (int64, voxels, half-open: the vessel around the branch), and
        ``touches_border`` (bool).
    """
    total, points = branches.total, branches.total[:, POINTS]
    centre = total[:, PLACE] / points[:, None]
    spacing = np.array(spacing_um, float)
    chord = np.sqrt((((branches.tip[:, 1] - branches.tip[:, 0]) * spacing) ** 2).sum(1))
    straight = np.where(chord > 0, chord, np.nan)
    low, high = total[:, LOW] + np.array(start), total[:, HIGH] + np.array(start)
    columns = {
        "segment_id": (total[:, FIRST] + 1).astype(np.uint64),
        "node_a": branches.node[:, 0],
        "node_b": branches.node[:, 1],
        "free_ends": branches.free.sum(1).astype(np.int64),
        "n_points": points,
        "length_um": branches.length,
        "radius_um_mean": total[:, RADIUS] / points * RADIUS_UNIT,
        "radius_um_min": total[:, THINNEST] * RADIUS_UNIT,
        "radius_um_max": total[:, THICKEST] * RADIUS_UNIT,
        "tortuosity": branches.length / straight,
        "depth_um": centre[:, 0] * spacing[0],
    }
    columns |= {f"centroid_{a}": centre[:, n] + start[n] for n, a in enumerate("zyx")}
    columns |= {f"{a}0": low[:, n] for n, a in enumerate("zyx")}
    columns |= {f"{a}1": high[:, n] for n, a in enumerate("zyx")}
    return columns | {"touches_border": total[:, BORDER] > 0}


def junction_columns(branches: Branches, *, start: Coord = (0, 0, 0)) -> Columns:
    """Describe the junctions of a graph.

    Parameters
    ----------
    branches : Branches
        The graph.
    start : tuple of int
        First voxel of the domain.

    Returns
    -------
    dict of ndarray
        One row for each: ``junction_id`` (uint64), ``junction_points``, ``junction_degree``
        (int64, sides of branches that end there), ``junction_radius_um`` (float64, the greatest)
        and ``junction_z``, ``_y``, ``_x`` (float64, voxels).
    """
    knots = branches.junctions
    ending = np.searchsorted(knots["id"], branches.node[~branches.free & (branches.node > 0)])
    centre = knots["place"] / knots["points"][:, None] + np.array(start)
    return {
        "junction_id": knots["id"],
        "junction_points": knots["points"],
        "junction_degree": np.bincount(ending, minlength=len(knots["id"])).astype(np.int64),
        "junction_radius_um": knots["radius"] * RADIUS_UNIT,
    } | {f"junction_{a}": centre[:, n] for n, a in enumerate("zyx")}
