"""Thinning to centre lines that are the same however a volume is cut.

Time runs in rounds of eight steps.  A round begins by marking the voxels that can be removed:
simple ones that are no ends.  Step ``s`` removes those of subfield ``s`` that are still simple.  A
subfield holds every second voxel of each axis: no two of them are neighbours, so that the order in
which they go cannot show, and each step is a map of 3^3 neighbourhoods.

What lies outside a block is not known.  What depends on it is not known either, and is said to be
``UNSETTLED``: everything else is as in the whole volume.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Coord
from volkit.kernels.simple_points import ALWAYS, MAYBE, NEVER, removable

Faces = tuple[bool, bool, bool]

Moments = NDArray[np.uint8]
"""Of each voxel: 0 background, ``1 + round`` when it is removed, or one of the two.  The step in
the round is its subfield."""

KEPT = 255
"""The moment of a voxel of the skeleton."""

UNSETTLED = 254
"""The moment of a voxel whose fate depends on what the block does not see."""

SUBFIELDS = 8
_ROUNDS = UNSETTLED - 1  # that moments can tell apart

# A cell holds three voxels of a row, its own in the middle: bits 0 to 2 are set where they are
# present, bits 3 to 5 where they are not known; bit 6 where its own voxel is in the queue.
_PRESENT, _UNKNOWN, _QUEUED = 1, 8, 64

# An entry of the queue is the index of a voxel, whether its answer is unsure, and its subfield.
_SHIFT, _UNSURE = 4, 8
_TURNED = tuple(4 * (i // 9 % 2 == 0) + 2 * (i // 3 % 3 != 1) + (i % 3 != 1) for i in range(27))


def thin(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Thin a mask to its centre lines, one voxel wide, with the same topology.

    Parameters
    ----------
    mask : ndarray of bool, shape (Z, Y, X)
        Foreground, surrounded by background.

    Returns
    -------
    ndarray of bool, shape (Z, Y, X)
        The skeleton.

    References
    ----------
    G. Nemeth, P. Kardos, K. Palagyi, Topology preserving 3D thinning algorithms using four and
    eight subfields, 2010, https://doi.org/10.1007/978-3-642-13772-3_32

    Examples
    --------
    >>> bar = np.ones((3, 3, 9), bool)
    >>> int(thin(bar).sum()), int(thin(thin(bar)).sum())
    (7, 7)
    """
    closed = (False, False, False)
    return _thinned(mask, (0, 0, 0), closed, closed, np.iinfo(np.int64).max) == KEPT


def thinning_moments(
    mask: NDArray[np.bool_],
    *,
    start: Coord = (0, 0, 0),
    open_before: Faces = (False, False, False),
    open_after: Faces = (False, False, False),
) -> Moments:
    """Tell when each voxel of a block is removed, as far as the block can know.

    Parameters
    ----------
    mask : ndarray of bool, shape (Z, Y, X)
        Foreground.
    start : tuple of int
        Where the block begins, voxels; decides the subfields.
    open_before, open_after : tuple of bool
        On which faces the volume goes on beyond the block; background lies beyond the others.

    Returns
    -------
    ndarray of uint8, shape (Z, Y, X)
        Moments.  What is left after 253 rounds, as of sheets or bodies 500 voxels wide, is
        unsettled too.

    Examples
    --------
    >>> thinning_moments(np.ones((1, 1, 4), bool)).tolist() == [[[KEPT] * 4]]
    True
    """
    return _thinned(mask, start, open_before, open_after, _ROUNDS)


def _thinned(
    mask: NDArray[np.bool_], start: Coord, before: Faces, after: Faces, rounds: int
) -> Moments:
    """Thin a block for so many rounds."""
    shape = (mask.shape[0] + 2, mask.shape[1] + 2, mask.shape[2] + 2)
    entries = np.flatnonzero(mask)
    moments = np.zeros(shape, np.uint8)
    cells = np.zeros(moments.size + 1, np.uint8)
    _close_in(cells, shape, before, after)
    _enter(cells, entries, shape, (start[0] & 1, start[1] & 1, start[2] & 1))
    _run(cells, entries, shape, moments.reshape(-1), rounds)
    return moments[1:-1, 1:-1, 1:-1]


@numba.njit(nogil=True, cache=True)
def _close_in(cells: Any, shape: Coord, before: Any, after: Any) -> None:
    """Note as not known what lies around the block, but on faces that close the volume."""
    nz, ny, nx = shape
    for z in range(nz):
        if (z == 0 and not before[0]) or (z == nz - 1 and not after[0]):
            continue
        for y in range(ny):
            if (y == 0 and not before[1]) or (y == ny - 1 and not after[1]):
                continue
            whole = z == 0 or z == nz - 1 or y == 0 or y == ny - 1
            for x in range(0, nx, 1 if whole else nx - 1):
                if (x == 0 and not before[2]) or (x == nx - 1 and not after[2]):
                    continue
                _set(cells, (z * ny + y) * nx + x, _UNKNOWN)


