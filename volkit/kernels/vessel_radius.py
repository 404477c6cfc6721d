"""Radii of vessels: the exact distance of a few voxels to the nearest background."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Coord

Spacing = tuple[float, float, float]


def background_distance(
    mask: NDArray[np.bool_], voxels: NDArray[np.int64], *, spacing: Spacing
) -> NDArray[np.float64]:
    """Measure the distance from voxels to the nearest voxel of the background.

    The Euclidean distance transform at these voxels, without the transform of all others.

    Parameters
    ----------
    mask : ndarray of bool, shape (Z, Y, X)
        Foreground.
    voxels : ndarray of int64, shape (N, 3)
        Where, (z, y, x) in the array's own coordinates.
    spacing : tuple of float
        Extent of a voxel, (z, y, x), any unit of length.

    Returns
    -------
    ndarray of float64, shape (N,)
        Distances between centres, unit of the spacing; infinite where there is no background.
        What lies beyond the array counts as neither.

    Examples
    --------
    >>> mask = np.array([[[False, True, True, True]]])
    >>> background_distance(mask, np.array([[0, 0, 3]]), spacing=(1, 1, 2)).tolist()
    [6.0]
    """
    z, y, x = (float(s) for s in spacing)
    squares = _search(np.ascontiguousarray(mask), np.asarray(voxels, np.int64), (z, y, x))
    return np.asarray(np.sqrt(squares))


def distance_beyond(
    shape: Coord,
    voxels: NDArray[np.int64],
    *,
    spacing: Spacing,
    open_before: tuple[bool, bool, bool],
    open_after: tuple[bool, bool, bool],
) -> NDArray[np.float64]:
    """Measure the distance from voxels to the nearest one that the array does not hold.

    Parameters
    ----------
    shape : tuple of int
        Extent of the array.
    voxels : ndarray of int64, shape (N, 3)
        Where, (z, y, x) in the array's own coordinates.
    spacing : tuple of float
        Extent of a voxel, (z, y, x).
    open_before, open_after : tuple of bool
        On which faces there is more.

    Returns
    -------
    ndarray of float64, shape (N,)
        Infinite where there is no more on any face.

    Examples
    --------
    >>> distance_beyond((1, 1, 4), np.array([[0, 0, 1]]), spacing=(1, 1, 2),
    ...                 open_before=(False,) * 3, open_after=(False, False, True)).tolist()
    [6.0]
    """
    nearest = np.full(len(voxels), np.inf)
    for axis in range(3):
        if open_before[axis]:
            nearest = np.minimum(nearest, (voxels[:, axis] + 1) * spacing[axis])
        if open_after[axis]:
            nearest = np.minimum(nearest, (shape[axis] - voxels[:, axis]) * spacing[axis])
    return nearest


@numba.njit(nogil=True, cache=True)
def _search(mask: Any, voxels: Any, spacing: Spacing) -> Any:
    """Look at planes, rows and voxels from the nearest on, until none can be nearer."""
    nz, ny, _ = mask.shape
    dz2, dy2, dx2 = spacing[0] ** 2, spacing[1] ** 2, spacing[2] ** 2
    found = np.empty(len(voxels), np.float64)
    for n in range(len(voxels)):
        z, y, x = voxels[n]
        best = np.inf
        for dz in range(nz):
            if dz * dz * dz2 >= best:
                break
            for dy in range(ny):
                beside = dz * dz * dz2 + dy * dy * dy2
                if beside >= best:
                    break
                for k in (z - dz, z + dz):
                    for j in (y - dy, y + dy):
                        if 0 <= k < nz and 0 <= j < ny:
                            best = _row(mask[k, j], x, beside, dx2, best)
        found[n] = best
    return found


@numba.njit(nogil=True, cache=True)
def _row(row: Any, x: int, beside: float, dx2: float, best: float) -> float:
    for dx in range(len(row)):
        square = beside + dx * dx * dx2
        if square >= best:
            break
        if (x - dx >= 0 and not row[x - dx]) or (x + dx < len(row) and not row[x + dx]):
            return square
    return best
