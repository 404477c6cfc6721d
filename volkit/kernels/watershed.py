"""Seeded watershed: an ordered flood with a stated rule for ties."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError

Floats = NDArray[np.float32]
Labels = NDArray[np.uint64]

LEVELS = 256  # of the queue: what uint8 maps hold; finer ones did not improve any score measured
# What is not flooded yet holds its level, above all numbers of seeds: no second array is looked at.
_OPEN, _LEVEL_BITS = np.uint32(0xFFFFFE00), np.uint32(8)
_WALL = np.uint32(0xFFFFFFFF)


def flood(prob: Floats, seeds: Labels) -> Labels:
    """Flood a boundary map from seeds.

    Voxels are flooded from the lowest level to the highest; within a level, first come, first
    served, so that flat ground is shared by distance; seeds of one level begin in C order.
    Floods spread over faces, and go down at once where they find lower ground.

    Parameters
    ----------
    prob : ndarray of float32, shape (Z, Y, X)
        Boundary probability, 0 to 1; told apart in 256 levels.
    seeds : ndarray of uint64, shape (Z, Y, X)
        Ids where floods begin, 0 elsewhere.

    Returns
    -------
    ndarray of uint64, shape (Z, Y, X)
        The id of the seed that reached each voxel first; 0 throughout if there are no seeds.

    Raises
    ------
    ContractError
        If the shapes differ, or there are more voxels or seeds than 32 bits can count.

    References
    ----------
    F. Meyer, Un algorithme optimal pour la ligne de partage des eaux, 1991;
    Beucher, Meyer, The morphological approach to segmentation: the watershed transformation, 1993.

    Examples
    --------
    >>> prob = np.array([[[0.0, 0.2, 0.9, 0.1, 0.1]]], np.float32)
    >>> flood(prob, np.array([[[7, 0, 0, 0, 9]]], np.uint64)).tolist()
    [[[7, 7, 9, 9, 9]]]
    """
    if prob.shape != seeds.shape:
        raise ContractError(
            f"boundary map is {prob.shape}, seeds are {seeds.shape}; give both for the same voxels"
        )
    if prob.size >= 2**31 - 2**24:
        raise ContractError(
            f"{prob.shape} are too many voxels for one flood; choose tiles below 1280 voxels a side"
        )
    where = np.flatnonzero(seeds)
    if not len(where):
        return np.zeros(prob.shape, np.uint64)
    ids, numbers = np.unique(seeds.ravel()[where], return_inverse=True)
    # A wall of one voxel around the array spares the loop every question about its faces.
    shape = tuple(n + 2 for n in prob.shape)
    # Large arrays are made by NumPy, which asks for large pages; compiled code does not.
    state, waiting = np.empty(shape, np.uint32), np.empty(prob.size, np.uint32)
    for axis in range(3):
        planes = state.swapaxes(0, axis)
        planes[0] = planes[-1] = _WALL
    room = _fill(np.ascontiguousarray(prob, np.result_type(prob, np.float32)), state)
    at = np.ravel_multi_index(tuple(i + 1 for i in np.unravel_index(where, prob.shape)), shape)
    seed_rows = np.stack([at, numbers + 1], axis=1).astype(np.uint32)
    _flood(state.ravel(), waiting, room, seed_rows, np.uint64(shape[1] * shape[2]), shape[2])
    found: Labels = np.empty(prob.shape, np.uint64)
    _name(state, np.concatenate([np.zeros(1, np.uint64), ids]), found)
    return found


@numba.njit(nogil=True, cache=True)
def _fill(prob: NDArray[Any], state: NDArray[np.uint32]) -> Any:
    """Write the level of every voxel inside the wall; count the voxels of each level."""
    # Neighbours of one level need not wait for each other's count.
    room = np.zeros((4, LEVELS), np.int64)
    for z in range(prob.shape[0]):
        for y in range(prob.shape[1]):
            for x in range(prob.shape[2]):
                height = np.int32(np.rint(prob[z, y, x] * np.float32(LEVELS - 1))) & 0xFF
                state[z + 1, y + 1, x + 1] = _OPEN | np.uint32(height)
                room[x & 3, height] += 1
    return room[0] + room[1] + room[2] + room[3]


@numba.njit(nogil=True, cache=True)
def _flood(
    state: NDArray[np.uint32],
    waiting: NDArray[np.uint32],
    room: NDArray[np.int64],
    seeds: NDArray[np.uint32],
    plane: np.uint64,
    row: np.uint64,
) -> None:
    """Run the queue: a voxel waits once, with those of its level, so each level has its room."""
    one, is_open = np.uint64(1), _OPEN >> _LEVEL_BITS
    head = (np.cumsum(room) - room).astype(np.uint64)
    tail = head.copy()
    for seed in range(len(seeds)):
        at = np.uint64(seeds[seed, 0])
        height = state[at] & np.uint32(LEVELS - 1)
        state[at] = seeds[seed, 1]
        waiting[tail[height]] = at
        tail[height] += one
    now = np.uint64(0)
    while now < np.uint64(LEVELS):
        if head[now] == tail[now]:
            now += one
            continue
        voxel = np.uint64(waiting[head[now]])
        head[now] += one
        mine = state[voxel]
        for step in (np.uint64(plane), np.uint64(row), one):
            for other in (voxel - step, voxel + step):
                found = state[other]
                if found >> _LEVEL_BITS == is_open:
                    state[other] = mine
                    height = found & np.uint32(LEVELS - 1)
                    waiting[tail[height]] = other
                    tail[height] += one
                    if height < now:
                        now = np.uint64(height)


@numba.njit(nogil=True, cache=True)
def _name(state: NDArray[np.uint32], names: Labels, out: Labels) -> None:
    """Write the ids of the seeds that have flooded what lies inside the wall."""
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                out[z, y, x] = names[state[z + 1, y + 1, x + 1]]
