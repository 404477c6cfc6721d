"""Mean-boundary agglomeration of a region graph."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.kernels.contacts import ONE
from volkit.kernels.distinct import ranked
from volkit.kernels.edge_lists import (
    find_edge,
    link_half,
    new_edge_table,
    remove_edge,
    smallest_members,
)

Labels = NDArray[np.uint64]
Ints = NDArray[np.int64]


def agglomerate_mean(
    u: Labels, v: Labels, boundary_sum: Ints, count: Ints, *, threshold: float
) -> tuple[Labels, Labels]:
    """Merge fragments across the weakest boundaries first.

    The two groups with the lowest mean boundary merge; their contacts with a third group become
    one, with both sums and both counts added; and so on until the lowest mean reaches the
    threshold.  Of equal means, the one whose smallest contact (pair of fragment ids) comes first
    is taken, so that the result depends on the graph alone.

    Parameters
    ----------
    u, v : ndarray of uint64, shape (E,)
        Contacts: pairs of fragments, ``u < v``, each pair once.
    boundary_sum : ndarray of int64, shape (E,)
        Sum of boundary probabilities of each contact, in units of 2**-30.
    count : ndarray of int64, shape (E,)
        Faces of each contact.
    threshold : float
        Mean boundary probability at which merging ends.

    Returns
    -------
    old, new : ndarray of uint64
        The fragments that change, sorted, and the smallest id of the group of each.

    Raises
    ------
    ContractError
        If a pair is not in order, comes twice, or has no faces; or the threshold is not finite.

    References
    ----------
    J. Funke et al., Large scale image segmentation with structured loss based deep learning for
    connectome reconstruction, 2019, https://doi.org/10.1109/TPAMI.2018.2835450

    Examples
    --------
    >>> u, v = np.array([1, 2, 1], np.uint64), np.array([2, 3, 3], np.uint64)
    >>> sums, faces = np.array([1, 8, 6]) * 2**30 // 10, np.array([1, 1, 1])
    >>> old, new = agglomerate_mean(u, v, sums, faces, threshold=0.5)
    >>> old.tolist(), new.tolist()
    ([2], [1])
    """
    if not np.isfinite(threshold):
        raise ContractError(f"threshold is {threshold}; give a mean boundary probability, 0 to 1")
    order = np.lexsort((v, u))
    u, v = u[order], v[order]
    same = (u[1:] == u[:-1]) & (v[1:] == v[:-1])
    if same.any() or (u >= v).any() or (count < 1).any():
        raise ContractError(
            "contacts must be pairs u < v, each once, with at least one face; "
            "add them up with add_contacts first"
        )
    ids, ends = ranked(np.concatenate([u, v]))
    ends = ends.reshape(2, -1)
    sums = np.stack([boundary_sum[order], count[order]], axis=1).astype(np.int64)
    group = _agglomerate(ends, sums, len(ids), float(threshold) * ONE)
    changed = group != np.arange(len(ids))
    return ids[changed], ids[group[changed]]


@numba.njit(nogil=True, cache=True)
def _agglomerate(ends: Ints, sums: Ints, nodes: int, limit: float) -> Ints:
    """Merge until the lowest mean reaches the limit; give the smallest member of every group."""
    edges = ends.shape[1]
    alive = np.ones(edges, np.bool_)
    graph = (ends, sums, alive, new_edge_table(edges), nodes)
    # Each node's half-edges are a linked list: half-edge h belongs to edge h // 2.
    behind, first = np.full(2 * edges, -1, np.int64), np.full(nodes, -1, np.int64)
    lists = (behind, first, np.zeros(nodes, np.int64))
    # An edge enters the queue once, and once more for every edge that is added to it.
    queue = (np.empty(2 * edges + 1, np.float64), np.empty(2 * edges + 1, np.int64))
    queued = 0
    for edge in range(edges):
        for side in range(2):
            link_half(lists, ends[side, edge], 2 * edge + side)
        graph[3][find_edge(graph, ends[0, edge], ends[1, edge])] = edge
        queued = _push(queue, queued, _mean(sums, edge), edge, limit)
    parent = np.arange(nodes)
    while queued:
        score, edge = queue[0][0], queue[1][0]
        queued = _pop(queue, queued)
        if not alive[edge] or score != _mean(sums, edge):
            continue  # merged, or queued again with a newer mean
        keep, gone = ends[0, edge], ends[1, edge]
        if lists[2][keep] < lists[2][gone]:
            keep, gone = gone, keep
        parent[gone] = keep
        alive[edge] = False
        remove_edge(graph, keep, gone)
        queued = _absorb(graph, lists, queue, queued, keep, gone, limit)
    return smallest_members(parent)


@numba.njit(nogil=True, cache=True)
def _absorb(
    graph: Any, lists: Any, queue: Any, queued: int, keep: int, gone: int, limit: float
) -> Any:
    """Hand the edges of one node to another; add up those that then join the same nodes."""
    ends, sums, alive, table, _ = graph
    behind, first, _ = lists
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
                sums[chosen] += sums[dropped]
                alive[dropped] = False
                queued = _push(queue, queued, _mean(sums, chosen), chosen, limit)
        half = after
    return queued


@numba.njit(nogil=True, cache=True)
def _mean(sums: Ints, edge: int) -> Any:
    return np.float64(sums[edge, 0]) / np.float64(sums[edge, 1])


@numba.njit(nogil=True, cache=True)
def _before(score_a: float, edge_a: int, score_b: float, edge_b: int) -> Any:
    return score_a < score_b or (score_a == score_b and edge_a < edge_b)


@numba.njit(nogil=True, cache=True)
def _push(queue: Any, queued: int, score: float, edge: int, limit: float) -> Any:
    """Queue an edge, unless its mean is too high ever to be taken."""
    scores, edges = queue
    if score >= limit:
        return queued
    at = queued
    while at > 0:
        above = (at - 1) // 2
        if _before(scores[above], edges[above], score, edge):
            break
        scores[at], edges[at] = scores[above], edges[above]
        at = above
    scores[at], edges[at] = score, edge
    return queued + 1


@numba.njit(nogil=True, cache=True)
def _pop(queue: Any, queued: int) -> Any:
    """Drop the foremost edge of the queue."""
    scores, edges = queue
    queued -= 1
    score, edge = scores[queued], edges[queued]
    at = 0
    while 2 * at + 1 < queued:
        below = 2 * at + 1
        right = below + 1
        if right < queued and _before(scores[right], edges[right], scores[below], edges[below]):
            below = right
        if _before(score, edge, scores[below], edges[below]):
            break
        scores[at], edges[at] = scores[below], edges[below]
        at = below
    scores[at], edges[at] = score, edge
    return queued
