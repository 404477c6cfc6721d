"""Contacts of fragments: a region graph whose parts add up exactly."""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.geometry import Box, Coord
from volkit.kernels.distinct import first_of_runs
from volkit.kernels.radix import sorted_order

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
    order = sorted_order(pairs[:, 0], pairs[:, 1])
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
    order = sorted_order(u, v)
    u, v = u[order], v[order]
    first = np.flatnonzero(first_of_runs(u, v))
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
    """Walk the rows of the core; gather pairs in an open-addressed table that grows."""
    table = np.zeros((4096, 4), np.uint64)  # u, v, sum, count; a count of 0 is a free slot
    used, sound = 0, True
    left, right = start[2], stop[2]
    inner = max(left, 1)
    at = np.empty(right - left + 1, np.int32)
    for z in range(start[0], stop[0]):
        for y in range(start[1], stop[1]):
            while 2 * (used + 3 * len(at)) > len(table):
                table = wider(table)
            here, p = labels[z, y], prob[z, y]
            if z > 0:
                a, b = here[left:right], labels[z - 1, y, left:right]
                q = prob[z - 1, y, left:right]
                used, sound = _row(a, b, p[left:right], q, at, table, used, sound)
            if y > 0:
                a, b = here[left:right], labels[z, y - 1, left:right]
                q = prob[z, y - 1, left:right]
                used, sound = _row(a, b, p[left:right], q, at, table, used, sound)
            a, b = here[inner:right], here[inner - 1 : right - 1]
            p, q = p[inner:right], p[inner - 1 : right - 1]
            used, sound = _row(a, b, p, q, at, table, used, sound)
    taken = table[table[:, 3] != 0]
    return taken[:, :2].copy(), taken[:, 2:].astype(np.int64), sound


@numba.njit(nogil=True, cache=True)
def _row(
    a: Labels,
    b: Labels,
    p: Floats,
    q: Floats,
    at: NDArray[np.int32],
    table: Labels,
    used: int,
    sound: bool,
) -> Any:
    """Add the contacts of two rows that lie beside each other."""
    found = np.uint64(0)
    for x in range(len(a)):
        # Contacts are rare: finding them without a branch is what makes this fast.
        at[found] = x
        found += np.uint64((a[x] != b[x]) & (a[x] != 0) & (b[x] != 0))
    for n in range(np.int64(found)):
        x = at[n]
        low, high, most = min(a[x], b[x]), max(a[x], b[x]), max(p[x], q[x])
        sound &= (p[x] >= 0) & (q[x] >= 0) & (most <= 1)
        slot = slot_of(table, low, high)
        if table[slot, 3] == 0:
            table[slot, 0], table[slot, 1] = low, high
            used += 1
        table[slot, 2] += np.uint64(np.int64(np.rint(np.float64(most) * ONE)))
        table[slot, 3] += np.uint64(1)
    return used, sound


@numba.njit(nogil=True, cache=True)
def slot_of(table: Labels, low: np.uint64, high: np.uint64) -> Any:
    """Find the slot of a pair, or the free one where it belongs.

    Compiled; of a table whose rows are ``u``, ``v``, a sum and a count, 0 where a slot is free.
    """
    mixed = (low * _MIX + high) * _MIX
    last = np.uint64(len(table) - 1)
    slot = (mixed ^ (mixed >> _TURN)) & last
    while table[slot, 3] != 0 and (table[slot, 0] != low or table[slot, 1] != high):
        slot = (slot + np.uint64(1)) & last
    return slot


@numba.njit(nogil=True, cache=True)
def wider(table: Labels) -> Any:
    """Double such a table, which stays at most half full.  Compiled."""
    wide = np.zeros((2 * len(table), 4), np.uint64)
    for row in range(len(table)):
        if table[row, 3] != 0:
            wide[slot_of(wide, table[row, 0], table[row, 1])] = table[row]
    return wide
