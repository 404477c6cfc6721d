"""Reading rates: how fast a volume comes, from a few pieces of it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from volkit.geometry import Box, Coord
from volkit.io.volume import Volume
from volkit.pipelines.thumbnail import unit_shape

_SECONDS = 2.0  # after which no further piece is read
_MOST_PIECES = 16
_MOST_BYTES = 256 * 2**20  # of a piece; larger ones would take too long just for knowing
# Steps of a three-dimensional golden ratio: however many points, they lie apart.
_STEPS = (0.8191725134, 0.6710436067, 0.5497004779)


@dataclass(frozen=True, slots=True)
class ReadingRate:
    """How fast pieces came, one after another.

    Parameters
    ----------
    bytes_per_second : float
        Decoded.
    pieces : int
        How many were timed.
    """

    bytes_per_second: float
    pieces: int

    def seconds_for(self, volume: Volume) -> float:
        """Estimate how long the whole volume takes at this rate, one reader at a time."""
        return volume.domain.size * _voxel_bytes(volume) / self.bytes_per_second


def reading_rate(volume: Volume) -> ReadingRate | None:
    """Time the reading of a few pieces, spread over a volume, for about two seconds.

    Parameters
    ----------
    volume : Volume
        Chunks that are not stored count as zero, and as fast.

    Returns
    -------
    ReadingRate or None
        None where pieces are so large that even one takes long.

    Raises
    ------
    SourceError
        If a piece cannot be read.
    """
    volume = replace(volume, options=replace(volume.options, missing="zero"))
    unit = unit_shape(volume)
    z, y, x = unit
    if z * y * x * _voxel_bytes(volume) > _MOST_BYTES:
        return None
    begun, sizes, seconds = time.perf_counter(), [], []
    for box in _pieces(volume.domain, unit):
        before = time.perf_counter()
        sizes.append(volume.read(box).nbytes)
        seconds.append(time.perf_counter() - before)
        if time.perf_counter() - begun > _SECONDS:
            break
    if len(sizes) > 1:  # the first one pays for connecting and for what is loaded
        sizes, seconds = sizes[1:], seconds[1:]
    return ReadingRate(sum(sizes) / max(sum(seconds), 1e-9), len(sizes))


def _pieces(domain: Box, unit: Coord) -> Iterator[Box]:
    counts = [-(-n // u) for n, u in zip(domain.shape, unit, strict=True)]
    seen = set()
    for number in range(_MOST_PIECES):
        index = tuple(int((0.5 + number * s) % 1 * n) for s, n in zip(_STEPS, counts, strict=True))
        if index not in seen:
            seen.add(index)
            start = [o + i * u for o, i, u in zip(domain.start, index, unit, strict=True)]
            yield Box.from_shape(unit, start).intersect(domain)


def _voxel_bytes(volume: Volume) -> int:
    return volume.dtype.itemsize * (volume.channels or 1)
