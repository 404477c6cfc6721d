"""Mutex watershed: the strongest edges decide, and those that repel forbid later ones to join."""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Labels = NDArray[np.uint64]
_EMPTY = -1
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads neighbouring pairs
_TURN = np.uint64(32)  # folds the high bits of a product into the low ones


def mutex_graph(
    u: Labels, v: Labels, weight: NDArray[np.float64], attractive: NDArray[np.bool_]
) -> tuple[Labels, Labels]:
    """Partition a graph with edges that attract and edges that repel.

    Edges are visited from the largest weight down; of equal ones, in the order of their pairs,
    those that attract first.  One that attracts joins its two groups, unless they are mutually
    exclusive; one that repels makes its two groups, if they are two, mutually exclusive.

    Parameters
    ----------
    u, v : ndarray of uint64, shape (E,)
        Nodes that each edge concerns; a pair may have an edge of either kind.
    weight : ndarray of float, shape (E,)
        How much it attracts or repels; not negative.
    attractive : ndarray of bool, shape (E,)
        Which of both.

    Returns
    -------
    old, new : ndarray of uint64
        The nodes that change, sorted, and the smallest of the group of each.

    Raises
    ------
    ContractError
        If a weight is NaN or negative.

    References
    ----------
    S. Wolf et al., The mutex watershed and its objective: efficient, parameter-free graph
    partitioning, 2020, https://doi.org/10.1109/TPAMI.2020.2980827

    Examples
    --------
    >>> u, v = np.array([1, 2, 1], np.uint64), np.array([2, 3, 3], np.uint64)
    >>> old, new = mutex_graph(u, v, np.array([0.9, 0.5, 0.7]), np.array([True, True, False]))
    >>> old.tolist(), new.tolist()
    ([2], [1])
    """
    if len(weight) and not weight.min() >= 0:
        raise ContractError(
            f"weights are down to {weight.min()}; give how much an edge attracts or repels, and "
            "which of both separately"
        )
    ids, ends = np.unique(np.concatenate([u, v]), return_inverse=True)
    low, high = np.sort(ends.reshape(2, -1).astype(np.int64), axis=0)
    order = np.lexsort((~attractive, high, low, -weight))
    group = _mutex(low[order], high[order], attractive[order], len(ids))
    changed = group != np.arange(len(ids))
    return ids[changed], ids[group[changed]]


def mutex_watershed(
    affinities: Floats,
    offsets: Sequence[Sequence[int]],
    *,
    attractive: int = 3,
    mask: NDArray[np.bool_] | None = None,
) -> Labels:
    """Segment a whole volume by affinities to near and far neighbours.

    The first channels attract, with their affinity; all others repel, with 1 - their affinity.
    An edge is visited as in :func:`mutex_graph`, of equal ones by voxel, then by channel.  One
    decision can reach through the whole volume, so that blocks cannot decide alone: larger volumes
    are cut into fragments first, whose graph takes the same rule.

    Parameters
    ----------
    affinities : ndarray of float32, shape (C, Z, Y, X)
        0 to 1, high inside cells.
    offsets : sequence of (z, y, x)
        From a voxel to the one that each channel compares it with.
    attractive : int
        Channels that attract.
    mask : ndarray of bool, shape (Z, Y, X), optional
        Voxels that are segmented; all others are 0.

    Returns
    -------
    ndarray of uint64, shape (Z, Y, X)
        1 + the C-order index of the first voxel of each segment; 0 outside the mask.

    Raises
    ------
    ContractError
        If shapes or offsets do not fit, or an affinity is NaN or outside 0 to 1.

    References
    ----------
    S. Wolf et al., The mutex watershed and its objective: efficient, parameter-free graph
    partitioning, 2020, https://doi.org/10.1109/TPAMI.2020.2980827

    Examples
    --------
    >>> affinities = np.array([[[[0, 0.9, 0.6, 0.8]]], [[[0, 0, 0.1, 0.9]]]], np.float32)
    >>> mutex_watershed(affinities, [(0, 0, -1), (0, 0, -2)], attractive=1).tolist()
    [[[1, 1, 3, 3]]]
    """
    shape = affinities.shape[1:]
    _check(affinities, offsets, attractive, mask)
    flat = np.arange(int(np.prod(shape))).reshape(shape)
    inside = np.ones(shape, bool) if mask is None else mask.astype(bool)
    ends, weights, kinds = [], [], []
    for channel, offset in enumerate(offsets):
        here, there = _overlap(shape, offset)
        both = inside[here] & inside[there]
        ends.append(np.stack([flat[here][both], flat[there][both]]))
        value = affinities[(channel, *here)][both]
        weights.append(value if channel < attractive else np.float32(1) - value)
        kinds.append(np.full(both.sum(), channel, np.int16))
    pairs, kind = np.concatenate(ends, axis=1), np.concatenate(kinds)
    order = np.lexsort((kind, pairs[0], -np.concatenate(weights)))
    group = _mutex(pairs[0, order], pairs[1, order], kind[order] < attractive, flat.size)
    return np.where(inside, group.reshape(shape) + 1, 0).astype(np.uint64)