@numba.njit(nogil=True, cache=True)
def _enter(cells: Any, entries: Any, shape: Coord, parity: Coord) -> None:
    """Note the voxels of a mask as present, and turn their sorted indices in it into entries."""
    ny, nx = shape[1] - 2, shape[2] - 2
    begin, stop, ahead, first = 0, 0, 0, 0
    for n in range(len(entries)):
        if entries[n] >= stop:
            row = entries[n] // nx
            z, y = row // ny, row % ny
            begin, stop = row * nx, (row + 1) * nx
            ahead = ((z + 1) * shape[1] + y + 1) * shape[2] + 1
            first = 4 * ((z + parity[0]) & 1) + 2 * ((y + parity[1]) & 1)
        x = entries[n] - begin
        entries[n] = (ahead + x) << _SHIFT | first + ((x + parity[2]) & 1)
        _set(cells, ahead + x, _PRESENT)


@numba.njit(nogil=True, cache=True)
def _run(cells: Any, entries: Any, shape: Coord, moments: Moments, rounds: int) -> None:
    """Go on, round by round, until nothing changes."""
    offsets = _offsets(shape)
    queue, count = entries.copy(), len(entries)
    marked = np.empty_like(queue)
    ends = np.zeros(SUBFIELDS + 1, np.int64)
    turn = 0
    while turn < rounds:
        _mark(cells, offsets, queue[:count], marked, ends)
        turn += 1
        count = 0
        for n in range(ends[SUBFIELDS]):
            entry = marked[n]
            voxel = entry >> _SHIFT
            present, unknown = _around(cells, voxel, offsets)
            answer = removable(present, unknown, False)
            if answer == NEVER:
                continue
            gone = answer == ALWAYS and not entry & _UNSURE
            _clear(cells, voxel, _PRESENT)
            if not gone:
                _set(cells, voxel, _UNKNOWN)
            moments[voxel] = min(turn, _ROUNDS) if gone else UNSETTLED
            count = _ask_again(cells, offsets, entry, present, queue, count)
        if count == 0:
            break
    fate = UNSETTLED if count else KEPT
    for entry in entries:
        voxel = entry >> _SHIFT
        if cells[voxel] & 2:
            moments[voxel] = fate


@numba.njit(nogil=True, cache=True)
def _ask_again(cells: Any, offsets: Any, entry: Any, present: int, queue: Any, count: int) -> int:
    """Queue the neighbours of a voxel that has changed: nothing else can change its answer."""
    voxel, subfield = entry >> _SHIFT, entry & (SUBFIELDS - 1)
    for i in range(27):
        if present >> i & 1 and i != 13:
            other = voxel + offsets[i]
            if not cells[other] & _QUEUED:
                cells[other] |= _QUEUED
                queue[count] = other << _SHIFT | (subfield ^ _TURNED[i])
                count += 1
    return count


@numba.njit(nogil=True, cache=True)
def _mark(cells: Any, offsets: Any, queue: Any, marked: Any, ends: Any) -> None:
    """List what may go in this round, subfield by subfield, and whether that is sure."""
    ends[:] = 0
    count = 0
    for n in range(len(queue)):
        entry = queue[n]
        voxel = entry >> _SHIFT
        cells[voxel] &= ~_QUEUED
        if not cells[voxel] & 2:
            continue
        present, unknown = _around(cells, voxel, offsets)
        answer = removable(present, unknown, True)
        if answer != NEVER:
            queue[count] = entry | _UNSURE if answer == MAYBE else entry
            count += 1
            ends[(entry & (SUBFIELDS - 1)) + 1] += 1
    for step in range(SUBFIELDS):
        ends[step + 1] += ends[step]
    at = ends[:SUBFIELDS].copy()
    for n in range(count):
        subfield = queue[n] & (SUBFIELDS - 1)
        marked[at[subfield]] = queue[n]
        at[subfield] += 1


@numba.njit(nogil=True, cache=True)
def _around(cells: Any, voxel: Any, offsets: Any) -> Any:
    """Read the neighbourhood of a voxel as bits: what is present, what is not known."""
    present, unknown = np.int64(0), np.int64(0)
    for i in range(9):
        cell = np.int64(cells[voxel + offsets[3 * i + 1]])
        present |= (cell & 7) << (3 * i)
        unknown |= (cell >> 3 & 7) << (3 * i)
    return present, unknown


@numba.njit(nogil=True, cache=True)
def _set(cells: Any, voxel: Any, bit: int) -> None:
    """Note something of a voxel, in its own cell and in those beside it on its row."""
    cells[voxel - 1] |= bit << 2
    cells[voxel] |= bit << 1
    cells[voxel + 1] |= bit


@numba.njit(nogil=True, cache=True)
def _clear(cells: Any, voxel: Any, bit: int) -> None:
    cells[voxel - 1] &= ~(bit << 2)
    cells[voxel] &= ~(bit << 1)
    cells[voxel + 1] &= ~bit


@numba.njit(nogil=True, cache=True)
def _offsets(shape: Coord) -> Any:
    offsets = np.empty(27, np.int64)
    for i in range(27):
        offsets[i] = ((i // 9 - 1) * shape[1] + i // 3 % 3 - 1) * shape[2] + i % 3 - 1
    return offsets
