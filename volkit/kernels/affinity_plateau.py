"""Plateaus of the steepest ascent: divided by distance, those that cross faces on their own.

A plateau is a set of voxels that are drawn to each other.  Where none of them is drawn elsewhere,
it is the top of a basin.  Else each goes to the nearest one that is: breadth first, beginning in
C order.  This depends on the plateau alone, so those that lie within a block are divided there;
the others rise box by box, and are divided in the first box that holds all of them::

    block ──► ways ──┬─► plateaus inside ────────────► divided at once
                     └─► voxels of those that cross ─► boxes of 2³, 4³ … blocks, then divided

Only voxels with several ways need be looked at: one with a single way keeps it.
"""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box, Coord
from volkit.kernels.affinity_ascent import Ways
from volkit.kernels.affinity_flat import flat_ground, spread_open, way_steps

Ints = NDArray[np.int64]
Rows = dict[str, NDArray[Any]]
"""Voxels by ``index`` (uint64, C order in the domain), their ``way`` and ``mutual`` (uint8); of
those whose way leads out of a box, ``id`` (the index) and ``face`` (uint8: 0 and 1 on z, 2 and 3 on
y, 4 and 5 on x)."""


def open_plateaus(ways: Ways, core: Box, *, start: Coord, domain_shape: Coord) -> Rows:
    """List the voxels of a block whose plateaus go on outside it.

    Parameters
    ----------
    ways : ndarray of uint8, shape (Z, Y, X)
        Of the block and of one voxel more on every side where the domain goes on.
    core : Box
        The block, in the array's own coordinates.
    start : tuple of int
        Where in the domain the core begins, voxels.
    domain_shape : tuple of int
        Extent of the domain.

    Returns
    -------
    dict of ndarray
        ``index`` (uint64: C-order index in the domain, ascending), ``way`` (uint8: steepest ways)
        and ``mutual`` (uint8: those of them that come back); of voxels with several ways
        that are drawn to another such.  Of those that are drawn so across a face of the block, in
        rows of their own, ``id`` (uint64, the index) and ``face`` (uint8).

    Examples
    --------
    >>> ways = np.array([[[32, 36, 36, 36, 4]]], np.uint8)
    >>> box = Box((0, 0, 0), (1, 1, 3))
    >>> rows = open_plateaus(ways[..., :4], box, start=(0, 0, 0), domain_shape=(1, 1, 5))
    >>> rows["index"].tolist(), rows["mutual"].tolist()
    ([1, 2], [36, 36])
    >>> rows["id"].tolist(), rows["face"].tolist()
    ([2], [5])
    """
    flat = flat_ground(ways, core)
    local = np.unravel_index(flat.where[flat.is_open], ways.shape)
    place = [n - c + s for n, c, s in zip(local, core.start, start, strict=True)]
    index = _flat(place, domain_shape).astype(np.uint64)
    mutual = flat.mutual[flat.is_open]
    crossing = []
    for axis in range(3):
        ends = (core.start[axis], core.stop[axis] - 1)
        for bit, end in zip((axis, axis + 3), ends, strict=True):
            crossing.append(index[(local[axis] == end) & (mutual >> np.uint8(bit) & 1 > 0)])
    return {
        "index": index,
        "way": flat.way[flat.is_open],
        "mutual": mutual,
        "id": np.concatenate(crossing),
        "face": np.repeat(np.arange(6, dtype=np.uint8), [len(ids) for ids in crossing]),
    }


def rise_plateaus(tables: Sequence[Rows], *, domain_shape: Coord) -> tuple[Rows, Rows]:
    """Divide the plateaus that a box holds as a whole.

    Parameters
    ----------
    tables : sequence of dict of ndarray
        Of the parts of the box, as ``open_plateaus`` gives them, with the faces that are faces of
        the box too.
    domain_shape : tuple of int
        Extent of the domain.

    Returns
    -------
    up : dict of ndarray
        The same for the box: the voxels of plateaus that go on outside it.
    kept : dict of ndarray
        ``index`` (uint64, ascending) and ``way`` (uint8): where those voxels go that do not keep
        all their ways; and ``up`` (uint64, ascending), the voxels that rise.

    Examples
    --------
    >>> rows = {"index": np.array([1, 2], np.uint64), "way": np.array([36, 36], np.uint8),
    ...         "mutual": np.array([32, 36], np.uint8),
    ...         "id": np.zeros(0, np.uint64), "face": np.zeros(0, np.uint8)}
    >>> up, kept = rise_plateaus([rows], domain_shape=(1, 1, 4))
    >>> up["index"].tolist(), kept["index"].tolist(), kept["way"].tolist()
    ([], [1, 2], [4, 4])
    """
    index, ways, mutual = _ordered(tables)
    crossing = np.concatenate([table["id"] for table in tables])
    face = np.concatenate([table["face"] for table in tables])
    near = _neighbours(index, mutual, way_steps(domain_shape))
    is_open = np.zeros(len(index), bool)
    is_open[np.searchsorted(index, crossing)] = True
    spread_open(is_open, near)
    way = ways.copy()
    _divide(way, mutual, near, is_open)
    changed = (way != ways) & ~is_open
    up: Rows = {
        "index": index[is_open],
        "way": ways[is_open],
        "mutual": mutual[is_open],
        "id": crossing,
        "face": face,
    }
    return up, {"index": index[changed], "way": way[changed], "up": up["index"]}


