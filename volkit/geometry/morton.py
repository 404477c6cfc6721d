"""Morton (Z-curve) order of the cells of a box, lazily."""

from collections.abc import Iterator

from volkit.geometry.box import Coord


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
