"""Rims of components: what blocks need to know of each other to name components as a whole.

A block lists the runs at its faces.  Put together, those of neighbouring blocks touch as runs in a
block do, over faces, edges and corners alike; no block reads voxels of another one.

Rims are what grows with the faces of a box: a box holds those of its parts once, and compares them
tile by tile, so that whatever else it needs of them is as much for a large box as for a small one.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box
from volkit.kernels.label import unique_pairs
from volkit.kernels.label_runs import Parts, line_offsets
from volkit.kernels.octree_components import rise_links

Ints = NDArray[np.int64]
Labels = NDArray[np.uint64]
Table = dict[str, NDArray[Any]]
"""``rim_z``, ``rim_y``, ``rim_x`` (int32: first voxel of a run), ``rim_length`` (int32),
``rim_name`` (uint64) and ``rim_value``; ``span`` (int64, shape (1, 6): start and stop of the box);
beside the columns of ``rise_links``."""

_MOST = 2**15  # rims of a tile: a few megabytes, whose sorting outweighs the calls
_PIECES = 64  # at once: of rows, each looks at all rims, and a copy waits while it is cut further
_THIN = 2  # rows or sections that may touch, and are not parted


def rim_table(parts: Parts, box: Box) -> Table:
    """List the runs of a block at its faces; of rows that only end there, the end voxels.

    Parameters
    ----------
    parts : Parts
        The components of the block.
    box : Box
        The block, in volume coordinates.

    Returns
    -------
    dict of ndarray
        Rims, the ids on each face, and no pairs yet.

    Examples
    --------
    >>> from volkit.kernels.label_runs import component_parts
    >>> parts = component_parts(np.ones((3, 3, 3), bool), connectivity=6)
    >>> table = rim_table(parts, Box((0, 0, 0), (3, 3, 3)))
    >>> int(table["rim_length"].sum()), table["id"].tolist(), table["face"].tolist()
    (26, [1, 1, 1, 1, 1, 1], [0, 1, 2, 3, 4, 5])
    """
    places, run = _rims(parts.first, parts.stop, parts.rows, parts.shape)
    name, rim = parts.name[run], places.astype(np.int32)
    found, face = [], []
    for axis in range(3):
        last = rim[:, axis] + (rim[:, 3] - 1 if axis == 2 else 0)
        for side, at_face in enumerate((rim[:, axis] == 0, last == parts.shape[axis] - 1)):
            found.append(np.unique(name[at_face]))
            face.append(np.full(len(found[-1]), 2 * axis + side, np.uint8))
    none = np.zeros(0, np.uint64)
    return {
        "span": np.array([[*box.start, *box.stop]]),
        "a": none,
        "b": none,
        "id": np.concatenate(found),
        "face": np.concatenate(face),
        **{f"rim_{x}": rim[:, n] + np.int32(box.start[n]) for n, x in enumerate("zyx")},
        "rim_length": rim[:, 3].copy(),
        "rim_name": name,
        "rim_value": parts.value[run] if len(parts.value) else parts.value,
    }


def rise_rims(tables: Sequence[Table], *, connectivity: int, domain: Box) -> tuple[Table, Table]:
    """Unite parts inside a box, whose blocks touch by their rims.

    Parameters
    ----------
    tables : sequence of dict of ndarray
        From :func:`rim_table`, or what this function passed on.
    connectivity : int
        6, 18 or 26.
    domain : Box
        That all blocks lie in.

    Returns
    -------
    up, kept : dict of ndarray
        As :func:`rise_links` gives them; ``up`` with the rims at the faces of the box.
    """
    spans = np.concatenate([table["span"] for table in tables])
    box = Box(tuple(spans[:, :3].min(axis=0)), tuple(spans[:, 3:].max(axis=0)))
    links = [{name: table[name] for name in ("a", "b", "id", "face")} for table in tables]
    if len(tables) > 1:
        a, b = _touching(tables, box, connectivity, domain)
        links.append({"a": a, "b": b, "id": a[:0], "face": np.zeros(0, np.uint8)})
    up, kept = rise_links(links)
    span = np.array([[*box.start, *box.stop]])
    outer = _by_section(_joined([_outer(table, box, domain) for table in tables]))
    return {**up, **outer, "span": span}, kept


def _rims_of(table: Table) -> Table:
    return {name: column for name, column in table.items() if name.startswith("rim_")}


def _joined(tables: Sequence[Table]) -> Table:
    """Put rims into one table."""
    return {name: np.concatenate([table[name] for table in tables]) for name in _rims_of(tables[0])}


def _chosen(table: Table, rows: NDArray[Any] | slice) -> Table:
    """Take some of the rims of a table; masks have no values to choose from."""
    return {
        name: column[rows] if len(column) else column for name, column in _rims_of(table).items()
    }


def _by_section(table: Table) -> Table:
    """Give rims in the order of their sections; those of a block are."""
    if _ascends(table["rim_z"]):
        return table
    return _chosen(table, np.argsort(table["rim_z"], kind="stable"))


def _outer(table: Table, box: Box, domain: Box) -> Table:
    """Keep the rims at those faces of a box beyond which the domain goes on."""
    keep = np.zeros(len(table["rim_name"]), bool)
    for axis, name in enumerate(("rim_z", "rim_y", "rim_x")):
        at = table[name]
        last = at + table["rim_length"] - 1 if axis == 2 else at
        if box.start[axis] > domain.start[axis]:
            keep |= at == box.start[axis]
        if box.stop[axis] < domain.stop[axis]:
            keep |= last == box.stop[axis] - 1
    return _chosen(table, keep)


def _touching(
    tables: Sequence[Table], box: Box, connectivity: int, domain: Box
) -> tuple[Labels, Labels]:
    """Find the pairs of names whose runs touch, each once."""
    rims = [_by_section(_rims_of(table)) for table in tables]
    found = [_touching_in(tile, connectivity, domain) for tile in _tiles(rims, box)]
    a, b = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return unique_pairs(a, b)


def _tiles(tables: Sequence[Table], box: Box) -> Iterator[Table]:
    """Cut rims into tiles of few; a row or section that ends one begins the next, too.

    What touches is in neighbouring rows and sections, and so in one tile at least.
    """
    count = sum(len(table["rim_name"]) for table in tables)
    axis = 0 if box.shape[0] >= box.shape[1] else 1
    if count <= _MOST or box.shape[axis] <= _THIN:
        yield _joined(tables)
        return
    first, last = box.start[axis], box.stop[axis] - 1
    pieces = min(count // _MOST + 1, _PIECES, last - first)
    cuts = [first + (last - first) * n // pieces for n in range(pieces + 1)]
    for begin, end in pairwise(cuts):
        parts = [_between(table, axis, begin, end) for table in tables]
        some = [part for part in parts if len(part["rim_name"])]
        start, stop = list(box.start), list(box.stop)
        start[axis], stop[axis] = begin, end + 1
        inside = Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
        yield from _tiles(some or parts[:1], inside)


def _between(table: Table, axis: int, begin: int, end: int) -> Table:
    """Take the rims from one row or section to another one, both included."""
    if axis == 0:  # nothing is copied
        ends = np.array([begin, end + 1], np.int32)  # of that type, or all are converted
        return _chosen(table, slice(*np.searchsorted(table["rim_z"], ends)))
    at = table["rim_y"]
    return _chosen(table, (at >= begin) & (at <= end))


def _touching_in(rims: Table, connectivity: int, domain: Box) -> tuple[Labels, Labels]:
    """Find the pairs of names whose runs touch in a tile."""
    z, y, x = (rims[f"rim_{c}"].astype(np.int64) - domain.start[n] for n, c in enumerate("zyx"))
    first = (z * (domain.shape[1] + 1) + y) * (domain.shape[2] + 1) + x
    order = np.argsort(first)
    first, name = first[order], rims["rim_name"][order]
    stop = first + rims["rim_length"][order]
    value = rims["rim_value"][order] if len(rims["rim_value"]) else rims["rim_value"]
    # In a row of several blocks, a run may end where the next one begins.
    steps = [(0, 1), *line_offsets(domain.shape, connectivity)]
    pairs = np.concatenate([_pairs(first, stop, name, value, step) for step in steps])
    return unique_pairs(pairs.min(axis=1), pairs.max(axis=1))


@numba.njit(nogil=True, cache=True)
def _ascends(numbers: NDArray[np.int32]) -> bool:
    for n in range(1, len(numbers)):  # noqa: SIM110 - numba
        if numbers[n] < numbers[n - 1]:
            return False
    return True


@numba.njit(nogil=True, cache=True)
def _rims(first: Ints, stop: Ints, rows: Ints, shape: tuple[int, int, int]) -> Any:
    """List (z, y, x, length) and the run of every rim."""
    nz, ny, nx = shape
    places, run = np.empty((2 * len(first), 4), np.int64), np.empty(2 * len(first), np.int64)
    count = 0
    for z in range(nz):
        for y in range(ny):
            line = (z * (ny + 1) + y) * (nx + 1)
            whole = z == 0 or z == nz - 1 or y == 0 or y == ny - 1
            begin, end = rows[z * ny + y], rows[z * ny + y + 1]
            if begin == end:
                continue
            if whole:
                for n in range(begin, end):
                    places[count] = z, y, first[n] - line, stop[n] - first[n]
                    run[count] = n
                    count += 1
                continue
            if first[begin] == line:
                places[count] = z, y, 0, 1
                run[count] = begin
                count += 1
            if stop[end - 1] == line + nx and nx > 1:
                places[count] = z, y, nx - 1, 1
                run[count] = end - 1
                count += 1
    return places[:count].copy(), run[:count].copy()


@numba.njit(nogil=True, cache=True)
def _pairs(
    first: Ints, stop: Ints, name: Labels, value: NDArray[Any], step: tuple[int, int]
) -> Labels:
    """List the names of runs that touch those some way before them in the line."""
    offset, reach = step
    found, count, low = np.empty((256, 2), np.uint64), 0, 0
    for run in range(len(first)):
        begin, end = first[run] + offset - reach, stop[run] + offset + reach
        while low < run and stop[low] <= begin:
            low += 1
        other = low
        while other < run and first[other] < end:
            a, b = name[run], name[other]
            same = len(value) == 0 or value[run] == value[other]
            new = count == 0 or found[count - 1, 0] != a or found[count - 1, 1] != b
            if same and new and a != b:
                if count == len(found):
                    wider = np.empty((2 * count, 2), np.uint64)
                    wider[:count] = found
                    found = wider
                found[count, 0], found[count, 1] = a, b
                count += 1
            other += 1
    return found[:count].copy()
