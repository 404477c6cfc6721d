"""Emptiness: which boxes of an array hold nothing.

Boxes lie on product lattices: each axis has its own list of spans, and a box is one span of each.
Spans of an axis may overlap and leave gaps.
"""

from typing import Any, Literal

import numba
import numpy as np
from numpy.typing import NDArray

Statistic = Literal["range", "std", "value"]
Spans = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""First index and the one after the last of every span, shape (N, 2), for each axis (z, y, x)."""


def empty_boxes(
    values: NDArray[Any],
    spans: Spans,
    *,
    statistic: Statistic = "range",
    threshold: float = 0.0,
    value: float = 0.0,
) -> NDArray[np.bool_]:
    """Find the boxes that hold nothing, by a cheap statistic of their voxels.

    Parameters
    ----------
    values : ndarray of bool, integer or float, shape ([C,] Z, Y, X)
        What is looked at; a box is empty where it is so in every channel.
    spans : tuple of ndarray of int64, each of shape (N, 2)
        The boxes, within the array and with a voxel at least.
    statistic : {'range', 'std', 'value'}
        ``range``: largest less smallest, at most ``threshold``; ``std``: standard deviation, at
        most ``threshold``; ``value``: no voxel is farther than ``threshold`` from ``value``.
    threshold : float
        Units of the voxels.
    value : float
        Of a voxel that holds nothing, for ``value``.

    Returns
    -------
    ndarray of bool, shape (NZ, NY, NX)
        A box with NaN in it is never empty.

    Examples
    --------
    >>> values = np.array([[[5, 5, 5, 9]]])
    >>> one, pairs = np.array([[0, 1]]), np.array([[0, 2], [2, 4]])
    >>> empty_boxes(values, (one, one, pairs)).tolist()
    [[[True, False]]]
    >>> empty_boxes(values, (one, one, pairs), statistic="std", threshold=2).tolist()
    [[[True, True]]]
    """
    channels = values if values.ndim == 4 else values[None]
    shape = tuple(len(axis) for axis in spans)
    empty = np.ones(shape, bool)
    for channel in channels:
        plain = channel.view(np.uint8) if channel.dtype == bool else channel
        if statistic == "std":
            deviation = np.empty(shape, np.float64)
            _deviations(plain, *spans, deviation)
            empty &= deviation <= threshold
            continue
        low, high = np.empty(shape, plain.dtype), np.empty(shape, plain.dtype)
        _extremes(plain, *spans, low, high)
        if statistic == "range":
            empty &= _gap(low, high) <= threshold
        else:
            distance = np.maximum(value - low.astype(float), high.astype(float) - value)
            empty &= distance <= threshold
    return empty


def any_in_boxes(marks: NDArray[np.bool_], spans: Spans) -> NDArray[np.bool_]:
    """Find the boxes that hold a mark.

    Parameters
    ----------
    marks : ndarray of bool, shape (Z, Y, X)
        Where something is.
    spans : tuple of ndarray of int64, each of shape (N, 2)
        The boxes; they may hold no voxel.

    Returns
    -------
    ndarray of bool, shape (NZ, NY, NX)

    Examples
    --------
    >>> marks = np.array([[[False, True, False, False]]])
    >>> one, pairs = np.array([[0, 1]]), np.array([[0, 2], [1, 3], [2, 4]])
    >>> any_in_boxes(marks, (one, one, pairs)).tolist()
    [[[True, True, False]]]
    """
    found: NDArray[Any] = marks
    # A box is a product, so that any of it is any on each axis in turn: by differences of sums.
    for axis in range(3):
        sums = np.zeros([n + (a == axis) for a, n in enumerate(found.shape)], np.int32)
        inner = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        np.cumsum(found, axis=axis, dtype=np.int32, out=sums[inner])
        first, stop = spans[axis].T
        found = np.take(sums, np.maximum(stop, first), axis) > np.take(sums, first, axis)
    return found


def _gap(low: NDArray[Any], high: NDArray[Any]) -> NDArray[np.float64]:
    """Subtract without overflow: differences of integers wrap to the right unsigned number."""
    if low.dtype.kind != "f":
        wide = (high.astype(np.uint64), low.astype(np.uint64))
        return (wide[0] - wide[1]).astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinite less infinite: NaN, hence not empty
        return high.astype(np.float64) - low.astype(np.float64)


@numba.njit(nogil=True, cache=True)
def _extremes(
    values: NDArray[Any],
    z: NDArray[np.int64],
    y: NDArray[np.int64],
    x: NDArray[np.int64],
    low: NDArray[Any],
    high: NDArray[Any],
) -> None:
    for i in range(len(z)):
        for j in range(len(y)):
            for k in range(len(x)):
                box = values[z[i, 0] : z[i, 1], y[j, 0] : y[j, 1], x[k, 0] : x[k, 1]]
                low[i, j, k], high[i, j, k] = _extremes_of(box)


@numba.njit(nogil=True, cache=True)
def _extremes_of(box: NDArray[Any]) -> tuple[Any, Any]:
    """Find smallest and largest; NaN twice where there is one."""
    low = high = box[0, 0, 0]
    for plane in box:
        for row in plane:
            for v in row:
                if v != v:
                    return v, v
                low, high = min(low, v), max(high, v)
    return low, high


@numba.njit(nogil=True, cache=True)
def _deviations(
    values: NDArray[Any],
    z: NDArray[np.int64],
    y: NDArray[np.int64],
    x: NDArray[np.int64],
    deviation: NDArray[np.float64],
) -> None:
    for i in range(len(z)):
        for j in range(len(y)):
            for k in range(len(x)):
                box = values[z[i, 0] : z[i, 1], y[j, 0] : y[j, 1], x[k, 0] : x[k, 1]]
                deviation[i, j, k] = _deviation_of(box)


@numba.njit(nogil=True, cache=True)
def _deviation_of(box: NDArray[Any]) -> float:
    """Compute the standard deviation in two passes: small ones of large values come out right."""
    total = 0.0
    for plane in box:
        for row in plane:
            for v in row:
                total += v
    mean, squares = total / box.size, 0.0
    for plane in box:
        for row in plane:
            for v in row:
                squares += (v - mean) ** 2
    return np.sqrt(squares / box.size)
