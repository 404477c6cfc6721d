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

from volkit.errors import ContractError
from volkit.geometry import Coord
from volkit.kernels.simple_points import ALWAYS, MAYBE, NEVER, removable

Moments = NDArray[np.uint16]
"""Of each voxel: 0 background, ``1 + 8 round + subfield`` when it is removed, or one of the two."""

KEPT = 65535
"""The moment of a voxel of the skeleton."""

UNSETTLED = 65534
"""The moment of a voxel whose fate depends on what the block does not see."""

SUBFIELDS = 8
_LAST_ROUND = (UNSETTLED - 1) // SUBFIELDS - 1


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
    return thinning_moments(mask) == KEPT


def thinning_moments(
    mask: NDArray[np.bool_],
    *,
    start: Coord = (0, 0, 0),
    open_before: tuple[bool, bool, bool] = (False, False, False),
    open_after: tuple[bool, bool, bool] = (False, False, False),
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
    ndarray of uint16, shape (Z, Y, X)
        Moments.

    Raises
    ------
    ContractError
        If the mask takes more than 8190 rounds.

    Examples
    --------
    >>> thinning_moments(np.ones((1, 1, 4), bool)).tolist() == [[[KEPT] * 4]]
    True
    """
    padded = np.full([n + 2 for n in mask.shape], 2, np.uint8)
    for axis in range(3):
        face = np.moveaxis(padded, axis, 0)
        if not open_before[axis]:
            face[0] = 0
        if not open_after[axis]:
            face[-1] = 0
    padded[1:-1, 1:-1, 1:-1] = mask
    moments = np.zeros(mask.shape, np.uint16)
    nz, ny, nx = padded.shape
    parity = ((start[0] - 1) & 1, (start[1] - 1) & 1, (start[2] - 1) & 1)
    if not _run(padded.reshape(-1), (nz, ny, nx), parity, moments.reshape(-1)):
        raise ContractError(
            f"thinning takes more than {_LAST_ROUND} rounds; such a mask is no vessel: check the "
            "threshold, or work on a coarser level"
        )
    return moments


@numba.njit(nogil=True, cache=True)
def _run(state: Any, shape: Coord, parity: Coord, moments: Moments) -> bool:
    """Go on, round by round, until nothing changes; ``state`` is 0, 1, or 2 where not known."""
    offsets = _offsets(shape)
    alive, subfield = _foreground(state, shape, parity)
    count = len(alive)
    marked = np.empty(count, np.int64)
    sure = np.empty(count, np.bool_)
    ends = np.zeros(SUBFIELDS + 1, np.int64)
    for turn in range(_LAST_ROUND):
        _mark(state, offsets, (alive[:count], subfield[:count]), marked, sure, ends)
        changed = 0
        for step in range(SUBFIELDS):
            moment = 1 + SUBFIELDS * turn + step
            for n in range(ends[step], ends[step + 1]):
                voxel = marked[n]
                present, unknown = _around(state, voxel, offsets)
                answer = removable(present, unknown, False)
                if answer == NEVER:
                    continue
                gone = answer == ALWAYS and sure[n]
                state[voxel] = 0 if gone else 2
                moments[_unpadded(voxel, shape)] = moment if gone else UNSETTLED
                changed += 1
        kept = 0
        for n in range(count):
            if state[alive[n]] == 1:
                alive[kept], subfield[kept] = alive[n], subfield[n]
                kept += 1
        count = kept
        if changed == 0:
            for n in range(count):
                moments[_unpadded(alive[n], shape)] = KEPT
            return True
    return False


@numba.njit(nogil=True, cache=True)
def _mark(state: Any, offsets: Any, voxels: Any, marked: Any, sure: Any, ends: Any) -> None:
    """List what may go in this round, subfield by subfield, and whether that is sure."""
    alive, subfield = voxels
    answers = np.zeros(len(alive), np.uint8)
    ends[:] = 0
    for n in range(len(alive)):
        voxel, inner = alive[n], True
        for i in (4, 10, 12, 14, 16, 22):
            inner &= state[voxel + offsets[i]] == 1
        if inner:
            continue
        present, unknown = _around(state, voxel, offsets)
        answers[n] = removable(present, unknown, True)
        if answers[n] != NEVER:
            ends[subfield[n] + 1] += 1
    for step in range(SUBFIELDS):
        ends[step + 1] += ends[step]
    at = ends[:SUBFIELDS].copy()
    for n in range(len(alive)):
        if answers[n] != NEVER:
            place = at[subfield[n]]
            marked[place], sure[place] = alive[n], answers[n] != MAYBE
            at[subfield[n]] += 1


@numba.njit(nogil=True, cache=True)
def _around(state: Any, voxel: int, offsets: Any) -> Any:
    """Read the neighbourhood of a voxel as bits: what is present, what is not known."""
    present, unknown = np.int64(0), np.int64(0)
    for i in range(27):
        value = np.int64(state[voxel + offsets[i]])
        present |= (value & 1) << i
        unknown |= (value >> 1) << i
    return present, unknown


@numba.njit(nogil=True, cache=True)
def _foreground(state: Any, shape: Coord, parity: Coord) -> Any:
    """List the voxels of the foreground and the subfield of each."""
    _, ny, nx = shape
    count = 0
    for value in state:
        count += value == 1
    alive = np.empty(count, np.int64)
    subfield = np.empty(count, np.uint8)
    n = 0
    for row in range(len(state) // nx):
        z, y = row // ny, row % ny
        first = 4 * ((z + parity[0]) & 1) + 2 * ((y + parity[1]) & 1)
        for x in range(nx):
            if state[row * nx + x] == 1:
                alive[n] = row * nx + x
                subfield[n] = first + ((x + parity[2]) & 1)
                n += 1
    return alive, subfield


@numba.njit(nogil=True, cache=True)
def _offsets(shape: Coord) -> Any:
    offsets = np.empty(27, np.int64)
    for i in range(27):
        offsets[i] = ((i // 9 - 1) * shape[1] + i // 3 % 3 - 1) * shape[2] + i % 3 - 1
    return offsets


@numba.njit(nogil=True, cache=True)
def _unpadded(voxel: int, shape: Coord) -> int:
    _, ny, nx = shape
    z, y, x = voxel // (ny * nx) - 1, voxel // nx % ny - 1, voxel % nx - 1
    return int((z * (ny - 2) + y) * (nx - 2) + x)
