"""Resizing: arrays brought to another extent by linear interpolation."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import GeometryError
from volkit.geometry import Coord


def resized(values: NDArray[Any], shape: Coord) -> NDArray[np.float32]:
    """Bring an array to another extent, linear between the centres of its voxels.

    Axes are taken one after the other, the one that shrinks most first.  Beyond the first and last
    centre values are constant.  Nothing is smoothed before voxels are left out.

    Parameters
    ----------
    values : ndarray of real, shape (..., Z, Y, X)
        Anything.
    shape : tuple of int
        Wanted, (z, y, x).

    Returns
    -------
    ndarray of float32, shape (..., *shape)

    Raises
    ------
    GeometryError
        If there is no voxel, or none is wanted.

    Examples
    --------
    >>> resized(np.array([[[0.0, 1.0]]]), (1, 1, 4)).tolist()
    [[[0.0, 0.25, 0.75, 1.0]]]
    """
    if values.ndim < 3 or min(values.shape[-3:]) < 1 or min(shape) < 1:
        raise GeometryError(
            f"an array of {values.shape} cannot become {tuple(shape)}; give (..., z, y, x) with "
            "one voxel or more on every axis"
        )
    found = np.ascontiguousarray(values, np.float32)
    order = sorted(range(3), key=lambda axis: shape[axis] / values.shape[axis - 3])
    for axis in order:
        if found.shape[axis - 3] != shape[axis]:
            found = _along(found, axis - 3, shape[axis])
    return found


def _along(values: NDArray[np.float32], axis: int, extent: int) -> NDArray[np.float32]:
    given = values.shape[axis]
    return interpolated(values, axis, (np.arange(extent) + 0.5) * (given / extent) - 0.5)


def interpolated(
    values: NDArray[np.float32], axis: int, place: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Interpolate along one axis.

    Parameters
    ----------
    values : ndarray of float32, shape (..., Z, Y, X)
        Contiguous.
    axis : int
        Counted from the end: -3, -2 or -1.
    place : ndarray of float64, shape (N,)
        Where, in voxels: 0 is the centre of the first one.  Beyond the first and last centre
        values are constant.

    Returns
    -------
    ndarray of float32
        With N voxels along that axis.
    """
    given = values.shape[axis]
    extent, place = len(place), np.clip(place, 0, given - 1)
    low = np.minimum(place.astype(np.int64), max(given - 2, 0))
    high, share = np.minimum(low + 1, given - 1), (place - low).astype(np.float32)
    before, after = values.shape[:axis], values.shape[values.ndim + axis + 1 :]
    flat = values.reshape(int(np.prod(before)), given, int(np.prod(after)))
    return np.asarray(_mixed(flat, low, high, share)).reshape(*before, extent, *after)


@numba.njit(nogil=True, cache=True)
def _mixed(values: Any, low: Any, high: Any, share: Any) -> Any:
    rows, _, width = values.shape
    found = np.empty((rows, len(low), width), np.float32)
    for row in range(rows):
        for n in range(len(low)):
            a, b, t = low[n], high[n], share[n]
            for k in range(width):
                found[row, n, k] = values[row, a, k] + t * (values[row, b, k] - values[row, a, k])
    return found
