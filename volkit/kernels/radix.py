"""Rows of whole numbers in order, digit by digit: what follows is sorted in linear time.

Many rows are parted by their first digits, and each part is sorted on its own while it is in the
cache.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.uint64]
Ends = NDArray[np.uint64]

_BITS = 8  # of a digit
_FIRST_BITS = 10  # of the digit that parts the rows: the ends of 1024 streams stay in the cache
_FEW = 4096  # rows that stay in the cache with their copy: nothing to part
_NONE, _ONE = np.uint64(0), np.uint64(1)  # unsigned places are not asked whether they are negative


def sorted_rows(rows: Rows, columns: tuple[int, ...]) -> Rows:
    """Sort rows by some of their columns; rows that are equal there stay in their order.

    Parameters
    ----------
    rows : ndarray of uint64, shape (N, K)
        C order; is sorted in place.
    columns : tuple of int
        What to sort by, the first decides first.

    Returns
    -------
    ndarray of uint64, shape (N, K)
        The same array.

    Examples
    --------
    >>> rows = np.array([[2, 9, 1], [1, 7, 2], [2, 3, 3]], np.uint64)
    >>> sorted_rows(rows, (0, 1))[:, 2].tolist()
    [2, 3, 1]
    """
    # NumPy asks for large pages where it makes large arrays; compiled code does not, and what is
    # new to the process then takes longer to get than to sort.
    other = np.empty_like(rows)
    _sort(rows, other, np.array(columns, np.uint64))
    return rows


def sorted_order(*columns: NDArray[Any]) -> NDArray[np.int64]:
    """Say in which order rows are sorted; the first column decides first.

    As ``numpy.lexsort`` does with the columns the other way round, in a fraction of the time where
    there are many rows.

    Parameters
    ----------
    columns : ndarray of int or bool, shape (N,)
        Not negative.

    Returns
    -------
    ndarray of int64, shape (N,)
        Numbers of rows; those that are equal stay in their order.

    Examples
    --------
    >>> sorted_order(np.array([2, 1, 2]), np.array([9, 7, 3], np.uint64)).tolist()
    [1, 2, 0]
    """
    rows = np.empty((len(columns[0]), len(columns) + 1), np.uint64)
    for place, column in enumerate(columns):
        rows[:, place] = column
    rows[:, -1] = np.arange(len(rows))
    return sorted_rows(rows, tuple(range(len(columns))))[:, -1].astype(np.int64)


@numba.njit(nogil=True, cache=True)
def _sort(rows: Rows, other: Rows, columns: NDArray[np.uint64]) -> None:
    """Part the rows by the first bits in which they differ, and sort each part."""
    ends = np.zeros(1 << _BITS, np.uint64)
    count = np.uint64(len(rows))
    first, shift = _NONE, _NONE
    if count > _FEW:
        while first < len(columns) and not _differences(rows, _NONE, count, columns[first]):
            first += _ONE
    if count <= _FEW or first == len(columns):
        if _sort_part(rows, other, _NONE, count, columns, ends):
            _copy(other, rows, _NONE, count)
        return
    differ = _differences(rows, _NONE, count, columns[first])
    while differ >> shift >> np.uint64(_FIRST_BITS):
        shift += _ONE
    parts = np.zeros(1 << _FIRST_BITS, np.uint64)
    _move(rows, other, _NONE, count, columns[first], shift, parts)
    begin = _NONE
    for part in range(np.uint64(len(parts))):
        end = parts[part]
        if not _sort_part(other, rows, begin, end, columns, ends):
            _copy(other, rows, begin, end)
        begin = end


@numba.njit(nogil=True, cache=True)
def _sort_part(
    rows: Rows, other: Rows, begin: np.uint64, end: np.uint64, columns: Any, ends: Ends
) -> Any:
    """Sort some of the rows, the last digit first; tell whether they are in the other array."""
    moved = False
    for place in range(len(columns)):
        column = columns[len(columns) - 1 - place]
        differ = _differences(rows, begin, end, column)
        shift = _NONE
        while shift < np.uint64(64) and differ >> shift:
            if not differ >> shift & _ONE:
                shift += _ONE
                continue
            ends[:] = _NONE
            _move(rows, other, begin, end, column, shift, ends)
            rows, other, moved = other, rows, not moved
            shift += np.uint64(_BITS)
    return moved


@numba.njit(nogil=True, cache=True)
def _move(
    rows: Rows,
    out: Rows,
    begin: np.uint64,
    end: np.uint64,
    column: np.uint64,
    shift: np.uint64,
    ends: Ends,
) -> None:
    """Copy some of the rows in the order of a digit; tell where those of each value end."""
    width, mask = np.uint64(rows.shape[1]), np.uint64(len(ends) - 1)
    for row in range(begin, end):
        ends[rows[row, column] >> shift & mask] += _ONE
    place = begin
    for digit in range(len(ends)):
        here = ends[digit]
        ends[digit] = place
        place += here
    for row in range(begin, end):
        digit = rows[row, column] >> shift & mask
        place = ends[digit]
        ends[digit] = place + _ONE
        # A loop over so few takes longer than what it does.
        out[place, _NONE] = rows[row, _NONE]
        if width > _ONE:
            out[place, _ONE] = rows[row, _ONE]
        for n in range(np.uint64(2), width):
            out[place, n] = rows[row, n]


@numba.njit(nogil=True, cache=True)
def _differences(rows: Rows, begin: np.uint64, end: np.uint64, column: np.uint64) -> Any:
    """Tell in which bits of a column rows differ."""
    differ = _NONE
    for row in range(begin, end):
        differ |= rows[row, column] ^ rows[begin, column]
    return differ


@numba.njit(nogil=True, cache=True)
def _copy(rows: Rows, out: Rows, begin: np.uint64, end: np.uint64) -> None:
    """Copy some of the rows to where they are."""
    for row in range(begin, end):
        for n in range(np.uint64(rows.shape[1])):
            out[row, n] = rows[row, n]
