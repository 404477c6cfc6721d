"""Contacts of fragments: a region graph whose parts add up exactly."""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.geometry import Box, Coord

Floats = NDArray[np.float32]
Labels = NDArray[np.uint64]
Contacts = dict[str, NDArray[Any]]
"""``u < v`` (uint64), ``boundary_sum`` (int64, units of 2**-30) and ``count`` (int64), sorted."""

ONE = 2**30  # fixed point: 30 bits keep a sum exact for 2^33 faces, and float32 to 1e-9
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads neighbouring ids
_TURN = np.uint64(31)  # folds the high bits of a product into the low ones


def contacts(labels: Labels, prob: Floats, core: Box) -> Contacts:
    """Measure the boundary between every two labels that touch.

    Each pair of face-adjacent voxels with two different labels counts once, with the larger of
    their boundary probabilities, and belongs to the voxel that comes later: blocks with a halo
    of one voxel count every pair of a volume exactly once.

    Parameters
    ----------
    labels : ndarray of uint64, shape (Z, Y, X)
        Fragments; 0 touches nothing.
    prob : ndarray of float32, shape (Z, Y, X)
        Boundary probability, 0 to 1.
    core : Box
        The voxels whose pairs count, in the array's own coordinates.

    Returns
    -------
    dict of ndarray
        ``u``, ``v`` (uint64, ``u < v``), ``boundary_sum`` (int64, units of 2**-30) and ``count``
        (int64), sorted by pair.  Sums are integers, so that adding them up in any order gives
        the same bits.

    Raises
    ------
    ContractError
        If the shapes differ, or a probability at a contact is NaN or outside 0 to 1.

    Examples
    --------
    >>> labels = np.array([[[1, 1, 2], [1, 2, 2]]], np.uint64)
    >>> table = contacts(labels, np.full((1, 2, 3), 0.5, np.float32), Box((0, 0, 0), (1, 2, 3)))
    >>> {name: column.tolist() for name, column in table.items()}
    {'u': [1], 'v': [2], 'boundary_sum': [1610612736], 'count': [3]}
    """
    if labels.shape != prob.shape:
        raise ContractError(
            f"labels are {labels.shape}, probabilities {prob.shape}; give both for the same voxels"
        )
    pairs, sums, sound = _contacts(labels, prob, core.start, core.stop)
    if not sound:
        raise ContractError(
            "a boundary probability is NaN or outside 0 to 1; apply a sigmoid to logits and "
            "replace NaN (numpy.nan_to_num)"
        )
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return {
        "u": pairs[order, 0],
        "v": pairs[order, 1],
        "boundary_sum": sums[order, 0],
        "count": sums[order, 1],
    }


def add_contacts(tables: Sequence[Contacts]) -> Contacts:
    """Add up tables of contacts.

    Parameters
    ----------
    tables : sequence of dict of ndarray
        As ``contacts`` gives them.

    Returns
    -------
    dict of ndarray
        Likewise; the same bits for every order of the tables.

    Examples
    --------
    >>> one = {"u": np.array([1], np.uint64), "v": np.array([2], np.uint64),
    ...        "boundary_sum": np.array([10]), "count": np.array([1])}
    >>> add_contacts([one, one])["boundary_sum"].tolist()
    [20]
    """
    u, v, boundary_sum, count = (
        np.concatenate([table[name] for table in tables])
        for name in ("u", "v", "boundary_sum", "count")
    )
    order = np.lexsort((v, u))
    u, v = u[order], v[order]
    begins = np.ones(len(u), bool)
    begins[1:] = (u[1:] != u[:-1]) | (v[1:] != v[:-1])
    first = np.flatnonzero(begins)
    return {
        "u": u[first],
        "v": v[first],
        "boundary_sum": _sums(boundary_sum[order], first),
        "count": _sums(count[order], first),
    }


def _sums(values: NDArray[np.int64], first: NDArray[np.intp]) -> NDArray[np.int64]:
    # reduceat does not take an empty list of segments.
    return np.add.reduceat(values, first) if len(first) else values


@numba.njit(nogil=True, cache=True)
def _contacts(labels: Labels, prob: Floats, start: Coord, stop: Coord) -> Any:
    """Walk the core; gather pairs in an open-addressed table that grows."""
    slots = np.full(1024, -1, np.int64)
    pairs = np.empty((512, 2), np.uint64)
    sums = np.zeros((512, 2), np.int64)
    count = 0
    sound = True
    row = np.int64(0)
    for z in range(start[0], stop[0]):
        for y in range(start[1], stop[1]):
            for x in range(start[2], stop[2]):
                a, here = labels[z, y, x], prob[z, y, x]
                if a == 0:
                    continue
                for axis in range(3):
                    k, j, i = z - (axis == 0), y - (axis == 1), x - (axis == 2)
                    if k < 0 or j < 0 or i < 0:
                        continue
                    b = labels[k, j, i]
                    if b == 0 or b == a:
                        continue
                    there = prob[k, j, i]
                    sound &= 0 <= here <= 1 and 0 <= there <= 1
                    low, high = min(a, b), max(a, b)
                    # Neighbouring faces mostly lie between the same two labels.
                    if count == 0 or pairs[row, 0] != low or pairs[row, 1] != high:
                        slot = _slot(slots, pairs, low, high)
                        if slots[slot] < 0:
                            if count == len(pairs):
                                slots, pairs, sums = _wider(pairs, sums)
                                slot = _slot(slots, pairs, low, high)
                            slots[slot] = count
                            pairs[count, 0], pairs[count, 1] = low, high
                            count += 1
                        row = slots[slot]
                    sums[row, 0] += np.int64(np.rint(np.float64(max(here, there)) * ONE))
                    sums[row, 1] += 1
    return pairs[:count], sums[:count], sound


@numba.njit(nogil=True, cache=True)
def _slot(slots: NDArray[np.int64], pairs: Labels, low: np.uint64, high: np.uint64) -> Any:
    """Find the slot of a pair, or the free one where it belongs."""
    mixed = (low * _MIX + high) * _MIX
    mask = np.uint64(len(slots) - 1)
    slot = (mixed ^ (mixed >> _TURN)) & mask
    while slots[slot] >= 0:
        row = slots[slot]
        if pairs[row, 0] == low and pairs[row, 1] == high:
            break
        slot = (slot + np.uint64(1)) & mask
    return slot


@numba.njit(nogil=True, cache=True)
def _wider(pairs: Labels, sums: NDArray[np.int64]) -> Any:
    """Double the table, which stays at most half full."""
    count = len(pairs)
    more_pairs = np.empty((2 * count, 2), np.uint64)
    more_sums = np.zeros((2 * count, 2), np.int64)
    more_pairs[:count] = pairs
    more_sums[:count] = sums
    slots = np.full(4 * count, -1, np.int64)
    for row in range(count):
        slots[_slot(slots, more_pairs, pairs[row, 0], pairs[row, 1])] = row
    return slots, more_pairs, more_sums
