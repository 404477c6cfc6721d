"""Thumbnails: the middle plane of a volume as a small picture, from as little as shows it."""

from dataclasses import dataclass, replace
from math import prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box, Coord
from volkit.io.labels import holds_labels
from volkit.io.volume import Volume
from volkit.pipelines.colours import label_colours

Array = NDArray[Any]
Pixels = NDArray[np.uint8]

_MOST_BYTES = 256 * 2**20  # decoded for a picture
_MOST_UNITS = 100  # read for a picture: each is a request or more where the volume is far away
_UNIT_BYTES = 256 * 1024  # chunks smaller than that are read together
_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture of a volume.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (Y, X, 3)
        Red, green, blue; pixels are squares of tissue.
    caption : str
        What it shows.
    """

    pixels: Pixels
    caption: str


def thumbnail(volume: Volume, *, longest: int) -> Thumbnail:
    """Draw the middle plane of a volume.

    It is read from the coarsest level that has as many voxels as the picture has pixels.  Where
    even that needs too many chunks, chunks spread evenly over the plane stand for it.

    Parameters
    ----------
    volume : Volume
        Of anything: labels are coloured, all else is grey, three channels of uint8 are red, green
        and blue.  Chunks that are not stored are shown as zero.
    longest : int
        Pixels on the longer side, at most.

    Returns
    -------
    Thumbnail

    Raises
    ------
    SourceError
        If it cannot be read.
    """
    volume = replace(volume, options=replace(volume.options, missing="zero", cache=None))
    shape = _picture_shape(volume, longest)
    level, labels = _level_for(volume, shape), holds_labels(volume)
    plane, caption = _drawn(level, shape, labels)
    if level.level > volume.level and plane.min() == plane.max():
        # BossDB gives zeros for levels that were never computed.
        plane, caption = _drawn(volume, shape, labels)
    return Thumbnail(_coloured(plane, labels), caption)


def unit_shape(volume: Volume) -> Coord:
    """Give what is read at a time: a chunk, or several where they are tiny.

    Parameters
    ----------
    volume : Volume
        Of any kind.

    Returns
    -------
    tuple of int
        Voxels, whole chunks on every axis unless the volume ends before.
    """
    unit = [min(c, n) for c, n in zip(volume.chunk_shape, volume.shape, strict=True)]
    voxel_bytes = volume.dtype.itemsize * (volume.channels or 1)
    while prod(unit) * voxel_bytes < _UNIT_BYTES:
        room = [i for i in (2, 1, 0) if unit[i] < volume.shape[i]]
        if not room:
            break
        axis = min(room, key=lambda i: (i == 0, unit[i]))  # planes before depth
        unit[axis] = min(2 * unit[axis], volume.shape[axis])
    z, y, x = unit
    return z, y, x


def _picture_shape(volume: Volume, longest: int) -> tuple[int, int]:
    """Choose pixels that are squares of tissue, no more than there are voxels."""
    _, ny, nx = volume.shape
    _, sy, sx = volume.voxel_size_nm
    high, wide = ny * sy, nx * sx
    scale = min(longest, max(ny, nx)) / max(high, wide)
    return max(1, round(high * scale)), max(1, round(wide * scale))


def _level_for(volume: Volume, shape: tuple[int, int]) -> Volume:
    """Take the coarsest level, from the volume's own on, that fills a picture."""
    for number in range(volume.levels - 1, volume.level, -1):
        level = volume.at_level(number)
        if all(n >= p for n, p in zip(level.shape[1:], shape, strict=True)):
            return level
    return volume


def _drawn(volume: Volume, shape: tuple[int, int], labels: bool) -> tuple[Array, str]:
    """Shrink the middle plane of one level, and say what of it was read."""
    z = (volume.domain.start[0] + volume.domain.stop[0]) // 2
    unit = unit_shape(volume)
    whole, taken = _units(volume, unit, shape)
    if taken == whole:
        plane, part = _plane(volume, z, unit[1], shape, labels), "the middle plane"
    else:
        plane = _mosaic(volume, z, unit, taken, shape, labels)
        part = f"{taken[0]} x {taken[1]} of {whole[0]:,} x {whole[1]:,} pieces of the middle plane"
    return plane, f"{part}, z = {z} at level {volume.level}"


