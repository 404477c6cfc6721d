"""Cascades: tables that rise through a tree of boxes, and sink again as lookup tables of blocks.

A reduction ends in one table that somebody has to hold.  In a cascade every box passes on only
what the box around it needs to know, keeps the rest, and is told later what became of it::

    blocks ──► boxes of 2³ ──► boxes of 4³ ──► … ──► the whole      rise: up, and kept
    blocks ◄── boxes of 2³ ◄── boxes of 4³ ◄── … ◄── the whole      sink: a lookup table for each

No box holds more than what crosses its faces and what was decided inside it, and a block reads the
lookup table of its own ids only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from volkit.engine.op import Columns, Reduction
from volkit.geometry import Box, Coord, Grid

_FAN_IN: Coord = (2, 2, 2)
Sink = Callable[[Columns, Columns | None], Columns]
"""``sink(kept, above)``: the lookup table of a box, from that of the box around it."""


class Shards(Protocol):
    """Lookup tables, one for each block."""

    def of(self, number: int) -> Columns:
        """Give the table of a block."""


@dataclass(frozen=True, slots=True)
class Cascade:
    """How tables of blocks rise.

    Parameters
    ----------
    kernel : callable
        ``kernel(block, *arrays, **params)``: the table of a block.  Its columns ``id`` (uint64) and
        ``face`` (uint8: 0 and 1 on z, 2 and 3 on y, 4 and 5 on x) say which ids touch which of
        the block's faces; those on faces that are closed by then are taken out before tables rise.
    rise : callable
        ``rise(tables)``: what a box passes on, and what it keeps; Columns both.
    halo : tuple of int
        Context that the kernel needs on each face, voxels.
    params : mapping
        Its options; JSON.
    version : int
        To be raised when results change.
    stored_kernel : callable, optional
        The kernel for engines that store tables: columns that it gives beside, whose names begin
        with ``own.``, stay with the block.  Its Op finds them in ``StoredShards``, and gets an
        array without voxels.
    """

    kernel: Callable[..., Columns]
    rise: Callable[[Sequence[Columns]], tuple[Columns, Columns]]
    halo: Coord = (0, 0, 0)
    params: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1
    stored_kernel: Callable[..., Columns] | None = None

    @property
    def reduction(self) -> Reduction:
        """What engines apply to blocks, and what fingerprints know."""
        rise: Any = self.rise
        return Reduction(
            self.kernel, rise, halo=self.halo, params=self.params, version=self.version
        )


@dataclass(frozen=True)
class Boxes:
    """The boxes of a cascade over a grid, level by level; level 0 are its blocks.

    Parameters
    ----------
    grid : Grid
        The blocks.
    """

    grid: Grid

    @cached_property
    def levels(self) -> tuple[Grid, ...]:
        """For every level, a grid whose blocks are its boxes, over those of the level below."""
        found = [Grid(Box.from_shape(self.grid.shape), (1, 1, 1))]
        while len(found[-1]) > 1:
            found.append(Grid(Box.from_shape(found[-1].shape), _FAN_IN))
        return tuple(found)

    def below(self, level: int, number: int) -> list[int]:
        """List the numbers of the boxes, on the level below, that a box holds."""
        cells = Grid(self.levels[level][number].write, (1, 1, 1))
        return [self.levels[level - 1].block(cell.write.start).number for cell in cells]

    def above(self, level: int, number: int) -> int:
        """Give the number of the box, on the level above, that holds a box."""
        z, y, x = self._index(level, number)
        fz, fy, fx = _FAN_IN
        return self.levels[level + 1].block((z // fz, y // fy, x // fx)).number

    def box(self, level: int, number: int) -> Box:
        """Give the voxels of a box."""
        spans = zip(self._index(level, number), _FAN_IN, self.grid.shape, strict=True)
        z, y, x = ((i * f**level, min((i + 1) * f**level, n) - 1) for i, f, n in spans)
        start = self.grid.block((z[0], y[0], x[0])).write.start
        return Box(start, self.grid.block((z[1], y[1], x[1])).write.stop)

    def still_open(self, table: Columns, part: Box, whole: Box) -> Columns:
        """Keep of a part's rows of faces those that a box around it does not close."""
        domain = self.grid.domain
        faces = np.zeros(6, bool)
        for axis in range(3):
            faces[2 * axis] = part.start[axis] == whole.start[axis] != domain.start[axis]
            faces[2 * axis + 1] = part.stop[axis] == whole.stop[axis] != domain.stop[axis]
        rows = faces[table["face"]]
        return {**table, "id": table["id"][rows], "face": table["face"][rows]}

    def _index(self, level: int, number: int) -> Coord:
        return self.levels[level][number].index


def ids_on_faces(labels: NDArray[Any], core: Box, *, reach: Coord = (1, 1, 1)) -> Columns:
    """List the labels that touch the faces of a block.

    Those just outside count too, at every face that lies between them and the block: a table names
    labels of which the block holds no voxel, where it holds pairs across its faces.

    Parameters
    ----------
    labels : ndarray of int, shape (Z, Y, X)
        Ids of the block and the voxels around it; 0 is left out.
    core : Box
        The block, in the array's own coordinates.
    reach : tuple of int
        How far from a face a voxel touches it, voxels; at least as far as those of pairs lie apart.

    Returns
    -------
    dict of ndarray
        ``id`` (uint64) and ``face`` (uint8), as :class:`Cascade` asks for them.

    Examples
    --------
    >>> rows = ids_on_faces(np.array([[[5, 5, 7]]]), Box((0, 0, 0), (1, 1, 3)))
    >>> rows["id"][rows["face"] == 4].tolist(), rows["id"][rows["face"] == 1].tolist()
    ([5], [5, 7])
    """
    found = []
    for axis in range(3):
        for at in (core.start[axis], core.stop[axis]):
            spans = zip(core.start, core.stop, reach, strict=True)
            wide = [slice(max(a - far, 0), b + far) for a, b, far in spans]
            wide[axis] = slice(max(at - reach[axis], 0), at + reach[axis])
            rim = np.moveaxis(labels[tuple(wide)], axis, 0)
            ids = np.sort(_met_first(rim.ravel(), rim.shape[-1]).astype(np.uint64))
            found.append(ids[np.diff(ids, prepend=np.uint64(0)) != 0])
    face = np.repeat(np.arange(6, dtype=np.uint8), [len(ids) for ids in found])
    return {"id": np.concatenate(found), "face": face}


def _met_first(labels: NDArray[Any], width: int) -> NDArray[Any]:
    """Leave out labels that are those one before, or a row before: few are left, and every id."""
    unlike = np.ones(len(labels), bool)
    for step in (1, width):
        unlike[step:] &= labels[step:] != labels[:-step]
    return labels[unlike]
