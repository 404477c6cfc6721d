"""Components of runs: voxels of a row that follow each other and are equal, joined row by row.

Most voxels are like the one before, so that runs are few.  Rows lie in one line with a voxel's gap
after each, and a row's gap after each section: shifted by a row or a section, runs that touch are
runs that overlap, and no row touches the next one by its end::

    section 0: 1 1 0 1 .      section 1: 0 1 1 0 .      runs: 0-2, 3-4, 6-8, 16-18, 20-23
               0 1 0 0 .                 1 1 1 0 .      those of section 1, shifted by a section:
               . . . . .                 . . . . .      1-3, 5-8 overlap 0-2 and 6-8
"""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.geometry import Coord
from volkit.kernels.disjoint_sets import join_groups

Ints = NDArray[np.int64]
Labels = NDArray[np.uint64]

REACH = {6: 1, 18: 2, 26: 3}
"""Axes on which a neighbour may differ, by connectivity."""

_SEEN = 12  # bits: so many names are remembered while runs are renamed
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing


@dataclass(frozen=True, slots=True)
class Parts:
    """The components of a block, as runs.

    Parameters
    ----------
    first, stop : ndarray of int64, shape (N,)
        Where each run begins and ends in the line of rows, ascending.
    rows : ndarray of int64, shape (Z * Y + 1,)
        Number of the first run of every row.
    name : ndarray of uint64, shape (N,)
        The component of every run: 1 + the C-order index, in the domain, of its first voxel.
    value : ndarray of int, shape (N,) or (0,)
        What the voxels of every run hold; none for masks.
    shape : tuple of int
        Of the block, voxels.
    """

    first: Ints
    stop: Ints
    rows: Ints
    name: Labels
    value: NDArray[Any]
    shape: Coord

    def painted(
        self,
        old: Labels | None = None,
        new: Labels | None = None,
        *,
        into: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Write the names of components to their voxels.

        Parameters
        ----------
        old, new : ndarray of uint64, optional
            Names to replace, sorted, and what each becomes.
        into : ndarray of uint, shape (Z, Y, X), optional
            Where to, of a type that holds the names; a new array of uint64 by default.

        Returns
        -------
        ndarray of uint, shape (Z, Y, X)
            0 is background.
        """
        name = self.name if old is None or new is None else _renamed(self.name, old, new)
        out = np.empty(self.shape, np.uint64) if into is None else into
        _paint(self.first, self.stop, self.rows, name, out)
        return out


def component_parts(
    values: NDArray[Any],
    *,
    connectivity: int,
    start: Coord = (0, 0, 0),
    domain_shape: Coord | None = None,
) -> Parts:
    """Find the connected components of equal values that are not 0.

    Parameters
    ----------
    values : ndarray of bool or int, shape (Z, Y, X)
        A mask, or labels.
    connectivity : int
        6 (faces), 18 (and edges) or 26 (and corners).
    start : tuple of int
        Where in the domain the values begin, voxels.
    domain_shape : tuple of int, optional
        Extent of the domain; that of the values by default.

    Returns
    -------
    Parts

    Raises
    ------
    ContractError
        If the connectivity is none of the three.

    References
    ----------
    L. He, Y. Chao, K. Suzuki, A run-based two-scan labeling algorithm, 2008,
    https://doi.org/10.1109/TIP.2008.919369

    Examples
    --------
    >>> parts = component_parts(np.array([[[7, 7, 9, 0, 7]]]), connectivity=6)
    >>> parts.first.tolist(), parts.stop.tolist(), parts.name.tolist(), parts.value.tolist()
    ([0, 2, 4], [2, 3, 5], [1, 3, 5], [7, 9, 7])
    """
    check_connectivity(connectivity)
    several = values.dtype != np.bool_
    plain = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    plain = plain if several else plain.view(np.uint8)
    first, stop, rows, value = _runs(plain, several)
    parent = np.arange(len(first))
    for offset, reach in line_offsets(plain.shape, connectivity):
        _join(first, stop, value, parent, (offset, reach))
    name = _names(first, rows, parent, plain.shape, start, domain_shape or plain.shape)
    return Parts(first, stop, rows, name, value, plain.shape)


def check_connectivity(connectivity: int) -> None:
    """Refuse what is no neighbourhood of a voxel.

    Raises
    ------
    ContractError
        If it is not 6, 18 or 26.
    """
    if connectivity not in REACH:
        raise ContractError(
            f"connectivity is {connectivity!r}; choose 6 (faces), 18 (and edges) or 26 (all)"
        )


def line_offsets(shape: Coord, connectivity: int) -> list[tuple[int, int]]:
    """List the rows before a row that it may touch.

    Parameters
    ----------
    shape : tuple of int
        Extent of what the line of rows holds, voxels.
    connectivity : int
        6, 18 or 26.

    Returns
    -------
    list of (int, int)
        How far they lie before it in the line, as negative numbers; and how many voxels beyond a
        run's own still touch it.

    Examples
    --------
    >>> line_offsets((9, 3, 4), 6), len(line_offsets((9, 3, 4), 26))
    ([(-5, 0), (-20, 0)], 4)
    """
    row, section = shape[2] + 1, (shape[1] + 1) * (shape[2] + 1)
    most = REACH[connectivity]
    steps = ((-row, 1), (-section, 1), (-section - row, 2), (-section + row, 2))
    return [(offset, int(axes < most)) for offset, axes in steps if axes <= most]


def _renamed(name: Labels, old: Labels, new: Labels) -> Labels:
    return _looked_up(name, old, new) if len(old) else name


@numba.njit(nogil=True, cache=True)
def _looked_up(name: Labels, old: Labels, new: Labels) -> Labels:
    """Replace names; runs of a component lie near each other, so that few names are searched."""
    found = np.empty(len(name), np.uint64)
    known, answer = np.zeros(2**_SEEN, np.uint64), np.zeros(2**_SEEN, np.uint64)
    for n in range(len(name)):
        here = name[n]
        slot = (here * _SPREAD) >> np.uint64(64 - _SEEN)
        if known[slot] != here:
            at = np.searchsorted(old, here)
            known[slot] = here
            answer[slot] = new[at] if at < len(old) and old[at] == here else here
        found[n] = answer[slot]
    return found


@numba.njit(nogil=True, cache=True)
def _runs(values: NDArray[Any], several: bool) -> Any:
    """List the runs of all rows."""
    nz, ny, nx = values.shape
    first, stop = np.empty(1024, np.int64), np.empty(1024, np.int64)
    value = np.empty(1024 if several else 0, values.dtype)
    rows, change = np.zeros(nz * ny + 1, np.int64), np.empty(nx + 1, np.int64)
    count = 0
    for z in range(nz):
        for y in range(ny):
            if count + nx > len(first):
                first, stop = _longer(first, nx), _longer(stop, nx)
                value = _longer(value, nx) if several else value
            row, line = values[z, y], (z * (ny + 1) + y) * (nx + 1)
            for n in range(_changes(row, change)):
                x = change[n]
                if row[x] != 0:
                    first[count], stop[count] = line + x, line + change[n + 1]
                    if several:
                        value[count] = row[x]
                    count += 1
            rows[z * ny + y + 1] = count
    return first[:count].copy(), stop[:count].copy(), rows, value[:count].copy()


@numba.njit(nogil=True, cache=True)
def _changes(row: NDArray[Any], change: Ints) -> Any:
    """Write down where values change, and the end; without a branch, as lengths are random."""
    count = np.uint64(0)
    before = row[0] ^ row[0]
    for x in range(len(row)):
        here = row[x]
        change[count] = x
        count += np.uint64(here != before)
        before = here
    change[count] = len(row)
    return np.int64(count)


@numba.njit(nogil=True, cache=True)
def _longer(column: Any, more: int) -> Any:
    longer = np.empty(2 * len(column) + more, column.dtype)
    longer[: len(column)] = column
    return longer


@numba.njit(nogil=True, cache=True)
def _join(first: Ints, stop: Ints, value: NDArray[Any], parent: Ints, how: tuple[int, int]) -> None:
    """Unite runs that touch others some way before them in the line, under the smaller number."""
    offset, reach = how
    count, low = len(first), 0
    for run in range(count):
        begin, end = first[run] + offset - reach, stop[run] + offset + reach
        while low < run and stop[low] <= begin:
            low += 1
        other = low
        while other < run and first[other] < end:
            if len(value) == 0 or value[run] == value[other]:
                join_groups(parent, run, other)
            other += 1


@numba.njit(nogil=True, cache=True)
def _names(
    first: Ints, rows: Ints, parent: Ints, shape: Coord, start: Coord, extent: Coord
) -> Labels:
    """Name runs; a parent comes before its children, so that it has its name by then."""
    names = np.empty(len(first), np.uint64)
    nz, ny, nx = shape
    for z in range(nz):
        for y in range(ny):
            line = (z * (ny + 1) + y) * (nx + 1)
            at = ((z + start[0]) * extent[1] + y + start[1]) * extent[2] + start[2] + 1 - line
            for run in range(rows[z * ny + y], rows[z * ny + y + 1]):
                above = parent[run]
                names[run] = np.uint64(at + first[run]) if above == run else names[above]
    return names


@numba.njit(nogil=True, cache=True)
def _paint(first: Ints, stop: Ints, rows: Ints, name: Labels, out: NDArray[Any]) -> None:
    nz, ny, nx = out.shape
    for z in range(nz):
        for y in range(ny):
            line, row = (z * (ny + 1) + y) * (nx + 1), out[z, y]
            x = 0
            for run in range(rows[z * ny + y], rows[z * ny + y + 1]):
                row[x : first[run] - line] = 0
                x = stop[run] - line
                row[first[run] - line : x] = name[run]
            row[x:] = 0
