"""Disjoint sets: groups as a forest of parents, in which every root is its own."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@numba.njit(nogil=True, cache=True)
def root_of(parent: Ints, node: int) -> Any:
    """Find the root of a node, and halve the way to it for whoever comes next.

    Parameters
    ----------
    parent : ndarray of int64, shape (N,)
        Of every node; changed in place, the groups are not.
    node : int
        Any.

    Returns
    -------
    int

    Examples
    --------
    >>> parent = np.array([0, 0, 1, 2])
    >>> root_of(parent, 3), parent.tolist()
    (0, [0, 0, 1, 1])
    """
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@numba.njit(nogil=True, cache=True)
def join_groups(parent: Ints, a: int, b: int) -> None:
    """Join the groups of two nodes under the smaller of their roots.

    Where all groups are joined so, a root is the smallest node of its group, and no parent comes
    after its child.

    Parameters
    ----------
    parent : ndarray of int64, shape (N,)
        Of every node; changed in place.
    a, b : int
        Nodes, of one group or of two.

    Examples
    --------
    >>> parent = np.arange(4)
    >>> join_groups(parent, 3, 1)
    >>> join_groups(parent, 3, 0)
    >>> parent.tolist()
    [0, 0, 2, 1]
    """
    a, b = root_of(parent, a), root_of(parent, b)
    parent[max(a, b)] = min(a, b)
