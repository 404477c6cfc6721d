"""Faces between fragments: which contact each belongs to, and the affinity across it."""

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box, Coord
from volkit.kernels.affinity_graph import Floats, Labels, check_neighbours
from volkit.kernels.contacts import slot_of, wider

_ROOM = 4096  # faces, and slots of pairs, to begin with


class Faces(NamedTuple):
    """Every face between two labels."""

    u: Labels
    """(E,): the smaller label of each contact, sorted by pair."""
    v: Labels
    """(E,): the larger one."""
    edge: NDArray[np.uint64]
    """(N,): which contact each face belongs to."""
    affinity: Floats
    """(N,): across it."""


def contact_faces(
    labels: Labels, affinities: Floats, core: Box, *, toward: int, sections: bool
) -> Faces:
    """List the faces between every two labels that touch.

    Parameters
    ----------
    labels : ndarray of uint64, shape (Z, Y, X)
        Fragments; 0 touches nothing.
    affinities : ndarray of float32, shape (3, Z, Y, X)
        Affinity of a voxel and its neighbour on z, y, x.
    core : Box
        The voxels that count, in the arrays' own coordinates: a face belongs to the later voxel.
    toward : {-1, 1}
        Whether an affinity is that with the neighbour before the voxel, or after it.
    sections : bool
        Leave faces on z out.

    Returns
    -------
    Faces
        In the order of the voxels.

    Raises
    ------
    ContractError
        If the shapes differ.

    Examples
    --------
    >>> labels = np.array([[[1, 1, 3], [1, 3, 3]]], np.uint64)
    >>> affinities = np.full((3, 1, 2, 3), 0.5, np.float32)
    >>> faces = contact_faces(labels, affinities, Box((0, 0, 0), (1, 2, 3)), toward=-1,
    ...                       sections=False)
    >>> faces.u.tolist(), faces.v.tolist(), faces.edge.tolist()
    ([1], [3], [0, 0, 0])
    """
    check_neighbours(labels, affinities)
    labels, affinities = np.ascontiguousarray(labels), np.ascontiguousarray(affinities)
    how = (int(toward > 0), sections)
    pairs, edge, affinity = _faces(labels, affinities, core.start, core.stop, how)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    rank = np.empty(len(pairs), np.uint64)
    rank[pairs[order, 2]] = np.arange(len(pairs), dtype=np.uint64)
    return Faces(pairs[order, 0], pairs[order, 1], rank[edge], affinity)


@numba.njit(nogil=True, cache=True)
def _faces(
    labels: Labels, affinities: Floats, start: Coord, stop: Coord, how: tuple[int, bool]
) -> Any:
    """Walk the rows of the core; number the pairs as they are met."""
    table = np.zeros((_ROOM, 4), np.uint64)  # u, v, number, faces; no faces in a free slot
    edge, affinity = np.empty(_ROOM, np.uint64), np.empty(_ROOM, np.float32)
    pairs, faces = 0, 0
    after, sections = how
    left, right = start[2], stop[2]
    at = np.empty(max(right - left, 0) + 1, np.int32)
    for z in range(start[0], stop[0]):
        for y in range(start[1], stop[1]):
            while 2 * (pairs + 3 * len(at)) > len(table):
                table = wider(table)
            if faces + 3 * len(at) > len(edge):
                edge, affinity = _longer(edge, 3 * len(at)), _longer(affinity, 3 * len(at))
            rows = (table, edge, affinity, at)
            for axis in range(1 if sections else 0, 3):
                dz, dy, dx = int(axis == 0), int(axis == 1), int(axis == 2)
                if z < dz or y < dy:
                    continue
                first = max(left, dx)
                a, b = labels[z, y, first:right], labels[z - dz, y - dy, first - dx : right - dx]
                back = dx * after
                by = affinities[axis, z - dz * after, y - dy * after, first - back : right - back]
                pairs, faces = _row(a, b, by, rows, pairs, faces)
    return table[table[:, 3] != 0][:, :3].copy(), edge[:faces].copy(), affinity[:faces].copy()


@numba.njit(nogil=True, cache=True)
def _row(a: Labels, b: Labels, by: Floats, rows: Any, pairs: int, faces: int) -> Any:
    """Add the faces of two rows that lie beside each other."""
    table, edge, affinity, at = rows
    found = np.uint64(0)
    for x in range(len(a)):
        # As for contacts: found without a branch.
        at[found] = x
        found += np.uint64((a[x] != b[x]) & (a[x] != 0) & (b[x] != 0))
    for n in range(np.int64(found)):
        x = at[n]
        low, high = min(a[x], b[x]), max(a[x], b[x])
        slot = slot_of(table, low, high)
        if table[slot, 3] == 0:
            table[slot, 0], table[slot, 1], table[slot, 2] = low, high, np.uint64(pairs)
            pairs += 1
        table[slot, 3] += np.uint64(1)
        edge[faces], affinity[faces] = table[slot, 2], by[x]
        faces += 1
    return pairs, faces


@numba.njit(nogil=True, cache=True)
def _longer(values: Any, more: int) -> Any:
    """Make room for so many more, and twice as many as there are."""
    wide = np.empty(2 * len(values) + more, values.dtype)
    wide[: len(values)] = values
    return wide
