"""Small segments: handed to a neighbour, or left out."""

from collections import defaultdict
from heapq import heapify, heappop, heappush
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError
from volkit.kernels.vessel_radius import Spacing

Columns = dict[str, NDArray[Any]]
Small = Literal["keep", "skip", "merge"]

_LOW, _HIGH = ("z0", "y0", "x0"), ("z1", "y1", "x1")
_SUMS = ("n_points", "length_um", "free_ends")
_MEANS = ("radius_um_mean", "centroid_z", "centroid_y", "centroid_x", "depth_um")


def without_small(
    columns: Columns, *, length_um: float, small: Small
) -> tuple[Columns, NDArray[np.uint64]]:
    """Keep, leave out, or merge the segments shorter than a length.

    A merged segment goes to the longest one that meets it, the shortest first; one that meets none
    is left out.  Means are weighted by points of the centre lines.

    Parameters
    ----------
    columns : dict of ndarray
        Segments and junctions, from `volkit.kernels.vessel_segments`.
    length_um : float
        Micrometres.
    small : {"keep", "skip", "merge"}
        What becomes of shorter ones.

    Returns
    -------
    columns : dict of ndarray
        The segments that are left, by id, with the columns of segments alone.
    became : ndarray of uint64, shape (S,)
        Of each segment that was given, the id it has become; 0 where it was left out.

    Raises
    ------
    ConfigError
        If the length is negative, or the rule unknown.
    """
    if length_um < 0 or small not in ("keep", "skip", "merge"):
        raise ConfigError(
            f"segments shorter than {length_um} um, {small!r}; give a length of 0 or more, and "
            "keep, skip or merge"
        )
    apart = ("junction_", "part_")
    table = {name: c.copy() for name, c in columns.items() if not name.startswith(apart)}
    into = np.arange(len(table["segment_id"]))
    if small == "merge":
        into = _merged(table, length_um)
    left = into == np.arange(len(into))
    if small != "keep":
        left &= table["length_um"] >= length_um
    for row in range(len(into)):
        while into[into[row]] != into[row]:
            into[row] = into[into[row]]
    became = np.where(left[into], table["segment_id"][into], np.uint64(0))
    return {name: column[left] for name, column in table.items()}, became.astype(np.uint64)


def _merged(table: Columns, limit: float) -> NDArray[np.int64]:
    """Merge in place; give the row that each row has gone to."""
    into = np.arange(len(table["segment_id"]))
    at: dict[int, set[int]] = defaultdict(set)
    for row in range(len(into)):
        for name in ("node_a", "node_b"):
            at[int(table[name][row])].add(row)
    at.pop(0, None)
    lengths, ids = table["length_um"], table["segment_id"]
    heap = [(float(n), row) for row, n in enumerate(lengths) if n < limit]
    heapify(heap)
    while heap:
        length, row = heappop(heap)
        if into[row] != row or float(lengths[row]) != length:
            continue
        nodes = {int(table["node_a"][row]), int(table["node_b"][row])} - {0}
        near = {other for node in nodes for other in at[node]} - {row}
        if not near:
            continue
        best = min(near, key=lambda n: (-float(lengths[n]), int(ids[n])))
        for node in nodes:
            at[node].discard(row)
            at[node].add(best)
        _join(table, row, best)
        into[row] = best
        if lengths[best] < limit:
            heappush(heap, (float(lengths[best]), best))
    return into


def _join(table: Columns, row: int, best: int) -> None:
    """Add a row to another one."""
    a, b = (int(table[name][row]) for name in ("node_a", "node_b"))
    for name, other in (("node_a", "node_b"), ("node_b", "node_a")):
        if int(table[name][best]) in (a, b):
            table[name][best] = b if int(table[name][best]) == a else a
            if table["node_a"][best] > table["node_b"][best]:
                table[name][best], table[other][best] = table[other][best], table[name][best]
            break
    points = table["n_points"][[row, best]].astype(np.float64)
    for name in _MEANS:
        table[name][best] = np.average(table[name][[row, best]], weights=points)
    for name in _SUMS:
        table[name][best] += table[name][row]
    for name in (*_LOW, "radius_um_min"):
        table[name][best] = min(table[name][row], table[name][best])
    for name in (*_HIGH, "radius_um_max", "touches_border"):
        table[name][best] = max(table[name][row], table[name][best])


def chords(columns: Columns, segments: Columns, *, spacing_um: Spacing) -> NDArray[np.float64]:
    """Measure the distance of the ends of segments whose ends are both junctions.

    Parameters
    ----------
    columns : dict of ndarray
        With the columns of junctions.
    segments : dict of ndarray
        Segments that are left.
    spacing_um : tuple of float
        Extent of a voxel, micrometres.

    Returns
    -------
    ndarray of float64, shape (S,)
        NaN where an end is free.
    """
    ids = columns["junction_id"]
    places = np.stack([columns[f"junction_{a}"] for a in "zyx"], -1) * np.array(spacing_um)
    ends = []
    for name in ("node_a", "node_b"):
        row = np.minimum(np.searchsorted(ids, segments[name]), max(len(ids) - 1, 0))
        there = np.zeros(len(row), bool) if not len(ids) else ids[row] == segments[name]
        place = np.full((len(row), 3), np.nan)
        place[there] = places[row[there]]
        ends.append(place)
    return np.asarray(np.sqrt(((ends[1] - ends[0]) ** 2).sum(1)))
