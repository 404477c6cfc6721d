"""Nearest neighbours: how far the k-th nearest other point is, of all points or of groups of them.

Distances are the smallest floating-point ones, whatever tree finds them: a search prunes by sums
whose rounding depends on the tree, so that of points that are equally far but for rounding it may
miss the nearest.  It is asked for more points than are wanted, until the last one is farther.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from volkit.errors import GeometryError

Points = NDArray[np.float64]

BEYOND_ROUNDING = 1 + 1e-9  # distances that differ by this factor differ in any arithmetic
_AT_ONCE = 1 << 16  # points that are asked for together: answers are larger than points


def neighbour_distances(
    points: NDArray[Any], *, ranks: Sequence[int] = (1, 2, 3)
) -> NDArray[np.float64]:
    """Measure the distance of every point to its k-th nearest other point.

    Points at the same place are neighbours at distance 0; a point is never its own.

    Parameters
    ----------
    points : ndarray of float, shape (N, D)
        In any order; distances do not depend on it.
    ranks : sequence of int
        Which k, ascending, 1 is the nearest.

    Returns
    -------
    ndarray of float64, shape (N, len(ranks))
        In the units of ``points``; NaN where there are fewer than k others.

    Raises
    ------
    GeometryError
        If points are no table of finite numbers, or a rank is below 1.

    References
    ----------
    Maneewongvatana, Mount, Analysis of approximate nearest neighbor searching, 1999:
    https://arxiv.org/abs/cs/9901013

    Examples
    --------
    >>> neighbour_distances(np.array([[0.0], [1.0], [5.0]]), ranks=(1, 2, 3)).tolist()
    [[1.0, 5.0, nan], [1.0, 4.0, nan], [4.0, 5.0, nan]]
    """
    points = checked(points)
    if not len(ranks) or min(ranks) < 1:
        raise GeometryError(f"ranks {tuple(ranks)} of neighbours; the nearest has rank 1")
    order = np.lexsort(points.T)  # near in the table is near in space: queries meet warm caches
    points = points[order]
    # The smallest of the distances is that to the point itself, or to one at its place: 0 as well.
    near = smallest_distances(points, points, count=max(ranks) + 1)[:, list(ranks)]
    found = np.empty_like(near)
    found[order] = np.where(np.isinf(near), np.nan, near)
    return found


def checked(points: NDArray[Any]) -> Points:
    """Refuse what is no table of coordinates.

    Raises
    ------
    GeometryError
        If points are no table of finite numbers.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or not np.isfinite(points).all():
        raise GeometryError(
            f"points of shape {points.shape}: give one row of finite coordinates for each"
        )
    return points


def smallest_distances(queries: Points, points: Points, *, count: int) -> NDArray[np.float64]:
    """Measure the distances of some places to the points that are nearest to each.

    Parameters
    ----------
    queries : ndarray of float64, shape (Q, D)
        Places.
    points : ndarray of float64, shape (N, D)
        Among which to look.
    count : int
        How many of them, 1 or more.

    Returns
    -------
    ndarray of float64, shape (Q, count)
        Ascending, infinite where there are fewer points.

    Examples
    --------
    >>> smallest_distances(np.array([[0.0]]), np.array([[3.0], [-1.0]]), count=3).tolist()
    [[1.0, 3.0, inf]]
    """
    found = np.full((len(queries), count), np.inf)
    if not len(points):
        return found
    tree = cKDTree(points, balanced_tree=False, compact_nodes=False)
    for first in range(0, len(queries), _AT_ONCE):
        part = np.s_[first : first + _AT_ONCE]
        _search(tree, queries[part], found[part])
    return found


def _search(tree: Any, queries: Points, found: NDArray[np.float64]) -> None:
    """Fill in the smallest distances, each row once the last one that was asked for is beyond."""
    rows, count = np.arange(len(queries)), found.shape[1]
    wanted = count + 1
    while len(rows):
        asked = min(wanted, tree.n)
        near = tree.query(queries[rows], k=[*range(1, asked + 1)])[0]
        best, last = near[:, :count], near[:, -1]
        settled = (best[:, -1] * BEYOND_ROUNDING < last) | (last == 0) | (asked == tree.n)
        found[rows[settled], : best.shape[1]] = best[settled]
        rows, wanted = rows[~settled], 2 * wanted


def bring_nearer(found: NDArray[np.float64], queries: Points, points: Points) -> None:
    """Replace distances by those to further points, where these are smaller.

    Parameters
    ----------
    found : ndarray of float64, shape (Q, K)
        Ascending, infinite where none is known; changed in place.
    queries : ndarray of float64, shape (Q, D)
        Places that they belong to.
    points : ndarray of float64, shape (N, D)
        One or more that were not looked at before.

    Examples
    --------
    >>> found = np.array([[1.0, 3.0]])
    >>> bring_nearer(found, np.array([[0.0]]), np.array([[-2.0], [9.0]]))
    >>> found.tolist()
    [[1.0, 2.0]]
    """
    count = found.shape[1]
    reach = found[:, -1] * BEYOND_ROUNDING
    rows = np.flatnonzero(gaps(queries, queries, *span(points)) <= reach)
    if not len(rows):
        return
    asking = queries[rows]
    near = points[gaps(points, points, *span(asking)) <= reach[rows].max()]
    more = smallest_distances(asking, near, count=count)
    found[rows] = np.sort(np.concatenate([found[rows], more], axis=1), axis=1)[:, :count]


def span(points: Points) -> tuple[Points, Points]:
    """Find the smallest and the largest coordinates of one or more points."""
    return points.min(axis=0), points.max(axis=0)


def gaps(low: Points, high: Points, start: Points, stop: Points) -> NDArray[np.float64]:
    """Measure how far boxes are from another one.

    Parameters
    ----------
    low, high : ndarray of float64, shape (N, D)
        First and last corners; the same where they are points.
    start, stop : ndarray of float64, shape (D,)
        Those of the other box.

    Returns
    -------
    ndarray of float64, shape (N,)
        0 where they share a place.

    Examples
    --------
    >>> gaps(np.array([[0.0, 4.0]]), np.array([[2.0, 5.0]]), np.array([5.0, 0.0]),
    ...      np.array([9.0, 0.0])).tolist()
    [5.0]
    """
    apart = np.maximum(np.maximum(start - high, low - stop), 0)
    distances: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", apart, apart))
    return distances


def packed(points: Points, most: int) -> list[NDArray[np.intp]]:
    """Pack points into small groups, each cut at the median of its longest side.

    Parameters
    ----------
    points : ndarray of float64, shape (N, D)
        Any number.
    most : int
        Of a group.

    Returns
    -------
    list of ndarray of int
        Rows of each group; neighbours in the list are neighbours in space.

    Examples
    --------
    >>> packed(np.array([[0.0, 0.0], [9.0, 1.0], [8.0, 0.0], [1.0, 1.0]]), 2)
    [array([0, 3]), array([2, 1])]
    """
    groups, cut = [], [np.arange(len(points))] if len(points) else []
    while cut:
        rows = cut.pop()
        if len(rows) <= most:
            groups.append(rows)
            continue
        own = points[rows]
        axis = int(np.argmax(np.ptp(own, axis=0)))
        order, half = np.argpartition(own[:, axis], len(rows) // 2), len(rows) // 2
        cut += [rows[order[half:]], rows[order[:half]]]
    return groups
