"""Leftovers of thinning: voxels that no block could settle alone, gathered and settled together."""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box, Coord
from volkit.kernels.simple_points import ALWAYS, removable
from volkit.kernels.sparse_voxels import set_voxels
from volkit.kernels.thinning import SUBFIELDS, UNSETTLED, Moments

Table = dict[str, NDArray[Any]]
"""``index`` (uint64, C order in the domain), ``subfield`` (uint8), ``around`` (uint16, (N, 27))."""


def gather_leftovers(
    moments: Moments, core: Box, *, start: Coord, place: Coord, domain_shape: Coord
) -> Table:
    """List the unsettled voxels of a block, with the moments of their neighbours.

    Parameters
    ----------
    moments : ndarray of uint16, shape (Z, Y, X)
        Of the block and one voxel around it.
    core : Box
        The block itself, in the array's own coordinates.
    start : tuple of int
        Where the array begins, voxels; decides the subfields.
    place : tuple of int
        Where the array begins in the domain, voxels.
    domain_shape : tuple of int
        Extent of the domain.

    Returns
    -------
    dict of ndarray
        A table with a row for each.

    Examples
    --------
    >>> moments = np.zeros((1, 1, 3), np.uint16)
    >>> moments[0, 0, 1:] = UNSETTLED, 65535  # the latter is KEPT
    >>> table = gather_leftovers(moments, Box((0, 0, 0), (1, 1, 3)), start=(0, 0, 0),
    ...                          place=(0, 0, 0), domain_shape=(1, 1, 3))
    >>> table["index"].tolist(), table["subfield"].tolist(), int(table["around"][0, 14])
    ([1], [1], 65535)
    """
    voxels = set_voxels(moments[core.slices] == UNSETTLED) + core.start
    padded = np.zeros((0,) * 3, np.uint16) if not len(voxels) else np.pad(moments, 1)
    around = np.empty((len(voxels), 27), np.uint16)
    for i in range(27 if len(voxels) else 0):
        z, y, x = (voxels + np.array([i // 9, i // 3 % 3, i % 3])).T
        around[:, i] = padded[z, y, x]
    odd = (voxels + start) & 1
    z, y, x = (voxels + place).T.astype(np.uint64)
    return {
        "index": (z * np.uint64(domain_shape[1]) + y) * np.uint64(domain_shape[2]) + x,
        "subfield": (odd @ (4, 2, 1)).astype(np.uint8),
        "around": around,
    }


def add_leftovers(tables: Sequence[Table]) -> Table:
    """Put the tables of blocks together, sorted by index."""
    joined = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    order = np.argsort(joined["index"], kind="stable")
    return {name: column[order] for name, column in joined.items()}


def settle_leftovers(table: Table, *, domain_shape: Coord) -> Table:
    """Thin the voxels of a table, while those around them go when they are known to.

    Parameters
    ----------
    table : dict of ndarray
        All leftovers of a volume.
    domain_shape : tuple of int
        Extent of the domain.

    Returns
    -------
    dict of ndarray
        ``index`` (uint64, sorted): those that belong to the skeleton.
    """
    index, around = table["index"], table["around"]
    neighbour = np.full(around.shape, -1, np.int64)
    for i in range(27):
        step = ((i // 9 - 1) * domain_shape[1] + i // 3 % 3 - 1) * domain_shape[2] + i % 3 - 1
        rows = np.flatnonzero(around[:, i] == UNSETTLED)
        sought = (index[rows].astype(np.int64) + step).astype(np.uint64)
        neighbour[rows, i] = np.searchsorted(index, sought)
    known = around[around < UNSETTLED]
    last = int(known.max()) if len(known) else 0
    kept = _settle(around, neighbour, table["subfield"], last)
    return {"index": index[kept]}


@numba.njit(nogil=True, cache=True)
def _settle(around: Moments, neighbour: Any, subfield: Any, last: int) -> Any:
    count = len(around)
    alive = np.ones(count, np.bool_)
    marked = np.zeros(count, np.bool_)
    turn, changed = 0, count
    # The last round begins when all that is known has gone, and removes nothing.
    while changed or SUBFIELDS * (turn - 1) < last:
        changed = 0
        for n in range(count):
            bits = _present(around, neighbour, alive, n, SUBFIELDS * turn)
            marked[n] = alive[n] and removable(bits, 0, True) == ALWAYS
        for step in range(SUBFIELDS):
            for n in range(count):
                if marked[n] and subfield[n] == step:
                    bits = _present(around, neighbour, alive, n, SUBFIELDS * turn + step)
                    if removable(bits, 0, False) == ALWAYS:
                        alive[n] = False
                        changed += 1
        turn += 1
    return alive


@numba.njit(nogil=True, cache=True)
def _present(around: Moments, neighbour: Any, alive: Any, n: int, now: int) -> Any:
    """Say which neighbours are there after ``now`` steps, as bits."""
    bits = np.int64(0)
    for i in range(27):
        other = neighbour[n, i]
        there = alive[other] if other >= 0 else around[n, i] > now
        bits |= np.int64(there) << i
    return bits
