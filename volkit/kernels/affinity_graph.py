"""The graph of basins: what lies between every two that touch, in parts that add up exactly."""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.geometry import Box, Coord
from volkit.kernels.contacts import ONE
from volkit.kernels.distinct import first_of_runs
from volkit.kernels.radix import sorted_rows

Floats = NDArray[np.float32]
Labels = NDArray[np.uint64]
Graph = dict[str, NDArray[Any]]
"""Edges ``u < v`` (uint64) with ``affinity`` (float32, the largest), ``affinity_sum`` (int64, units
of 2**-30) and ``count`` (int64, faces), by pair; basins ``id`` (uint64) with ``voxels`` (int64)."""

_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads neighbouring ids
_TURN = np.uint64(31)  # folds the high bits of a product into the low ones


def basin_graph(
    labels: Labels, affinities: Floats, core: Box, *, toward: int, sections: bool = False
) -> Graph:
    """Measure the affinity across every two labels that touch, and their sizes.

    An edge between two voxels belongs to the later one: blocks that see one voxel more count
    every edge of a volume once.

    Parameters
    ----------
    labels : ndarray of uint64, shape (Z, Y, X)
        Basins; 0 touches nothing.
    affinities : ndarray of float32, shape (3, Z, Y, X)
        Affinity of a voxel and its neighbour on z, y, x, 0 to 1.
    core : Box
        The voxels that count, in the arrays' own coordinates.
    toward : {-1, 1}
        Whether an affinity is that with the neighbour before the voxel, or after it.
    sections : bool
        Leave edges on z out.

    Returns
    -------
    dict of ndarray
        ``u``, ``v`` (uint64, ``u < v``), ``affinity`` (float32: the largest across their border),
        ``affinity_sum`` (int64, units of 2**-30) and ``count`` (int64: faces), sorted by pair;
        ``id`` (uint64, sorted) and ``voxels`` (int64).

    Raises
    ------
    ContractError
        If the shapes differ.

    Examples
    --------
    >>> labels = np.array([[[1, 1, 3]]], np.uint64)
    >>> affinities = np.full((3, 1, 1, 3), 0.5, np.float32)
    >>> graph = basin_graph(labels, affinities, Box((0, 0, 0), (1, 1, 3)), toward=-1)
    >>> {name: column.tolist() for name, column in graph.items()}  # doctest: +NORMALIZE_WHITESPACE
    {'u': [1], 'v': [3], 'affinity': [0.5], 'affinity_sum': [536870912], 'count': [1],
     'id': [1, 3], 'voxels': [2, 1]}
    """
    check_neighbours(labels, affinities)
    how = (int(toward > 0), sections)
    labels, affinities = np.ascontiguousarray(labels), np.ascontiguousarray(affinities)
    table, most = _edges(labels, affinities, core.start, core.stop, how)
    taken = np.flatnonzero(table[:, 3])
    rows = np.empty((len(taken), 5), np.uint64)
    rows[:, :4], rows[:, 4] = table[taken], most[taken].view(np.uint32)
    rows = sorted_rows(rows, (0, 1))
    basins = int(np.count_nonzero(rows[:, 0] == 0))
    sizes, edges = rows[:basins], rows[basins:]
    return {
        "u": edges[:, 0].copy(),
        "v": edges[:, 1].copy(),
        "affinity": edges[:, 4].astype(np.uint32).view(np.float32),
        "affinity_sum": edges[:, 2].astype(np.int64),
        "count": edges[:, 3].astype(np.int64),
        "id": sizes[:, 1].copy(),
        "voxels": sizes[:, 3].astype(np.int64),
    }


def check_neighbours(labels: Labels, affinities: Floats) -> None:
    """Refuse affinities that are not those of every voxel and its neighbours on z, y, x.

    Raises
    ------
    ContractError
        If the shapes differ.
    """
    if affinities.shape != (3, *labels.shape):
        raise ContractError(
            f"labels are {labels.shape}, affinities {affinities.shape}; give (3, Z, Y, X) of the "
            "same voxels"
        )


def add_graphs(graphs: Sequence[Graph]) -> Graph:
    """Add up the graphs of blocks.

    Parameters
    ----------
    graphs : sequence of dict of ndarray
        As ``basin_graph`` gives them.

    Returns
    -------
    dict of ndarray
        Likewise; the same bits for every order of the graphs.

    Examples
    --------
    >>> one = {"u": np.array([1], np.uint64), "v": np.array([2], np.uint64),
    ...        "affinity": np.array([0.5], np.float32), "affinity_sum": np.array([10]),
    ...        "count": np.array([1]), "id": np.array([1], np.uint64), "voxels": np.array([4])}
    >>> both = add_graphs([one, {**one, "affinity": np.array([0.75], np.float32)}])
    >>> both["affinity"].tolist(), both["count"].tolist(), both["voxels"].tolist()
    ([0.75], [2], [8])
    """
    whole = {name: np.concatenate([graph[name] for graph in graphs]) for name in graphs[0]}
    order = np.lexsort((whole["v"], whole["u"]))
    u, v = whole["u"][order], whole["v"][order]
    first = np.flatnonzero(first_of_runs(u, v))
    ids = np.argsort(whole["id"], kind="stable")
    own = whole["id"][ids]
    begin = np.flatnonzero(first_of_runs(own))
    return {
        "u": u[first],
        "v": v[first],
        "affinity": _reduced(np.maximum, whole["affinity"][order], first),
        "affinity_sum": _reduced(np.add, whole["affinity_sum"][order], first),
        "count": _reduced(np.add, whole["count"][order], first),
        "id": own[begin],
        "voxels": _reduced(np.add, whole["voxels"][ids], begin),
    }


