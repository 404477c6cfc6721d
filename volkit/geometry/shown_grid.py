"""Shown grids: what a notebook says of a grid."""

from math import prod

import numpy as np

from volkit.geometry.box import Coord
from volkit.geometry.grid import Grid
from volkit.markup import shown


def shown_grid(grid: Grid) -> str:
    """Write what a grid is as HTML.

    Parameters
    ----------
    grid : Grid
        Any.

    Returns
    -------
    str

    Examples
    --------
    >>> from volkit.geometry import Box
    >>> text = shown_grid(Grid(Box.from_shape((4, 4, 4)), (2, 4, 3), halo=(1, 0, 0)))
    >>> "2 x 1 x 2 = 4" in text, "2 x 4 x 1" in text, "1.5" in text
    (True, True, True)
    """
    last = grid[len(grid) - 1].write.shape
    return shown(
        "Grid",
        [
            ("domain", str(grid.domain)),
            ("blocks", f"{_times(grid.shape)} = {len(grid):,}"),
            ("block (z, y, x)", f"{_times(grid.block_shape)} voxels"),
            ("last block", f"{_times(last)} voxels" if last != grid.block_shape else ""),
            ("halo", _times(grid.halo) if any(grid.halo) else ""),
            ("read over written", f"{_read_over_written(grid):.3g}" if any(grid.halo) else ""),
        ],
    )


def _read_over_written(grid: Grid) -> float:
    """Compare the voxels that all blocks read with those that they decide."""
    factors = []
    for n, block, halo in zip(grid.domain.shape, grid.block_shape, grid.halo, strict=True):
        start = np.arange(0, n, block)
        stop = np.minimum(start + block, n)
        read = np.minimum(stop + halo, n) - np.maximum(start - halo, 0)
        factors.append(float(read.sum()) / n)
    return prod(factors)


def _times(values: Coord) -> str:
    return " x ".join(map(str, values))
