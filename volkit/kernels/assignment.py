"""Assignment: each candidate to one reference at most, as many as possible, as close as possible.

Successive shortest augmenting paths over the sparse graph of pairs that may meet (Jonker and
Volgenant, doi:10.1007/BF02278710; Crouse, doi:10.1109/TAES.2016.140952).  A search stays in its
connected component, so that a million points in small groups cost a million small searches.
"""

import heapq

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import GeometryError

Rows = NDArray[np.int64]


def assign(
    candidate: Rows, reference: Rows, cost: NDArray[np.float64], *, candidates: int, references: int
) -> Rows:
    """Match candidates to references one to one.

    Of all matchings with the most pairs, one with the least sum of costs is found.

    Parameters
    ----------
    candidate, reference : ndarray of int64, shape (P,)
        Pairs that may meet, each once.
    cost : ndarray of float64, shape (P,)
        0 or more, such as the distance.
    candidates, references : int
        How many of each there are.

    Returns
    -------
    ndarray of int64, shape (references,)
        The candidate of each reference; -1 where it has none.

    Raises
    ------
    GeometryError
        If shapes differ, an index is out of range, or a cost is negative or not finite.

    Examples
    --------
    >>> pairs = np.array([0, 0, 1]), np.array([0, 1, 0])
    >>> assign(*pairs, np.array([1.0, 2.0, 9.0]), candidates=2, references=2).tolist()
    [1, 0]
    """
    if not (len(candidate) == len(reference) == len(cost)):
        raise GeometryError(
            f"{len(candidate)} candidates, {len(reference)} references and {len(cost)} costs of "
            "pairs; give one of each for every pair"
        )
    if len(cost) == 0:
        return np.full(references, -1, np.int64)
    for name, rows, count in (
        ("candidate", candidate, candidates),
        ("reference", reference, references),
    ):
        if rows.min() < 0 or rows.max() >= count:
            raise GeometryError(f"pairs name a {name} outside 0 to {count - 1}; number them so")
    if not (cost.min() >= 0 and cost.max() < np.inf):
        raise GeometryError("costs are negative, infinite or NaN; give numbers of 0 or more")
    order = np.lexsort((candidate, reference))
    starts = np.searchsorted(reference[order], np.arange(references + 1))
    # Dearer than any detour: leaving a reference out is the last resort.
    left_out = (min(candidates, references) + 1.0) * float(cost.max()) + 1.0
    return _augmented(starts, candidate[order], cost[order], candidates, left_out)


@numba.njit(nogil=True, cache=True)
def _augmented(starts, columns, cost, count, left_out):  # type: ignore[no-untyped-def]
    """Augment from each row in turn; column ``count + row`` is to leave that row out."""
    rows = len(starts) - 1
    row_price, price = np.zeros(rows), np.zeros(count + rows)
    of_row = np.full(rows, -1, np.int64)
    of_column = np.full(count + rows, -1, np.int64)
    length = np.full(count + rows, np.inf)
    came_from = np.full(count + rows, -1, np.int64)
    closed = np.zeros(count + rows, np.bool_)
    for row in range(rows):
        seen, ended, sink = _shortest(
            row,
            starts,
            columns,
            cost,
            left_out,
            row_price,
            price,
            of_column,
            length,
            came_from,
            closed,
        )
        least = length[sink]
        row_price[row] += least
        for column in ended:
            if column != sink:
                row_price[of_column[column]] += least - length[column]
                price[column] -= least - length[column]
        column = sink
        while True:
            i = came_from[column]
            of_column[column] = i
            column, of_row[i] = of_row[i], column
            if i == row:
                break
        for column in seen:
            length[column], closed[column] = np.inf, False
    return np.where(of_row < count, of_row, -1)


@numba.njit(nogil=True, cache=True)
def _shortest(  # type: ignore[no-untyped-def]
    row, starts, columns, cost, left_out, row_price, price, of_column, length, came_from, closed
):
    """Find the shortest path to a free column (Dijkstra), and what it touched and closed."""
    count = len(price) - len(row_price)
    seen, ended = [0 for _ in range(0)], [0 for _ in range(0)]
    queue = [(0.0, 0) for _ in range(0)]
    least, i = 0.0, row
    while True:
        for n in range(starts[i], starts[i + 1] + 1):
            leaves = n == starts[i + 1]
            column = count + i if leaves else columns[n]
            if closed[column]:
                continue
            reached = least + (left_out if leaves else cost[n]) - row_price[i] - price[column]
            if reached < length[column]:
                if length[column] == np.inf:
                    seen.append(column)
                length[column], came_from[column] = reached, i
                heapq.heappush(queue, (reached, column))
        while True:
            least, column = heapq.heappop(queue)
            if not closed[column]:
                break
        closed[column] = True
        ended.append(column)
        if of_column[column] < 0:
            return seen, ended, column
        i = of_column[column]
