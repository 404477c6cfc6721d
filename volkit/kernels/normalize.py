"""Normalisation: scaling voxels, and the histogram from which its numbers come."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from volkit.errors import SourceError

Array = npt.NDArray[Any]

_TABLED = 2  # bytes: integers this wide are counted in a table of all their values
_DROPPED = 8  # of the 24 significant bits of a float32, so that a histogram stays small


def scaled(
    values: npt.ArrayLike,
    *,
    shift: float = 0.0,
    divide: float = 1.0,
    low: float | None = None,
    high: float | None = None,
) -> npt.NDArray[np.float32]:
    """Clip, shift and divide voxels.

    Parameters
    ----------
    values : array_like of real, any shape
        Voxels as stored.
    shift, divide : float
        Subtracted, then divided by.
    low, high : float or None
        Voxels are first clipped to these; None does not clip on that side.

    Returns
    -------
    ndarray of float32, same shape
        ``(clip(values, low, high) - shift) / divide``, computed in float32.

    Examples
    --------
    >>> scaled([0, 10, 99], shift=10, divide=20, high=50).tolist()
    [-0.5, 0.0, 2.0]
    """
    x = np.array(values, np.float32, copy=True)
    if low is not None or high is not None:
        np.clip(x, low, high, out=x)
    x -= np.float32(shift)
    x /= np.float32(divide)
    return x


def histogram(values: npt.ArrayLike) -> dict[str, Array]:
    """Count the distinct values of voxels.

    Integers of 8 and 16 bit are counted exactly.  Wider ones and floats are first rounded, each
    by itself, to 16 significant bits (1 part in 65,536), so that the histogram of a
    volume stays small and does not depend on how the volume was cut.

    Parameters
    ----------
    values : array_like of real, any shape
        Voxels.

    Returns
    -------
    dict
        ``value``, ascending (int64 or float32), and ``count`` (int64), both of shape (N,).

    Raises
    ------
    SourceError
        If a voxel is NaN or infinite.

    Examples
    --------
    >>> histogram(np.array([[7, 7], [2, 7]], np.uint8))
    {'value': array([2, 7]), 'count': array([1, 3])}
    """
    x = np.asarray(values)
    if x.dtype.kind in "bui" and x.dtype.itemsize <= _TABLED:
        first = int(x.min()) if x.size else 0
        table = np.bincount((x.astype(np.int64) - first).ravel())
        found = np.flatnonzero(table)
        return {"value": found + first, "count": table[found].astype(np.int64)}
    value, count = np.unique(_rounded(x), return_counts=True)
    return {"value": value, "count": count.astype(np.int64)}


def _rounded(x: Array) -> npt.NDArray[np.float32]:
    single = x.astype(np.float32) + np.float32(0)  # turns -0 into 0
    if not np.isfinite(single).all():
        bad = int(np.count_nonzero(~np.isfinite(single)))
        raise SourceError(
            f"{bad} of {single.size} voxels are NaN, infinite or too large for float32; "
            "replace them before the volume is normalised"
        )
    bits = single.view(np.uint32)
    even = (bits >> _DROPPED) & 1
    bits += np.uint32((1 << (_DROPPED - 1)) - 1) + even
    bits &= ~np.uint32((1 << _DROPPED) - 1)
    return single


def merged_histograms(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Add histograms; exact, in any order and grouping.

    Parameters
    ----------
    parts : sequence of mapping
        What `histogram` returns, for voxels of one kind.

    Returns
    -------
    dict
        Of the same form.

    Examples
    --------
    >>> one = histogram(np.array([1, 2], np.uint8))
    >>> merged_histograms([one, one])["count"].tolist()
    [2, 2]
    """
    value, place = np.unique(np.concatenate([p["value"] for p in parts]), return_inverse=True)
    count = np.zeros(len(value), np.int64)
    np.add.at(count, place, np.concatenate([p["count"] for p in parts]))
    return {"value": value, "count": count}
