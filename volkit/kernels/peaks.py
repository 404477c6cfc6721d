"""Peaks: the voxels that are the largest of their neighbourhood."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import GeometryError
from volkit.geometry import Box, Coord, coord

_RUN = 64  # voxels that are compared with the threshold at once, in vector registers


def peaks(
    values: NDArray[Any], *, radius: Coord | int, threshold: float, within: Box | None = None
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Find the local maxima above a threshold.

    A voxel is a peak where no voxel of the box of ``radius`` around it is larger, and none of
    those before it in C order is as large: of equal neighbours the first wins.  These are the
    voxels that max-pooling with a kernel of ``2 radius + 1`` leaves alone, one of each set of
    equals within a radius.  The answer depends on that box alone, so blocks with a halo of
    ``radius`` find what the whole array finds.

    Parameters
    ----------
    values : ndarray, shape (Z, Y, X)
        Any real numbers.  NaN is never a peak and hides none.
    radius : int or tuple of int
        Reach of the neighbourhood on each side, (z, y, x), voxels; clipped at the array's faces.
    threshold : float
        Peaks are larger than this.
    within : Box or None
        Where peaks are looked for, voxels of the array; None is all of it.

    Returns
    -------
    points : ndarray of int64, shape (N, 3)
        Peaks, (z, y, x) in voxels of the array, in C order.
    scores : ndarray, shape (N,)
        Their values, of the dtype of ``values``.

    Raises
    ------
    GeometryError
        If the array has not three axes, a radius is negative, or ``within`` reaches over it.

    Examples
    --------
    >>> values = np.array([[[0, 3, 3, 0, 1, 0, 0, 5]]])
    >>> points, scores = peaks(values, radius=2, threshold=0)
    >>> points[:, 2].tolist(), scores.tolist()
    ([1, 7], [3, 5])
    """
    points, scores, _ = peaks_and_nans(values, radius=radius, threshold=threshold, within=within)
    return points, scores


def peaks_and_nans(
    values: NDArray[Any], *, radius: Coord | int, threshold: float, within: Box | None = None
) -> tuple[NDArray[np.int64], NDArray[Any], int]:
    """Find peaks as :func:`peaks` does, and count NaN on the way, which costs no second look.

    Parameters
    ----------
    values : ndarray, shape (Z, Y, X)
        Any real numbers.
    radius : int or tuple of int
        Reach of the neighbourhood on each side, (z, y, x), voxels; clipped at the array's faces.
    threshold : float
        Peaks are larger than this.
    within : Box or None
        Where peaks and NaN are looked for, voxels of the array; None is all of it.

    Returns
    -------
    points : ndarray of int64, shape (N, 3)
        Peaks, (z, y, x) in voxels of the array, in C order.
    scores : ndarray, shape (N,)
        Their values, of the dtype of ``values``.
    nans : int
        Voxels that are NaN; 0 where the threshold itself is NaN or infinite, as nothing is looked
        at then.

    Raises
    ------
    GeometryError
        If the array has not three axes, a radius is negative, or ``within`` reaches over it.

    Examples
    --------
    >>> values = np.array([[[0, 3, np.nan, 0, 1, 0, 0, 5]]])
    >>> points, scores, nans = peaks_and_nans(values, radius=2, threshold=2)
    >>> points[:, 2].tolist(), scores.tolist(), nans
    ([1, 7], [3.0, 5.0], 1)
    """
    radius = coord(radius, name="radius")
    if values.ndim != 3 or min(radius) < 0:
        raise GeometryError(
            f"peaks of an array of shape {values.shape} with a radius of {radius}; "
            "give an array with axes (z, y, x) and a radius of 0 or more"
        )
    whole = Box.from_shape(values.shape)
    within = whole if within is None else within
    if not whole.contains(within):
        raise GeometryError(f"peaks within {within} of an array {whole}; choose a box inside it")
    searched = _native(values)
    least = _least_above(threshold, searched.dtype)
    if least is None or within.size == 0:
        return np.empty((0, 3), np.int64), np.empty(0, values.dtype), 0
    found, nans = _search(searched, radius, least, within.start, within.stop)
    points = np.array(found, np.int64).reshape(-1, 3)
    return points, values[tuple(points.T)], nans


