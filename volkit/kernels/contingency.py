"""Contingency tables: how many voxels each pair of labels shares.

A table is a mapping of three columns, ``true`` and ``pred`` (uint64) and ``count`` (int64), one row
for each pair of ids that occurs, sorted by ``true`` and then by ``pred``.  Nothing depends on the
size of an id, and tables of parts add up to the table of the whole.
"""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import GeometryError

Table = dict[str, NDArray[Any]]

_PIECE = 4096  # voxels searched for runs at a time: their list stays in the first cache
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: spreads consecutive ids
_PRIME = np.uint64(0xC2B2AE3D27D4EB4F)  # of xxHash: carries low bits into the high ones


def contingency(true: NDArray[Any], pred: NDArray[Any]) -> Table:
    """Count the voxels that each pair of labels shares.

    Runs of equal pairs are found first, so that the table is touched once for each run rather than
    for each voxel.

    Parameters
    ----------
    true, pred : ndarray of int or bool, the same shape
        Labels, aligned voxel by voxel; any integer dtype, ids from 0 on.

    Returns
    -------
    dict of ndarray
        ``true`` and ``pred`` (uint64) and ``count`` (int64), each of shape (N,): the pairs that
        occur, each once, sorted.

    Raises
    ------
    GeometryError
        If the shapes differ, labels are not integers, or an id is negative.

    Examples
    --------
    >>> true = np.array([[[1, 1, 2, 2]]])
    >>> pred = np.array([[[7, 7, 7, 0]]])
    >>> {name: column.tolist() for name, column in contingency(true, pred).items()}
    {'true': [1, 2, 2], 'pred': [7, 0, 7], 'count': [2, 1, 1]}
    """
    if true.shape != pred.shape:
        raise GeometryError(
            f"true labels have shape {true.shape} and predicted ones {pred.shape}; "
            "give two arrays of the same voxels"
        )
    if true.flags.f_contiguous and pred.flags.f_contiguous:
        true, pred = true.T, pred.T  # any order counts the same; this one needs no copy
    columns = _tally(_flat(true, "true"), _flat(pred, "predicted"))
    for name, labels, ids in (("true", true, columns[0]), ("predicted", pred, columns[1])):
        _refuse_negative(name, labels.dtype, ids)
    return _sorted(*columns)


def add_contingency(tables: Sequence[Table]) -> Table:
    """Add the tables of parts into the table of the whole.

    Counts are added as integers: the sum is exact and does not depend on the order or the grouping
    of the parts.

    Parameters
    ----------
    tables : sequence of dict of ndarray
        Tables as :func:`contingency` makes them; none gives an empty table.

    Returns
    -------
    dict of ndarray
        The same columns, each pair once, sorted.

    Examples
    --------
    >>> part = contingency(np.array([1, 1]), np.array([7, 0]))
    >>> add_contingency([part, part])["count"].tolist()
    [2, 2]
    """
    true, pred, count = (
        np.concatenate([np.empty(0, dtype), *(table[name] for table in tables)])
        for name, dtype in (("true", np.uint64), ("pred", np.uint64), ("count", np.int64))
    )
    table = _sorted(true, pred, count)
    if len(tables) < 2:
        return table
    true, pred, count = table["true"], table["pred"], table["count"]
    first = np.ones(len(true), bool)
    first[1:] = (true[1:] != true[:-1]) | (pred[1:] != pred[:-1])
    starts = np.flatnonzero(first)
    sums = np.add.reduceat(count, starts) if len(starts) else count
    return {"true": true[starts], "pred": pred[starts], "count": sums}


def _flat(labels: NDArray[Any], name: str) -> NDArray[Any]:
    """Flatten into native unsigned integers of the same width, without a copy where possible."""
    if labels.dtype.kind not in "uib":
        raise GeometryError(
            f"{name} labels are {labels.dtype}, which are not ids; give integers, "
            "for example labels.astype(np.uint64) where every value is a whole number"
        )
    native = np.ascontiguousarray(labels, labels.dtype.newbyteorder("="))
    return native.reshape(-1).view(f"u{labels.dtype.itemsize}")


