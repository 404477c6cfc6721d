"""The merge tree of a graph: joined once, cut at any threshold."""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError, ContractError
from volkit.kernels.disjoint_sets import root_of

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Labels = NDArray[np.uint64]
Tree = dict[str, NDArray[Any]]
"""Edges ``a < b`` (uint64) with ``saliency`` (float32) and ``linked`` (bool); nodes ``id`` (uint64)
with ``voxels`` (int64)."""


def merge_tree(graph: Tree, *, linkage: Sequence[tuple[int, float]] = ()) -> Tree:
    """Join basins by size, then find the maximal spanning tree of what is left.

    Edges are visited from the largest affinity down, of equal ones the smaller pair of ids first.
    In the first visit, two regions join if the smaller of them has fewer voxels than the linkage
    asks for at this affinity; in the second, any two that are not joined yet: these edges are the
    tree, since to join all regions above a threshold, its edges above it suffice.

    Parameters
    ----------
    graph : dict of ndarray
        ``u``, ``v`` (uint64, ``u < v``, each pair once), ``affinity`` (float32), ``id`` (uint64)
        and ``voxels`` (int64), as ``basin_graph`` gives them.
    linkage : sequence of (int, float)
        Pairs (voxels, affinity): a region of fewer voxels joins across that affinity or more.

    Returns
    -------
    dict of ndarray
        ``a``, ``b`` (uint64, ``a < b``), ``saliency`` (float32) and ``linked`` (bool: joined by
        size, at every threshold), the linked first, each part in the order of its visit; ``id``
        and ``voxels``.

    Raises
    ------
    ContractError
        If a pair is not in order, comes twice, or names a node that is not there.
    ConfigError
        If the linkage has a size below 1 or an affinity outside 0 to 1.

    References
    ----------
    A. Zlateski, H. S. Seung, Image segmentation by size-dependent single linkage clustering of a
    watershed basin graph, 2015, https://doi.org/10.48550/arXiv.1505.00249

    Examples
    --------
    >>> graph = {"u": np.array([1, 2], np.uint64), "v": np.array([2, 3], np.uint64),
    ...          "affinity": np.array([0.5, 0.7], np.float32),
    ...          "id": np.array([1, 2, 3], np.uint64), "voxels": np.array([5, 5, 90])}
    >>> tree = merge_tree(graph, linkage=[(10, 0.6)])
    >>> tree["a"].tolist(), tree["b"].tolist(), tree["linked"].tolist()
    ([2, 1], [3, 2], [True, False])
    """
    order = np.lexsort((graph["v"], graph["u"], -graph["affinity"]))
    u, v, affinity = (graph[name][order] for name in ("u", "v", "affinity"))
    ends = _numbered(graph["id"], u, v)
    parent = np.arange(len(graph["id"]))
    linked = _link(ends, allowed_sizes(affinity, linkage), parent, graph["voxels"].astype(np.int64))
    spans = _link(ends, np.full(len(u), np.iinfo(np.int64).max), parent, np.zeros_like(parent))
    rows = np.concatenate([np.flatnonzero(linked), np.flatnonzero(spans)])
    return {
        "a": u[rows],
        "b": v[rows],
        "saliency": affinity[rows],
        "linked": linked[rows],
        "id": graph["id"],
        "voxels": graph["voxels"],
    }


