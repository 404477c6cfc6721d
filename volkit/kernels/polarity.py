"""Polarity: whether a map is high inside the objects of a truth, or at their borders."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box

_LEVELS = 256
_ENDS = (slice(1, None), slice(None, -1))
Counts = dict[str, NDArray[Any]]
"""``within`` and ``across`` (int64, shape (256,)): edges by the level of their affinity, or voxels
by that of a map."""


def edge_levels(
    affinities: NDArray[np.float32], truth: NDArray[Any], core: Box, *, toward: int
) -> Counts:
    """Count edges by the level of their affinity: inside true objects, and at their borders.

    An edge between two voxels belongs to the later one, so that blocks that see one voxel more
    count every edge of a volume once; edges of which both ends are label 0 do not count.

    Parameters
    ----------
    affinities : ndarray of float32, shape (3, Z, Y, X)
        Affinity of a voxel and its neighbour on z, y, x, 0 to 1.
    truth : ndarray of int, shape (Z, Y, X)
        True labels.
    core : Box
        The voxels that count, in the arrays' own coordinates.
    toward : {-1, 1}
        Whether an affinity is that with the neighbour before the voxel, or after it.

    Returns
    -------
    dict of ndarray
        ``within`` and ``across`` (int64, shape (256,)).

    Examples
    --------
    >>> affinities = np.zeros((3, 1, 1, 3), np.float32)
    >>> affinities[2, 0, 0] = [0, 1, 0.2]
    >>> whole = Box((0, 0, 0), (1, 1, 3))
    >>> counts = edge_levels(affinities, np.array([[[4, 4, 9]]]), whole, toward=-1)
    >>> np.flatnonzero(counts["within"]).tolist(), np.flatnonzero(counts["across"]).tolist()
    ([255], [51])
    """
    counts = {name: np.zeros(_LEVELS, np.int64) for name in ("within", "across")}
    for axis in range(3):
        later = list(core.slices)
        later[axis] = slice(max(core.start[axis], 1), core.stop[axis])
        before = list(later)
        before[axis] = slice(later[axis].start - 1, later[axis].stop - 1)
        a, b = truth[tuple(later)], truth[tuple(before)]
        by = affinities[axis][tuple(later if toward < 0 else before)]
        level = np.rint(by * np.float32(_LEVELS - 1)).astype(np.int64)
        within = (a == b) & (a != 0)
        counts["within"] += np.bincount(level[within], minlength=_LEVELS)
        counts["across"] += np.bincount(level[a != b], minlength=_LEVELS)
    return counts


def voxel_levels(inside: NDArray[np.float32], truth: NDArray[Any], core: Box) -> Counts:
    """Count voxels by the level of a map: inside true objects, and between them.

    Between them are voxels of label 0 beside an object, and those of an object beside another;
    those of an object beside label 0 do not count.

    Parameters
    ----------
    inside : ndarray of float32, shape (Z, Y, X)
        1 - boundary probability.
    truth : ndarray of int, shape (Z, Y, X)
        True labels.
    core : Box
        The voxels that count, in the arrays' own coordinates.

    Returns
    -------
    dict of ndarray
        ``within`` and ``across`` (int64, shape (256,)).

    Examples
    --------
    >>> inside = np.array([[[1, 1, 0.6, 0, 0.6, 1]]], np.float32)
    >>> counts = voxel_levels(inside, np.array([[[4, 4, 4, 0, 9, 9]]]), Box((0, 0, 0), (1, 1, 6)))
    >>> counts["within"][255], counts["across"][0], sum(counts["within"]), sum(counts["across"])
    (np.int64(3), np.int64(1), np.int64(3), np.int64(1))
    """
    at_zero, at_other = np.zeros(truth.shape, bool), np.zeros(truth.shape, bool)
    for axis in range(3):
        ends = [tuple(part if n == axis else slice(None) for n in range(3)) for part in _ENDS]
        for one, two in (ends, ends[::-1]):
            differs = truth[one] != truth[two]
            at_zero[one] |= differs & (truth[two] == 0)
            at_other[one] |= differs & (truth[two] != 0)
    level = np.rint(inside[core.slices] * np.float32(_LEVELS - 1)).astype(np.int64)
    within, across = (~at_zero & ~at_other & (truth != 0))[core.slices], at_other[core.slices]
    return {
        "within": np.bincount(level[within], minlength=_LEVELS),
        "across": np.bincount(level[across], minlength=_LEVELS),
    }


def add_levels(tables: Sequence[Counts]) -> Counts:
    """Add up the counts of blocks."""
    return {name: np.sum([table[name] for table in tables], axis=0) for name in tables[0]}


def edge_separation(counts: Counts) -> float:
    """Tell how well affinities tell the inside of objects from their borders.

    Parameters
    ----------
    counts : dict of ndarray
        As ``edge_levels`` gives them.

    Returns
    -------
    float
        Probability that an edge inside an object has a higher affinity than one at a border: 1 is
        best, 0.5 is chance, less is inverted; NaN where there are no edges of one of the two.

    Examples
    --------
    >>> within, across = np.zeros((2, 256), np.int64)
    >>> within[[200, 100]], across[[50, 150]] = 1, 1
    >>> edge_separation({"within": within, "across": across})
    0.75
    """
    within, across = counts["within"].astype(np.float64), counts["across"].astype(np.float64)
    pairs = within.sum() * across.sum()
    if pairs == 0:
        return float("nan")
    below = np.cumsum(across) - across / 2
    return float((within * below).sum() / pairs)