def _reduced(how: np.ufunc, values: NDArray[Any], first: NDArray[np.intp]) -> NDArray[Any]:
    # reduceat does not take an empty list of segments.
    return how.reduceat(values, first) if len(first) else values


@numba.njit(nogil=True, cache=True)
def _edges(
    labels: Labels, affinities: Floats, start: Coord, stop: Coord, how: tuple[int, bool]
) -> Any:
    """Walk the rows of the core; gather pairs in an open-addressed table that grows.

    Basins lie in the same table, as pairs with 0, whose count is of voxels.
    """
    table = np.zeros((8192, 4), np.uint64)  # u, v, sum, count; a count of 0 is a free slot
    most = np.zeros(8192, np.float32)
    used = 0
    after, sections = how
    left, right = start[2], stop[2]
    inner = max(left, 1)
    at = np.empty(right - left + 1, np.int32)
    for z in range(start[0], stop[0]):
        for y in range(start[1], stop[1]):
            while 4 * (used + 4 * len(at)) > len(table):
                table, most = _wider(table, most)
            tables = (table, most)
            row = labels[z, y]
            here = row[left:right]
            if z > 0 and not sections:
                there, by = labels[z - 1, y, left:right], affinities[0, z - after, y, left:right]
                found = _borders(here, there, at)
                used = _added(here, there, by, at[:found], tables, used)
            if y > 0:
                there, by = labels[z, y - 1, left:right], affinities[1, z, y - after, left:right]
                found = _borders(here, there, at)
                used = _added(here, there, by, at[:found], tables, used)
            by = affinities[2, z, y, inner - after : right - after]
            found = _borders(row[inner:right], row[inner - 1 : right - 1], at)
            used = _added(
                row[inner:right], row[inner - 1 : right - 1], by, at[:found], tables, used
            )
            used = _sized(here, at[:found], inner - left, table, used)
    return table, most


@numba.njit(nogil=True, cache=True)
def _borders(a: Labels, b: Labels, at: NDArray[np.int32]) -> Any:
    """Write down where two rows differ; borders are rare, and no branch is what makes it fast."""
    found = np.uint64(0)
    for x in range(len(a)):
        at[found] = x
        found += np.uint64(a[x] != b[x])
    return np.int64(found)


@numba.njit(nogil=True, cache=True)
def _added(a: Labels, b: Labels, by: Floats, at: NDArray[np.int32], tables: Any, used: int) -> Any:
    """Add the edges of two rows that lie beside each other.

    Whether a pair is that of the edge before is not asked: a branch that is taken at random costs
    more than to find the slot again.
    """
    table, most = tables
    for x in at:
        here, there = a[x], b[x]
        if here == 0 or there == 0:
            continue
        low, high = min(here, there), max(here, there)
        slot = _slot(table, low, high)
        count = table[slot, 3]
        used += int(count == 0)
        table[slot, 0], table[slot, 1], table[slot, 3] = low, high, count + np.uint64(1)
        table[slot, 2] += np.uint64(np.int64(np.rint(np.float64(by[x]) * ONE)))
        most[slot] = max(most[slot], by[x])
    return used


@numba.njit(nogil=True, cache=True)
def _sized(row: Labels, at: NDArray[np.int32], shift: int, table: Labels, used: int) -> Any:
    """Add the runs of a row, which begin where it differs from itself, to the sizes of basins."""
    begin = 0
    for n in range(len(at) + 1):
        end = at[n] + shift if n < len(at) else len(row)
        if end > begin and row[begin] != 0:
            slot = _slot(table, np.uint64(0), row[begin])
            used += int(table[slot, 3] == 0)
            table[slot, 1] = row[begin]
            table[slot, 3] += np.uint64(end - begin)
        begin = end
    return used


@numba.njit(nogil=True, cache=True)
def _slot(table: Labels, low: np.uint64, high: np.uint64) -> Any:
    """Find the slot of a pair, or the free one where it belongs."""
    mixed = (low * _MIX + high) * _MIX
    last = np.uint64(len(table) - 1)
    slot = (mixed ^ (mixed >> _TURN)) & last
    while ((table[slot, 0] ^ low) | (table[slot, 1] ^ high)) != 0 and table[slot, 3] != 0:
        slot = (slot + np.uint64(1)) & last
    return slot


@numba.njit(nogil=True, cache=True)
def _wider(table: Labels, most: Floats) -> Any:
    """Double the tables, which stay at most a quarter full: few pairs have to look further."""
    wide = np.zeros((2 * len(table), 4), np.uint64)
    high = np.zeros(2 * len(most), np.float32)
    for row in range(len(table)):
        if table[row, 3] != 0:
            slot = _slot(wide, table[row, 0], table[row, 1])
            wide[slot] = table[row]
            high[slot] = most[row]
    return wide, high
