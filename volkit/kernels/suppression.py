"""Suppression: of points that lie close together, the best one stays."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import GeometryError
from volkit.kernels.cells import add_point, bucket, cell_key, cells_of, check_points, empty_cells


def suppress(
    points: NDArray[Any], scores: NDArray[Any], *, radius: float | NDArray[Any]
) -> NDArray[np.int64]:
    """Keep the best point of every neighbourhood.

    Points are visited from the highest score to the lowest; each one kept removes every later
    point within its radius, that distance included.  Ties go to the point that comes first.

    Parameters
    ----------
    points : ndarray of float, shape (N, 3)
        Centres, any unit.
    scores : ndarray of float, shape (N,)
        Confidence; any scale.
    radius : float or ndarray of float, shape (N,)
        Exclusion radius of all, or of each, in the unit of the points.

    Returns
    -------
    ndarray of int64, shape (K,)
        Indices of the points kept, best first.

    Raises
    ------
    GeometryError
        If coordinates, scores or radii are not finite, a radius is negative, or shapes differ.

    Examples
    --------
    >>> points = np.array([[0, 0, 0], [0, 0, 3], [0, 0, 9]])
    >>> suppress(points, np.array([0.5, 0.9, 0.1]), radius=5).tolist()
    [1, 2]
    """
    points = check_points(points, name="points")
    scores = np.asarray(scores, np.float64)
    reach = np.ascontiguousarray(np.broadcast_to(np.asarray(radius, np.float64), scores.shape))
    if scores.shape != (len(points),) or np.isnan(scores).any():
        raise GeometryError(
            f"scores of shape {scores.shape} for {len(points)} points, {np.isnan(scores).sum()} of "
            "them NaN; give a number for each point"
        )
    if not ((reach >= 0) & np.isfinite(reach)).all():
        raise GeometryError(f"radius is {radius}; give finite distances of 0 or more")
    if not len(points):
        return np.empty(0, np.int64)
    order = np.argsort(-scores, kind="stable")
    # A little more than the radius, so that neighbours stay in neighbouring cubes even where
    # divisions are rounded.
    size = max(float(reach.max()) * (1 + 2.0**-20), _least_cell(points))
    return _greedy(points, order, reach, cells_of(points, size), empty_cells(len(points)))


def _least_cell(points: NDArray[np.float64]) -> float:
    """Give a length that no cell may fall below, lest its number not fit."""
    return max(float(np.abs(points).max()) * 2.0**-30, np.finfo(np.float64).tiny)


@numba.njit(nogil=True, cache=True)
def _greedy(  # type: ignore[no-untyped-def]
    points, order, reach, cells, first
):
    kept = np.empty(len(order), np.int64)
    count = 0
    keys = np.empty(len(order), np.int64)
    following = np.empty(len(order), np.int64)
    for i in order:
        z, y, x = cells[i]
        if _is_free(i, points, reach, z, y, x, keys, first, following):
            kept[count] = i
            count += 1
            keys[i] = cell_key(z, y, x)
            add_point(i, keys[i], first, following)
    return kept[:count].copy()


@numba.njit(nogil=True, cache=True)
def _is_free(i, points, reach, z, y, x, keys, first, following):  # type: ignore[no-untyped-def]
    """Look for a kept point whose radius holds this one."""
    for dz in range(-1, 2):
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                key = cell_key(z + dz, y + dy, x + dx)
                j = first[bucket(key, len(first))]
                while j >= 0:
                    if keys[j] == key:
                        a = points[i, 0] - points[j, 0]
                        b = points[i, 1] - points[j, 1]
                        c = points[i, 2] - points[j, 2]
                        if a * a + b * b + c * c <= reach[j] * reach[j]:
                            return False
                    j = following[j]
    return True
