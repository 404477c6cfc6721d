"""Keyed sums: rows that are found by three whole numbers, and tables of them that add up.

Compiled functions that other kernels are made of, and the addition of the tables that they give.
Rows lie in the order in which their keys were met; a hash table with open addressing finds them.
"""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.kernels.distinct import first_of_runs

Columns = dict[str, NDArray[Any]]

_FIRST_BITS = 10
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: spreads consecutive ids
_PRIME = np.uint64(0xC2B2AE3D27D4EB4F)  # of xxHash: carries low bits into the high ones


@numba.njit(nogil=True, cache=True)
def empty_rows(sums: int) -> Any:
    """Make a table without rows.

    Parameters
    ----------
    sums : int
        Whole numbers that every row adds up.

    Returns
    -------
    slots : ndarray of int32, shape (2**bits,)
        1 + the row whose key belongs there; 0 is free.
    keys : ndarray of uint64, shape (rows, 3)
        Of every row.
    sums : ndarray of int64, shape (rows, sums)
        Of every row.
    """
    rows = 1 << (_FIRST_BITS - 1)
    return (
        np.zeros(1 << _FIRST_BITS, np.int32),
        np.zeros((rows, 3), np.uint64),
        np.zeros((rows, sums), np.int64),
    )


@numba.njit(nogil=True, cache=True)
def roomy(slots: Any, keys: Any, sums: Any, used: int, more: int) -> Any:
    """Give a table that has room for more rows than are used, twice as large where need be."""
    while used + more > len(keys):
        wider_keys = np.zeros((2 * len(keys), 3), np.uint64)
        wider_sums = np.zeros((2 * len(keys), sums.shape[1]), np.int64)
        wider_keys[:used], wider_sums[:used] = keys[:used], sums[:used]
        keys, sums = wider_keys, wider_sums
        slots = np.zeros(2 * len(slots), np.int32)
        for row in range(used):
            slots[_slot(slots, keys, keys[row, 0], keys[row, 1], keys[row, 2])] = row + 1
    return slots, keys, sums


@numba.njit(nogil=True, cache=True)
def row_of(slots: Any, keys: Any, used: int, a: Any, b: Any, c: Any) -> Any:
    """Find the row of a key; ``used`` where it is a new one, which is then written down."""
    a, b, c = np.uint64(a), np.uint64(b), np.uint64(c)
    slot = _slot(slots, keys, a, b, c)
    if slots[slot] == 0:
        slots[slot] = used + 1
        keys[used, 0], keys[used, 1], keys[used, 2] = a, b, c
    return np.int64(slots[slot]) - 1


@numba.njit(nogil=True, cache=True)
def _slot(slots: Any, keys: Any, a: Any, b: Any, c: Any) -> Any:
    """Find the slot of a key, or the free one where it belongs."""
    end = np.uint64(len(slots) - 1)
    mixed = ((((a * _MIX) ^ b) * _PRIME) ^ c) * _MIX
    # Keys that differ in high bits alone shall differ in the low ones, too.
    mixed = (mixed ^ (mixed >> np.uint64(32))) * _PRIME
    slot = (mixed ^ (mixed >> np.uint64(29))) & end
    while slots[slot] != 0:
        row = slots[slot] - 1
        if keys[row, 0] == a and keys[row, 1] == b and keys[row, 2] == c:
            break
        slot = (slot + np.uint64(1)) & end
    return slot


def add_keyed(
    tables: Sequence[Columns],
    *,
    keys: Sequence[str],
    smallest: Sequence[str] = (),
    largest: Sequence[str] = (),
) -> Columns:
    """Add the tables of parts into the table of the whole.

    All columns are whole numbers, so that the sum is exact and depends neither on the order nor on
    the grouping of the parts.

    Parameters
    ----------
    tables : sequence of dict of ndarray
        At least one; all have the same columns.
    keys : sequence of str
        Columns that tell rows apart, the first one sorts first.
    smallest, largest : sequence of str
        Columns of which the smallest or the largest value is kept; all others are added.

    Returns
    -------
    dict of ndarray
        The same columns, each key once, sorted.

    Examples
    --------
    >>> part = {"id": np.array([7, 3]), "voxels": np.array([2, 5]), "x_start": np.array([4, 0])}
    >>> more = {"id": np.array([7]), "voxels": np.array([1]), "x_start": np.array([1])}
    >>> whole = add_keyed([part, more], keys=["id"], smallest=["x_start"])
    >>> {name: column.tolist() for name, column in whole.items()}
    {'id': [3, 7], 'voxels': [5, 3], 'x_start': [0, 1]}
    """
    names = list(tables[0])
    joined = {name: np.concatenate([table[name] for table in tables]) for name in names}
    order = np.lexsort([joined[name] for name in reversed(keys)])
    sorted_keys = {name: joined[name][order] for name in keys}
    starts = np.flatnonzero(first_of_runs(*sorted_keys.values()))
    if not len(starts):
        return joined
    result = {}
    for name in names:
        if name in sorted_keys:
            result[name] = sorted_keys[name][starts]
        else:
            merge = np.minimum if name in smallest else np.maximum if name in largest else np.add
            result[name] = merge.reduceat(joined[name][order], starts)
    return result
