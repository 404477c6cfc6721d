"""Offsets of peaks: where between voxels the top of a peak lies."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import AXES


def peak_offsets(values: NDArray[Any], points: NDArray[np.int64]) -> NDArray[np.float64]:
    """Find the top of the parabola through each peak and its two neighbours, along every axis.

    Parameters
    ----------
    values : ndarray, shape (Z, Y, X)
        Real numbers.
    points : ndarray of int64, shape (N, 3)
        Peaks, (z, y, x) in voxels of the array.

    Returns
    -------
    ndarray of float64, shape (N, 3)
        What to add to the points, -0.5 to 0.5 voxels; 0 along an axis where a neighbour is
        missing, NaN or larger, or where all three are equal.

    Examples
    --------
    >>> values = np.array([[[0, 3, 3, 0, 1, 4, 3]]])
    >>> peak_offsets(values, np.array([[0, 0, 1], [0, 0, 5]])).tolist()
    [[0.0, 0.0, 0.5], [0.0, 0.0, 0.25]]
    """
    offsets = np.zeros((len(points), 3))
    top = values[tuple(points.T)].astype(np.float64)
    for axis in range(len(AXES)):
        has_both = (points[:, axis] > 0) & (points[:, axis] < values.shape[axis] - 1)
        step = np.zeros(3, np.int64)
        step[axis] = 1
        inner = points[has_both]
        before = values[tuple((inner - step).T)].astype(np.float64)
        after = values[tuple((inner + step).T)].astype(np.float64)
        here = top[has_both]
        bend = (here - before) + (here - after)
        # NaN fails the comparisons.
        curved = (before <= here) & (after <= here) & (bend > 0)
        shift = np.zeros(len(inner))
        shift[curved] = 0.5 * (after - before)[curved] / bend[curved]
        offsets[has_both, axis] = shift
    return offsets
