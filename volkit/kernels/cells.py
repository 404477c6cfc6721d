"""Cells: points hashed by where they lie, so that neighbours are found without looking at all.

Compiled functions that other kernels are made of.  Space is cut into cubes as long as the search
radius; a point's neighbours lie in its own cube and the 26 around it.  Cubes are found by hash, so
that space may be as large and as empty as it wants.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import GeometryError

_MASK = 0x1FFFFF  # 21 bits for each axis; cubes 2^21 apart share a key, which distances undo


def check_points(points: NDArray[Any], *, name: str) -> NDArray[np.float64]:
    """Check coordinates, and give them as contiguous float64.

    Parameters
    ----------
    points : ndarray, shape (N, 3)
        Any real numbers.
    name : str
        What the message calls them.

    Returns
    -------
    ndarray of float64, shape (N, 3)

    Raises
    ------
    GeometryError
        If there are not three columns, or a coordinate is NaN or infinite.
    """
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 3:
        raise GeometryError(
            f"{name} have shape {points.shape}; give one row (z, y, x) for each, shape (N, 3)"
        )
    points = np.ascontiguousarray(points, np.float64)
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(bad):
        raise GeometryError(
            f"{len(bad)} of {len(points)} {name} are not finite, the first is row {bad[0]}: "
            f"{tuple(points[bad[0]].tolist())}; leave them out, or repair what made them"
        )
    return points


def empty_cells(count: int) -> NDArray[np.int64]:
    """Make a hash table for some points: the first point of each bucket, -1 where there is none."""
    return np.full(1 << max(4, int(2 * count).bit_length()), -1, np.int64)


@numba.njit(nogil=True, cache=True, inline="always")
def cell_key(z: int, y: int, x: int) -> int:
    """Name a cube."""
    return ((z & _MASK) << 42) | ((y & _MASK) << 21) | (x & _MASK)


@numba.njit(nogil=True, cache=True, inline="always")
def bucket(key: int, buckets: int) -> int:
    """Find the bucket of a cube; the high bits of a product are well mixed."""
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return int(np.int64(mixed >> np.uint64(32)) & (buckets - 1))


@numba.njit(nogil=True, cache=True)
def add_point(i: int, key: int, first: NDArray[np.int64], following: NDArray[np.int64]) -> None:
    """Put a point at the head of its bucket's chain."""
    place = bucket(key, len(first))
    following[i] = first[place]
    first[place] = i


@numba.njit(nogil=True, cache=True)
def cells_of(points: NDArray[np.float64], size: float) -> NDArray[np.int64]:
    """Find the cube of every point, shape (N, 3)."""
    cells = np.empty(points.shape, np.int64)
    for i in range(len(points)):
        for axis in range(3):
            cells[i, axis] = np.int64(np.floor(points[i, axis] / size))
    return cells
