"""Which blocks of a grid touch a box, by arithmetic."""

import numpy as np
from numpy.typing import NDArray

from volkit.geometry.box import Box
from volkit.geometry.grid import Grid


def touching(grid: Grid, box: Box) -> NDArray[np.intp]:
    """List the blocks whose read box touches a box, by arithmetic.

    Parameters
    ----------
    grid : Grid
        The blocks, with their halo.
    box : Box
        What to touch.

    Returns
    -------
    ndarray of int
        Numbers of blocks.

    Examples
    --------
    >>> grid = Grid(Box.from_shape((1, 1, 40)), (1, 1, 10), halo=(0, 0, 2))
    >>> touching(grid, Box((0, 0, 20), (1, 1, 30))).tolist()
    [1, 2, 3]
    >>> touching(grid, Box((0, 0, 22), (1, 1, 28))).tolist()
    [2]
    """
    ranges = []
    axes = zip(
        box.start, box.stop, grid.domain.start, grid.block_shape, grid.halo, grid.shape, strict=True
    )
    for start, stop, origin, block, halo, count in axes:
        first = max(0, (start - halo - origin) // block)
        last = min(count, -(-(stop + halo - origin) // block))
        ranges.append(np.arange(first, max(first, last)))
    _, ny, nx = grid.shape
    z, y, x = np.ix_(*ranges)
    return ((z * ny + y) * nx + x).ravel()
