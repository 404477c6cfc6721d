"""Peaks: the voxels that are the largest of their neighbourhood."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import GeometryError
from volkit.geometry import Coord, coord


def peaks(
    values: NDArray[Any], *, radius: Coord | int, threshold: float
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Find the local maxima above a threshold.

    A voxel is a peak where no voxel of the box of ``radius`` around it is larger, and none of
    those before it in C order is as large: of equal neighbours the first wins.  The answer depends
    on that box alone, so blocks with a halo of ``radius`` find what the whole array finds.

    Parameters
    ----------
    values : ndarray, shape (Z, Y, X)
        Any real numbers.  NaN is never a peak and hides none.
    radius : int or tuple of int
        Reach of the neighbourhood on each side, (z, y, x), voxels; clipped at the array's faces.
    threshold : float
        Peaks are larger than this.

    Returns
    -------
    points : ndarray of int64, shape (N, 3)
        Peaks, (z, y, x) in voxels of the array, in C order.
    scores : ndarray, shape (N,)
        Their values, of the dtype of ``values``.

    Raises
    ------
    GeometryError
        If the array has not three axes, or a radius is negative.

    Examples
    --------
    >>> values = np.array([[[0, 3, 3, 0, 1, 0, 0, 5]]])
    >>> points, scores = peaks(values, radius=2, threshold=0)
    >>> points[:, 2].tolist(), scores.tolist()
    ([1, 7], [3, 5])
    """
    radius = coord(radius, name="radius")
    if values.ndim != 3 or min(radius) < 0:
        raise GeometryError(
            f"peaks of an array of shape {values.shape} with a radius of {radius}; "
            "give an array with axes (z, y, x) and a radius of 0 or more"
        )
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    points = np.array(_search(values, radius, threshold), np.int64).reshape(-1, 3)
    return points, values[tuple(points.T)]


@numba.njit(nogil=True, cache=True)
def _search(values: NDArray[Any], radius: Coord, threshold: float) -> list[tuple[int, int, int]]:
    """Test every voxel, the nearest neighbours first since they refuse almost all."""
    found = [(0, 0, 0) for _ in range(0)]
    depth, height, width = values.shape
    near = min(1, radius[2])
    for z in range(depth):
        for y in range(height):
            row = values[z, y]
            for x in range(width):
                v = row[x]
                if not v > threshold:
                    continue
                if near and ((x > 0 and row[x - 1] >= v) or (x + 1 < width and row[x + 1] > v)):
                    continue
                if _is_largest(values, z, y, x, radius):
                    found.append((z, y, x))
    return found


@numba.njit(nogil=True, cache=True)
def _is_largest(values: NDArray[Any], z: int, y: int, x: int, radius: Coord) -> bool:
    """Compare with the whole neighbourhood, row by row outwards from the voxel."""
    depth, height, width = values.shape
    v = values[z, y, x]
    first, last = max(0, x - radius[2]), min(width, x + radius[2] + 1)
    for far_z in range(2 * radius[0] + 1):
        # 0, -1, 1, -2, 2 ...
        row_z = z + (far_z // 2 if far_z % 2 == 0 else -(far_z // 2) - 1)
        if row_z < 0 or row_z >= depth:
            continue
        for far_y in range(2 * radius[1] + 1):
            row_y = y + (far_y // 2 if far_y % 2 == 0 else -(far_y // 2) - 1)
            if row_y < 0 or row_y >= height:
                continue
            row = values[row_z, row_y]
            before = row_z < z or (row_z == z and row_y < y)
            for i in range(first, last):
                if row[i] > v or (
                    row[i] == v and (before or (row_z == z and row_y == y and i < x))
                ):
                    return False
    return True
