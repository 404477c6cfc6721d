"""Samples: pieces spread over a volume, and what their values say it holds."""

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import MissingChunkError, VolkitError
from volkit.geometry import Box, Coord, coord
from volkit.io.labels import Content, content_of, few_values
from volkit.io.volume import Volume
from volkit.pipelines.thumbnail import unit_shape

_PIECES = 8  # of a volume, spread over it
_MOST_VOXELS = 2**22  # of a piece
# Additive steps that spread pieces over three axes evenly, however many they are.
_STEPS = (0.8191725134, 0.6710436067, 0.5497004779)


def sample_pieces(volume: Volume) -> Iterator[NDArray[Any]]:
    """Read pieces that lie on chunks, spread over a volume.

    Parameters
    ----------
    volume : Volume
        At any level.

    Yields
    ------
    ndarray
        Of a piece that is not stored, nothing: it is empty space, of which nothing can be told.

    Raises
    ------
    SourceError
        If a piece cannot be read.
    """
    for box in _boxes(volume):
        try:
            yield volume.read(box)
        except MissingChunkError:
            yield np.zeros(0, volume.dtype)


def sampled_content(volume: Volume) -> Content:
    """Tell what a volume holds, from as few of its pieces as show it; see ``content_of``.

    Parameters
    ----------
    volume : Volume
        At any level; one that cannot be read is judged without its values.
    """
    found: NDArray[Any] = np.zeros(0, volume.dtype)
    if content_of(volume, (0, 1)) != "classes":
        return content_of(volume)  # whatever its values are
    try:
        for piece in sample_pieces(volume):
            found = np.union1d(found, piece)
            if found.size and not few_values(found):
                break
    except VolkitError:
        return content_of(volume)
    return content_of(volume, few_values(found))


def _boxes(volume: Volume) -> Iterator[Box]:
    unit = _piece(volume)
    counts = [-(-n // u) for n, u in zip(volume.shape, unit, strict=True)]
    seen = set()
    for number in range(_PIECES):
        index = tuple(int((0.5 + number * s) % 1 * n) for s, n in zip(_STEPS, counts, strict=True))
        if index not in seen:
            seen.add(index)
            start = [o + i * u for o, i, u in zip(volume.domain.start, index, unit, strict=True)]
            yield Box.from_shape(unit, start).intersect(volume.domain)


def _piece(volume: Volume) -> Coord:
    unit = list(unit_shape(volume))
    while prod(unit) > _MOST_VOXELS:
        longest = unit.index(max(unit))
        unit[longest] = -(-unit[longest] // 2)
    return coord(unit)
