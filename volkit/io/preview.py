"""Previews: a small picture of a volume for a notebook, from a few chunks or not at all."""

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box
from volkit.io.labels import holds_labels
from volkit.io.sources import chunk_start
from volkit.io.uris import local_path
from volkit.io.volume import Volume

Array = NDArray[Any]
Pixels = NDArray[np.uint8]

MOST_CHUNKS = 4
"""Chunks that are read for a preview at most, however large the volume is."""

_MOST_BYTES = 8 * 2**20  # decoded, of all chunks together
_FEWEST = 64  # voxels on the longer side that are worth a picture, where there is a finer level
_LONGEST = 192  # pixels
_PERCENTILES = (1, 99)
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: neighbouring ids part far


@dataclass(frozen=True, slots=True)
class Preview:
    """A small picture, or why there is none.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (Y, X) or (Y, X, 3), or None
        None where a picture would cost too much.
    caption : str
        What it shows, or why there is none.
    """

    pixels: Pixels | None
    caption: str


def preview(volume: Volume) -> Preview:
    """Draw the middle plane of a volume, or of its middle chunk, if few chunks show it.

    Parameters
    ----------
    volume : Volume
        Of anything.  Chunks that are not stored are shown as zero.

    Returns
    -------
    Preview
        Without pixels where the plane of the coarsest level takes more than ``MOST_CHUNKS`` chunks
        and the volume is not on this machine, or where even one chunk is large.

    Raises
    ------
    SourceError
        If what is to be read cannot be.
    """
    volume = replace(volume, options=replace(volume.options, missing="zero"))
    number = volume.levels - 1
    level = volume.at_level(number) if number > volume.level else volume
    while level.level > volume.level and max(level.shape[1:]) < _FEWEST:
        finer = volume.at_level(level.level - 1)
        if not _cheap(finer, _plane(finer)):
            break
        level = finer
    box, part = _plane(level), "the middle plane"
    if not _cheap(level, box):
        if not _near(volume):
            return Preview(None, "no picture: it has no level that a few chunks show")
        box, part = _middle(level), "a part of the middle plane"
        if not _cheap(level, box):
            return Preview(None, "no picture: its chunks are too large to read one for it")
    said = f"{part}, z = {box.start[0]} at level {level.level}"
    return Preview(_pixels(level.read(box), holds_labels(level)), said)


def _near(volume: Volume) -> bool:
    return volume.uri.startswith("array://") or local_path(volume.uri) is not None


def _plane(volume: Volume) -> Box:
    start, stop = volume.domain.start, volume.domain.stop
    z = (start[0] + stop[0]) // 2
    return Box((z, *start[1:]), (z + 1, *stop[1:]))


def _middle(volume: Volume) -> Box:
    """Find the chunk in the middle, and in it the plane in the middle of the volume."""
    first, domain = _first_chunk(volume), volume.domain
    starts, stops = [], []
    for low, high, origin, chunk in zip(
        domain.start, domain.stop, first, volume.chunk_shape, strict=True
    ):
        begin = origin + ((low + high) // 2 - origin) // chunk * chunk
        starts.append(max(begin, low))
        stops.append(min(begin + chunk, high))
    z = (domain.start[0] + domain.stop[0]) // 2
    return Box((z, starts[1], starts[2]), (z + 1, stops[1], stops[2]))


def _first_chunk(volume: Volume) -> tuple[int, ...]:
    """Say where chunks are counted from, in volume coordinates."""
    source = volume._source
    return tuple(a + b for a, b in zip(source.voxel_offset, chunk_start(source), strict=True))


def _cheap(volume: Volume, box: Box) -> bool:
    """Tell whether a box takes few chunks, which are small; memory has none."""
    if volume.uri.startswith("array://"):
        return True
    spans = zip(box.start, box.stop, _first_chunk(volume), volume.chunk_shape, strict=True)
    chunks = prod((b - 1 - o) // c - (a - o) // c + 1 for a, b, o, c in spans)
    held = (min(c, n) for c, n in zip(volume.chunk_shape, volume.shape, strict=True))
    size = chunks * prod(held) * volume.dtype.itemsize * (volume.channels or 1)
    return chunks <= MOST_CHUNKS and size <= _MOST_BYTES


def grey_pixels(plane: Array) -> Pixels:
    """Turn a plane into grey pixels, few voxels too dark or too bright.

    Parameters
    ----------
    plane : ndarray of real, shape (Y, X)
        NaN and infinity become black.

    Returns
    -------
    ndarray of uint8, shape (Y, X)

    Examples
    --------
    >>> grey_pixels(np.array([[0.0, 5.0, 10.0]])).tolist()
    [[0, 128, 255]]
    """
    grey = plane.astype(np.float64)
    sound = grey[np.isfinite(grey)]
    low, high = np.percentile(sound, _PERCENTILES) if sound.size else (0.0, 1.0)
    if high <= low and sound.size:  # few voxels that differ from all others are what is to be seen
        low, high = sound.min(), sound.max()
    spread = (grey - low) / (high - low) if high > low else np.full_like(grey, 0.5)
    found: Pixels = np.rint(np.nan_to_num(spread, posinf=0, neginf=0).clip(0, 1) * 255).astype(
        np.uint8
    )
    return found


def _pixels(values: Array, labels: bool) -> Pixels:
    """Turn a plane into pixels: labels by colours of their ids, all else grey."""
    plane = values[0, 0] if values.ndim == 4 else values[0]
    step = -(-max(plane.shape) // _LONGEST)
    plane = plane[::step, ::step]
    return _coloured(plane.astype(np.uint64)) if labels else grey_pixels(plane)


def _coloured(ids: NDArray[np.uint64]) -> Pixels:
    mixed = ids * _MIX
    mixed ^= mixed >> np.uint64(29)
    mixed *= _MIX
    parts = [(mixed >> np.uint64(shift)) & np.uint64(0xFF) for shift in (56, 48, 40)]
    bright = 64 + np.stack(parts, -1) * 3 // 4
    return np.where(ids[..., None] == 0, 16, bright).astype(np.uint8)
