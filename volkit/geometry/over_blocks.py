"""Counts over all blocks of a grid, by arithmetic along each axis and never block by block."""

from collections.abc import Callable

from volkit.geometry.box import Coord
from volkit.geometry.grid import Block, Grid
from volkit.geometry.windows import Windows


def voxels_read(grid: Grid) -> int:
    """Count the voxels that all blocks read, halos included.

    Parameters
    ----------
    grid : Grid
        With its halo.

    Returns
    -------
    int
        Exactly, from one row of blocks along each axis.

    Examples
    --------
    >>> from volkit.geometry import Box
    >>> voxels_read(Grid(Box.from_shape((4, 4, 8)), (4, 4, 4), halo=(1, 1, 1)))
    160
    """
    return over_blocks(grid, lambda block: block.read.size)


def network_passes(windows: Windows, grid: Grid) -> int:
    """Count the windows that all blocks evaluate, those on seams once for every block they meet.

    Parameters
    ----------
    windows : Windows
        The lattice of the domain.
    grid : Grid
        The blocks.

    Returns
    -------
    int
        At least ``len(windows)``.

    Examples
    --------
    >>> from volkit.geometry import Box
    >>> windows = Windows(Box.from_shape((4, 4, 8)), (4, 4, 4), (4, 4, 2))
    >>> len(windows), network_passes(windows, Grid(windows.domain, (4, 4, 4)))
    (3, 4)
    """
    return over_blocks(grid, lambda block: windows.count_touching(block.write))


def over_blocks(grid: Grid, count: Callable[[Block], int]) -> int:
    """Add up a count over all blocks.

    Parameters
    ----------
    grid : Grid
        The blocks.
    count : callable
        Gets a block; its value is a product of one factor for each axis, and not 0 for the first.

    Returns
    -------
    int
        Exactly, from one row of blocks along each axis.

    Examples
    --------
    >>> from volkit.geometry import Box
    >>> over_blocks(Grid(Box.from_shape((5, 5, 5)), (2, 2, 2)), lambda block: block.write.size)
    125
    """
    first = count(grid.block((0, 0, 0)))
    total = 1
    for axis, length in enumerate(grid.shape):
        total *= sum(count(grid.block(_on_axis(axis, i))) for i in range(length))
    # Every row carried the other two axes' factors of the first block along.
    return total // first**2


def _on_axis(axis: int, i: int) -> Coord:
    z, y, x = (i if a == axis else 0 for a in range(3))
    return z, y, x
