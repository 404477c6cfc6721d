"""The largest affinities across every contact, in parts that can be put together exactly."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.geometry import Box, Coord
from volkit.kernels.affinity_graph import Floats, Labels
from volkit.kernels.contacts import ONE

Ints = NDArray[np.int64]
Rows = dict[str, NDArray[Any]]

_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads neighbouring ids
_TURN = np.uint64(31)  # folds the high bits of a product into the low ones
_PAIR = np.uint64(32)  # bits of a face that hold its affinity; those above number its pair


def largest_affinities(
    labels: Labels, affinities: Floats, core: Box, *, k: int, toward: int, sections: bool = False
) -> Rows:
    """List the k largest affinities between every two labels that touch.

    An edge between two voxels belongs to the later one: blocks that see one voxel more list every
    edge of a volume once.

    Parameters
    ----------
    labels : ndarray of uint64, shape (Z, Y, X)
        Fragments; 0 touches nothing.
    affinities : ndarray of float32, shape (3, Z, Y, X)
        Affinity of a voxel and its neighbour on z, y, x, 0 to 1.
    core : Box
        The voxels that count, in the arrays' own coordinates.
    k : int
        How many, at least 1; a contact of fewer faces has as many.
    toward : {-1, 1}
        Whether an affinity is that with the neighbour before the voxel, or after it.
    sections : bool
        Leave edges on z out.

    Returns
    -------
    dict of ndarray
        ``u``, ``v`` (uint64, ``u < v``, sorted by pair); for every value a row of ``edge`` (int64:
        which pair), ``bin`` (int64: the affinity, units of 2**-30) and ``number`` (int64), sorted
        by the first two; and their ``sum`` (int64, of 1 - affinity) and ``count`` by pair.

    Raises
    ------
    ContractError
        If the shapes differ.

    Examples
    --------
    >>> labels = np.array([[[1, 1, 3], [1, 3, 3]]], np.uint64)
    >>> affinities = np.zeros((3, 1, 2, 3), np.float32)
    >>> affinities[1], affinities[2] = 0.5, 1
    >>> rows = largest_affinities(labels, affinities, Box((0, 0, 0), (1, 2, 3)), k=2, toward=-1)
    >>> {name: (rows[name] / 2**30).tolist() for name in ("bin", "sum")}, rows["number"].tolist()
    ({'bin': [1.0], 'sum': [0.0]}, [2])
    """
    if affinities.shape != (3, *labels.shape):
        raise ContractError(
            f"labels are {labels.shape}, affinities {affinities.shape}; give (3, Z, Y, X) of the "
            "same voxels"
        )
    how = (int(toward > 0), sections)
    table, faces = _faces(labels, affinities, core.start, core.stop, how)
    values, number = np.unique(faces, return_counts=True)
    rows = largest_rows(
        {
            "edge": (values >> _PAIR).astype(np.int64),
            "bin": (values & np.uint64(2**32 - 1)).astype(np.int64),
            "number": number.astype(np.int64),
        },
        k=k,
    )
    pairs = np.lexsort((table[:, 1], table[:, 0]))
    place = np.empty(len(pairs), np.int64)
    place[table[pairs, 2].astype(np.int64) - 1] = np.arange(len(pairs))
    edge = place[rows["edge"]]
    order = np.argsort(edge, kind="stable")
    rows = {"edge": edge[order], "bin": rows["bin"][order], "number": rows["number"][order]}
    total, count = sum_of_rows(rows, edges=len(pairs))
    return {"u": table[pairs, 0], "v": table[pairs, 1], **rows, "sum": total, "count": count}


def largest_rows(rows: Rows, *, k: int) -> Rows:
    """Keep the k largest values of every edge.

    Parameters
    ----------
    rows : dict of ndarray
        ``edge``, ``bin`` and ``number`` (int64), sorted by the first two.
    k : int
        How many.

    Returns
    -------
    dict of ndarray
        Likewise.

    Examples
    --------
    >>> rows = {"edge": np.array([0, 0, 0, 1]), "bin": np.array([2, 5, 7, 4]),
    ...         "number": np.array([9, 3, 1, 1])}
    >>> {name: column.tolist() for name, column in largest_rows(rows, k=3).items()}
    {'edge': [0, 0, 1], 'bin': [5, 7, 4], 'number': [2, 1, 1]}
    """
    edge, total = rows["edge"], np.cumsum(rows["number"])
    last = np.flatnonzero(np.append(edge[1:] != edge[:-1], True)) if len(edge) else edge
    rows_of = np.diff(last, prepend=-1)
    larger = np.repeat(total[last], rows_of) - total
    number = np.minimum(rows["number"], k - larger)
    kept = number > 0
    return {"edge": edge[kept], "bin": rows["bin"][kept], "number": number[kept]}


def sum_of_rows(rows: Rows, *, edges: int) -> tuple[Ints, Ints]:
    """Add up 1 - affinity for every edge.

    Parameters
    ----------
    rows : dict of ndarray
        ``edge``, ``bin`` (units of 2**-30) and ``number`` (int64).
    edges : int
        How many there are.

    Returns
    -------
    total, count : ndarray of int64, shape (edges,)
        The sum, units of 2**-30, and of how many.
    """
    total, count = np.zeros(edges, np.int64), np.zeros(edges, np.int64)
    np.add.at(total, rows["edge"], (ONE - rows["bin"]) * rows["number"])
    np.add.at(count, rows["edge"], rows["number"])
    return total, count


@numba.njit(nogil=True, cache=True)
def _faces(
    labels: Labels, affinities: Floats, start: Coord, stop: Coord, how: tuple[int, bool]
) -> Any:
    """Give the pairs that touch numbers; write down every face's pair and affinity."""
    table, pairs = np.zeros((4096, 3), np.uint64), 0  # u, v, 1 + number; 0 is a free slot
    after, sections = how
    faces, found = np.empty(4096, np.uint64), 0
    for z in range(start[0], stop[0]):
        for y in range(start[1], stop[1]):
            while 2 * (pairs + 3 * (stop[2] - start[2])) > len(table):
                table = _wider(table)
            while found + 3 * (stop[2] - start[2]) > len(faces):
                faces = np.append(faces, np.empty_like(faces))
            for axis in range(1 if sections else 0, 3):
                dz, dy, dx = int(axis == 0), int(axis == 1), int(axis == 2)
                if z < dz or y < dy:
                    continue
                for x in range(max(start[2], dx), stop[2]):
                    a, b = labels[z, y, x], labels[z - dz, y - dy, x - dx]
                    if a != b and a != 0 and b != 0:
                        by = affinities[axis, z - dz * after, y - dy * after, x - dx * after]
                        slot = _slot(table, min(a, b), max(a, b))
                        if table[slot, 2] == 0:
                            pairs += 1
                            table[slot, 0], table[slot, 1] = min(a, b), max(a, b)
                            table[slot, 2] = pairs
                        level = np.uint64(np.int64(np.rint(np.float64(by) * ONE)))
                        faces[found] = ((table[slot, 2] - np.uint64(1)) << _PAIR) | level
                        found += 1
    return table[table[:, 2] != 0], faces[:found]


@numba.njit(nogil=True, cache=True)
def _slot(table: Labels, low: np.uint64, high: np.uint64) -> Any:
    """Find the slot of a pair, or the free one where it belongs."""
    mixed = (low * _MIX + high) * _MIX
    last = np.uint64(len(table) - 1)
    slot = (mixed ^ (mixed >> _TURN)) & last
    while table[slot, 2] != 0 and (table[slot, 0] != low or table[slot, 1] != high):
        slot = (slot + np.uint64(1)) & last
    return slot


@numba.njit(nogil=True, cache=True)
def _wider(table: Labels) -> Any:
    """Double the table, which stays at most half full."""
    wide = np.zeros((2 * len(table), 3), np.uint64)
    for row in range(len(table)):
        if table[row, 2] != 0:
            wide[_slot(wide, table[row, 0], table[row, 1])] = table[row]
    return wide
