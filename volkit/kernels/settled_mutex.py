"""Mutex watershed with frozen groups: the decisions of a part that are those of the whole.

Edges come in their order.  The first edge between two groups decides: it joins them, or makes them
exclude each other.  After it they are one group or exclude each other, whoever decided it, for all
time: later edges between them change nothing.

A group of which every edge is here, and was decided so far, is a group of the whole as it is at
that moment.  Any other is *frozen*: it may be a part of one.  In the beginning those nodes are that
may have edges elsewhere.  So of the first edge between two groups

* neither of which is frozen, all is certain;
* one of which is frozen, it is certain that they are two: if it repels, they exclude each other;
* if it attracts, they are joined for certain where no group that the other excludes can be in that
  of the frozen one: those that are not frozen are groups of their own, and some are excluded by the
  frozen one as well.  Else the other is frozen from here on, and the edge is left over, as is
* any between two frozen groups.

Of what is left over, and of what repelled, others need what lies between groups that are frozen at
the end, of each two the first edge.  The graph of those groups and edges goes on as the whole does.
For a mutex watershed takes the edges in their order, each that can be had along with those taken
before it (an edge that attracts is had by a partition that joins its ends, another by one that does
not): of all partitions its own has the edges that come first.  It still has where only partitions
are left that join what is joined in it, and in which groups that are whole at the end stand alone.
Edges inside groups and to those that stand alone count for all of these alike, and of two groups
the first edge decides.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.kernels.disjoint_sets import root_of

Ints = NDArray[np.int64]
_EMPTY = -1
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads neighbouring pairs
_TURN = np.uint64(32)  # folds the high bits of a product into the low ones


@numba.njit(nogil=True, cache=True)
def settle_mutex(a: Ints, b: Ints, attract: Any, frozen: NDArray[np.bool_]) -> Any:
    """Visit edges in their order, and decide what is certain.

    Parameters
    ----------
    a, b : ndarray of int64, shape (E,)
        Nodes that each edge concerns.
    attract : ndarray of bool, shape (E,)
        Whether it joins them, or keeps them apart.
    frozen : ndarray of bool, shape (N,)
        Nodes that may have edges elsewhere; changed to the nodes whose fate others decide.

    Returns
    -------
    group : ndarray of int64, shape (N,)
        After whom the group of each node is named: its smallest member; where it was frozen before
        others joined it, after whom it was then, so that a frozen node keeps its own name.
    merges : ndarray of int64, shape (M, 2)
        In the order in which they came: after whom the new group is named, and the other one.
    first : ndarray of bool, shape (E,)
        Edges that were the first between two groups, and did not join them.
    """
    nodes, edges = len(frozen), len(a)
    parent, low = np.arange(nodes), np.arange(nodes)
    room = 2 * (edges if frozen.any() else np.count_nonzero(~attract))
    # Whom each root has met is a list: its first entry; the node and the next entry of each.
    lists = (np.full(nodes, -1, np.int64), np.empty(room, np.int64), np.empty(room, np.int64))
    size, entries = np.zeros(nodes, np.int64), 0
    keys, used = np.full((2048, 2), _EMPTY, np.int64), 0
    merges, count, first = np.empty((nodes, 2), np.int64), 0, np.zeros(edges, np.bool_)
    for edge in range(edges):
        p, q = root_of(parent, a[edge]), root_of(parent, b[edge])
        if p == q or keys[_slot(keys, min(p, q), max(p, q)), 0] != _EMPTY:
            continue
        if frozen[q] or (not frozen[p] and size[p] < size[q]):
            p, q = q, p
        if attract[edge] and not frozen[q] and _nobody_between(parent, lists, keys, frozen, p, q):
            if not frozen[p]:
                low[p], low[q] = min(low[p], low[q]), max(low[p], low[q])
            merges[count] = low[p], low[q]
            count += 1
            parent[q] = p
            size[p] += size[q]
            keys, used = _inherit(parent, lists, keys, used, p, q)
            continue
        if attract[edge]:
            frozen[p] = frozen[q] = True
        first[edge] = True
        keys, used = _meet(keys, used, p, q, frozen[p] and frozen[q])
        for one, two in ((p, q), (q, p)):
            if not frozen[one]:  # what is frozen is absorbed by nothing: nobody asks for its list
                lists[1][entries], lists[2][entries] = two, lists[0][one]
                lists[0][one] = entries
                size[one] += 1
                entries += 1
    group = np.empty(nodes, np.int64)
    for node in range(nodes):
        root = root_of(parent, node)
        group[node], frozen[node] = low[root], frozen[root]
    return group, merges[:count].copy(), first


@numba.njit(nogil=True, cache=True)
def _nobody_between(
    parent: Ints, lists: Any, keys: Ints, frozen: NDArray[np.bool_], p: int, q: int
) -> Any:
    """Say whether a group may join another for certain: nobody whom it excludes can be in that."""
    if not frozen[p]:
        return True  # both are groups of the whole, that have not met
    first, other, after = lists
    entry = first[q]
    while entry >= 0:
        third = root_of(parent, other[entry])
        if frozen[third]:
            found = keys[_slot(keys, min(p, third), max(p, third))]
            if found[0] == _EMPTY or found[1] % 2:
                return False
        entry = after[entry]
    return True


@numba.njit(nogil=True, cache=True)
def _inherit(parent: Ints, lists: Any, keys: Ints, used: int, p: int, q: int) -> Any:
    """Let one group exclude whom another did; pairs that name the other are never asked again."""
    first, other, after = lists
    entry = first[q]
    while entry >= 0:
        following = after[entry]
        two = root_of(parent, other[entry])
        keys, used = _meet(keys, used, p, two, False)
        other[entry], after[entry] = two, first[p]
        first[p] = entry
        entry = following
    return keys, used


@numba.njit(nogil=True, cache=True)
def _meet(keys: Ints, used: int, p: int, q: int, unsure: bool) -> Any:
    """Put a pair into the table, which stays at most half full, and whether it may be one group."""
    slot = _slot(keys, min(p, q), max(p, q))
    if keys[slot, 0] == _EMPTY:
        keys[slot, 0], keys[slot, 1] = min(p, q), 2 * max(p, q) + unsure
        used += 1
        if 2 * used > len(keys):
            keys = _wider(keys)
    return keys, used


@numba.njit(nogil=True, cache=True)
def _slot(keys: Ints, low: int, high: int) -> Any:
    """Find the slot of a pair, or the free one where it belongs."""
    mixed = (np.uint64(low) * _MIX + np.uint64(high)) * _MIX
    slot = np.int64((mixed ^ (mixed >> _TURN)) & np.uint64(len(keys) - 1))
    while keys[slot, 0] != _EMPTY and (keys[slot, 0] != low or keys[slot, 1] // 2 != high):
        slot = (slot + 1) & (len(keys) - 1)
    return slot


@numba.njit(nogil=True, cache=True)
def _wider(keys: Ints) -> Ints:
    wide = np.full((2 * len(keys), 2), _EMPTY, np.int64)
    for row in range(len(keys)):
        if keys[row, 0] != _EMPTY:
            wide[_slot(wide, keys[row, 0], keys[row, 1] // 2)] = keys[row]
    return wide
