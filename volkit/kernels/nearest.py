"""Nearest neighbours: how far the k-th nearest other point is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from volkit.errors import GeometryError


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
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or not np.isfinite(points).all():
        raise GeometryError(
            f"points of shape {points.shape}: give one row of finite coordinates for each"
        )
    if not len(ranks) or min(ranks) < 1:
        raise GeometryError(f"ranks {tuple(ranks)} of neighbours; the nearest has rank 1")
    found = np.full((len(points), len(ranks)), np.nan)
    if len(points) < 2:
        return found
    order = np.lexsort(points.T)  # near in the table is near in space: queries meet warm caches
    tree = cKDTree(points[order], balanced_tree=False, compact_nodes=False)
    # The smallest of the distances is that to the point itself, or to one at its place: 0 as well.
    wanted = [k + 1 for k in ranks if k < len(points)]
    if wanted:
        found[order, : len(wanted)] = tree.query(points[order], k=wanted)[0]
    return found
