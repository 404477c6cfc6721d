"""Linkage by size with open regions: the decisions of a part that are those of the whole.

Edges come from the strongest to the weakest.  Two regions join where the smaller one has fewer
voxels than the linkage allows at that edge.  What is allowed falls, and sizes grow: an edge that
has joined nothing says for all time that the edges after it between these two join nothing.

A region is *closed* where it is a region of the whole at that moment: all of its voxels are here,
and all of its edges were decided so far.  Any other is *open*; in the beginning those are that may
go on elsewhere.  Of an open region one knows voxels that are in it for certain, hence a least size:
if that is no less than what is allowed, the region is *large*, and stays so.  Of an edge

* between closed regions, all is certain;
* between regions that are closed or open, and large both, it is certain that it joins nothing;
* between an open region and a closed one that is not large, it is certain that it joins them,
  whatever the open one is: it grows, and others need to know when, until it is large;
* between an open region and a closed one that is large, nothing is certain where the open one may
  be small: the large one is open from here on.  It opens nothing more in turn, since it is large;
* between open regions, nothing is certain where one may be small.

What is uncertain is deferred: of each two regions the first edge.  So a box passes on the regions
at its faces, their growth, and the large neighbours of small ones among them.

The spanning tree is found after that, of regions, along all edges again.  An edge that is the first
out of a group of closed regions is of the tree of the whole, and one that closes a circle is not.
Groups with an open region in them are *anchored* at it.  An edge between two of them is passed on
as one of their anchors: there are fewer of these than anchors.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]
Kinds = NDArray[np.uint8]
Labels = NDArray[np.uint64]

JOIN, SPAN, GROW, NAME = 1, 2, 4, 8
"""What a row is: an edge that may join by size, one that may span, voxels or a name to add."""


@numba.njit(nogil=True, cache=True)
def settle_linkage(ends: Ints, kind: Kinds, gain: Ints, allowed: Ints, is_open: Flags) -> Any:
    """Visit rows in their order, and join by size what is certain.

    Parameters
    ----------
    ends : ndarray of int64, shape (2, N)
        Nodes that each row concerns.
    kind : ndarray of uint8, shape (N,)
        What it is; ``SPAN`` and ``NAME`` do not count here.
    gain : ndarray of int64, shape (N,)
        Voxels that the node of a row ``GROW`` gains.
    allowed : ndarray of int64, shape (N,)
        Voxels below which a region joins at that moment; never rises.
    is_open : ndarray of bool, shape (M,)
        Nodes that may go on elsewhere; changed to those whose fate others decide.

    Returns
    -------
    group : ndarray of int64, shape (M,)
        A node for every node: the open one of its region, or the first one.
    linked, deferred : ndarray of bool, shape (N,)
        Edges that joined, and those that others decide.
    grown : ndarray of int64, shape (N,)
        Voxels that an open region gained, where others need to know.
    at : ndarray of int64, shape (2, N)
        Between which regions an edge is deferred; the first is the one that gained.
    opened : ndarray of int64, shape (M,)
        Voxels with which a node became open; 0 for others.
    """
    nodes, rows = len(is_open), len(kind)
    parent, size, opened = np.arange(nodes), np.zeros(nodes, np.int64), np.zeros(nodes, np.int64)
    linked, deferred = np.zeros(rows, np.bool_), np.zeros(rows, np.bool_)
    grown, at = np.zeros(rows, np.int64), np.zeros((2, rows), np.int64)
    for row in range(rows):
        a, most = _root(parent, ends[0, row]), allowed[row]
        if kind[row] & GROW:
            if is_open[a] and size[a] < most:
                at[0, row], grown[row] = a, gain[row]
            size[a] += gain[row]
        if not kind[row] & JOIN:
            continue
        b = _root(parent, ends[1, row])
        if a == b or (size[a] >= most and size[b] >= most):
            continue
        if is_open[b] or (not is_open[a] and b < a):
            a, b = b, a
        if is_open[b] or (is_open[a] and size[b] >= most):
            if not is_open[b]:
                is_open[b], opened[b] = True, size[b]
            deferred[row], at[0, row], at[1, row] = True, a, b
            continue
        if is_open[a] and size[a] < most:
            at[0, row], grown[row] = a, size[b]
        linked[row], parent[b] = True, a
        size[a] += size[b]
    for node in range(nodes):
        parent[node] = _root(parent, node)
    return parent, linked, deferred, grown, at, opened


@numba.njit(nogil=True, cache=True)
def settle_spans(
    ends: Ints, kind: Kinds, names: Labels, group: Ints, is_open: Flags, least: Labels
) -> Any:
    """Visit rows in their order, and find the edges of the spanning tree that are certain.

    Parameters
    ----------
    ends : ndarray of int64, shape (2, N)
        Nodes that each row concerns.
    kind : ndarray of uint8, shape (N,)
        What it is; only ``SPAN`` and ``NAME`` count here.
    names : ndarray of uint64, shape (N,)
        The fragment that is in the group of the node of a row ``NAME`` from there on.
    group, is_open : ndarray, shape (M,)
        As ``settle_linkage`` gives them.
    least : ndarray of uint64, shape (M,)
        The smallest fragment of every region; is overwritten.

    Returns
    -------
    certain, risen : ndarray of bool, shape (N,)
        Edges of the tree, and those that others decide.
    told : ndarray of uint64, shape (N,)
        A fragment smaller than all before that is in the group of an anchor from here on; or 0.
    at : ndarray of int64, shape (2, N)
        Anchors of what is risen or told.
    """
    rows = len(kind)
    parent, anchor = group.copy(), np.where(is_open, np.arange(len(group)), -1)
    certain, risen = np.zeros(rows, np.bool_), np.zeros(rows, np.bool_)
    told, at = np.zeros(rows, np.uint64), np.zeros((2, rows), np.int64)
    for row in range(rows):
        a = _root(parent, ends[0, row])
        if kind[row] & NAME and names[row] < least[a]:
            least[a] = names[row]
            if anchor[a] >= 0:
                told[row], at[0, row] = names[row], anchor[a]
        if not kind[row] & SPAN:
            continue
        b = _root(parent, ends[1, row])
        if a == b:
            continue
        if anchor[a] < 0:
            a, b = b, a
        if anchor[b] >= 0:
            risen[row], at[0, row], at[1, row] = True, anchor[a], anchor[b]
        else:
            certain[row] = True
            if anchor[a] >= 0 and least[b] < least[a]:
                told[row], at[0, row] = least[b], anchor[a]
        parent[b] = a
        least[a] = min(least[a], least[b])
    return certain, risen, told, at


@numba.njit(nogil=True, cache=True)
def _root(parent: Ints, node: int) -> Any:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node
