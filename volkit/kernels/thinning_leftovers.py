"""Leftovers of thinning: voxels that no block could settle alone, gathered and settled together."""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box, Coord
from volkit.kernels.simple_points import ALWAYS, removable
from volkit.kernels.sparse_voxels import set_voxels, within
from volkit.kernels.thinning import SUBFIELDS, UNSETTLED, Moments

Table = dict[str, NDArray[Any]]
"""``index`` (uint64, C order in the domain) and ``moment`` (uint8) of unsettled voxels and of those
of the foreground that touch one."""


def gather_leftovers(moments: Moments, *, place: Coord, domain_shape: Coord) -> Table:
    """List the unsettled voxels of a block, and those that touch one.

    Parameters
    ----------
    moments : ndarray of uint8, shape (Z, Y, X)
        Of the block and of one voxel before it on each axis: so any two voxels that touch are seen
        together by some block.
    place : tuple of int
        Where the array begins in the domain, voxels.
    domain_shape : tuple of int
        Extent of the domain.

    Returns
    -------
    dict of ndarray
        A table with a row for each, sorted by index.

    Examples
    --------
    >>> moments = np.array([[[1, 255, 255, UNSETTLED, 0]]], np.uint8)  # 255 is KEPT
    >>> table = gather_leftovers(moments, place=(0, 0, 0), domain_shape=(1, 1, 5))
    >>> table["index"].tolist(), table["moment"].tolist()
    ([2, 3], [255, 254])
    """
    voxels = set_voxels(moments == UNSETTLED)
    if len(voxels):
        voxels = set_voxels(_touched(moments, voxels))
    z, y, x = (voxels + place).T.astype(np.uint64)
    return {
        "index": (z * np.uint64(domain_shape[1]) + y) * np.uint64(domain_shape[2]) + x,
        "moment": moments[tuple(voxels.T)],
    }


def add_leftovers(tables: Sequence[Table]) -> Table:
    """Put the tables of blocks together, sorted by index; what several saw is the same."""
    joined = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    index, first = np.unique(joined["index"], return_index=True)
    return {"index": index, "moment": joined["moment"][first]}


def settle_leftovers(table: Table, *, start: Coord, domain_shape: Coord) -> Table:
    """Thin the voxels of a table, while those around them go when they are known to.

    Parameters
    ----------
    table : dict of ndarray
        All leftovers of a volume.
    start : tuple of int
        Where the domain begins, voxels; decides the subfields.
    domain_shape : tuple of int
        Extent of the domain.

    Returns
    -------
    dict of ndarray
        ``index`` (uint64, sorted): those that belong to the skeleton.
    """
    index, moment = table["index"].astype(np.int64), table["moment"]
    place = np.stack(np.unravel_index(index, domain_shape), -1)
    subfield = ((place + np.array(start)) & 1) @ (4, 2, 1)
    step_of = SUBFIELDS * (moment.astype(np.int64) - 1) + subfield + 1
    goes = moment < UNSETTLED
    gone = np.where(goes, step_of, np.iinfo(np.int64).max)  # after how many steps
    rows = np.flatnonzero(moment == UNSETTLED)
    neighbour = np.full((len(rows), 27), -1, np.int64)
    for i in range(27):
        step = np.array([i // 9 - 1, i // 3 % 3 - 1, i % 3 - 1])
        there = place[rows] + step
        sought = (there[:, 0] * domain_shape[1] + there[:, 1]) * domain_shape[2] + there[:, 2]
        at = np.minimum(np.searchsorted(index, sought), len(index) - 1)
        found = within(there, Box.from_shape(domain_shape)) & (index[at] == sought)
        neighbour[found, i] = at[found]
    _settle(gone, rows, neighbour, subfield, int(gone[goes].max(initial=0)))
    return {"index": table["index"][rows][gone[rows] > 0]}


@numba.njit(nogil=True, cache=True)
def _touched(moments: Moments, voxels: Any) -> Any:
    """Mark the foreground in the neighbourhoods of voxels, themselves included."""
    touched = np.zeros(moments.shape, np.bool_)
    nz, ny, nx = moments.shape
    for n in range(len(voxels)):
        z, y, x = voxels[n]
        for k in range(max(0, z - 1), min(nz, z + 2)):
            for j in range(max(0, y - 1), min(ny, y + 2)):
                for i in range(max(0, x - 1), min(nx, x + 2)):
                    touched[k, j, i] = moments[k, j, i] > 0
    return touched


@numba.njit(nogil=True, cache=True)
def _settle(gone: Any, rows: Any, neighbour: Any, subfield: Any, last: int) -> None:
    """Note when each row goes; what is known to go does so meanwhile, up to the last step."""
    count = len(rows)
    marked = np.zeros(count, np.bool_)
    turn, changed = 0, count
    # The last round begins when all that is known has gone, and removes nothing.
    while changed or SUBFIELDS * (turn - 1) < last:
        changed = 0
        for n in range(count):
            bits = _present(gone, neighbour, n, SUBFIELDS * turn)
            marked[n] = gone[rows[n]] > 0 and removable(bits, 0, True) == ALWAYS
        for step in range(SUBFIELDS):
            for n in range(count):
                if marked[n] and subfield[rows[n]] == step:
                    bits = _present(gone, neighbour, n, SUBFIELDS * turn + step)
                    if removable(bits, 0, False) == ALWAYS:
                        gone[rows[n]] = 0
                        changed += 1
        turn += 1


@numba.njit(nogil=True, cache=True)
def _present(gone: Any, neighbour: Any, n: int, now: int) -> Any:
    """Say which neighbours are there after ``now`` steps, as bits."""
    bits = np.int64(0)
    for i in range(27):
        other = neighbour[n, i]
        if other >= 0:
            bits |= np.int64(gone[other] > now) << i
    return bits
