"""Branches: runs of all blocks joined, from junction to junction, and the nodes between them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from volkit.geometry import Coord
from volkit.kernels.label import unite
from volkit.kernels.skeleton_runs import (
    CLOSED,
    CUT,
    END,
    FIRST,
    JUNCTION,
    LEADS,
    LEAST,
    LINK,
    MOST,
    STEP_KINDS,
    STEPS,
    SUMS,
    Table,
    step_kind,
)
from volkit.kernels.vessel_radius import Spacing

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Branches:
    """The graph of a skeleton.

    Parameters
    ----------
    total : ndarray of int64, shape (B, 29)
        Columns as of a run, whose ends and links mean nothing any more; sorted by first voxel.
    node : ndarray of uint64, shape (B, 2)
        1 + the index of the first voxel of the junction, or of the free end, on either side, the
        smaller first; 0 where the branch is closed.
    tip : ndarray of float64, shape (B, 2, 3)
        Where either side ends, (z, y, x), voxels: in a voxel, or in the centre of a junction; NaN
        where the branch is closed.
    free : ndarray of bool, shape (B, 2)
        Whether that side is a free end.
    length : ndarray of float64, shape (B,)
        Sum of the steps and of the ways into the centres of junctions, unit of the spacing.
    junctions : dict of ndarray
        ``id`` (uint64, sorted), ``points``, ``radius`` (the greatest, int64) and ``place`` (int64,
        shape (J, 3), sums).
    """

    total: Ints
    node: NDArray[np.uint64]
    tip: NDArray[np.float64]
    free: NDArray[np.bool_]
    length: NDArray[np.float64]
    junctions: Table


def join_runs(table: Table, *, spacing: Spacing, domain_shape: Coord) -> Branches:
    """Join the runs of all blocks to branches.

    Parameters
    ----------
    table : dict of ndarray
        Of the whole volume, from ``add_runs``.
    spacing : tuple of float
        Extent of a voxel, (z, y, x).
    domain_shape : tuple of int
        Extent of the domain.

    Returns
    -------
    Branches
        The same for every grid.
    """
    run, cluster = table["run"], _clusters(table)
    sides = np.concatenate([run[:, [0, 2, 4]], run[:, [1, 3, 5]]])  # end, link, leads
    owner = np.tile(np.arange(len(run)), 2)
    a, b = _matched(sides)
    links = coo_array((np.ones(len(a), bool), (owner[a], owner[b])), shape=(len(run),) * 2)
    count, group = connected_components(links, directed=False)
    total = _add_up(run, group, count)
    _add_steps(total, group[owner[a]], sides[a], domain_shape)
    knots = np.flatnonzero(sides[:, 2] == JUNCTION)
    _add_steps(total, group[owner[knots]], sides[knots], domain_shape)
    node, tip, free = _ends(sides, group[owner], count, cluster)
    order = np.argsort(total[:, FIRST], kind="stable")
    total, node, tip, free = total[order], node[order], tip[order], free[order]
    junctions = _junctions(table["junction"], cluster)
    last = places(np.maximum(tip, 0), domain_shape)
    centre = _centres(last, node, free, junctions)
    length = step_lengths(total[:, STEPS], spacing)
    for n in (0, 1):
        way = (centre[:, n] - last[:, n]) * np.array(spacing, float)
        length += np.where(node[:, n] > 0, np.sqrt((way**2).sum(1)), 0.0)
    centre[node == 0] = np.nan
    return Branches(total, node, centre, free, length, junctions)


def step_lengths(steps: Ints, spacing: Spacing) -> NDArray[np.float64]:
    """Turn counts of steps, shape (B, 8), into lengths."""
    length = np.zeros(len(steps))
    for kind in range(1, STEP_KINDS):
        axes = np.array([kind >> 2 & 1, kind >> 1 & 1, kind & 1], bool)
        length += steps[:, kind] * float(np.sqrt((np.array(spacing, float)[axes] ** 2).sum()))
    return length


def places(index: Ints, domain_shape: Coord) -> Ints:
    """Turn indices into voxels, (z, y, x)."""
    return np.stack(np.unravel_index(index, domain_shape), -1).astype(np.int64)


def _clusters(table: Table) -> Table:
    """Name the junction that each voxel of one belongs to, by its first voxel."""
    index = table["junction"][:, 0]
    touch = table["touch"].astype(np.uint64)
    old, new = unite(touch[:, 0], touch[:, 1])
    name = index.copy()
    name[np.searchsorted(index, old.astype(np.int64))] = new.astype(np.int64)
    return {"index": index, "name": name}


def _matched(sides: Ints) -> tuple[Any, Any]:
    """Pair the two sides of every cut."""
    cut = np.flatnonzero(sides[:, 2] == CUT)
    low, high = sides[cut, :2].min(1), sides[cut, :2].max(1)
    order = cut[np.lexsort([high, low])]
    return order[0::2], order[1::2]


def _add_up(run: Ints, group: Any, count: int) -> Ints:
    total = np.zeros((count, run.shape[1]), np.int64)
    total[:, LEAST] = np.iinfo(np.int64).max
    np.add.at(total[:, SUMS], group, run[:, SUMS])
    np.minimum.at(total[:, LEAST], group, run[:, LEAST])
    np.maximum.at(total[:, MOST], group, run[:, MOST])
    total[:, END], total[:, LINK], total[:, LEADS] = -1, -1, CLOSED
    return total


def _add_steps(total: Ints, group: Any, sides: Ints, domain_shape: Coord) -> None:
    """Count the steps from the ends of runs to what lies beyond."""
    here, there = (places(sides[:, n], domain_shape) for n in (0, 1))
    np.add.at(total[:, STEPS], (group, step_kind(here.T, there.T)), 1)


def _ends(sides: Ints, group: Any, count: int, cluster: Table) -> Any:
    """Find node, last voxel and freedom of the two sides of every branch."""
    last = np.flatnonzero((sides[:, 2] != CUT) & (sides[:, 2] != CLOSED))
    side, branch = sides[last], group[last]
    knot = side[:, 2] == JUNCTION
    tip = np.where(knot, side[:, 1], side[:, 0])
    name = tip.copy()
    name[knot] = cluster["name"][np.searchsorted(cluster["index"], tip[knot])]
    order = np.lexsort([side[:, 0], tip, name, branch])
    nodes = np.zeros((count, 2), np.uint64)
    tips = np.full((count, 2), -1, np.int64)
    free = np.zeros((count, 2), bool)
    for n in (0, 1):
        rows = order[n::2]
        nodes[branch[rows], n] = name[rows] + 1
        tips[branch[rows], n], free[branch[rows], n] = tip[rows], ~knot[rows]
    return nodes, tips, free


def _centres(last: Ints, node: Any, free: Any, junctions: Table) -> NDArray[np.float64]:
    """Move the ends of branches from the voxels of junctions to their centres."""
    centre = last.astype(np.float64)
    knot = ~free & (node > 0)
    row = np.searchsorted(junctions["id"], node[knot])
    centre[knot] = junctions["place"][row] / junctions["points"][row, None]
    return centre


def _junctions(voxels: Ints, cluster: Table) -> Table:
    names, group = np.unique(cluster["name"], return_inverse=True)
    place, radius = np.zeros((len(names), 3), np.int64), np.zeros(len(names), np.int64)
    np.add.at(place, group, voxels[:, 2:])
    np.maximum.at(radius, group, voxels[:, 1])
    return {
        "id": names.astype(np.uint64) + np.uint64(1),
        "points": np.bincount(group, minlength=len(names)),
        "radius": radius,
        "place": place,
    }
