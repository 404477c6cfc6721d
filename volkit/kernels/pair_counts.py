"""Counts of pairs of ids, voxel by voxel: runs first, recent pairs at hand, the rest sorted.

Pairs that were met last are counted in a table that stays in the cache, where each has one place.
One that has to make way is written down, with what was counted of it; what was written down is
sorted and added up.  Where all ids are below 2**32, a pair is one number: less to compare, to keep
at hand and to sort.

Voxels are visited in columns of pieces, one slab after the other, since the pairs of a piece are
mostly those of the piece below it: few have to make way and be met again.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.kernels.radix import sorted_rows

Rows = NDArray[np.uint64]

_RECENT_BITS = 14  # 16,384 pairs of 16 or 24 bytes: they stay in the second cache
_ROOM = 1 << 20  # rows to begin with; memory is taken as they are written
_PIECE = 8192  # voxels searched for runs at a time: their list stays in the second cache
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: spreads consecutive ids
_PRIME = np.uint64(0xC2B2AE3D27D4EB4F)  # of xxHash: carries low bits into the high ones
_HALF = np.uint64(32)  # bits of an id in a key of two


def count_pairs(true: NDArray[Any], pred: NDArray[Any]) -> NDArray[np.uint64]:
    """Count the voxels of every pair.

    Parameters
    ----------
    true, pred : ndarray of unsigned int, the same shape
        Any ids, aligned voxel by voxel; C order.

    Returns
    -------
    ndarray of uint64, shape (3, M)
        True id, predicted id and count, each pair once, sorted.

    Examples
    --------
    >>> true, pred = np.array([1, 1, 2, 1], np.uint64), np.array([7, 7, 2**64 - 1, 7], np.uint64)
    >>> count_pairs(true, pred).tolist()
    [[1, 2], [7, 18446744073709551615], [3, 1]]
    """
    slabs = len(true) if true.size > _PIECE * len(true) else 1
    true, pred = true.reshape(slabs, -1), pred.reshape(slabs, -1)
    rows = _gathered(_keyed, true, pred, 1)
    if rows is None:
        rows = _gathered(_wide, true, pred, 2)
        return np.ascontiguousarray(rows.T)
    table = np.empty((3, len(rows)), np.uint64)
    np.right_shift(rows[:, 0], _HALF, out=table[0])
    np.bitwise_and(rows[:, 0], np.uint64(0xFFFFFFFF), out=table[1])
    table[2] = rows[:, 1]
    return table


def _gathered(
    count: Callable[..., tuple[int, int]], true: NDArray[Any], pred: NDArray[Any], ids: int
) -> Any:
    """Let pieces be counted, with room made in between; give each pair once, sorted.

    Arrays are made here: NumPy asks for large pages, compiled code does not.
    """
    recent = np.zeros((1 << _RECENT_BITS, ids + 1), np.uint64)
    rows, used, piece = np.empty((_ROOM, ids + 1), np.uint64), 0, 0
    pieces = len(true) * -(-true.shape[1] // _PIECE)
    columns = tuple(range(ids))
    while piece < pieces:
        piece, used = count(true, pred, recent, rows, piece, used)
        if piece < 0:
            return None
        if used + max(_PIECE, len(recent)) > len(rows):
            used = _added_up(sorted_rows(rows[:used], columns))
            if 2 * used > len(rows):  # adding up gained little
                wider = np.empty((2 * len(rows), ids + 1), np.uint64)
                wider[:used] = rows[:used]
                rows = wider
    held = recent[recent[:, ids] != 0]
    rows[used : used + len(held)] = held
    found = sorted_rows(rows[: used + len(held)], columns)
    return found[: _added_up(found)]


@numba.njit(nogil=True, cache=True)
def _keyed(
    true: NDArray[Any], pred: NDArray[Any], recent: Rows, rows: Rows, piece: int, used: int
) -> Any:
    """Count pairs of ids below 2**32 while there is room; tell the next piece, -1 for larger ids.

    Rows are (key, count).
    """
    last, keys = np.empty(_PIECE, np.int32), np.empty(_PIECE, np.uint64)
    slabs, most = len(true), np.uint64(0)
    pieces = slabs * -(-true.shape[1] // _PIECE)
    while piece < pieces and used + _PIECE <= len(rows):
        begin, slab = piece // slabs * _PIECE, piece % slabs
        a, b = true[slab, begin : begin + _PIECE], pred[slab, begin : begin + _PIECE]
        piece += 1
        runs = np.uint64(_find_runs(a, b, last))
        for run in range(runs):
            at = np.uint64(last[run])
            t, p = np.uint64(a[at]), np.uint64(b[at])
            most |= t | p
            keys[run] = t << _HALF | p
        if most >> _HALF:
            return -1, used
        before = -1
        for run in range(runs):
            at, key = last[run], keys[run]
            place = (key * _MIX) >> np.uint64(64 - _RECENT_BITS)
            if recent[place, 0] != key:
                rows[used, 0], rows[used, 1] = recent[place, 0], recent[place, 1]
                used += int(recent[place, 1] != 0)
                recent[place, 0], recent[place, 1] = key, np.uint64(0)
            recent[place, 1] += np.uint64(at - before)
            before = at
    return piece, used


@numba.njit(nogil=True, cache=True)
def _wide(
    true: NDArray[Any], pred: NDArray[Any], recent: Rows, rows: Rows, piece: int, used: int
) -> Any:
    """Count pairs of any ids while there is room; tell the next piece.

    Rows are (true, pred, count).
    """
    last = np.empty(_PIECE, np.int32)
    slabs = len(true)
    pieces = slabs * -(-true.shape[1] // _PIECE)
    while piece < pieces and used + _PIECE <= len(rows):
        begin, slab = piece // slabs * _PIECE, piece % slabs
        a, b = true[slab, begin : begin + _PIECE], pred[slab, begin : begin + _PIECE]
        piece += 1
        before = -1
        for run in range(np.uint64(_find_runs(a, b, last))):
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
    return piece, used


@numba.njit(nogil=True, cache=True)
def _added_up(rows: Rows) -> Any:
    """Add up sorted rows of the same pair, in place; tell how many are left."""
    ids, left = rows.shape[1] - 1, 0
    for row in range(len(rows)):
        same = left > 0
        for column in range(ids):
            same = same and rows[left - 1, column] == rows[row, column]
        if same:
            rows[left - 1, ids] += rows[row, ids]
        else:
            for column in range(ids + 1):
                rows[left, column] = rows[row, column]
            left += 1
    return left


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
