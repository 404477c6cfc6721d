"""Tiles: a huge volume cut into cutouts, as the rows of a batch file."""

import csv
from collections.abc import Iterator
from typing import TextIO

from volkit.errors import ConfigError
from volkit.geometry import AXES, Box, Coord


def tile_count(domain: Box, size: Coord, overlap: Coord = (0, 0, 0)) -> Coord:
    """Count tiles on every axis.

    Parameters
    ----------
    domain : Box
        What they are to cover.
    size, overlap : tuple of int
        Extent of a tile, and what neighbours share, (z, y, x), voxels.

    Raises
    ------
    ConfigError
        If tiles have no voxels, or neighbours would be the same.
    """
    counts = []
    for axis, n, s, o in zip(AXES, domain.shape, size, overlap, strict=True):
        if s < 1 or not 0 <= o < s:
            raise ConfigError(
                f"tiles of {s} voxels that overlap by {o} on axis {axis}: give a size of 1 or "
                "more, and an overlap of 0 or more that is smaller"
            )
        counts.append(1 + max(0, -(-(n - s) // (s - o))))
    z, y, x = counts
    return z, y, x


def tiles(domain: Box, size: Coord, overlap: Coord = (0, 0, 0)) -> Iterator[tuple[str, Box]]:
    """Cut a domain into tiles.

    Every voxel is in one tile at least, and every tile has a voxel that no tile before it has; the
    last ones of an axis may be smaller.

    Parameters
    ----------
    domain : Box
        What they are to cover.
    size, overlap : tuple of int
        Extent of a tile, and what neighbours share, (z, y, x), voxels.

    Yields
    ------
    name : str
        By the position of the tile.
    box : Box
        Its voxels.

    Raises
    ------
    ConfigError
        If tiles have no voxels, or neighbours would be the same.

    Examples
    --------
    >>> for name, box in tiles(Box.from_shape((4, 8, 10)), (4, 8, 6), (0, 0, 2)):
    ...     print(name, box)
    z0-y0-x0 [0:4, 0:8, 0:6]
    z0-y0-x1 [0:4, 0:8, 4:10]
    """
    counts = tile_count(domain, size, overlap)
    widths = [len(str(n - 1)) for n in counts]
    for z in range(counts[0]):
        for y in range(counts[1]):
            for x in range(counts[2]):
                at = (z, y, x)
                start = [domain.start[a] + at[a] * (size[a] - overlap[a]) for a in range(3)]
                named = zip(AXES, at, widths, strict=True)
                name = "-".join(f"{axis}{i:0{width}}" for axis, i, width in named)
                yield name, Box.from_shape(size, start).intersect(domain)


def write_tiles(file: TextIO, uri: str, rows: Iterator[tuple[str, Box]]) -> None:
    """Write tiles as a batch file.

    Parameters
    ----------
    file : text stream
        Where to.
    uri : str
        Of the volume.
    rows : iterator of (str, Box)
        From :func:`tiles`.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["name", "image", "box"])
    for name, box in rows:
        spans = zip(box.start, box.stop, strict=True)
        writer.writerow([name, uri, ",".join(f"{a}:{b}" for a, b in spans)])
