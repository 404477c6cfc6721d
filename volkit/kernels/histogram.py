"""Histograms of voxel values that add up exactly over blocks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError

Columns = dict[str, NDArray[Any]]

# Floats keep 11 of their 23 mantissa bits: neighbouring values differ by 0.05 %, which no
# intensity scaling can feel, and a histogram stays small.
_DROPPED_BITS = 12


def value_histogram(values: NDArray[Any]) -> Columns:
    """Count how often each value occurs.

    Parameters
    ----------
    values : ndarray of integer or float, any shape
        Floats are rounded to 12 significant bits.

    Returns
    -------
    dict
        ``value`` (float64, ascending) and ``count`` (int64).

    Raises
    ------
    ContractError
        If a float is NaN or infinite.

    Examples
    --------
    >>> value_histogram(np.array([3, 1, 3], np.uint8))
    {'value': array([1., 3.]), 'count': array([1, 2])}
    """
    if values.dtype in (np.uint8, np.uint16):
        counts = np.bincount(values.ravel(), minlength=0)
        found = counts.nonzero()[0]
        return {"value": found.astype(np.float64), "count": counts[found].astype(np.int64)}
    if values.dtype.kind == "f":
        values = _rounded(values)
    value, count = np.unique(values, return_counts=True)
    return {"value": value.astype(np.float64), "count": count.astype(np.int64)}


def add_histograms(parts: Sequence[Columns]) -> Columns:
    """Add histograms; associative and exact.

    Parameters
    ----------
    parts : sequence of dict
        As ``value_histogram`` returns them.

    Returns
    -------
    dict
        The same columns.

    Examples
    --------
    >>> one = value_histogram(np.array([1, 3], np.uint8))
    >>> add_histograms([one, one])["count"].tolist()
    [2, 2]
    """
    value, place = np.unique(np.concatenate([p["value"] for p in parts]), return_inverse=True)
    count = np.zeros(len(value), np.int64)
    np.add.at(count, place, np.concatenate([p["count"] for p in parts]))
    return {"value": value, "count": count}


def _rounded(values: NDArray[Any]) -> NDArray[np.float32]:
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise ContractError(
            f"{bad} of {values.size} voxels are NaN or infinite; replace them in the source, or "
            "choose a box without them"
        )
    bits = values.astype(np.float32).view(np.uint32)
    half = np.uint32(1 << (_DROPPED_BITS - 1))
    mask = np.uint32(0xFFFFFFFF << _DROPPED_BITS & 0xFFFFFFFF)
    return ((bits + half) & mask).view(np.float32)
