"""Basins: voxels whose ways meet, named after their first voxel."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box, Coord
from volkit.kernels.affinity_ascent import Ways
from volkit.kernels.label import unique_pairs

Labels = NDArray[np.uint64]


def basins(ways: Ways, *, start: Coord = (0, 0, 0), domain_shape: Coord | None = None) -> Labels:
    """Label the voxels that ways join.

    Parameters
    ----------
    ways : ndarray of uint8, shape (Z, Y, X)
        As ``divided_ways`` gives them; those that lead out of the array are left out.
    start : tuple of int
        Where in the domain the array begins, voxels.
    domain_shape : tuple of int, optional
        Extent of the domain; that of the array by default.

    Returns
    -------
    ndarray of uint64, shape (Z, Y, X)
        1 + the C-order index, in the domain, of each basin's first voxel; 0 is background.

    Examples
    --------
    >>> basins(np.array([[[32, 4, 0, 32, 4, 4]]], np.uint8)).tolist()
    [[[1, 1, 0, 4, 4, 4]]]
    """
    ways = np.ascontiguousarray(ways)
    parent = np.empty(ways.size, np.int32 if ways.size < 2**31 else np.int64)
    _join(ways, parent)
    out = np.empty(ways.shape, np.uint64)
    _name(ways, parent, start, domain_shape or ways.shape, out)
    return out


def crossing_pairs(labels: Labels, ways: Ways, core: Box) -> tuple[Labels, Labels]:
    """Find the pairs of labels that a way out of a block joins.

    Parameters
    ----------
    labels : ndarray of uint64, shape (Z, Y, X)
        Of the block and of one voxel more on every side where the domain goes on.
    ways : ndarray of uint8, shape (Z, Y, X)
        Likewise.
    core : Box
        The block, in the array's own coordinates.

    Returns
    -------
    a, b : ndarray of uint64
        Unique pairs, sorted; ``a < b``.

    Examples
    --------
    >>> labels = np.array([[[1, 1, 3, 3]]], np.uint64)
    >>> ways = np.array([[[32, 32, 32, 4]]], np.uint8)
    >>> a, b = crossing_pairs(labels, ways, Box((0, 0, 0), (1, 1, 2)))
    >>> a.tolist(), b.tolist()
    ([1], [3])
    """
    found: list[tuple[Labels, Labels]] = []
    for axis in range(3):
        for side, bit in ((-1, axis), (1, axis + 3)):
            inner = core.start[axis] if side < 0 else core.stop[axis] - 1
            if not 0 <= inner + side < labels.shape[axis]:
                continue
            here, there = list(core.slices), list(core.slices)
            here[axis], there[axis] = inner, inner + side  # type: ignore[call-overload]
            goes = (ways[tuple(here)] >> np.uint8(bit) & np.uint8(1)).astype(bool)
            a, b = labels[tuple(here)][goes], labels[tuple(there)][goes]
            found.append((np.minimum(a, b), np.maximum(a, b)))
    if not found:
        return np.zeros(0, np.uint64), np.zeros(0, np.uint64)
    return unique_pairs(*(np.concatenate(column) for column in zip(*found, strict=True)))


@numba.njit(nogil=True, cache=True)
def _join(ways: Ways, parent: NDArray[Any]) -> None:
    """Unite along every way, under the smaller index.

    A way joins two voxels whichever of them it begins at: every voxel looks at those before it.
    """
    nz, ny, nx = ways.shape
    voxel = 0
    for z in range(nz):
        for y in range(ny):
            here = ways[z, y]
            # The bits of a way to the row before, and of one that comes from there.
            above, up, down = (ways[z - 1, y], 1, 8) if z > 0 else (here, 0, 0)
            beside, north, south = (ways[z, y - 1], 2, 16) if y > 0 else (here, 0, 0)
            root, before = voxel, 0
            for x in range(nx):
                bits = here[x]
                if not (x > 0 and (bits & 4 or before & 32)):
                    root = voxel
                before = bits
                parent[voxel] = root
                if bits & north or beside[x] & south:
                    root = _united(parent, root, voxel - nx)
                if bits & up or above[x] & down:
                    root = _united(parent, root, voxel - ny * nx)
                parent[voxel] = root
                voxel += 1


@numba.njit(nogil=True, cache=True)
def _united(parent: NDArray[Any], root: int, voxel: int) -> Any:
    """Unite a root and the group of a voxel; give the root of both."""
    other = parent[voxel]
    if other == root:
        return root
    while parent[other] != other:
        parent[other] = parent[parent[other]]
        other = parent[other]
    if other < root:
        parent[root] = other
        return other
    parent[other] = root
    return root


@numba.njit(nogil=True, cache=True)
def _name(ways: Ways, parent: NDArray[Any], start: Coord, extent: Coord, out: Labels) -> None:
    """Name roots by their place in the domain; the others come later, and take their parent's."""
    nz, ny, nx = ways.shape
    names = out.reshape(-1)
    voxel = 0
    for z in range(nz):
        for y in range(ny):
            first = ((z + start[0]) * extent[1] + y + start[1]) * extent[2] + start[2] + 1
            for x in range(nx):
                if parent[voxel] != voxel:
                    names[voxel] = names[parent[voxel]]
                else:
                    names[voxel] = first + x if ways[z, y, x] else 0
                voxel += 1
