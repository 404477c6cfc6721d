"""Object shape: centroids, principal axes and intensities, from the sums of an object table."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import AXES, Box
from volkit.kernels.keyed_sums import Columns
from volkit.kernels.object_table import PRODUCTS, STARTS, STOPS

_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
_ELLIPSOID = 2 * np.sqrt(5.0)  # full axis of a solid ellipsoid over its standard deviation


def centroids(table: Columns) -> NDArray[np.float64]:
    """Find the mean coordinate of every object, voxels.

    Parameters
    ----------
    table : dict of ndarray
        As :func:`volkit.kernels.object_table.object_sums` makes it.

    Returns
    -------
    ndarray of float64, shape (N, 3)
    """
    # From the corner of the box, so that rounding does not grow with the distance to the origin.
    corner = np.stack([table[name] for name in STARTS], axis=1)
    sums = np.stack([table[f"sum_{axis}"] for axis in AXES], axis=1)
    voxels = table["voxels"][:, None]
    means: NDArray[np.float64] = corner + (sums - corner * voxels) / voxels
    return means


def covariances(table: Columns, voxel_size: Sequence[float]) -> NDArray[np.float64]:
    """Compute the covariance of every object's voxel centres.

    Parameters
    ----------
    table : dict of ndarray
        As :func:`volkit.kernels.object_table.object_sums` makes it.
    voxel_size : sequence of float
        (z, y, x), any unit.

    Returns
    -------
    ndarray of float64, shape (N, 3, 3)
        In the square of that unit; 0 for single voxels.

    Examples
    --------
    >>> from volkit.kernels.object_table import object_sums
    >>> table = object_sums(np.array([[[9, 9]]]))
    >>> covariances(table, (1, 1, 4))[0].tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 4.0]]
    """
    n = table["voxels"]
    found = np.zeros((len(n), 3, 3))
    for name, (a, b) in zip(PRODUCTS, _PAIRS, strict=True):
        corners = table[STARTS[a]], table[STARTS[b]]
        sums = table[f"sum_{AXES[a]}"] - n * corners[0], table[f"sum_{AXES[b]}"] - n * corners[1]
        # Around the corner: sum (p - s)(q - t) = sum pq - t (sum p - s n) - s (sum q)
        around = _less(table[f"{name}_high"], table[f"{name}_low"], corners[1], sums[0])
        around = _less(*around, corners[0], table[f"sum_{AXES[b]}"])
        mean = (around[0] * 2.0**32 + around[1]) / n
        value = (mean - (sums[0] / n) * (sums[1] / n)) * voxel_size[a] * voxel_size[b]
        found[:, a, b] = found[:, b, a] = value
    return found


def principal_axes(
    covariance: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the axes of the solid ellipsoids that spread as the objects do.

    Parameters
    ----------
    covariance : ndarray of float64, shape (N, 3, 3)
        From :func:`covariances`.

    Returns
    -------
    lengths : ndarray of float64, shape (N, 3)
        Full axes, the longest first.
    longest : ndarray of float64, shape (N, 3)
        Direction of the longest, (z, y, x), of length 1; its first coordinate that is not 0 is
        positive.
    """
    if not len(covariance):
        return np.empty((0, 3)), np.empty((0, 3))
    values, vectors = np.linalg.eigh(covariance)
    lengths = _ELLIPSOID * np.sqrt(np.maximum(values[:, ::-1], 0))
    longest = vectors[:, :, -1]
    lead = np.argmax(np.abs(longest) > 1e-9, axis=1)
    sign = np.where(np.take_along_axis(longest, lead[:, None], 1) < 0, -1.0, 1.0)
    return lengths, longest * sign


def intensities(
    table: Columns, *, low: float = 0.0, high: float = 65535.0
) -> dict[str, NDArray[np.float64]]:
    """Compute mean, deviation and extremes of every object's intensity.

    Parameters
    ----------
    table : dict of ndarray
        With the columns of an intensity.
    low, high : float
        The range, where the image was :func:`~volkit.kernels.object_table.quantised`.

    Returns
    -------
    dict of ndarray
        ``mean``, ``deviation`` (of all the voxels, dividing by their number), ``lowest``,
        ``highest``.
    """
    n, unit = table["voxels"], (high - low) / 65535
    mean = table["light"] / n
    # Around the darkest voxel, since the difference of large squares would lose digits.
    base = table["darkest"]
    light = table["light"] - n * base
    squares = table["light_squares"] - 2 * base * table["light"] + n * base * base
    spread = np.maximum(squares / n - (light / n) ** 2, 0)
    return {
        "mean": low + mean * unit,
        "deviation": np.sqrt(spread) * unit,
        "lowest": low + table["darkest"] * unit,
        "highest": low + table["brightest"] * unit,
    }


def touches(table: Columns, box: Box) -> NDArray[np.bool_]:
    """Tell which objects reach the faces of a box, so that they may go on beyond."""
    found = np.zeros(len(table["id"]), bool)
    for axis in range(3):
        found |= table[STARTS[axis]] <= box.start[axis]
        found |= table[STOPS[axis]] >= box.stop[axis]
    return found


def _less(
    high: NDArray[np.int64], low: NDArray[np.int64], a: NDArray[Any], b: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Take a product away from a number in two columns; ``a`` is below 2**31."""
    upper, lower = (b >> 32) * a, (b & 0xFFFFFFFF) * a
    low = low - (lower & 0xFFFFFFFF)
    high = high - upper - (lower >> 32)
    return high + (low >> 32), low & 0xFFFFFFFF
