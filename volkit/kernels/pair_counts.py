"""Counts of pairs of ids, voxel by voxel: runs first, recent pairs at hand, the rest sorted.

Pairs that were met last are counted in a table that stays in the cache, where each has one place.
One that has to make way is written down, with what was counted of it; what was written down is
sorted and added up.  Where all ids are below 2**32, a pair is one number: less to compare, to keep
at hand and to sort.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.kernels.radix import sorted_rows

Rows = NDArray[np.uint64]

_RECENT_BITS = 15  # 32,768 pairs of 16 or 24 bytes: they stay in the second cache
_ROOM = 1 << 20  # rows to begin with; memory is taken as they are written
_PIECE = 4096  # voxels searched for runs at a time: their list stays in the first cache
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: spreads consecutive ids
_PRIME = np.uint64(0xC2B2AE3D27D4EB4F)  # of xxHash: carries low bits into the high ones
_HALF = np.uint64(32)  # bits of an id in a key of two


def count_pairs(true: NDArray[Any], pred: NDArray[Any]) -> Rows:
    """Count the voxels of every pair.

    Parameters
    ----------
    true, pred : ndarray of unsigned int, shape (N,)
        Any ids, aligned voxel by voxel.

    Returns
    -------
    ndarray of uint64, shape (M, 3)
        True id, predicted id and count, each pair once, sorted.

    Examples
    --------
    >>> true, pred = np.array([1, 1, 2, 1], np.uint64), np.array([7, 7, 2**64 - 1, 7], np.uint64)
    >>> count_pairs(true, pred).tolist()
    [[1, 7, 3], [2, 18446744073709551615, 1]]
    """
    rows, fits = _keyed(true, pred)
    return _split(rows).T if fits else _wide(true, pred)


@numba.njit(nogil=True, cache=True)
def _keyed(true: NDArray[Any], pred: NDArray[Any]) -> Any:
    """Count pairs of ids below 2**32: rows of (key, count); and whether all ids are."""
    recent = np.zeros((1 << _RECENT_BITS, 2), np.uint64)
    rows, used = np.empty((_ROOM, 2), np.uint64), 0
    last = np.empty(_PIECE, np.int32)
    for start in range(0, len(true), _PIECE):
        if used + _PIECE > len(rows):
            rows, used = _added_keys(rows, used)
        a, b = true[start : start + _PIECE], pred[start : start + _PIECE]
        before, most = -1, np.uint64(0)
        for run in range(_find_runs(a, b, last)):
            at = last[run]
            t, p = np.uint64(a[at]), np.uint64(b[at])
            most |= t | p
            key = t << _HALF | p
            place = (key * _MIX) >> np.uint64(64 - _RECENT_BITS)
            if recent[place, 0] != key:
                rows[used, 0], rows[used, 1] = recent[place, 0], recent[place, 1]
                used += int(recent[place, 1] != 0)
                recent[place, 0], recent[place, 1] = key, np.uint64(0)
            recent[place, 1] += np.uint64(at - before)
            before = at
        if most >> _HALF:
            return rows[:0], False
    for slot in range(len(recent)):
        if used == len(rows):
            rows, used = _added_keys(rows, used)
        if recent[slot, 1] != 0:
            rows[used, 0], rows[used, 1] = recent[slot, 0], recent[slot, 1]
            used += 1
    return rows[:used], True


@numba.njit(nogil=True, cache=True)
def _split(rows: Rows) -> Rows:
    """Sort keys, add up, and part them into ids: columns, which are what tables are made of."""
    most = np.uint64(0)
    mask = (np.uint64(1) << _HALF) - np.uint64(1)
    for row in range(len(rows)):
        most |= rows[row, 0] & mask
    bits = np.uint64(0)
    while most >> bits:
        bits += np.uint64(1)
    for row in range(len(rows)):
        # Without the gap between the two ids there are fewer digits to sort by.
        key = rows[row, 0]
        rows[row, 0] = (key >> _HALF) << bits | (key & mask)
    whole = sorted_rows(rows, (0,))
    out = np.empty((3, _merged_keys(whole)), np.uint64)
    mask = (np.uint64(1) << bits) - np.uint64(1)
    for row in range(out.shape[1]):
        key = whole[row, 0]
        out[0, row], out[1, row], out[2, row] = key >> bits, key & mask, whole[row, 1]
    return out


@numba.njit(nogil=True, cache=True)
def _added_keys(rows: Rows, used: int) -> Any:
    """Make room: add up rows of the same key, and give twice the room where that gains little."""
    found = sorted_rows(rows[:used], (0,))
    used = _merged_keys(found)
    room = len(rows) if 2 * used <= len(rows) else 2 * len(rows)
    wider = np.empty((room, 2), np.uint64)
    wider[:used] = found[:used]
    return wider, used


@numba.njit(nogil=True, cache=True)
def _merged_keys(rows: Rows) -> Any:
    """Add up sorted rows of the same key, in place; tell how many are left."""
    count = 0
    for row in range(len(rows)):
        key, n = rows[row, 0], rows[row, 1]
        if count and rows[count - 1, 0] == key:
            rows[count - 1, 1] += n
        else:
            rows[count, 0], rows[count, 1] = key, n
            count += 1
    return count


@numba.njit(nogil=True, cache=True)
def _wide(true: NDArray[Any], pred: NDArray[Any]) -> Rows:
    """Count pairs of any ids: rows of (true, pred, count), each pair once, sorted."""
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
def _added_up(rows: Rows, used: int) -> Any:
    """Make room: add up rows of the same pair, and give twice the room where that gains little."""
    found = sorted_rows(rows[:used], (0, 1))
    used = _merged(found)
    room = len(rows) if 2 * used <= len(rows) else 2 * len(rows)
    wider = np.empty((room, 3), np.uint64)
    wider[:used] = found[:used]
    return wider, used


@numba.njit(nogil=True, cache=True)
def _merged(rows: Rows) -> Any:
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