def cut_tree(tree: Tree, *, threshold: float | None, smallest: int = 0) -> tuple[Labels, Labels]:
    """Join all regions that an edge of at least a threshold joins.

    Parameters
    ----------
    tree : dict of ndarray
        As ``merge_tree`` gives it.
    threshold : float or None
        Least affinity across which regions join; None joins by size alone.
    smallest : int
        Segments of fewer voxels become background.

    Returns
    -------
    old, new : ndarray of uint64
        The basins that change, sorted, and what each becomes: the smallest id of its segment, or 0.

    Raises
    ------
    ConfigError
        If the threshold lies outside 0 to 1, or the size is negative.

    Examples
    --------
    >>> tree = {"a": np.array([1, 2], np.uint64), "b": np.array([2, 3], np.uint64),
    ...         "saliency": np.array([0.8, 0.4], np.float32), "linked": np.zeros(2, bool),
    ...         "id": np.array([1, 2, 3], np.uint64), "voxels": np.array([5, 5, 3])}
    >>> old, new = cut_tree(tree, threshold=0.6)
    >>> old.tolist(), new.tolist()
    ([2], [1])
    >>> old, new = cut_tree(tree, threshold=0.6, smallest=4)
    >>> old.tolist(), new.tolist()
    ([2, 3], [1, 0])
    """
    check_cut(threshold, smallest)
    keep = tree["linked"].astype(bool)
    if threshold is not None:
        keep |= tree["saliency"] >= np.float32(threshold)
    ids, voxels = tree["id"], tree["voxels"].astype(np.int64)
    ends = _numbered(ids, tree["a"][keep], tree["b"][keep])
    parent = np.arange(len(ids))
    _link(ends, np.full(ends.shape[1], np.iinfo(np.int64).max), parent, np.zeros_like(parent))
    root = _roots(parent)
    new = ids[root]
    if smallest > 0:
        total = np.zeros(len(ids), np.int64)
        np.add.at(total, root, voxels)
        new = np.where(total[root] < smallest, np.uint64(0), new)
    changed = new != ids
    return ids[changed], new[changed]


def allowed_sizes(affinity: Floats, linkage: Sequence[tuple[int, float]]) -> Ints:
    """Say how small a region must be to join across each edge.

    Parameters
    ----------
    affinity : ndarray of float32, shape (E,)
        Of the edges.
    linkage : sequence of (int, float)
        Pairs (voxels, affinity).

    Returns
    -------
    ndarray of int64, shape (E,)
        Voxels below which it joins: more across a higher affinity, never fewer.

    Raises
    ------
    ConfigError
        If the linkage has a size below 1 or an affinity outside 0 to 1.

    Examples
    --------
    >>> edges = np.array([0.8, 0.5, 0.1], np.float32)
    >>> allowed_sizes(edges, [(10, 0.2), (90, 0.6)]).tolist()
    [90, 10, 0]
    """
    check_linkage(linkage)
    allowed = np.zeros(len(affinity), np.int64)
    for size, need in linkage:
        reached = affinity >= np.float32(need)
        allowed[reached] = np.maximum(allowed[reached], int(size))
    return allowed


def check_cut(threshold: float | None, smallest: int) -> None:
    """Refuse thresholds that are no affinities, and negative sizes.

    Raises
    ------
    ConfigError
        If so.
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise ConfigError(f"threshold is {threshold}; give an affinity, 0 to 1, or None")
    if smallest < 0:
        raise ConfigError(f"smallest is {smallest}; give a number of voxels, 0 or more")


def check_linkage(linkage: Sequence[tuple[int, float]]) -> None:
    """Refuse pairs of size and affinity that cannot be.

    Raises
    ------
    ConfigError
        If a size is below 1, or an affinity lies outside 0 to 1.
    """
    for size, affinity in linkage:
        if size < 1 or not 0 <= affinity <= 1:
            raise ConfigError(
                f"linkage has the pair ({size}, {affinity}); give (voxels, affinity) with at least "
                "1 voxel and an affinity from 0 to 1"
            )


def _numbered(ids: Labels, u: Labels, v: Labels) -> Ints:
    """Replace ids by their rows."""
    if len(u) and not (np.isin(u, ids).all() and np.isin(v, ids).all() and (u < v).all()):
        raise ContractError(
            "edges must be pairs u < v of ids that the table of nodes holds; make graph and sizes "
            "from the same labels"
        )
    return np.stack([np.searchsorted(ids, u), np.searchsorted(ids, v)]).astype(np.int64)


@numba.njit(nogil=True, cache=True)
def _link(ends: Ints, allowed: Ints, parent: Ints, voxels: Ints) -> Any:
    """Join regions whose smaller one is below what an edge allows; say which edges joined."""
    joined = np.zeros(ends.shape[1], np.bool_)
    size = voxels.copy()
    for edge in range(ends.shape[1]):
        a, b = root_of(parent, ends[0, edge]), root_of(parent, ends[1, edge])
        if a != b and min(size[a], size[b]) < allowed[edge]:
            joined[edge] = True
            keep, gone = min(a, b), max(a, b)
            parent[gone] = keep
            size[keep] += size[gone]
    return joined


@numba.njit(nogil=True, cache=True)
def _roots(parent: Ints) -> Ints:
    out = np.empty_like(parent)
    for node in range(len(parent)):
        out[node] = root_of(parent, node)
    return out
