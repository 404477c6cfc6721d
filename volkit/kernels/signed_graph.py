"""Signed graph of fragments: what draws every two together and what keeps them apart."""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.geometry import Box, Coord
from volkit.kernels.contacts import ONE, slot_of, wider
from volkit.kernels.distinct import first_of_runs
from volkit.kernels.radix import sorted_order

Floats = NDArray[np.float32]
Labels = NDArray[np.uint64]
Rows = NDArray[np.uint64]
Graph = dict[str, NDArray[Any]]
"""Pairs ``u < v`` (uint64) with ``far`` (bool: over long offsets), ``sum`` (int64, affinities in
units of 2**-30) and ``count`` (int64), sorted."""


def signed_graph(
    labels: NDArray[np.uint64],
    affinities: NDArray[np.float32],
    core: Box,
    *,
    offsets: Sequence[Sequence[int]],
    attractive: int = 3,
) -> Graph:
    """Add up the affinities between every two labels, near and far apart.

    An affinity belongs to the voxel at which it is stored: blocks that see as far as the offsets
    count every one of a volume once.

    Parameters
    ----------
    labels : ndarray of uint64, shape (Z, Y, X)
        Fragments; 0 is left out.
    affinities : ndarray of float32, shape (C, Z, Y, X)
        0 to 1, high inside cells.
    core : Box
        The voxels that count, in the arrays' own coordinates.
    offsets : sequence of (z, y, x)
        From a voxel to the one that each channel compares it with.
    attractive : int
        The first channels attract; all others repel.

    Returns
    -------
    dict of ndarray
        ``u``, ``v`` (uint64, ``u < v``), ``far`` (bool), ``sum`` and ``count`` (int64).

    Raises
    ------
    ContractError
        If the shapes differ.

    Examples
    --------
    >>> labels = np.array([[[1, 1, 3]]], np.uint64)
    >>> affinities = np.full((2, 1, 1, 3), 0.5, np.float32)
    >>> graph = signed_graph(labels, affinities, Box((0, 0, 0), (1, 1, 3)),
    ...                      offsets=[(0, 0, -1), (0, 0, -2)], attractive=1)
    >>> {name: column.tolist() for name, column in graph.items()}  # doctest: +NORMALIZE_WHITESPACE
    {'u': [1, 1], 'v': [3, 3], 'far': [False, True], 'sum': [536870912, 536870912],
     'count': [1, 1]}
    """
    if affinities.shape != (len(offsets), *labels.shape):
        raise ContractError(
            f"labels are {labels.shape}, affinities {affinities.shape}, offsets {len(offsets)}; "
            "give (C, Z, Y, X) of the same voxels, and an offset for every channel"
        )
    if len(offsets) == 0:
        return _table(np.zeros((0, 4), np.uint64), far=False)
    labels, affinities = np.ascontiguousarray(labels), np.ascontiguousarray(affinities)
    shifts = np.array(offsets, np.int64)
    near, apart = (
        _gathered(labels, affinities[part], core.start, core.stop, shifts[part])
        for part in (slice(attractive), slice(attractive, None))
    )
    return add_signed_graphs([_table(near, far=False), _table(apart, far=True)])


def _table(rows: Rows, *, far: bool) -> Graph:
    """Name what was gathered; not sorted."""
    return {
        "u": rows[:, 0],
        "v": rows[:, 1],
        "far": np.full(len(rows), far),
        "sum": rows[:, 2].astype(np.int64),
        "count": rows[:, 3].astype(np.int64),
    }


def add_signed_graphs(graphs: Sequence[Graph]) -> Graph:
    """Add up the graphs of blocks; the same bits for every order.

    Of other columns, the first of each pair counts.
    """
    whole = {name: np.concatenate([graph[name] for graph in graphs]) for name in graphs[0]}
    order = sorted_order(whole["u"], whole["v"], whole["far"])
    whole = {name: column[order] for name, column in whole.items()}
    first = np.flatnonzero(first_of_runs(whole["u"], whole["v"], whole["far"]))
    added = {name: whole[name] for name in ("sum", "count")}
    if len(first):
        added = {name: np.add.reduceat(column, first) for name, column in added.items()}
    return {**{name: column[first] for name, column in whole.items()}, **added}


def edge_weights(graph: Graph) -> NDArray[np.float64]:
    """Say how much every pair attracts, or repels.

    Parameters
    ----------
    graph : dict of ndarray
        As ``signed_graph`` gives it.

    Returns
    -------
    ndarray of float64
        The mean affinity; over long offsets, 1 - that.
    """
    mean = graph["sum"] / (graph["count"] * float(ONE))
    return np.where(graph["far"], 1 - mean, mean)


@numba.njit(nogil=True, cache=True)
def _gathered(
    labels: Labels, affinities: Floats, start: Coord, stop: Coord, offsets: NDArray[np.int64]
) -> Any:
    """Walk the rows of the core, channel by channel; gather pairs as contacts are."""
    table = np.zeros((4096, 4), np.uint64)  # u, v, sum, count; a count of 0 is a free slot
    used = 0
    at = np.empty(max(stop[2] - start[2], 0), np.int32)
    depth, height, width = labels.shape
    for channel in range(len(offsets)):
        dz, dy, dx = offsets[channel]
        left, right = max(start[2], -dx), min(stop[2], width - dx)
        for z in range(max(start[0], -dz), min(stop[0], depth - dz)):
            for y in range(max(start[1], -dy), min(stop[1], height - dy)):
                if left < right:
                    while 2 * (used + len(at)) > len(table):
                        table = wider(table)
                    a = labels[z, y, left:right]
                    b = labels[z + dz, y + dy, left + dx : right + dx]
                    used = _row(a, b, affinities[channel, z, y, left:right], at, table, used)
    return table[table[:, 3] != 0]


@numba.njit(nogil=True, cache=True)
def _row(a: Labels, b: Labels, p: Floats, at: NDArray[np.int32], table: Rows, used: int) -> Any:
    """Add the pairs of two rows that lie apart by an offset."""
    found = np.uint64(0)
    for x in range(len(a)):
        # As for contacts: found without a branch.
        at[found] = x
        found += np.uint64((a[x] != b[x]) & (a[x] != 0) & (b[x] != 0))
    for n in range(np.int64(found)):
        x = at[n]
        low, high = min(a[x], b[x]), max(a[x], b[x])
        slot = slot_of(table, low, high)
        if table[slot, 3] == 0:
            table[slot, 0], table[slot, 1] = low, high
            used += 1
        table[slot, 2] += np.uint64(np.int64(np.rint(np.float64(p[x]) * ONE)))
        table[slot, 3] += np.uint64(1)
    return used
