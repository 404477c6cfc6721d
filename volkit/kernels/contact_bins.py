"""Bins of contacts: rows of (edge, bin, number), and lists of them by edge."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.kernels.distinct import first_of_runs

Ints = NDArray[np.int64]
Table = dict[str, NDArray[Any]]
Pool = tuple[Ints, Ints, Ints, Ints]
"""First entry of every edge; bin, number and the next entry (-1 ends) of every entry."""


def added_bins(edge: Ints, bins: Ints, number: Ints) -> Table:
    """Add up rows of the same edge and bin.

    Parameters
    ----------
    edge, bins, number : ndarray of int64, shape (N,)
        In any order.

    Returns
    -------
    dict of ndarray
        ``edge``, ``bin`` and ``number`` (int64), sorted by the first two.

    Examples
    --------
    >>> rows = added_bins(np.array([1, 0, 1]), np.array([5, 9, 5]), np.array([1, 2, 3]))
    >>> {name: column.tolist() for name, column in rows.items()}
    {'edge': [0, 1], 'bin': [9, 5], 'number': [2, 4]}
    """
    order = np.lexsort((bins, edge))
    edge, bins, number = edge[order], bins[order], number[order]
    first = np.flatnonzero(first_of_runs(edge, bins))
    number = np.add.reduceat(number, first) if len(first) else number
    return {"edge": edge[first], "bin": bins[first], "number": number}


def bin_pool(edge: Ints, bins: Ints, number: Ints, edges: int) -> Pool:
    """Make lists of the bins of every edge.

    Parameters
    ----------
    edge, bins, number : ndarray of int64, shape (N,)
        From :func:`added_bins`.
    edges : int
        How many there are.

    Returns
    -------
    tuple of ndarray of int64
        A pool.
    """
    entries = len(edge)
    head = np.searchsorted(edge, np.arange(edges)).astype(np.int64)
    after = np.arange(1, entries + 1)
    if entries:
        after[np.append(edge[1:] != edge[:-1], True)] = -1
    return head, bins.copy(), number.copy(), after


@numba.njit(nogil=True, cache=True)
def _walk(pool: Any, edges: Ints, rows: Ints) -> Any:
    """Write the lists of some edges as rows, or count them where there is no room."""
    head, bins, number, after = pool
    count = 0
    for n in range(len(edges)):
        entry = head[edges[n]] if head[edges[n]] < len(bins) else -1
        while entry >= 0:
            if count < len(rows):
                rows[count] = n, bins[entry], number[entry]
            count += 1
            entry = after[entry]
    return count


def pool_rows(pool: Pool, edges: Ints) -> Table:
    """Write the lists of some edges as rows.

    Parameters
    ----------
    pool : tuple of ndarray of int64
        Lists.
    edges : ndarray of int64
        Whose; they are numbered anew, from 0.

    Returns
    -------
    dict of ndarray
        ``edge``, ``bin`` and ``number`` (int64).

    Examples
    --------
    >>> pool = bin_pool(np.array([0, 1, 1]), np.array([9, 5, 6]), np.array([2, 4, 1]), 2)
    >>> {name: column.tolist() for name, column in pool_rows(pool, np.array([1])).items()}
    {'edge': [0, 0], 'bin': [5, 6], 'number': [4, 1]}
    """
    rows = np.empty((_walk(pool, edges, np.empty((0, 3), np.int64)), 3), np.int64)
    _walk(pool, edges, rows)
    return dict(zip(("edge", "bin", "number"), rows.T.copy(), strict=True))
