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
from volkit.kernels.radix import sorted_rows

Table = dict[str, NDArray[Any]]

_RECENT_BITS = 15  # 32,768 pairs of 24 bytes: they stay in the second cache
_ROOM = 1 << 20  # rows to begin with; memory is taken as they are written
_PIECE = 4096  # voxels searched for runs at a time: their list stays in the first cache
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: spreads consecutive ids
_PRIME = np.uint64(0xC2B2AE3D27D4EB4F)  # of xxHash: carries low bits into the high ones


def contingency(true: NDArray[Any], pred: NDArray[Any]) -> Table:
    """Count the voxels that each pair of labels shares.

    Runs of equal pairs are found first, so that tables are touched once for each run rather than
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
    table = _columns(_tally(_flat(true, "true"), _flat(pred, "predicted")))
    for name, labels, ids in (("true", true, table["true"]), ("predicted", pred, table["pred"])):
        _refuse_negative(name, labels.dtype, ids)
    return table


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
    return _columns(sorted_rows(np.stack([true, pred, count.astype(np.uint64)], axis=1), (0, 1)))


def _columns(rows: NDArray[np.uint64]) -> Table:
    true, pred, count = np.ascontiguousarray(rows.T)
    return {"true": true, "pred": pred, "count": count.view(np.int64)}


@numba.njit(nogil=True, cache=True)
def _tally(true: NDArray[Any], pred: NDArray[Any]) -> NDArray[np.uint64]:
    """Count runs of equal pairs: rows of (true, pred, count), each pair once, sorted.

    Pairs that were met last are counted in a table that stays in the cache, where each has one
    place.  One that has to make way is written down, with what was counted of it; what was
    written down is sorted and added up.
    """
    recent = np.zeros((1 << _RECENT_BITS, 3), np.uint64)
    rows, used = np.empty((_ROOM, 3), np.uint64), 0
    last = np.empty(_PIECE, np.int32)
    for start in range(0, len(true), _PIECE):
        if used + _PIECE > len(rows):
            rows, used = _added_up(rows, used)
        a, b = true[start : start + _PIECE], pred[start : start + _PIECE]
        before = -1
        for run in range(_find_runs(a, b, last)):
            at = last[run]
            t, p = np.uint64(a[at]), np.uint64(b[at])
            place = ((t * _MIX + p) * _PRIME) >> np.uint64(64 - _RECENT_BITS)
            held = recent[place]
            if held[0] != t or held[1] != p:
                if held[2] != 0:
                    rows[used, 0], rows[used, 1], rows[used, 2] = held[0], held[1], held[2]
                    used += 1
                held[0], held[1], held[2] = t, p, np.uint64(0)
            held[2] += np.uint64(at - before)
            before = at
    for slot in range(len(recent)):
        if used == len(rows):
            rows, used = _added_up(rows, used)
        if recent[slot, 2] != 0:
            rows[used] = recent[slot]
            used += 1
    whole = sorted_rows(rows[:used], (0, 1))
    return whole[: _merged(whole)].copy()


@numba.njit(nogil=True, cache=True)
def _added_up(rows: NDArray[np.uint64], used: int) -> Any:
    """Make room: add up rows of the same pair, and give twice the room where that gains little."""
    found = sorted_rows(rows[:used], (0, 1))
    used = _merged(found)
    room = len(rows) if 2 * used <= len(rows) else 2 * len(rows)
    wider = np.empty((room, 3), np.uint64)
    wider[:used] = found[:used]
    return wider, used


@numba.njit(nogil=True, cache=True)
def _merged(rows: NDArray[np.uint64]) -> Any:
    """Add up sorted rows of the same pair, in place; tell how many are left."""
    count = 0
    for row in range(len(rows)):
        t, p, n = rows[row, 0], rows[row, 1], rows[row, 2]
        if count and rows[count - 1, 0] == t and rows[count - 1, 1] == p:
            rows[count - 1, 2] += n
        else:
            rows[count, 0], rows[count, 1], rows[count, 2] = t, p, n
            count += 1
    return count


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
