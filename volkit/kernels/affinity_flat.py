"""Flat ground: voxels that are drawn to each other, as a block sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box, Coord
from volkit.kernels.affinity_ascent import CERTAIN, Ways

Ints = NDArray[np.int64]

_WAYS = 63  # the bits that lead somewhere


@dataclass(frozen=True, slots=True)
class FlatGround:
    """The voxels of a block with several ways that are drawn to another such.

    Parameters
    ----------
    served : ndarray of uint8, shape (Z, Y, X)
        Where all the others go: their only way, or the last of those that do not come back.
    where : ndarray of int64, shape (N,)
        Flat indices of the voxels on flat ground, ascending.
    way, mutual : ndarray of uint8, shape (N,)
        Their steepest ways, and those of them that come back.
    near : ndarray of int, shape (N, 6)
        Which of these voxels each mutual way leads to; -1 where to none.
    is_open : ndarray of bool, shape (N,)
        Whether their plateau goes on outside the block.
    """

    served: Ways
    where: Ints
    way: Ways
    mutual: Ways
    near: NDArray[Any]
    is_open: NDArray[np.bool_]


def flat_ground(ways: Ways, core: Box) -> FlatGround:
    """Find the flat ground of a block.

    Parameters
    ----------
    ways : ndarray of uint8, shape (Z, Y, X)
        Steepest ways of the block and of one voxel more on every side where the domain goes on.
    core : Box
        The block, in the array's own coordinates.

    Returns
    -------
    FlatGround

    Examples
    --------
    >>> ways = np.array([[[32, 4 + 32, 4 + 32, 4]]], np.uint8)
    >>> flat = flat_ground(ways, Box((0, 0, 0), (1, 1, 4)))
    >>> flat.where.tolist(), flat.mutual.tolist(), flat.served.tolist()
    ([1, 2], [36, 36], [[[32, 0, 0, 4]]])
    """
    ways = np.ascontiguousarray(ways)
    steps = way_steps(ways.shape)
    served = np.zeros_like(ways)
    where = _survey(ways, core.start, core.stop, steps, served)
    number = np.full(ways.size, -1, np.int32) if len(where) else np.zeros(0, np.int32)
    way, mutual, near, is_open = _looks(ways, core.start, core.stop, where, (steps, number))
    spread_open(is_open, near)
    return FlatGround(served, where, way, mutual, near, is_open)


def way_steps(shape: Sequence[int]) -> Ints:
    """Give the step in a flat array that each bit stands for.

    Examples
    --------
    >>> way_steps((2, 3, 4)).tolist()
    [-12, -4, -1, 12, 4, 1]
    """
    forward = [shape[1] * shape[2], shape[2], 1]
    return np.array([*(-n for n in forward), *forward], np.int64)


@numba.njit(nogil=True, cache=True)
def _is_several(bits: np.uint8) -> Any:
    """Tell whether a voxel has more than one way and is not joined for certain."""
    return (bits & (bits - 1)) != 0 and (bits & CERTAIN) == 0


@numba.njit(nogil=True, cache=True)
def _survey(ways: Ways, start: Coord, stop: Coord, steps: Ints, out: Ways) -> Any:
    """Give voxels on no plateau their way; list the others.

    Most rows hold no voxel with several ways: those are only copied, many voxels at a time.
    """
    _, ny, nx = ways.shape
    flat = ways.reshape(-1)
    found, count = np.empty(1024, np.int64), 0
    for z in range(start[0], stop[0]):
        for y in range(start[1], stop[1]):
            row, served = ways[z, y, start[2] : stop[2]], out[z, y, start[2] : stop[2]]
            if not _only_ways(row, served):
                continue
            if count + len(row) > len(found):
                wider = np.empty(2 * len(found) + len(row), np.int64)
                wider[:count] = found[:count]
                found = wider
            first = (z * ny + y) * nx + start[2]
            for x in range(len(row)):
                bits = row[x]
                if not _is_several(bits):
                    continue
                mutual, flat_ground = _mutual(flat, first + x, steps)
                if flat_ground:
                    served[x] = 0
                    found[count] = first + x
                    count += 1
                else:
                    served[x] = _last(bits & ~mutual) if bits & ~mutual else bits
    return found[:count].copy()


@numba.njit(nogil=True, cache=True)
def _only_ways(row: Ways, out: Ways) -> Any:
    """Copy the bits of a row that lead somewhere; tell whether a voxel has several ways."""
    several = np.uint8(0)
    for x in range(len(row)):
        out[x] = row[x] & _WAYS
        several |= np.uint8(_is_several(row[x]))
    return several != 0


@numba.njit(nogil=True, cache=True)
def _mutual(flat: Ways, here: int, steps: Ints) -> Any:
    """Find the ways that come back, and whether one of them leads to a voxel with several."""
    mutual, flat_ground = 0, False
    for bit in range(6):
        if flat[here] >> bit & 1:
            there = flat[here + steps[bit]]
            if there >> ((bit + 3) % 6) & 1:
                mutual |= 1 << bit
                flat_ground |= _is_several(there)
    return mutual, flat_ground


@numba.njit(nogil=True, cache=True)
def _last(bits: int) -> Any:
    """Keep the last bit."""
    kept = 32
    while not bits & kept:
        kept >>= 1
    return kept


@numba.njit(nogil=True, cache=True)
def _looks(ways: Ways, start: Coord, stop: Coord, where: Ints, scratch: Any) -> Any:
    """Look around each voxel: which ways come back, to which voxel, and do they cross a face."""
    _, ny, nx = ways.shape
    flat = ways.reshape(-1)
    steps, number = scratch
    way, mutual = np.zeros(len(where), np.uint8), np.zeros(len(where), np.uint8)
    near = np.full((len(where), 6), -1, np.int32)
    crosses = np.zeros(len(where), np.bool_)
    for row in range(len(where)):
        number[where[row]] = row
    for row in range(len(where)):
        here = where[row]
        place = (here // (ny * nx), here // nx % ny, here % nx)
        way[row], mutual[row] = flat[here], _mutual(flat, here, steps)[0]
        for bit in range(6):
            if mutual[row] >> bit & 1:
                there, axis = here + steps[bit], bit % 3
                near[row, bit] = number[there]
                at_face = place[axis] == (start[axis] if bit < 3 else stop[axis] - 1)
                crosses[row] |= at_face and _is_several(flat[there])
    return way, mutual, near, crosses


@numba.njit(nogil=True, cache=True)
def spread_open(is_open: NDArray[np.bool_], near: NDArray[Any]) -> None:
    """Open whatever belongs to an open plateau.

    Parameters
    ----------
    is_open : ndarray of bool, shape (N,)
        Of every voxel; changed.
    near : ndarray of int, shape (N, 6)
        Which of these voxels each mutual way leads to; -1 where to none.
    """
    stack = list(np.flatnonzero(is_open))
    while len(stack):
        row = stack.pop()
        for other in near[row]:
            if other >= 0 and not is_open[other]:
                is_open[other] = True
                stack.append(other)
