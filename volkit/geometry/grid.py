"""Grids: a domain cut into blocks, by arithmetic and never as a list."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from volkit.errors import GeometryError
from volkit.geometry.box import AXES, Box, Coord, coord
from volkit.geometry.morton import morton_missing, morton_order


@dataclass(frozen=True, slots=True)
class Block:
    """A unit of work.

    Parameters
    ----------
    index : tuple of int
        Position in the grid, (z, y, x).
    number : int
        Position in C order, 0 to ``len(grid) - 1``.
    write : Box
        The voxels that this block alone decides.
    read : Box
        ``write`` and its halo, clipped to the domain.

    Notes
    -----
    ::

        domain ─────────────────────────┐
        │        read ──────────┐       │
        │        │ halo         │       │
        │        │  write ───┐  │       │
        │        │  │        │  │       │
        │        │  └────────┘  │       │
        │        └──────────────┘       │
        └───────────────────────────────┘
    """

    index: Coord
    number: int
    write: Box
    read: Box

    @property
    def crop(self) -> tuple[slice, slice, slice]:
        """Slices that cut ``write`` from an array that holds ``read``."""
        return self.write.relative_to(self.read).slices

    def __str__(self) -> str:
        return f"block {self.index} {self.write}"


@dataclass(frozen=True, slots=True)
class Grid:
    """A domain cut into blocks.

    Blocks begin at the domain's start; the last of an axis may be shorter.

    Parameters
    ----------
    domain : Box
        The voxels to cover.
    block_shape : tuple of int
        Extent of a block, (z, y, x).
    halo : tuple of int
        Context on each face of a block, voxels.

    Raises
    ------
    GeometryError
        If the domain is empty, a block has no voxels, or a halo is negative.

    Examples
    --------
    >>> grid = Grid(Box.from_shape((4, 5, 6)), (2, 3, 3), halo=(1, 1, 1))
    >>> grid.shape, len(grid), str(grid[3])
    ((2, 2, 2), 8, 'block (0, 1, 1) [0:2, 3:5, 3:6]')
    >>> str(grid[3].read)
    '[0:3, 2:5, 2:6]'
    """

    domain: Box
    block_shape: Coord
    halo: Coord = (0, 0, 0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "block_shape", coord(self.block_shape, name="block_shape"))
        object.__setattr__(self, "halo", coord(self.halo, name="halo"))
        if self.domain.size == 0:
            raise GeometryError(f"domain {self.domain} is empty; give a box with voxels in it")
        if min(self.block_shape) < 1:
            raise GeometryError(f"block_shape {self.block_shape} must be at least 1 on every axis")
        if min(self.halo) < 0:
            raise GeometryError(f"halo {self.halo} is negative; give 0 or more on every axis")

    @property
    def shape(self) -> Coord:
        """Number of blocks on every axis."""
        z, y, x = (-(-n // b) for n, b in zip(self.domain.shape, self.block_shape, strict=True))
        return z, y, x

    @property
    def chunks(self) -> tuple[tuple[int, ...], ...]:
        """Extents of the blocks on every axis, as dask writes chunks."""
        return tuple(
            (b,) * (n // b) + ((n % b,) if n % b else ())
            for n, b in zip(self.domain.shape, self.block_shape, strict=True)
        )

    def __len__(self) -> int:
        return prod(self.shape)

    def __getitem__(self, number: int) -> Block:
        if not 0 <= number < len(self):
            raise IndexError(f"block {number} of a grid with {len(self)} blocks")
        _, ny, nx = self.shape
        return self.block((number // (ny * nx), number // nx % ny, number % nx))

    def __iter__(self) -> Iterator[Block]:
        return (self[number] for number in range(len(self)))

    def block(self, index: Coord) -> Block:
        """Make the block at a position of the grid.

        Raises
        ------
        GeometryError
            If the position is outside the grid.
        """
        for axis, i, n in zip(AXES, index, self.shape, strict=True):
            if not 0 <= i < n:
                raise GeometryError(f"index {index}: there are {n} blocks on axis {axis}")
        (oz, oy, ox), (bz, by, bx), (iz, iy, ix) = self.domain.start, self.block_shape, index
        start = (oz + iz * bz, oy + iy * by, ox + ix * bx)
        write = Box.from_shape(self.block_shape, start).intersect(self.domain)
        _, ny, nx = self.shape
        return Block(
            index=index,
            number=(iz * ny + iy) * nx + ix,
            write=write,
            read=write.grow(self.halo).intersect(self.domain),
        )

    def _repr_html_(self) -> str:
        """Show it in a notebook."""
        from volkit.geometry.shown_grid import shown_grid

        return shown_grid(self)

    def with_halo(self, halo: Coord) -> "Grid":
        """Give the same blocks another halo."""
        return replace(self, halo=halo)

    def morton(self) -> Iterator[int]:
        """Yield block numbers along a space-filling Z curve, so that neighbours follow closely."""
        _, ny, nx = self.shape
        return ((z * ny + y) * nx + x for z, y, x in morton_order(self.shape))

    def morton_missing(self, done: NDArray[np.bool_]) -> Iterator[int]:
        """Yield the numbers of blocks that are not done, in the order of :meth:`morton`.

        Parameters
        ----------
        done : ndarray of bool
            For every block, by number.

        Raises
        ------
        GeometryError
            If it is not one for every block.
        """
        if done.shape != (len(self),):
            raise GeometryError(
                f"marks of shape {done.shape} for {len(self)} blocks; give one for each"
            )
        return morton_missing(done.reshape(self.shape))
