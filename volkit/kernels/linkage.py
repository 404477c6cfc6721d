"""Linkage with frozen regions: the merges of a part of a graph that are also those of the whole.

The region graph is merged from the lowest score up.  A region that may still gain contacts is
frozen: it does not merge here.  When an edge comes up of which one end is frozen, the other end
becomes frozen too, since its best partner is not decided yet.  Two regions that merge are each
other's best partner, and neither can gain a contact; merges elsewhere cannot change that, since the
score of contacts put together is never below the lower of theirs.

The mean of the k largest affinities is another matter, as it can rise where contacts are put
together.  So a contact has a turn, the lower of those it was made of, and its score is taken when
its turn comes: it merges there, or gets its score as a later turn.  Turns never come too early, and
nothing hangs on when contacts were put together.  A turn of which one end is frozen freezes both.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.kernels.contacts import ONE
from volkit.kernels.edge_lists import (
    find_edge,
    link_half,
    new_edge_table,
    remove_edge,
)
from volkit.kernels.exact_ratio import compare_ratios
from volkit.kernels.linkage_rule import HIGHEST, LOWEST, MEAN, OF_LARGEST, OF_VALUES

Ints = NDArray[np.int64]
Pool = tuple[Ints, Ints, Ints, Ints]

_STEP = 2**21  # 256 bins of 2^30, halved: scores are middles of bins


@numba.njit(nogil=True, cache=True)
def merge_settled(
    ends: Ints, sums: Ints, rank: Ints, pool: Pool, frozen: NDArray[np.bool_], rule: Any
) -> Any:
    """Merge all that is certain.

    Parameters
    ----------
    ends : ndarray of int64, shape (2, E)
        Nodes that every edge joins; changed.
    sums : ndarray of int64, shape (E, 2)
        Mean: sum and number.  Lowest, highest: that, and the number.  Quantile: unused, and the
        number.  Largest: the ratio that is the turn.  Changed.
    rank : ndarray of int64, shape (E,)
        Which of equal scores comes first; all different; changed.
    pool : tuple of ndarray of int64
        For quantiles and the largest, the bins (or values) of every edge as a list: first entry of
        every edge; bin, number and the next entry (-1 ends) of every entry.  Changed.
    frozen : ndarray of bool, shape (N,)
        Nodes that do not merge; changed to those that cannot be decided.
    rule : tuple of int
        What a score is (``Linkage.rule``), and the ratio (two numbers) below which scores merge.

    Returns
    -------
    merges : ndarray of int64, shape (M, 4)
        In the order in which they came: the smallest node of either group, the smaller first, and
        the ratio that is their score.
    left : ndarray of bool, shape (E,)
        Edges between nodes that are frozen; ``ends`` name the smallest nodes of their groups.
    """
    nodes, edges = len(frozen), ends.shape[1]
    alive = np.ones(edges, np.bool_)
    graph = (ends, sums, alive, new_edge_table(edges), nodes)
    behind, heads = np.full(2 * edges, -1, np.int64), np.full(nodes, -1, np.int64)
    lists = (behind, heads, np.zeros(nodes, np.int64))
    queue, stamp = np.empty((2 * edges + 2, 5), np.int64), np.zeros(edges, np.int64)
    state = (rank, pool, queue, stamp)
    queued = 0
    for edge in range(edges):
        for side in range(2):
            link_half(lists, ends[side, edge], 2 * edge + side)
        graph[3][find_edge(graph, ends[0, edge], ends[1, edge])] = edge
        queued = _push(state, sums, queued, edge, rule)
    low = np.arange(nodes)
    merges, count = np.empty((nodes, 4), np.int64), 0
    while queued:
        num, den, edge, was = queue[0, 0], queue[0, 1], queue[0, 3], queue[0, 4]
        queued = _pop(queue, queued)
        if not alive[edge] or was != stamp[edge]:
            continue
        keep, gone = ends[0, edge], ends[1, edge]
        if frozen[keep] or frozen[gone]:
            frozen[keep] = frozen[gone] = True
            continue
        if rule[0] > OF_LARGEST and _put_off(sums, pool, edge):
            queued = _push(state, sums, queued, edge, rule)
            continue
        if lists[2][keep] < lists[2][gone]:
            keep, gone = gone, keep
        first, second = min(low[keep], low[gone]), max(low[keep], low[gone])
        merges[count] = first, second, num, den
        count += 1
        low[keep] = first
        alive[edge] = False
        remove_edge(graph, keep, gone)
        queued = _absorb(graph, lists, state, queued, (keep, gone), rule)
    left = _between(ends, alive, frozen, low)
    return merges[:count].copy(), left


@numba.njit(nogil=True, cache=True)
def _between(ends: Ints, alive: Any, frozen: NDArray[np.bool_], low: Ints) -> Any:
    """Find the edges between frozen nodes, and name their ends after the smallest members."""
    for edge in range(len(alive)):
        alive[edge] = alive[edge] and frozen[ends[0, edge]] and frozen[ends[1, edge]]
        a, b = low[ends[0, edge]], low[ends[1, edge]]
        ends[0, edge], ends[1, edge] = min(a, b), max(a, b)
    return alive


@numba.njit(nogil=True, cache=True)
def _absorb(
    graph: Any, lists: Any, state: Any, queued: int, pair: tuple[int, int], rule: Any
) -> Any:
    """Hand the edges of one node to another; put together those that then join the same nodes."""
    ends, sums, alive, table, _ = graph
    behind, first, _ = lists
    rank, pool, _, stamp = state
    keep, gone = pair
    half = first[gone]
    while half >= 0:
        after = behind[half]
        edge = half // 2
        if alive[edge]:
            other = ends[0, edge] if ends[1, edge] == gone else ends[1, edge]
            remove_edge(graph, gone, other)
            slot = find_edge(graph, keep, other)
            twin = table[slot]
            if twin < 0 or edge < twin:
                ends[0, edge], ends[1, edge] = keep, other
                link_half(lists, keep, half)
                table[slot] = edge
            if twin >= 0:
                chosen, dropped = min(edge, twin), max(edge, twin)
                _add(sums, rank, pool, chosen, dropped, rule[0])
                alive[dropped] = False
                stamp[chosen] += 1
                queued = _push(state, sums, queued, chosen, rule)
        half = after
    return queued


@numba.njit(nogil=True, cache=True)
def _add(sums: Ints, rank: Ints, pool: Pool, to: int, of: int, what: int) -> None:
    """Put two edges together."""
    if what > OF_LARGEST:
        order = compare_ratios(sums[of, 0], sums[of, 1], sums[to, 0], sums[to, 1])
        if order < 0 or (order == 0 and rank[of] < rank[to]):
            sums[to, 0], sums[to, 1], rank[to] = sums[of, 0], sums[of, 1], rank[of]
        joined = _joined(pool, pool[0][to], pool[0][of])
        pool[0][to] = _last_of(pool, joined, what - OF_LARGEST)
        return
    sums[to, 1] += sums[of, 1]
    if what == MEAN:
        sums[to, 0] += sums[of, 0]
        rank[to] = min(rank[to], rank[of])
        return
    # Scores of these can tie where one part is higher: only the larger rank keeps the order of
    # merges from depending on when parts are put together.
    rank[to] = max(rank[to], rank[of])
    if what == LOWEST:
        sums[to, 0] = min(sums[to, 0], sums[of, 0])
    elif what == HIGHEST:
        sums[to, 0] = max(sums[to, 0], sums[of, 0])
    else:
        pool[0][to] = _joined(pool, pool[0][to], pool[0][of])


@numba.njit(nogil=True, cache=True)
def _joined(pool: Pool, a: int, b: int) -> Any:
    """Join two lists of bins, both ascending; entries of the same bin become one."""
    _, bins, number, after = pool
    head, last = -1, -1
    while a >= 0 or b >= 0:
        if b < 0 or (a >= 0 and bins[a] <= bins[b]):
            taken, a = a, after[a]
        else:
            taken, b = b, after[b]
        if last >= 0 and bins[last] == bins[taken]:
            number[last] += number[taken]
            continue
        if last < 0:
            head = taken
        else:
            after[last] = taken
        last = taken
    if last >= 0:
        after[last] = -1
    return head


@numba.njit(nogil=True, cache=True)
def _last_of(pool: Pool, head: int, most: int) -> Any:
    """Shorten an ascending list to its last values."""
    _, _, number, after = pool
    spare, entry = -most, head
    while entry >= 0:
        spare += number[entry]
        entry = after[entry]
    while spare > 0 and number[head] <= spare:
        spare -= number[head]
        head = after[head]
    if spare > 0:
        number[head] -= spare
    return head


@numba.njit(nogil=True, cache=True)
def _put_off(sums: Ints, pool: Pool, edge: int) -> Any:
    """Take the score of an edge whose turn it is; tell whether that is a later turn."""
    head, bins, number, after = pool
    entry, total, count = head[edge], 0, 0
    while entry >= 0:
        total += (ONE - bins[entry]) * number[entry]
        count += number[entry]
        entry = after[entry]
    if compare_ratios(total, count, sums[edge, 0], sums[edge, 1]) <= 0:
        return False
    sums[edge, 0], sums[edge, 1] = total, count
    return True


@numba.njit(nogil=True, cache=True)
def _score(sums: Ints, pool: Pool, edge: int, what: int) -> Any:
    """Give the score of an edge as a ratio, in units of 2**-30."""
    if what == MEAN or what > OF_LARGEST:
        return sums[edge, 0], sums[edge, 1]
    if what in (LOWEST, HIGHEST):
        return sums[edge, 0], 1
    head, bins, number, after = pool
    entry = head[edge]
    seen, pivot = number[entry], what % OF_VALUES * sums[edge, 1] // 100 + 1
    while seen < pivot:
        entry = after[entry]
        seen += number[entry]
    if what >= OF_VALUES:
        return ONE - bins[entry], 1
    return (2 * (255 - bins[entry]) + 1) * _STEP, 1


@numba.njit(nogil=True, cache=True)
def _before(a: Ints, b: Ints) -> Any:
    order = compare_ratios(a[0], a[1], b[0], b[1])
    return order < 0 or (order == 0 and a[2] < b[2])


@numba.njit(nogil=True, cache=True)
def _push(state: Any, sums: Ints, queued: int, edge: int, rule: Any) -> Any:
    """Queue an edge, unless its score is too high ever to be taken."""
    rank, pool, queue, stamp = state
    num, den = _score(sums, pool, edge, rule[0])
    if compare_ratios(num, den, rule[1], rule[2]) >= 0:
        return queued
    at = queued
    row = queue[len(queue) - 1]
    row[0], row[1], row[2], row[3], row[4] = num, den, rank[edge], edge, stamp[edge]
    while at > 0:
        above = (at - 1) // 2
        if _before(queue[above], row):
            break
        queue[at] = queue[above]
        at = above
    queue[at, 0], queue[at, 1], queue[at, 2] = num, den, rank[edge]
    queue[at, 3], queue[at, 4] = edge, stamp[edge]
    return queued + 1


@numba.njit(nogil=True, cache=True)
def _pop(queue: Ints, queued: int) -> Any:
    """Drop the foremost edge of the queue."""
    queued -= 1
    at, last = 0, queue[queued]
    while 2 * at + 1 < queued:
        below = 2 * at + 1
        if below + 1 < queued and _before(queue[below + 1], queue[below]):
            below += 1
        if _before(last, queue[below]):
            break
        queue[at] = queue[below]
        at = below
    queue[at] = last
    return queued
