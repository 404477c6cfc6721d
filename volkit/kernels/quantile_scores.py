"""Histograms of the affinities across every contact, in parts that add up exactly."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box, Coord
from volkit.kernels.affinity_graph import Floats, Labels, check_neighbours
from volkit.kernels.distinct import first_of_runs

BINS = 256
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads neighbouring ids
_TURN = np.uint64(31)  # folds the high bits of a product into the low ones


def contact_histograms(
    labels: Labels, affinities: Floats, core: Box, *, toward: int, sections: bool = False
) -> dict[str, NDArray[Any]]:
    """Count the affinities between every two labels that touch, in 256 bins.

    An edge between two voxels belongs to the later one: blocks that see one voxel more count
    every edge of a volume once.

    Parameters
    ----------
    labels : ndarray of uint64, shape (Z, Y, X)
        Fragments; 0 touches nothing.
    affinities : ndarray of float32, shape (3, Z, Y, X)
        Affinity of a voxel and its neighbour on z, y, x, 0 to 1.
    core : Box
        The voxels that count, in the arrays' own coordinates.
    toward : {-1, 1}
        Whether an affinity is that with the neighbour before the voxel, or after it.
    sections : bool
        Leave edges on z out.

    Returns
    -------
    dict of ndarray
        ``u``, ``v`` (uint64, ``u < v``, sorted by pair); and for every bin that is not empty a row
        of ``edge`` (int64: which pair), ``bin`` (int64, 0 to 255) and ``number`` (int64).

    Raises
    ------
    ContractError
        If the shapes differ.

    Examples
    --------
    >>> labels = np.array([[[1, 1, 3], [1, 3, 3]]], np.uint64)
    >>> affinities = np.zeros((3, 1, 2, 3), np.float32)
    >>> affinities[1], affinities[2] = 0.5, 1
    >>> rows = contact_histograms(labels, affinities, Box((0, 0, 0), (1, 2, 3)), toward=-1)
    >>> {name: column.tolist() for name, column in rows.items()}
    {'u': [1], 'v': [3], 'edge': [0, 0], 'bin': [128, 255], 'number': [1, 2]}
    """
    check_neighbours(labels, affinities)
    how = (int(toward > 0), sections)
    table = _histograms(labels, affinities, core.start, core.stop, how)
    table = table[np.lexsort((table[:, 2], table[:, 1], table[:, 0]))]
    begins = first_of_runs(table[:, 0], table[:, 1])
    return {
        "u": table[begins, 0],
        "v": table[begins, 1],
        "edge": np.cumsum(begins) - 1,
        "bin": table[:, 2].astype(np.int64),
        "number": table[:, 3].astype(np.int64),
    }


def largest_bins(rows: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Keep the highest bin of every contact, once.

    Parameters
    ----------
    rows : dict of ndarray
        As ``contact_histograms`` gives them.

    Returns
    -------
    dict of ndarray
        Likewise.

    Examples
    --------
    >>> rows = {"u": np.array([1, 1]), "v": np.array([2, 3]), "edge": np.array([0, 0, 1]),
    ...         "bin": np.array([7, 200, 30]), "number": np.array([4, 2, 5])}
    >>> {name: column.tolist() for name, column in largest_bins(rows).items() if name != "u"}
    {'v': [2, 3], 'edge': [0, 1], 'bin': [200, 30], 'number': [1, 1]}
    """
    edge = rows["edge"]
    last = np.append(edge[1:] != edge[:-1], True) if len(edge) else np.zeros(0, bool)
    kept = {"edge": edge[last], "bin": rows["bin"][last], "number": np.ones_like(edge[last])}
    return {**rows, **kept}


@numba.njit(nogil=True, cache=True)
def _histograms(
    labels: Labels, affinities: Floats, start: Coord, stop: Coord, how: tuple[int, bool]
) -> Any:
    """Gather (pair, bin) in an open-addressed table that grows."""
    table, used = np.zeros((4096, 4), np.uint64), 0  # u, v, bin, number; 0 is a free slot
    after, sections = how
    for z in range(start[0], stop[0]):
        for y in range(start[1], stop[1]):
            while 2 * (used + 3 * (stop[2] - start[2])) > len(table):
                table = _wider(table)
            for axis in range(1 if sections else 0, 3):
                dz, dy, dx = int(axis == 0), int(axis == 1), int(axis == 2)
                if z < dz or y < dy:
                    continue
                for x in range(max(start[2], dx), stop[2]):
                    a, b = labels[z, y, x], labels[z - dz, y - dy, x - dx]
                    if a != b and a != 0 and b != 0:
                        by = affinities[axis, z - dz * after, y - dy * after, x - dx * after]
                        level = np.uint64(min(by * np.float32(BINS), np.float32(BINS - 1)))
                        low, high = min(a, b), max(a, b)
                        slot = _slot(table, low, high, level)
                        if table[slot, 3] == 0:
                            table[slot, 0], table[slot, 1], table[slot, 2] = low, high, level
                            used += 1
                        table[slot, 3] += np.uint64(1)
    return table[table[:, 3] != 0]


@numba.njit(nogil=True, cache=True)
def _slot(table: Labels, low: np.uint64, high: np.uint64, level: np.uint64) -> Any:
    """Find the slot of a pair and bin, or the free one where it belongs."""
    mixed = ((low * _MIX + high) * _MIX + level) * _MIX
    last = np.uint64(len(table) - 1)
    slot = (mixed ^ (mixed >> _TURN)) & last
    while table[slot, 3] != 0 and (
        table[slot, 0] != low or table[slot, 1] != high or table[slot, 2] != level
    ):
        slot = (slot + np.uint64(1)) & last
    return slot


@numba.njit(nogil=True, cache=True)
def _wider(table: Labels) -> Any:
    """Double the table, which stays at most half full."""
    wide = np.zeros((2 * len(table), 4), np.uint64)
    for row in range(len(table)):
        if table[row, 3] != 0:
            wide[_slot(wide, table[row, 0], table[row, 1], table[row, 2])] = table[row]
    return wide
