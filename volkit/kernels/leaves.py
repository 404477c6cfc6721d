"""Leaves: what all thresholds of a boundary map need to know of a section, found in one pass.

A leaf is a set of pixels that touch, enter at the same threshold and lie in the same true object.
The connected components of every threshold are unions of leaves.  Where a section is cut into
tiles, leaves are found in each, and meet again through the pixels at the rim.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import GeometryError
from volkit.geometry import Coord
from volkit.kernels.disjoint_sets import join_groups, root_of

Columns = dict[str, NDArray[Any]]


def threshold_levels(values: NDArray[np.float32], thresholds: NDArray[np.float32]) -> NDArray[Any]:
    """Find the first threshold that lies above each value.

    Parameters
    ----------
    values : ndarray of float32
        Probabilities.
    thresholds : ndarray of float32, shape (K,)
        Ascending.

    Returns
    -------
    ndarray of int16
        0 to K; K where none does.

    Examples
    --------
    >>> levels = threshold_levels(np.float32([0.1, 0.5, 0.9]), np.float32([0.5, 0.8]))
    >>> levels.tolist()
    [0, 1, 2]
    """
    return (
        np.searchsorted(thresholds, values.ravel(), side="right")
        .astype(np.int16)
        .reshape(values.shape)
    )


def find_leaves(
    levels: NDArray[np.int16],
    truth: NDArray[Any],
    *,
    most: int,
    start: Coord = (0, 0, 0),
    width: int | None = None,
) -> Columns:
    """Find the leaves of a tile of sections, which of them touch, and what lies at the rim.

    Parameters
    ----------
    levels : ndarray of int16, shape (Z, Y, X)
        From :func:`threshold_levels`.
    truth : ndarray of unsigned int, shape (Z, Y, X)
        True labels; 0 does not count.
    most : int
        Number of thresholds; pixels of that level are in no leaf.
    start : tuple of int
        Where the tile begins in the domain, voxels.
    width : int, optional
        Extent of the domain in x; that of the tile by default.

    Returns
    -------
    dict of ndarray
        ``leaf_*``: ``section`` (int64, z), ``name`` (int64: y * width + x of the first pixel),
        ``truth`` (uint64), ``level`` and ``count`` (int64).  ``link_*``: ``section``, ``a``, ``b``
        (names) and ``level`` from which two leaves are one component.  ``rim_*``: ``section``,
        ``pixel`` (y * width + x), ``name`` and ``level``.

    Raises
    ------
    GeometryError
        If the shapes differ.

    Examples
    --------
    >>> levels = np.array([[[0, 0, 1, 2]]], np.int16)
    >>> found = find_leaves(levels, np.array([[[7, 7, 7, 0]]], np.uint8), most=2)
    >>> found["leaf_name"].tolist(), found["leaf_count"].tolist(), found["link_level"].tolist()
    ([0, 2], [2, 1], [1])
    """
    if levels.shape != truth.shape or levels.ndim != 3:
        raise GeometryError(
            f"the map has shape {levels.shape} and the truth {truth.shape}; give two arrays of the "
            "same voxels, (z, y, x)"
        )
    width = levels.shape[2] if width is None else width
    parts = [
        _section(levels[z], np.ascontiguousarray(truth[z]), most, start, width, start[0] + z)
        for z in range(len(levels))
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _section(
    levels: NDArray[np.int16], truth: NDArray[Any], most: int, start: Coord, width: int, z: int
) -> Columns:
    flat, count = _label(np.ascontiguousarray(levels), truth, most)
    first, sizes, links = _describe(flat, levels, count)
    y, x = np.divmod(first, levels.shape[1])
    names = (y + start[1]) * width + x + start[2]
    at_rim = _rim(levels.shape)
    rows, columns = np.divmod(at_rim, levels.shape[1])
    inside = flat.ravel()[at_rim] >= 0
    rows, columns, at_rim = rows[inside], columns[inside], at_rim[inside]
    return {
        "leaf_section": np.full(count, z, np.int64),
        "leaf_name": names,
        "leaf_truth": truth.ravel()[first].astype(np.uint64),
        "leaf_level": levels.ravel()[first].astype(np.int64),
        "leaf_count": sizes,
        "link_section": np.full(len(links), z, np.int64),
        "link_a": names[links[:, 0]],
        "link_b": names[links[:, 1]],
        "link_level": links[:, 2].copy(),
        "rim_section": np.full(len(at_rim), z, np.int64),
        "rim_pixel": (rows + start[1]) * width + columns + start[2],
        "rim_name": names[flat.ravel()[at_rim]],
        "rim_level": levels.ravel()[at_rim].astype(np.int64),
    }


def _rim(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """List the pixels of the first and last rows and columns."""
    rim = np.ones(shape, bool)
    rim[1:-1, 1:-1] = False
    return np.flatnonzero(rim)


@numba.njit(nogil=True, cache=True)
def _label(levels: NDArray[np.int16], truth: NDArray[Any], most: int) -> Any:
    """Give leaves numbers in the order of their first pixels; -1 is none."""
    height, width = levels.shape
    parent = np.arange(height * width)
    for y in range(height):
        for x in range(width):
            here = y * width + x
            if x and levels[y, x] == levels[y, x - 1] and truth[y, x] == truth[y, x - 1]:
                join_groups(parent, here - 1, here)
            if y and levels[y, x] == levels[y - 1, x] and truth[y, x] == truth[y - 1, x]:
                join_groups(parent, here - width, here)
    names = np.full((height, width), -1, np.int64)
    count = 0
    for y in range(height):
        for x in range(width):
            here = y * width + x
            if levels[y, x] >= most:
                continue
            root = root_of(parent, here)
            if root == here:  # roots are first pixels
                names[y, x] = count
                count += 1
            else:
                names[y, x] = names[root // width, root % width]
    return names, count


@numba.njit(nogil=True, cache=True)
def _describe(names: NDArray[np.int64], levels: NDArray[np.int16], count: int) -> Any:
    """Find the first pixel and the size of every leaf, and the pairs that touch."""
    height, width = names.shape
    first, sizes = np.full(count, -1, np.int64), np.zeros(count, np.int64)
    links = np.empty((64, 3), np.int64)
    found = 0
    for y in range(height):
        for x in range(width):
            leaf = names[y, x]
            if leaf < 0:
                continue
            if first[leaf] < 0:
                first[leaf] = y * width + x
            sizes[leaf] += 1
            for back in range(2):
                j, i = (y, x - 1) if back == 0 else (y - 1, x)
                other = names[j, i] if i >= 0 and j >= 0 else leaf
                if other < 0 or other == leaf:
                    continue
                if found == len(links):
                    wider = np.empty((2 * found, 3), np.int64)
                    wider[:found] = links
                    links = wider
                links[found] = other, leaf, np.int64(max(levels[y, x], levels[j, i]))
                found += 1
    return first, sizes, links[:found].copy()
