"""Runs: the pieces of a skeleton's branches that lie in one block, and the junctions beside them.

A voxel with three neighbours or more is part of a junction, all others of a run.  A run ends where
the skeleton ends (``FREE``), at a junction (``JUNCTION``), or at the face of the block (``CUT``).
Everything counted is a whole number, so that pieces add up to the same bits in any order.
"""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box, Coord
from volkit.kernels.sparse_voxels import set_voxels, within

Table = dict[str, NDArray[Any]]
"""``run`` (int64, a row for each; columns below), ``junction`` (int64: index, radius, z, y, x of
each voxel of a junction) and ``touch`` (int64: the indices of two such voxels side by side)."""

FREE, CUT, JUNCTION, CLOSED = 0, 1, 2, 3
"""Where an end of a run leads; a closed run has no ends."""

RADIUS_UNIT = 2.0**-20
"""Radii are whole multiples of it, in the unit of the spacing."""

STEP_KINDS = 8  # 4 |dz| + 2 |dy| + |dx|

# The columns of a run: its two end voxels, the voxels beyond them, where they lead ...
END, LINK, LEADS = slice(0, 2), slice(2, 4), slice(4, 6)
# ... sums: steps of each kind, points, radius, z, y, x ...
SUMS = slice(6, 19)
STEPS, POINTS, RADIUS, PLACE = slice(6, 14), 14, 15, slice(16, 19)
# ... least values: index, radius, and the box's first voxel ...
LEAST = slice(19, 24)
FIRST, THINNEST, LOW = 19, 20, slice(21, 24)
# ... greatest values: radius, the end of the box, whether it touches the border of the domain.
MOST = slice(24, 29)
THICKEST, HIGH, BORDER = 24, slice(25, 28), 28
WIDTH = 29


def skeleton_runs(
    skeleton: NDArray[np.bool_],
    core: Box,
    radius: NDArray[np.int64],
    reach: NDArray[np.int64],
    *,
    start: Coord,
    domain_shape: Coord,
) -> Table:
    """Trace the runs and junctions of a block.

    Parameters
    ----------
    skeleton : ndarray of bool, shape (Z, Y, X)
        Of the block and of two voxels or more around it, where the volume has them.
    core : Box
        The block itself, in the array's own coordinates.
    radius : ndarray of int64, shape (N,)
        Of each skeleton voxel of the core, in C order, units of ``RADIUS_UNIT``.
    reach : ndarray of int64, shape (N, 3)
        How far the vessel goes on each axis from it, voxels.
    start : tuple of int
        Where the array begins in the domain, voxels.
    domain_shape : tuple of int
        Extent of the domain.

    Returns
    -------
    dict of ndarray
        A table that ``add_runs`` adds up.

    Examples
    --------
    >>> line = np.ones((1, 1, 5), bool)
    >>> one = np.ones(5, np.int64)
    >>> run = skeleton_runs(line, Box((0, 0, 0), (1, 1, 5)), one, np.stack([one] * 3, 1),
    ...                     start=(0, 0, 0), domain_shape=(1, 1, 5))["run"][0]
    >>> run[END].tolist(), run[STEPS].tolist(), int(run[POINTS])
    ([0, 4], [0, 4, 0, 0, 0, 0, 0, 0], 5)
    """
    near = set_voxels(skeleton)
    near = near[within(near, core.grow((1, 1, 1)))]
    place = near + np.array(start)
    index = (place[:, 0] * domain_shape[1] + place[:, 1]) * domain_shape[2] + place[:, 2]
    own = within(near, core)
    given = np.flatnonzero(own)
    rows = np.zeros((len(near), WIDTH), np.int64)
    rows[given] = _rows(index[given], place[given], radius, reach, domain_shape)
    degree, neighbours = _neighbours(skeleton, near, index, start, domain_shape)
    in_run = own & (degree <= 2)
    knots = given[degree[given] > 2]
    junction = np.column_stack([index[knots], radius[degree[given] > 2], place[knots]])
    return {
        "run": _trace(index, place, rows, in_run, degree, neighbours),
        "junction": junction,
        "touch": _touching(index, degree, neighbours, knots),
    }


def add_runs(tables: Sequence[Table]) -> Table:
    """Put the tables of blocks together, sorted by voxel."""
    keys = {"run": [FIRST], "junction": [0], "touch": [1, 0]}
    sums = {}
    for name, columns in keys.items():
        rows = np.concatenate([table[name] for table in tables])
        sums[name] = rows[np.lexsort([rows[:, column] for column in columns])]
    return sums