def _refuse_negative(name: str, dtype: np.dtype[Any], ids: NDArray[np.uint64]) -> None:
    """Find negative ids, which show as large ones after the view as unsigned."""
    if dtype.kind != "i" or not len(ids):
        return
    largest = int(ids.max())
    if largest > np.iinfo(dtype).max:
        lowest = int(ids[ids > np.iinfo(dtype).max].min()) - (1 << 8 * dtype.itemsize)
        raise GeometryError(
            f"{name} labels hold the negative id {lowest}; ids begin at 0 (background), "
            "so rename or mask what is negative"
        )


def _sorted(true: NDArray[np.uint64], pred: NDArray[np.uint64], count: NDArray[np.int64]) -> Table:
    """Order rows by true, then pred."""
    if len(true) and max(int(true.max()), int(pred.max())) < 1 << 32:
        order = np.argsort(true << np.uint64(32) | pred)  # one key sorts faster than two
    else:
        order = np.lexsort((pred, true))
    return {"true": true[order], "pred": pred[order], "count": count[order]}


@numba.njit(nogil=True, cache=True)
def _tally(
    true: NDArray[Any], pred: NDArray[Any]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64]]:
    """Count runs of equal pairs in a table with open addressing.

    A slot holds (true, pred, count), side by side so that a look-up costs one cache line; a count
    of 0 is a free slot.
    """
    bits, used = 14, 0
    slots = np.zeros((1 << bits, 3), np.uint64)
    last = np.empty(_PIECE, np.int32)
    for start in range(0, len(true), _PIECE):
        a, b = true[start : start + _PIECE], pred[start : start + _PIECE]
        before = -1
        for run in range(_find_runs(a, b, last)):
            at = last[run]
            t, p = np.uint64(a[at]), np.uint64(b[at])
            slot = _slot(slots, bits, t, p)
            if slots[slot, 2] == 0:
                slots[slot, 0], slots[slot, 1] = t, p
                used += 1
            slots[slot, 2] += np.uint64(at - before)
            before = at
        while 2 * (used + _PIECE) > len(slots):
            slots = _doubled(slots, bits)
            bits += 1
    found = slots[slots[:, 2] != 0]
    return found[:, 0].copy(), found[:, 1].copy(), found[:, 2].astype(np.int64)


@numba.njit(nogil=True, cache=True)
def _find_runs(true: NDArray[Any], pred: NDArray[Any], last: NDArray[np.int32]) -> Any:
    """Write down the last voxel of every run; without a branch, since run lengths are random."""
    run = np.uint64(0)
    t, p = true[0], pred[0]
    last[0] = 0
    for i in range(1, len(true)):
        next_t, next_p = true[i], pred[i]
        run += np.uint64((next_t != t) | (next_p != p))
        last[run] = i
        t, p = next_t, next_p
    return np.int64(run) + 1


@numba.njit(nogil=True, cache=True)
def _slot(slots: NDArray[np.uint64], bits: int, t: np.uint64, p: np.uint64) -> np.uint64:
    """Find the slot of a pair, or the free one where it belongs."""
    slot = ((t * _MIX + p) * _PRIME) >> np.uint64(64 - bits)
    end = np.uint64(len(slots) - 1)
    while slots[slot, 2] != 0 and (slots[slot, 0] != t or slots[slot, 1] != p):
        slot = (slot + np.uint64(1)) & end
    return slot


@numba.njit(nogil=True, cache=True)
def _doubled(slots: NDArray[np.uint64], bits: int) -> NDArray[np.uint64]:
    """Move every pair into a table of twice the size."""
    wider = np.zeros((2 * len(slots), 3), np.uint64)
    for old in range(len(slots)):
        if slots[old, 2] != 0:
            wider[_slot(wider, bits + 1, slots[old, 0], slots[old, 1])] = slots[old]
    return wider