def _check(affinities: Floats, offsets: Any, attractive: int, mask: Any) -> None:
    shape = affinities.shape
    if affinities.ndim != 4 or len(offsets) != shape[0] or any(len(o) != 3 for o in offsets):
        raise ContractError(
            f"affinities have shape {shape}, and there are {len(offsets)} offsets; give (C, Z, Y, "
            "X) and (z, y, x) for every channel"
        )
    if not 0 <= attractive <= len(offsets) or any(not any(o) for o in offsets):
        raise ContractError(
            f"{attractive} of {len(offsets)} channels attract, offsets are {list(offsets)}; give 0 "
            "to all, and no offset of (0, 0, 0)"
        )
    if mask is not None and mask.shape != shape[1:]:
        raise ContractError(f"the mask is {mask.shape}, affinities {shape}; give the same voxels")
    if affinities.size and not (affinities.min() >= 0 and affinities.max() <= 1):
        raise ContractError("an affinity is NaN or outside 0 to 1; apply a sigmoid to logits")


def _overlap(shape: tuple[int, ...], offset: Sequence[int]) -> Any:
    """Slice the voxels that have a neighbour at an offset, and those neighbours."""
    here = tuple(
        slice(max(-o, 0), max(n - max(o, 0), 0)) for n, o in zip(shape, offset, strict=True)
    )
    there = tuple(
        slice(max(o, 0), max(n + min(o, 0), 0)) for n, o in zip(shape, offset, strict=True)
    )
    return here, there


@numba.njit(nogil=True, cache=True)
def _mutex(a: Ints, b: Ints, attract: Any, nodes: int) -> Ints:
    """Visit edges in their order; give the smallest member of every group."""
    parent, low = np.arange(nodes), np.arange(nodes)
    room = 2 * np.count_nonzero(~attract)
    # What each root excludes is a list: its first entry; the node and the next entry of each.
    lists = (np.full(nodes, -1, np.int64), np.empty(room, np.int64), np.empty(room, np.int64))
    size, entries = np.zeros(nodes, np.int64), 0
    keys, used = np.full((2048, 2), _EMPTY, np.int64), 0
    for edge in range(len(a)):
        p, q = _root(parent, a[edge]), _root(parent, b[edge])
        if p == q or keys[_slot(keys, min(p, q), max(p, q)), 0] != _EMPTY:
            continue
        if attract[edge]:
            if size[p] < size[q]:
                p, q = q, p
            parent[q] = p
            low[p] = min(low[p], low[q])
            size[p] += size[q]
            keys, used = _inherit(parent, lists, keys, used, p, q)
        else:
            keys, used = _exclude(keys, used, p, q)
            for one, two in ((p, q), (q, p)):
                lists[1][entries], lists[2][entries] = two, lists[0][one]
                lists[0][one] = entries
                size[one] += 1
                entries += 1
    out = np.empty(nodes, np.int64)
    for node in range(nodes):
        out[node] = low[_root(parent, node)]
    return out


@numba.njit(nogil=True, cache=True)
def _inherit(parent: Ints, lists: Any, keys: Ints, used: int, p: int, q: int) -> Any:
    """Let one group exclude what another did; pairs that name the other are never asked again."""
    first, other, after = lists
    entry = first[q]
    while entry >= 0:
        following = after[entry]
        two = _root(parent, other[entry])
        keys, used = _exclude(keys, used, p, two)
        other[entry], after[entry] = two, first[p]
        first[p] = entry
        entry = following
    return keys, used


@numba.njit(nogil=True, cache=True)
def _exclude(keys: Ints, used: int, p: int, q: int) -> Any:
    """Put a pair into the table, which stays at most half full."""
    slot = _slot(keys, min(p, q), max(p, q))
    if keys[slot, 0] == _EMPTY:
        keys[slot, 0], keys[slot, 1] = min(p, q), max(p, q)
        used += 1
        if 2 * used > len(keys):
            keys = _wider(keys)
    return keys, used


@numba.njit(nogil=True, cache=True)
def _root(parent: Ints, node: int) -> Any:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@numba.njit(nogil=True, cache=True)
def _slot(keys: Ints, low: int, high: int) -> Any:
    """Find the slot of a pair, or the free one where it belongs."""
    mixed = (np.uint64(low) * _MIX + np.uint64(high)) * _MIX
    slot = np.int64((mixed ^ (mixed >> _TURN)) & np.uint64(len(keys) - 1))
    while keys[slot, 0] != _EMPTY and (keys[slot, 0] != low or keys[slot, 1] != high):
        slot = (slot + 1) & (len(keys) - 1)
    return slot


@numba.njit(nogil=True, cache=True)
def _wider(keys: Ints) -> Ints:
    wide = np.full((2 * len(keys), 2), _EMPTY, np.int64)
    for row in range(len(keys)):
        if keys[row, 0] != _EMPTY:
            wide[_slot(wide, keys[row, 0], keys[row, 1])] = keys[row]
    return wide