def _rows(index: Any, place: Any, radius: Any, reach: Any, domain_shape: Coord) -> Any:
    """Describe each voxel as if it were a run."""
    rows = np.zeros((len(index), WIDTH), np.int64)
    low, high = place - reach, place + reach + 1
    rows[:, POINTS], rows[:, RADIUS], rows[:, PLACE] = 1, radius, place
    rows[:, FIRST], rows[:, THINNEST], rows[:, THICKEST] = index, radius, radius
    rows[:, LOW], rows[:, HIGH] = np.maximum(low, 0), np.minimum(high, domain_shape)
    rows[:, BORDER] = ((low <= 0) | (high >= np.array(domain_shape))).any(1)
    return rows


@numba.njit(nogil=True, cache=True)
def _neighbours(skeleton: Any, near: Any, index: Any, start: Coord, domain_shape: Coord) -> Any:
    """Count the neighbours of each voxel and list those that are near; the index is sorted."""
    degree = np.zeros(len(near), np.int64)
    neighbours = np.full((len(near), 26), -1, np.int64)
    nz, ny, nx = skeleton.shape
    for n in range(len(near)):
        z, y, x = near[n]
        for k in range(max(0, z - 1), min(nz, z + 2)):
            for j in range(max(0, y - 1), min(ny, y + 2)):
                row = ((k + start[0]) * domain_shape[1] + j + start[1]) * domain_shape[2] + start[2]
                for i in range(max(0, x - 1), min(nx, x + 2)):
                    if skeleton[k, j, i] and not (k == z and j == y and i == x):
                        at = np.searchsorted(index, row + i)
                        if at < len(index) and index[at] == row + i:
                            neighbours[n, degree[n]] = at
                        degree[n] += 1
    return degree, neighbours


@numba.njit(nogil=True, cache=True)
def _touching(index: Any, degree: Any, neighbours: Any, knots: Any) -> Any:
    """Pair each voxel of a junction with its earlier neighbours in junctions."""
    pairs = np.empty((26 * len(knots), 2), np.int64)
    count = 0
    for n in knots:
        for m in neighbours[n]:
            if m >= 0 and degree[m] > 2 and index[m] < index[n]:
                pairs[count, 0], pairs[count, 1] = index[m], index[n]
                count += 1
    return pairs[:count].copy()


@numba.njit(nogil=True, cache=True)
def _trace(index: Any, place: Any, rows: Any, in_run: Any, degree: Any, neighbours: Any) -> Any:
    """Walk along every run from one of its ends; then along closed ones from any voxel."""
    runs = np.empty((in_run.sum(), WIDTH), np.int64)
    visited = np.zeros(len(index), np.bool_)
    count = 0
    for closed in (False, True):
        for n in range(len(index)):
            if visited[n] or not in_run[n]:
                continue
            if not closed and _beside(n, in_run, neighbours) == 2:
                continue
            run, now = runs[count], n
            run[:] = rows[n]
            visited[n] = True
            while True:
                then = _next(now, visited, in_run, neighbours)
                if then < 0:
                    break
                run[SUMS] += rows[then, SUMS]
                run[LEAST] = np.minimum(run[LEAST], rows[then, LEAST])
                run[MOST] = np.maximum(run[MOST], rows[then, MOST])
                run[STEPS][step_kind(place[now], place[then])] += 1
                visited[then] = True
                now = then
            run[0], run[1] = index[n], index[now]
            if closed:
                run[STEPS][step_kind(place[now], place[n])] += 1
                run[LINK], run[LEADS] = -1, CLOSED
            else:
                _link(run, 0, n, index, in_run, degree, neighbours)
                _link(run, 1, now, index, in_run, degree, neighbours)
            count += 1
    return runs[:count].copy()


@numba.njit(nogil=True, cache=True)
def step_kind(a: Any, b: Any) -> Any:
    """Name the step between two voxels, (z, y, x), that are neighbours."""
    return 4 * np.abs(a[0] - b[0]) + 2 * np.abs(a[1] - b[1]) + np.abs(a[2] - b[2])


@numba.njit(nogil=True, cache=True)
def _beside(n: int, in_run: Any, neighbours: Any) -> int:
    count = 0
    for m in neighbours[n, :2]:
        count += m >= 0 and in_run[m]
    return count


@numba.njit(nogil=True, cache=True)
def _next(n: int, visited: Any, in_run: Any, neighbours: Any) -> int:
    for m in neighbours[n, :2]:
        if m >= 0 and in_run[m] and not visited[m]:
            return int(m)
    return -1


@numba.njit(nogil=True, cache=True)
def _link(
    run: Any, side: int, n: int, index: Any, in_run: Any, degree: Any, neighbours: Any
) -> None:
    """Note what lies beyond one end of a run; a run of one voxel may have two such ends."""
    run[2 + side], run[4 + side] = -1, FREE
    skip = side == 1 and run[0] == run[1]
    for m in neighbours[n, :2]:
        if m >= 0 and not in_run[m]:
            if skip:
                skip = False
                continue
            run[2 + side] = index[m]
            run[4 + side] = JUNCTION if degree[m] > 2 else CUT
            return