def are_peaks(
    values: NDArray[Any], points: NDArray[np.int64], *, radius: Coord | int
) -> NDArray[np.bool_]:
    """Tell which voxels are the largest of their neighbourhood, as :func:`peaks` has it.

    Parameters
    ----------
    values : ndarray, shape (Z, Y, X)
        Any real numbers.
    points : ndarray of int64, shape (N, 3)
        Voxels of the array, (z, y, x).
    radius : int or tuple of int
        Reach of the neighbourhood on each side, (z, y, x), voxels; clipped at the array's faces.

    Returns
    -------
    ndarray of bool, shape (N,)

    Examples
    --------
    >>> values = np.array([[[0, 3, 3, 0, 1, 0, 0, 5]]])
    >>> are_peaks(values, np.array([[0, 0, 1], [0, 0, 2], [0, 0, 7]]), radius=2).tolist()
    [True, False, True]
    """
    return _are_largest(_native(values), points, coord(radius, name="radius"))


def _native(values: NDArray[Any]) -> NDArray[Any]:
    """Give values in the order of memory, of a type that compiled code knows."""
    if values.dtype == np.bool_:
        values = values.view(np.uint8)
    wanted = np.dtype(np.float32) if values.dtype == np.float16 else values.dtype.newbyteorder("=")
    return np.ascontiguousarray(values, wanted)


def _least_above(threshold: float, dtype: np.dtype[Any]) -> Any:
    """Give the least value above the threshold; comparing in the array's own type is fastest."""
    if np.isnan(threshold) or threshold == np.inf:
        return None
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            nearest = dtype.type(threshold)
        above = nearest if float(nearest) > threshold else np.nextafter(nearest, dtype.type(np.inf))
        return dtype.type(above)
    limits = np.iinfo(dtype)
    least = limits.min if threshold == -np.inf else int(np.floor(threshold)) + 1
    return None if least > limits.max else dtype.type(max(least, limits.min))


@numba.njit(nogil=True, cache=True)
def _search(
    values: NDArray[Any], radius: Coord, least: Any, start: Coord, stop: Coord
) -> tuple[list[tuple[int, int, int]], int]:
    """Test every voxel, the nearest neighbours first since they refuse almost all."""
    found = [(0, 0, 0) for _ in range(0)]
    nans = 0
    width = values.shape[2]
    near = min(1, radius[2])
    for z in range(start[0], stop[0]):
        for y in range(start[1], stop[1]):
            row = values[z, y]
            for first in range(start[2], stop[2], _RUN):
                last = min(first + _RUN, stop[2])
                if not _any_not_below(row[first:last], least):
                    continue
                for x in range(first, last):
                    v = row[x]
                    if not v >= least:
                        nans += v != v  # NaN alone differs from itself
                        continue
                    if near and ((x > 0 and row[x - 1] >= v) or (x + 1 < width and row[x + 1] > v)):
                        continue
                    if _is_largest(values, z, y, x, radius):
                        found.append((z, y, x))
    return found, nans


@numba.njit(nogil=True, cache=True)
def _are_largest(
    values: NDArray[Any], points: NDArray[np.int64], radius: Coord
) -> NDArray[np.bool_]:
    found = np.empty(len(points), np.bool_)
    for n in range(len(points)):
        found[n] = _is_largest(values, points[n, 0], points[n, 1], points[n, 2], radius)
    return found


@numba.njit(nogil=True, cache=True)
def _any_not_below(row: NDArray[Any], least: Any) -> bool:
    """Count without branches, which compiles to vector instructions; NaN is not below anything."""
    count = np.int32(0)
    for i in range(len(row)):
        count += np.int32(not row[i] < least)
    return bool(count > 0)


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
