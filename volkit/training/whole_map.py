"""Whole maps: a network of valid convolutions at every voxel of a box, mirrored beyond it."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box, Coord, Grid

Floats = NDArray[np.float32]


def mirrored(read: Callable[[Box], NDArray[Any]], domain: Box, box: Box) -> NDArray[Any]:
    """Read a box that may reach over the faces of a domain.

    Parameters
    ----------
    read : callable
        Gives the voxels of a box inside the domain, shape ([C,] Z, Y, X).
    domain : Box
        What there is.
    box : Box
        What is wanted; it meets the domain.

    Returns
    -------
    ndarray, shape ([C,] Z, Y, X)
        Mirrored at the faces, whose voxels are not repeated: as inference pads.

    Examples
    --------
    >>> line = np.arange(4).reshape(1, 1, 4)
    >>> whole = Box.from_shape(line.shape)
    >>> mirrored(lambda box: line[box.slices], whole, Box((0, 0, -2), (1, 1, 6))).tolist()
    [[[2, 1, 0, 1, 2, 3, 2, 1]]]
    """
    inside = box.intersect(domain)
    values = read(inside)
    before = [a - b for a, b in zip(inside.start, box.start, strict=True)]
    after = [b - a for a, b in zip(inside.stop, box.stop, strict=True)]
    if not any(before) and not any(after):
        return values
    width = [(0, 0)] * (values.ndim - 3) + list(zip(before, after, strict=True))
    return np.pad(values, width, mode="reflect")


def whole_map(
    predict: Callable[[Floats], Floats],
    read: Callable[[Box], NDArray[Any]],
    domain: Box,
    *,
    margin: Coord,
    tile: Coord,
) -> Floats:
    """Answer every voxel of a domain, one tile after the other.

    Parameters
    ----------
    predict : callable
        Windows (1, C, z, y, x), the tile and its margin, to answers (z, y, x) of the tile.
    read : callable
        Gives the voxels of a box inside the domain, shape (C, Z, Y, X).
    domain : Box
        What to answer, and what may be read.
    margin : tuple of int
        Voxels that an answer sees on each side.
    tile : tuple of int
        Voxels answered at once.

    Returns
    -------
    ndarray of float32, shape (Z, Y, X)
        Independent of the tiles, up to rounding.
    """
    out = np.empty(domain.shape, np.float32)
    for box in tiles(domain, tile):
        window = mirrored(read, domain, box.grow(margin))
        out[box.relative_to(domain).slices] = predict(np.ascontiguousarray(window[None]))
    return out


def tiles(domain: Box, tile: Coord) -> Iterator[Box]:
    """Yield the tiles of a domain, from its start on; the last ones are cut."""
    for block in Grid(domain, tile):
        yield block.write
