"""Morton (Z-curve) order of the cells of a box, lazily."""

from collections.abc import Iterator
from functools import cache
from math import prod

import numpy as np
from numpy.typing import NDArray

from volkit.geometry.box import Coord

_CUBE_CELLS = 2**15  # looked at together: milliseconds until the first, few steps in Python


def morton_order(shape: Coord) -> Iterator[Coord]:
    """Yield every index of ``shape`` once, along the Z curve.

    Parameters
    ----------
    shape : tuple of int
        Number of cells on every axis, (z, y, x).

    Yields
    ------
    tuple of int
        (z, y, x); bits of x vary fastest.

    References
    ----------
    G. M. Morton, A computer oriented geodetic data base and a new technique in file sequencing,
    IBM, 1966.

    Examples
    --------
    >>> list(morton_order((1, 2, 3)))
    [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (0, 0, 2), (0, 1, 2)]
    """
    size = 1
    while size < max(shape):
        size *= 2
    return _cells((0, 0, 0), size, shape)


def morton_missing(done: NDArray[np.bool_], *, cube_cells: int = _CUBE_CELLS) -> Iterator[int]:
    """Yield the cells that are not done along the Z curve, skipping cubes in which none is left.

    Parameters
    ----------
    done : ndarray of bool, shape (Z, Y, X)
        A cube of it is looked at when the walk comes there.
    cube_cells : int
        Most cells that are looked at together; needs about 40 bytes for each.

    Yields
    ------
    int
        Position in C order; in the order of :func:`morton_order`.

    Examples
    --------
    >>> list(morton_missing(np.array([[[True, False, False], [False, True, True]]])))
    [1, 3, 2]
    """
    nz, ny, nx = done.shape
    side = _cube_side((nz, ny, nx), cube_cells)
    order = cache(_order_within)  # at most eight shapes: cubes at the far faces are cut
    for z, y, x in morton_order((-(-nz // side), -(-ny // side), -(-nx // side))):
        z, y, x = z * side, y * side, x * side
        cube = done[z : z + side, y : y + side, x : x + side]
        if cube.all():
            continue
        along = order(cube.shape)
        dz, dy, dx = np.unravel_index(along[~cube.reshape(-1)[along]], cube.shape)
        yield from (((z + dz) * ny + (y + dy)) * nx + (x + dx)).tolist()


def _cube_side(shape: Coord, cells: int) -> int:
    """Choose the largest cubes of the curve, cut at the shape, of not too many cells."""
    side = 1
    while side < max(shape) and prod(min(n, 2 * side) for n in shape) <= cells:
        side *= 2
    return side


def _order_within(shape: Coord) -> NDArray[np.intp]:
    """Sort the cells of a box whose first cell is the first of a cube of the curve."""
    keys = np.zeros(shape, np.int64)
    for axis, length in enumerate(shape):
        place = np.arange(length, dtype=np.int64)
        spread = np.zeros(length, np.int64)
        for bit in range(max(shape).bit_length()):
            spread |= (place >> bit & 1) << (3 * bit + 2 - axis)
        keys += spread.reshape([-1 if a == axis else 1 for a in range(3)])
    return np.argsort(keys, axis=None)


def _cells(corner: Coord, size: int, shape: Coord) -> Iterator[Coord]:
    """Walk the cube of ``size`` at ``corner``, leaving out what lies outside ``shape``.

    An explicit stack, not recursion: a chain of nested generators costs its depth per cell.
    """
    nz, ny, nx = shape
    stack = [(*corner, size)]
    while stack:
        z, y, x, n = stack.pop()
        if z >= nz or y >= ny or x >= nx:
            continue
        if n == 1:
            yield z, y, x
            continue
        h = n // 2
        stack.extend((z + dz, y + dy, x + dx, h) for dz in (h, 0) for dy in (h, 0) for dx in (h, 0))
