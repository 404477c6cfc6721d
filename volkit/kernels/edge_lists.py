"""Edges of a graph that shrinks: found by their ends, and listed by node.

A graph is a tuple ``(ends, sums, alive, table, nodes)``: the two ends of every edge, shape (2, E);
what it holds; whether it is still there; an open-addressed table of edges by their ends; and the
number of nodes.  Lists are a tuple ``(behind, first, length)``: half-edge h belongs to edge h // 2,
``first`` is the first half-edge of every node, ``behind`` the one after each.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.kernels.disjoint_sets import root_of

Ints = NDArray[np.int64]

_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads neighbouring keys
_TURN = np.uint64(32)  # takes the high, well mixed bits of a product


@numba.njit(nogil=True, cache=True)
def link_half(lists: Any, node: int, half: int) -> None:
    """Put a half-edge at the head of the list of a node."""
    behind, first, length = lists
    behind[half] = first[node]
    first[node] = half
    length[node] += 1


@numba.njit(nogil=True, cache=True)
def new_edge_table(edges: int) -> Ints:
    """Make an empty table of edges by their ends, at most half full."""
    size = 16
    while size < 2 * edges:
        size *= 2
    return np.full(size, -1, np.int64)


@numba.njit(nogil=True, cache=True)
def _home(graph: Any, a: int, b: int) -> Any:
    """Compute the slot at which the search for a pair begins."""
    _, _, _, table, nodes = graph
    key = np.uint64(min(a, b) * nodes + max(a, b)) * _MIX
    return np.int64((key >> _TURN ^ key) & np.uint64(len(table) - 1))


@numba.njit(nogil=True, cache=True)
def find_edge(graph: Any, a: int, b: int) -> Any:
    """Find the slot of the edge between two nodes, or the free one where it belongs."""
    ends, _, _, table, _ = graph
    slot = _home(graph, a, b)
    while table[slot] >= 0:
        edge = table[slot]
        p, q = ends[0, edge], ends[1, edge]
        if (p == a and q == b) or (p == b and q == a):
            break
        slot = (slot + 1) & (len(table) - 1)
    return slot


@numba.njit(nogil=True, cache=True)
def remove_edge(graph: Any, a: int, b: int) -> None:
    """Empty the slot of an edge, and move up those that had to make way for it."""
    ends, _, _, table, _ = graph
    hole = find_edge(graph, a, b)
    table[hole] = -1
    mask = len(table) - 1
    slot = (hole + 1) & mask
    while table[slot] >= 0:
        edge = table[slot]
        home = _home(graph, ends[0, edge], ends[1, edge])
        if ((slot - home) & mask) >= ((slot - hole) & mask):
            table[hole] = edge
            table[slot] = -1
            hole = slot
        slot = (slot + 1) & mask


@numba.njit(nogil=True, cache=True)
def smallest_members(parent: Ints) -> Ints:
    """Find the smallest node of the group of every node, from a forest of parents."""
    smallest = np.full(len(parent), -1, np.int64)
    out = np.empty(len(parent), np.int64)
    for node in range(len(parent)):
        root = root_of(parent, node)
        if smallest[root] < 0:
            smallest[root] = node
        out[node] = smallest[root]
    return out