def sink_plateaus(kept: Rows, above: Rows | None) -> Rows:
    """Say where the voxels of a box go.

    Parameters
    ----------
    kept : dict of ndarray
        Of the box, from :func:`rise_plateaus`.
    above : dict of ndarray or None
        What this function said about the box around it; None for the whole.

    Returns
    -------
    dict of ndarray
        ``index`` (uint64, ascending) and ``way`` (uint8), of those that do not keep all their ways.
    """
    if above is None:
        return {name: kept[name] for name in ("index", "way")}
    known = _are_in(kept["up"], above["index"])
    whole = {name: np.concatenate([kept[name], above[name][known]]) for name in ("index", "way")}
    order = np.argsort(whole["index"], kind="stable")
    return {name: column[order] for name, column in whole.items()}


def divided_ways(
    ways: Ways, core: Box, divided: Rows, *, start: Coord, domain_shape: Coord
) -> Ways:
    """Leave every voxel the ways it goes: one, or all those of a plateau that is a top.

    Parameters
    ----------
    ways : ndarray of uint8, shape (Z, Y, X)
        Of the block and of one voxel more on every side where the domain goes on.
    core : Box
        The block, in the array's own coordinates.
    divided : dict of ndarray
        As ``sink_plateaus`` gives it.
    start : tuple of int
        Where in the domain the core begins, voxels.
    domain_shape : tuple of int
        Extent of the domain.

    Returns
    -------
    ndarray of uint8, shape of the core
        Bits as ``steepest_ways`` has them; 0 is background.

    Examples
    --------
    >>> ways = np.array([[[32, 4 + 32, 4 + 32, 4 + 32, 32, 4]]], np.uint8)
    >>> none = {"index": np.zeros(0, np.uint64), "way": np.zeros(0, np.uint8)}
    >>> box = Box((0, 0, 0), (1, 1, 6))
    >>> divided_ways(ways, box, none, start=(0, 0, 0), domain_shape=(1, 1, 6)).tolist()
    [[[32, 32, 32, 32, 32, 4]]]
    """
    flat = flat_ground(ways, core)
    out, way = flat.served, flat.way.copy()
    _divide(way, flat.mutual, flat.near, flat.is_open)
    out.reshape(-1)[flat.where] = way
    # Rows of an open plateau are few: they look for their answer, not answers for their block.
    rest = flat.where[flat.is_open]
    local = np.unravel_index(rest, ways.shape)
    place = [n - c + s for n, c, s in zip(local, core.start, start, strict=True)]
    index = _flat(place, domain_shape).astype(np.uint64)
    at, found = _search(divided["index"], index)
    out.reshape(-1)[rest[found]] = divided["way"][at[found]]
    return np.ascontiguousarray(out[core.slices])


def _flat(place: Sequence[Ints], shape: Coord) -> Ints:
    return (place[0] * shape[1] + place[1]) * shape[2] + place[2]


def _search(table: NDArray[Any], wanted: NDArray[Any]) -> tuple[Ints, NDArray[np.bool_]]:
    """Find values in a sorted table, if they are there."""
    at = np.searchsorted(table, wanted)
    inside = at < len(table)
    found = inside.copy()
    found[inside] = table[at[inside]] == wanted[inside]
    return at, found


@numba.njit(nogil=True, cache=True)
def _are_in(table: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Tell which values are in a table; both ascend."""
    found, at = np.zeros(len(wanted), np.bool_), 0
    for n in range(len(wanted)):
        while at < len(table) and table[at] < wanted[n]:
            at += 1
        found[n] = at < len(table) and table[at] == wanted[n]
    return found


def _ordered(tables: Sequence[Rows]) -> tuple[NDArray[np.uint64], Ways, Ways]:
    """Put the voxels of parts together, in the order of their indices."""
    index = np.concatenate([table["index"] for table in tables])
    order = np.argsort(index, kind="stable")
    way, mutual = (np.concatenate([table[name] for table in tables]) for name in ("way", "mutual"))
    return index[order], way[order], mutual[order]


@numba.njit(nogil=True, cache=True)
def _neighbours(index: NDArray[np.uint64], mutual: Ways, steps: Ints) -> NDArray[np.int32]:
    """Find the row to which each mutual way leads; -1 where it leads to none.

    Rows of four bytes, found beside each other: what the top box needs for a voxel at the faces
    of blocks decides the memory of a worker.
    """
    near = np.full((len(index), 6), -1, np.int32)
    for bit in range(6):
        at = 0
        for row in range(len(index)):
            if mutual[row] >> bit & 1:
                wanted = np.int64(index[row]) + steps[bit]
                while at < len(index) and np.int64(index[at]) < wanted:
                    at += 1
                if at < len(index) and np.int64(index[at]) == wanted:
                    near[row, bit] = at
    return near


@numba.njit(nogil=True, cache=True)
def _divide(way: Ways, mutual: Ways, near: NDArray[Any], left_out: NDArray[np.bool_]) -> None:
    """Give each voxel of a plateau that is no top the one way toward its nearest exit.

    A neighbour that was served before no longer comes back, and so is an exit itself; of several,
    the one after is taken, and on x before y before z.
    """
    queue, tail = np.empty(len(way), np.int32), 0
    queued = left_out.copy()
    for row in range(len(way)):
        if not queued[row] and way[row] & ~mutual[row]:
            queue[tail], queued[row] = row, True
            tail += 1
    head = 0
    while head < tail:
        row = queue[head]
        head += 1
        chosen = 0
        for bit in range(6):
            if not way[row] >> bit & 1:
                continue
            other = near[row, bit]
            if not mutual[row] >> bit & 1:
                chosen = 1 << bit
            elif other >= 0:
                if not way[other] >> ((bit + 3) % 6) & 1:
                    chosen = 1 << bit
                elif not queued[other]:
                    queue[tail], queued[other] = other, True
                    tail += 1
        way[row] = chosen
