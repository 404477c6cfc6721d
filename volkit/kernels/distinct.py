"""Distinct ids: each once, in order, and the place of each value among them.

Sorted digit by digit, which for ids in their thousands takes a fraction of the time of
``numpy.unique``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.kernels.radix import sorted_rows

Ids = NDArray[np.uint64]


def distinct(ids: Ids) -> Ids:
    """List ids, each once.

    Parameters
    ----------
    ids : ndarray of uint64, shape (N,)
        In any order.

    Returns
    -------
    ndarray of uint64
        Sorted.

    Examples
    --------
    >>> distinct(np.array([7, 2**63, 7, 0], np.uint64)).tolist()
    [0, 7, 9223372036854775808]
    """
    in_order = sorted_rows(np.array(ids, np.uint64, order="C").reshape(-1, 1), (0,))[:, 0]
    return in_order[first_of_runs(in_order)]


def ranked(ids: Ids) -> tuple[Ids, NDArray[np.int64]]:
    """List ids, each once, and say where each value stands in the list.

    Parameters
    ----------
    ids : ndarray of uint64, shape (N,)
        In any order.

    Returns
    -------
    ids : ndarray of uint64
        Sorted, each once.
    ranks : ndarray of int64, shape (N,)
        Of every value.

    Examples
    --------
    >>> ids, ranks = ranked(np.array([7, 3, 7], np.uint64))
    >>> ids.tolist(), ranks.tolist()
    ([3, 7], [1, 0, 1])
    """
    rows = np.empty((len(ids), 2), np.uint64)
    rows[:, 0], rows[:, 1] = ids, np.arange(len(ids))
    rows = sorted_rows(rows, (0,))
    first = first_of_runs(rows[:, 0])
    ranks = np.empty(len(ids), np.int64)
    ranks[rows[:, 1]] = np.cumsum(first) - 1
    return rows[first, 0], ranks


def first_of_runs(*columns: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark the first of every run of rows that are equal in all columns.

    Examples
    --------
    >>> first_of_runs(np.array([5, 5, 5]), np.array([1, 1, 2])).tolist()
    [True, False, True]
    """
    first = np.ones(len(columns[0]), bool)
    np.not_equal(columns[0][1:], columns[0][:-1], out=first[1:])
    for column in columns[1:]:
        first[1:] |= column[1:] != column[:-1]
    return first
