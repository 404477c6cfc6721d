"""Connected components whose ids are the same however a volume is cut."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box, Coord
from volkit.kernels.disjoint_sets import join_groups
from volkit.kernels.distinct import first_of_runs, ranked
from volkit.kernels.label_runs import REACH, check_connectivity, component_parts

Labels = NDArray[np.uint64]


def label_components(
    mask: NDArray[np.bool_],
    *,
    connectivity: int = 26,
    start: Coord = (0, 0, 0),
    domain_shape: Coord | None = None,
) -> Labels:
    """Label the connected components of a mask by their first voxel.

    A component's id is 1 + the smallest C-order index, in the domain, of its voxels: no two
    blocks use the same id, and the smallest id of several parts is the id of the whole.

    Parameters
    ----------
    mask : ndarray of bool, shape (Z, Y, X)
        Foreground.
    connectivity : int
        6 (faces), 18 (and edges) or 26 (and corners).
    start : tuple of int
        Where in the domain the mask begins, voxels.
    domain_shape : tuple of int, optional
        Extent of the domain; that of the mask by default.

    Returns
    -------
    ndarray of uint64, shape (Z, Y, X)
        Ids; 0 is background.

    Raises
    ------
    ContractError
        If the connectivity is none of the three.

    Examples
    --------
    >>> label_components(np.array([[[1, 1, 0, 1]]], bool)).tolist()
    [[[1, 1, 0, 4]]]
    """
    return component_parts(
        np.asarray(mask, bool), connectivity=connectivity, start=start, domain_shape=domain_shape
    ).painted()


def label_equal(
    labels: NDArray[Any],
    *,
    connectivity: int = 26,
    start: Coord = (0, 0, 0),
    domain_shape: Coord | None = None,
) -> Labels:
    """Label the connected components of equal labels by their first voxel.

    Parameters
    ----------
    labels : ndarray of int, shape (Z, Y, X)
        Any ids, up to 2**64 - 1; 0 is background.
    connectivity : int
        6 (faces), 18 (and edges) or 26 (and corners).
    start : tuple of int
        Where in the domain the labels begin, voxels.
    domain_shape : tuple of int, optional
        Extent of the domain; that of the labels by default.

    Returns
    -------
    ndarray of uint64, shape (Z, Y, X)
        Ids as in :func:`label_components`.

    Raises
    ------
    ContractError
        If the connectivity is none of the three.

    Examples
    --------
    >>> label_equal(np.array([[[7, 7, 9, 7]]])).tolist()
    [[[1, 1, 3, 4]]]
    """
    return component_parts(
        labels, connectivity=connectivity, start=start, domain_shape=domain_shape
    ).painted()


def touching_pairs(
    labels: Labels, core: Box, *, connectivity: int, equal: NDArray[Any] | None = None
) -> tuple[Labels, Labels]:
    """Find the pairs of labels that touch across the faces of a block.

    Every pair of neighbouring voxels is looked at by one block only: by that of the voxel that
    comes later in C order.

    Parameters
    ----------
    labels : ndarray of uint64, shape (Z, Y, X)
        Labels of the block and of the voxels around it.
    core : Box
        The block itself, in the array's own coordinates.
    connectivity : int
        6, 18 or 26.
    equal : ndarray of int, shape (Z, Y, X), optional
        Pairs count only where these are the same on both sides.

    Returns
    -------
    a, b : ndarray of uint64
        Unique pairs, sorted; ``a < b``.

    Examples
    --------
    >>> labels = np.array([[[1, 0, 3], [1, 2, 3]]], np.uint64)
    >>> touching_pairs(labels, Box((0, 1, 0), (1, 2, 3)), connectivity=6)
    (array([], dtype=uint64), array([], dtype=uint64))
    >>> a, b = touching_pairs(labels, Box((0, 1, 0), (1, 2, 3)), connectivity=18)
    >>> a.tolist(), b.tolist()
    ([1, 2], [2, 3])
    """
    check_connectivity(connectivity)
    values = labels if equal is None else equal
    # One array given twice says that all pairs count, without another kernel.
    how = (REACH[connectivity], equal is not None)
    pairs = _surface_pairs(labels, values, core.start, core.stop, how)
    return unique_pairs(pairs[:, 0], pairs[:, 1])


def unique_pairs(a: Labels, b: Labels) -> tuple[Labels, Labels]:
    """Sort pairs and drop those that come twice.

    Examples
    --------
    >>> a, b = unique_pairs(np.array([3, 1, 3], np.uint64), np.array([4, 2, 4], np.uint64))
    >>> a.tolist(), b.tolist()
    ([1, 3], [2, 4])
    """
    order = np.lexsort((b, a))
    a, b = a[order], b[order]
    keep = first_of_runs(a, b)
    return a[keep], b[keep]


@numba.njit(nogil=True, cache=True)
def _surface_pairs(
    labels: Labels, values: NDArray[Any], start: Coord, stop: Coord, how: tuple[int, bool]
) -> Any:
    """Visit the voxels at the faces of the core and, of each, the neighbours outside it."""
    found = np.empty((256, 2), np.uint64)
    count = 0
    for z in range(start[0], stop[0]):
        for y in range(start[1], stop[1]):
            inside = start[0] < z < stop[0] - 1 and start[1] < y < stop[1] - 1
            step = max(1, stop[2] - 1 - start[2]) if inside else 1
            for x in range(start[2], stop[2], step):
                if labels[z, y, x] != 0:
                    if count + 13 > len(found):
                        wider = np.empty((2 * len(found), 2), np.uint64)
                        wider[:count] = found[:count]
                        found = wider
                    at, core = (z, y, x), (start, stop)
                    count = _outer_neighbours(labels, values, at, core, how, found, count)
    return found[:count]


@numba.njit(nogil=True, cache=True)
def _outer_neighbours(
    labels: Labels,
    values: NDArray[Any],
    voxel: Coord,
    core: tuple[Coord, Coord],
    how: tuple[int, bool],
    found: Labels,
    count: int,
) -> int:
    """Append the pairs of one voxel with its earlier neighbours outside the core."""
    z, y, x = voxel
    start, stop = core
    for dz in range(-1, 1):
        for dy in range(-1, 1 if dz == 0 else 2):
            for dx in range(-1, 0 if dz == 0 and dy == 0 else 2):
                if abs(dz) + abs(dy) + abs(dx) > how[0]:
                    continue
                k, j, i = z + dz, y + dy, x + dx
                if k < 0 or j < 0 or i < 0 or j >= labels.shape[1] or i >= labels.shape[2]:
                    continue
                if k >= start[0] and start[1] <= j < stop[1] and start[2] <= i < stop[2]:
                    continue
                a, b = labels[z, y, x], labels[k, j, i]
                if b == 0 or a == b or (how[1] and values[z, y, x] != values[k, j, i]):
                    continue
                low, high = min(a, b), max(a, b)
                if count and found[count - 1, 0] == low and found[count - 1, 1] == high:
                    continue
                found[count, 0], found[count, 1] = low, high
                count += 1
    return count


def unite(a: Labels, b: Labels) -> tuple[Labels, Labels]:
    """Join labels that belong together, each group under its smallest id.

    Parameters
    ----------
    a, b : ndarray of uint64
        Pairs that belong together.

    Returns
    -------
    old, new : ndarray of uint64
        The labels that change, sorted, and what each becomes.

    Examples
    --------
    >>> old, new = unite(np.array([1, 5], np.uint64), np.array([5, 9], np.uint64))
    >>> old.tolist(), new.tolist()
    ([5, 9], [1, 1])
    """
    ids, ends = ranked(np.concatenate([a, b]))
    first = _first_of_groups(ends, len(ids))
    changed = first != np.arange(len(ids))
    return ids[changed], ids[first[changed]]


@numba.njit(nogil=True, cache=True)
def _first_of_groups(ends: NDArray[np.int64], nodes: int) -> NDArray[np.int64]:
    """Join the pairs of the two halves of a list; give the smallest node of every group."""
    parent = np.arange(nodes)
    pairs = len(ends) // 2
    for n in range(pairs):
        join_groups(parent, ends[n], ends[pairs + n])
    for node in range(nodes):  # a parent comes before its child, and knows its own by then
        parent[node] = parent[parent[node]]
    return parent
