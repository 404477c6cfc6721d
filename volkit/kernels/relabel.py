"""New names for labels, by table."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.kernels.distinct import distinct

Labels = NDArray[np.uint64]

_SLOTS = 4096  # labels remembered at a time: more than a block's row meets, and fits the L2 cache
_AT_ONCE = 1 << 18  # voxels copied at a time
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads neighbouring ids
_SHIFT = np.uint64(52)  # leaves 12 bits, that is _SLOTS


def renamed(labels: NDArray[Any], old: Labels, new: Labels) -> Labels:
    """Replace labels by table; those not in it stay.

    Parameters
    ----------
    labels : ndarray of int
        Any shape; 0 stays 0.
    old : ndarray of uint64, shape (N,)
        Labels to replace, sorted, each once.
    new : ndarray of uint64, shape (N,)
        What each becomes.

    Returns
    -------
    ndarray of uint64
        The same shape.

    Examples
    --------
    >>> old, new = np.array([3, 7], np.uint64), np.array([30, 70], np.uint64)
    >>> renamed(np.array([0, 3, 5, 7]), old, new).tolist()
    [0, 30, 5, 70]
    """
    old, new = np.ascontiguousarray(old, np.uint64), np.ascontiguousarray(new, np.uint64)
    out = np.empty(labels.shape, np.uint64)
    if labels.flags.c_contiguous or labels.ndim < 2:
        flat = np.ascontiguousarray(labels, np.uint64).reshape(1, -1)
        _rename(flat, old, new, out.reshape(flat.shape))
        return out
    # What does not lie in one piece is brought into one, some planes at a time.
    planes = max(1, _AT_ONCE * len(labels) // max(1, labels.size))
    for z in range(0, len(labels), planes):
        flat = np.ascontiguousarray(labels[z : z + planes], np.uint64).reshape(1, -1)
        _rename(flat, old, new, out[z : z + planes].reshape(flat.shape))
    return out


@numba.njit(nogil=True, cache=True)
def _rename(labels: Labels, old: Labels, new: Labels, out: Labels) -> None:
    """Look up every label among those remembered.

    Whether it is that of the voxel before is not asked: a branch taken at random costs more.
    """
    keys = np.zeros(_SLOTS, np.uint64)
    values = np.zeros(_SLOTS, np.uint64)
    for y in range(len(labels)):
        row, made = labels[y], out[y]
        for x in range(len(row)):
            label = row[x]
            slot = (label * _MIX) >> _SHIFT
            if keys[slot] != label:
                at = np.searchsorted(old, label)
                known = label != 0 and at < len(old) and old[at] == label
                keys[slot], values[slot] = label, new[at] if known else label
            made[x] = values[slot]


def present_labels(labels: NDArray[Any]) -> Labels:
    """List the labels that occur, sorted, without 0.

    Examples
    --------
    >>> present_labels(np.array([[7, 7, 0], [3, 3, 7]])).tolist()
    [3, 7]
    """
    rows = np.ascontiguousarray(labels).reshape(1, -1)
    met = _met(rows.astype(np.uint64, copy=False)) if rows.size else np.zeros(0, np.uint64)
    return distinct(met)


@numba.njit(nogil=True, cache=True)
def _met(labels: Labels) -> Any:
    """List labels as they are met, those met just before left out: few are listed twice."""
    recent = np.zeros(_SLOTS, np.uint64)
    found, count = np.empty(1024, np.uint64), 0
    last = np.uint64(0)
    for y in range(len(labels)):
        for label in labels[y]:
            if label == last:
                continue
            last = label
            slot = (label * _MIX) >> _SHIFT
            if label == 0 or recent[slot] == label:
                continue
            recent[slot] = label
            if count == len(found):
                wider = np.empty(2 * count, np.uint64)
                wider[:count] = found
                found = wider
            found[count] = label
            count += 1
    return found[:count].copy()
