"""Mutex watershed: the strongest edges decide, and those that repel forbid later ones to join."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.kernels.settled_mutex import settle_mutex

Floats = NDArray[np.float32]
Labels = NDArray[np.uint64]


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
    frozen = np.zeros(len(ids), bool)
    group, *_ = settle_mutex(low[order], high[order], attractive[order], frozen)
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
    a, b = pairs[:, order]
    group, *_ = settle_mutex(a, b, kind[order] < attractive, np.zeros(flat.size, bool))
    return np.where(inside, group.reshape(shape) + 1, 0).astype(np.uint64)


def _check(affinities: Floats, offsets: Any, attractive: int, mask: Any) -> None:
    shape = affinities.shape
    if affinities.ndim != 4 or len(offsets) != shape[0] or any(len(o) != 3 for o in offsets):
        raise ContractError(
            f"affinities have shape {shape}, and there are {len(offsets)} offsets; give (C, Z, Y, "
            "X) and (z, y, x) for every channel"
        )
    if not shape[0]:
        raise ContractError(
            f"affinities have shape {shape}, and offsets are []: there is no channel that could "
            "join voxels; give at least one"
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
