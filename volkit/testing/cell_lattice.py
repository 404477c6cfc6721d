"""Cells on a lattice: tables of objects of any number of rows, whose sums a formula knows.

On each axis, cell ``i`` goes from ``6 i - 1`` (the first one from 0) to before ``6 i + 2 + i % 3``;
cells are the products of three such intervals.  Partitions end at multiples of 6, so that each of
their inner faces, edges and corners cuts cells.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import AXES, Box, Coord, Grid
from volkit.kernels.keyed_sums import Columns
from volkit.kernels.object_table import PRODUCTS, STARTS, STOPS

PITCH = 6
_LOW = (1 << 32) - 1
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CellLattice(Collection[tuple[Box, Columns]]):
    """Tables of the cells of every partition, in C order, made when they are asked for.

    Parameters
    ----------
    cells : tuple of int
        Along every axis, (z, y, x).
    across : tuple of int
        Cells along every axis of a partition.

    Examples
    --------
    >>> lattice = CellLattice((2, 2, 4), (2, 2, 2))
    >>> [len(columns["objects.id"]) for _, columns in lattice], lattice.count
    ([12, 8], 16)
    """

    cells: Coord
    across: Coord

    @property
    def domain(self) -> Box:
        """The volume that the cells lie in."""
        z, y, x = (PITCH * n for n in self.cells)
        return Box.from_shape((z, y, x))

    @property
    def count(self) -> int:
        """Number of cells."""
        return int(np.prod(self.cells, dtype=np.int64))

    @property
    def at_border(self) -> int:
        """Number of cells at a face of the volume: the first ones."""
        return self.count - int(np.prod([n - 1 for n in self.cells], dtype=np.int64))

    def _grid(self) -> Grid:
        z, y, x = (PITCH * n for n in self.across)
        return Grid(self.domain, (z, y, x))

    def __len__(self) -> int:
        return len(self._grid())

    def __contains__(self, part: object) -> bool:
        return any(part is own for own in self)

    def __iter__(self) -> Iterator[tuple[Box, Columns]]:
        for block in self._grid():
            yield block.write, self._table(block.write)

    def interval(self, axis: int) -> tuple[Rows, Rows]:
        """Tell where the cells of an axis begin and end."""
        i = np.arange(self.cells[axis])
        return np.maximum(PITCH * i - 1, 0), PITCH * i + 2 + i % 3

    def expected(self, power: int, bins: Coord) -> NDArray[Any]:
        """Add up a power of the sizes of cells in every bin of their centroids.

        Parameters
        ----------
        power : int
            0 counts cells, 1 adds voxels, 2 squares of them.
        bins : tuple of int
            Extent of a bin, voxels.

        Returns
        -------
        ndarray of Python int, shape (Z, Y, X)
        """
        sums = []
        for axis in range(3):
            start, stop = self.interval(axis)
            place = (start + stop) // 2 // bins[axis]  # of the centroid, rounded up at halves
            own = np.zeros(-(-self.domain.shape[axis] // bins[axis]), object)
            np.add.at(own, place, (stop - start).astype(object) ** power)
            sums.append(own)
        return reduce(np.multiply.outer, sums)

    def _table(self, box: Box) -> Columns:
        """Make the sums of what a partition holds of its cells."""
        start, stop, first = [], [], []
        for axis in range(3):
            a, b = self.interval(axis)
            here = (b > box.start[axis]) & (a < box.stop[axis])
            first.append(a[here])
            start.append(np.maximum(a[here], box.start[axis]))
            stop.append(np.minimum(b[here], box.stop[axis]))
        _, height, width = self.domain.shape
        z, y, x = np.meshgrid(*first, indexing="ij", copy=False)
        table: Columns = {
            "objects.id": ((z * height + y) * width + x + 1).astype(np.uint64).ravel()
        }
        powers = [_sums(a, b) for a, b in zip(start, stop, strict=True)]
        table["objects.voxels"] = _product(*(power[0] for power in powers))
        for names, edges in ((STARTS, start), (STOPS, stop)):
            for name, values in zip(names, np.meshgrid(*edges, indexing="ij"), strict=True):
                table[f"objects.{name}"] = values.ravel()
        for name in (*AXES, *PRODUCTS):
            own = _product(*(powers[k][name.count(axis)] for k, axis in enumerate(AXES)))
            if len(name) == 1:
                table[f"objects.sum_{name}"] = own
            else:
                table[f"objects.{name}_high"] = own >> 32
                table[f"objects.{name}_low"] = own & _LOW
        return table


def _sums(start: Rows, stop: Rows) -> tuple[Rows, Rows, Rows]:
    """Add up the coordinates of intervals, to the power of 0, 1 and 2."""

    def squares(n: Rows) -> Rows:
        return n * (n + 1) * (2 * n + 1) // 6

    length = stop - start
    return length, length * (start + stop - 1) // 2, squares(stop - 1) - squares(start - 1)


def _product(z: Rows, y: Rows, x: Rows) -> Rows:
    made: Rows = np.multiply.outer(np.multiply.outer(z, y), x).ravel()
    return made