def _units(
    volume: Volume, unit: Coord, shape: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Count the units of a plane on both axes, and choose how many of them are read."""
    ny, nx = (-(-n // u) for n, u in zip(volume.shape[1:], unit[1:], strict=True))
    unit_bytes = prod(unit) * volume.dtype.itemsize * (volume.channels or 1)
    most = max(1, min(_MOST_UNITS, _MOST_BYTES // unit_bytes))
    if ny * nx <= most:
        return (ny, nx), (ny, nx)
    ky = max(1, min(ny, shape[0], int(sqrt(most * ny / nx))))
    kx = max(1, min(nx, shape[1], most // ky))
    return (ny, nx), (ky, kx)


def _plane(volume: Volume, z: int, rows: int, shape: tuple[int, int], labels: bool) -> Array:
    """Shrink a whole plane, read in strips of whole units: (Y, X, C)."""
    _, y0, x0 = volume.domain.start
    _, y1, x1 = volume.domain.stop
    strips = []
    for y in range(y0, y1, rows):
        box = Box((z, y, x0), (z + 1, min(y + rows, y1), x1))
        strips.append(_shrunk(_shown(volume.read(box)), 1, shape[1], labels))
    return _shrunk(np.concatenate(strips), 0, shape[0], labels)


def _mosaic(
    volume: Volume,
    z: int,
    unit: Coord,
    taken: tuple[int, int],
    shape: tuple[int, int],
    labels: bool,
) -> Array:
    """Put units that lie evenly over a plane side by side: (Y, X, C)."""
    ys, xs = (
        _spread(first, end, u, k)
        for first, end, u, k in zip(
            volume.domain.start[1:], volume.domain.stop[1:], unit[1:], taken, strict=True
        )
    )
    heights, widths = (
        np.diff(np.linspace(0, n, k + 1).round().astype(int))
        for n, k in zip(shape, taken, strict=True)
    )
    rows = []
    for (y0, y1), high in zip(ys, heights, strict=True):
        row = []
        for (x0, x1), wide in zip(xs, widths, strict=True):
            tile = _shown(volume.read(Box((z, y0, x0), (z + 1, y1, x1))))
            row.append(_shrunk(_shrunk(tile, 1, int(wide), labels), 0, int(high), labels))
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows)


def _spread(first: int, end: int, unit: int, count: int) -> list[tuple[int, int]]:
    """Choose units of an axis, as far from each other as they can be."""
    units = -(-(end - first) // unit)
    starts = [first + unit * ((2 * k + 1) * units // (2 * count)) for k in range(count)]
    return [(start, min(start + unit, end)) for start in starts]


def _shown(values: Array) -> Array:
    """Take from a plane what is shown of it, (Y, X, C)."""
    if values.ndim == 3:
        return values[0][..., None]
    kept = values if len(values) == 3 and values.dtype == np.uint8 else values[:1]
    return np.moveaxis(kept[:, 0], 0, -1)


def _shrunk(values: Array, axis: int, pixels: int, labels: bool) -> Array:
    """Bring an axis to a number of pixels: by the mean, or by single voxels of labels."""
    n = values.shape[axis]
    edges = np.linspace(0, n, pixels + 1)
    if labels or pixels >= n:
        middle = ((edges[:-1] + edges[1:]) / 2).astype(int)
        return values.take(middle, axis)
    first = edges[:-1].astype(int)
    counts = np.diff(np.append(first, n)).reshape(-1, 1, 1)
    sums = np.add.reduceat(values.astype(np.float32), first, axis)
    return sums / (counts if axis == 0 else counts.reshape(1, -1, 1))


def _coloured(plane: Array, labels: bool) -> Pixels:
    if labels:
        ids = plane[..., 0]
        return (label_colours(ids.astype(np.uint64)) * 255).astype(np.uint8)
    values = plane.astype(np.float64)
    sound = values[np.isfinite(values)]
    low, high = np.percentile(sound, _PERCENTILES) if sound.size else (0.0, 1.0)
    spread = (values - low) / (high - low) if high > low else np.full_like(values, 0.5)
    grey = (np.nan_to_num(spread).clip(0, 1) * 255).round().astype(np.uint8)
    return np.broadcast_to(grey, (*grey.shape[:2], 3))
