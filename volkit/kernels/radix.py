"""Rows of whole numbers in order, digit by digit: what follows is sorted in linear time.

Compiled functions that other kernels are made of.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.uint64]

_BITS = 9  # of a digit: the ends of 512 streams stay in the first cache
_DIGITS = 1 << _BITS


@numba.njit(nogil=True, cache=True)
def sorted_rows(rows: Rows, columns: Any) -> Rows:
    """Sort rows by some of their columns; rows that are equal there stay in their order.

    Parameters
    ----------
    rows : ndarray of uint64, shape (N, K)
        C order; is overwritten.
    columns : tuple of int
        What to sort by, the first decides first.

    Returns
    -------
    ndarray of uint64, shape (N, K)
        The same array, or another one.

    Examples
    --------
    >>> rows = np.array([[2, 9, 1], [1, 7, 2], [2, 3, 3]], np.uint64)
    >>> sorted_rows(rows, (0, 1))[:, 2].tolist()
    [2, 3, 1]
    """
    other = np.empty_like(rows)
    counts = np.empty(_DIGITS, np.int64)
    for place in range(len(columns)):
        column = columns[len(columns) - 1 - place]
        most = np.uint64(0)
        for row in range(len(rows)):
            most |= rows[row, column]
        shift = np.uint64(0)
        while shift < np.uint64(64) and most >> shift:
            if _moved(rows, other, column, shift, counts):
                rows, other = other, rows
            shift += np.uint64(_BITS)
    return rows


@numba.njit(nogil=True, cache=True)
def _moved(rows: Rows, out: Rows, column: int, shift: np.uint64, counts: NDArray[np.int64]) -> Any:
    """Copy rows in the order of a digit, unless all have the same."""
    mask = np.uint64(_DIGITS - 1)
    counts[:] = 0
    for row in range(len(rows)):
        counts[(rows[row, column] >> shift) & mask] += 1
    at = 0
    for digit in range(_DIGITS):
        if counts[digit] == len(rows):
            return False
        here = counts[digit]
        counts[digit] = at
        at += here
    for row in range(len(rows)):
        digit = (rows[row, column] >> shift) & mask
        place = counts[digit]
        counts[digit] = place + 1
        for n in range(rows.shape[1]):
            out[place, n] = rows[row, n]
    return True
