"""Voxels to read and write: as hard to compress as those of a microscope, and made fast."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box, Coord
from volkit.testing.noise import value_noise

_CELL = 40.0  # voxels: about the extent of a segment
_STEPS = 3  # levels that a field is cut into
_SLAB = 32  # planes made at once, so that making them needs little memory


@lru_cache(maxsize=1)  # cases that follow each other use the same
def image(shape: Coord, *, seed: int = 0) -> NDArray[np.uint8]:
    """Make an image: smooth structure under shot noise, which zstd shrinks by a sixth.

    Parameters
    ----------
    shape : tuple of int
        Extent, (z, y, x), voxels.
    seed : int
        Another seed is another image.

    Returns
    -------
    ndarray of uint8, shape (Z, Y, X)
        Read-only.

    Examples
    --------
    >>> image((2, 3, 4)).shape
    (2, 3, 4)
    """
    rng = np.random.default_rng(seed)
    values = np.empty(shape, np.uint8)
    for z in range(0, shape[0], _SLAB):
        part = values[z : z + _SLAB]
        shot = rng.standard_normal(part.shape, np.float32) * np.float32(12)
        tone = _field(seed, 0, part.shape, z, spacing=6.0)
        part[...] = np.clip(140 + 60 * tone + shot, 0, 255)
    values.flags.writeable = False
    return values


@lru_cache(maxsize=1)
def labels(shape: Coord, *, seed: int = 0) -> NDArray[np.uint64]:
    """Make labels: connected regions with curved borders, whose ids need more than 32 bits.

    Parameters
    ----------
    shape : tuple of int
        Extent, (z, y, x), voxels.
    seed : int
        Another seed is another segmentation.

    Returns
    -------
    ndarray of uint64, shape (Z, Y, X)
        Read-only.

    Examples
    --------
    >>> bool(labels((8, 8, 8)).max() > 2**32)
    True
    """
    values = np.empty(shape, np.uint64)
    ids = np.random.default_rng(seed).integers(2**32, 2**48, (2 * _STEPS) ** 3, np.uint64)
    for z in range(0, shape[0], _SLAB):
        part = values[z : z + _SLAB]
        name = np.zeros(part.shape, np.int64)
        for number in (1, 2, 3):
            field = _field(seed, number, part.shape, z, spacing=_CELL)
            name = name * 2 * _STEPS + np.int64(_STEPS * (1 + field))
        part[...] = ids[name]
    values.flags.writeable = False
    return values


def boxes(domain: Box, shape: Coord, count: int, *, seed: int = 0) -> list[Box]:
    """Choose boxes of one shape at random places of a domain.

    Examples
    --------
    >>> [str(box) for box in boxes(Box.from_shape((9, 9, 9)), (8, 8, 9), 1)]
    ['[1:9, 1:9, 0:9]']
    """
    rng = np.random.default_rng(seed)
    corners = [
        rng.integers(a, b - n + 1, count)
        for a, b, n in zip(domain.start, domain.stop, shape, strict=True)
    ]
    return [
        Box.from_shape(shape, (int(z), int(y), int(x))) for z, y, x in zip(*corners, strict=True)
    ]


def _field(
    seed: int, number: int, shape: tuple[int, ...], start: int, *, spacing: float
) -> NDArray[np.float32]:
    z, y, x = (np.arange(n, dtype=np.float64) for n in shape)
    return value_noise(seed, number, (z + start, y, x), spacing=spacing)
