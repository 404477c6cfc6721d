"""Seeded watershed: an ordered flood with a stated rule for ties."""

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError

Floats = NDArray[np.float32]
Labels = NDArray[np.uint64]

LEVELS = 256  # of the queue: what uint8 maps hold; finer ones did not improve any score measured
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
    ids, numbers = np.unique(seeds.ravel()[where], return_inverse=True)
    # A wall of one voxel around the array spares the loop every question about its faces.
    shape = tuple(n + 2 for n in prob.shape)
    core = (slice(1, -1),) * 3
    owner = np.full(shape, _WALL, np.uint32)
    owner[core] = 0
    level = np.zeros(shape, np.uint8)
    np.rint(prob * np.float32(LEVELS - 1), out=level[core], casting="unsafe")
    at = np.ravel_multi_index(tuple(i + 1 for i in np.unravel_index(where, prob.shape)), shape)
    steps = np.array([shape[1] * shape[2], shape[2], 1], np.int64)
    _flood(level.ravel(), owner.ravel(), at, (numbers + 1).astype(np.uint32), steps)
    names: Labels = np.concatenate([np.zeros(1, np.uint64), ids])
    return names[owner[core]]


@numba.njit(nogil=True, cache=True)
def _flood(
    level: NDArray[np.uint8],
    owner: NDArray[np.uint32],
    seed_at: NDArray[np.int64],
    seed_owner: NDArray[np.uint32],
    steps: NDArray[np.int64],
) -> None:
    """Run the queue: a voxel waits once, with those of its level, so each level has its room."""
    room = np.zeros(LEVELS + 1, np.int64)
    for i in range(len(level)):
        room[level[i] + 1] += 1
    head = np.cumsum(room)[:LEVELS]
    tail = head.copy()
    waiting = np.empty(len(level), np.int32)
    for i in range(len(seed_at)):
        owner[seed_at[i]] = seed_owner[i]
        waiting[tail[level[seed_at[i]]]] = seed_at[i]
        tail[level[seed_at[i]]] += 1
    now = 0
    while now < LEVELS:
        if head[now] == tail[now]:
            now += 1
            continue
        voxel = np.int64(waiting[head[now]])
        head[now] += 1
        mine = owner[voxel]
        for step in steps:
            for other in (voxel - step, voxel + step):
                if owner[other] == 0:
                    owner[other] = mine
                    height = level[other]
                    waiting[tail[height]] = other
                    tail[height] += 1
                    if height < now:
                        now = int(height)
