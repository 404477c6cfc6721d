"""Noise: smooth random fields over space, evaluated on any box alone."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from volkit.testing.hashing import hash3, stream_key, unit

Floats = NDArray[np.float64]
Axes = tuple[Floats, Floats, Floats]


def value_noise(seed: int, number: int, axes: Axes, *, spacing: float) -> NDArray[np.float32]:
    """Evaluate a smooth random field on a box.

    Hashed values on a lattice of ``spacing`` are joined by smoothstep interpolation.

    Parameters
    ----------
    seed, number : int
        Which field: the specimen's seed and the number of the stream.
    axes : tuple of three ndarray of float64
        Coordinates of the box's voxels along z, y and x; each sorted.
    spacing : float
        Distance of the lattice points, in the unit of ``axes``.

    Returns
    -------
    ndarray of float32, shape (Z, Y, X)
        Values in [-1, 1).

    References
    ----------
    K. Perlin, An image synthesizer, SIGGRAPH 1985, doi:10.1145/325165.325247.

    Examples
    --------
    >>> x = np.arange(8.0)
    >>> whole = value_noise(1, 2, (x, x, x), spacing=3.0)
    >>> part = value_noise(1, 2, (x[2:5], x[1:], x[4:5]), spacing=3.0)
    >>> bool((part == whole[2:5, 1:, 4:5]).all())
    True
    """
    knots, weights = zip(*(_knots(axis, spacing) for axis in axes), strict=True)
    first = [int(k[0]) for k in knots]
    shape = [int(k[-1]) + 2 - f for k, f in zip(knots, first, strict=True)]
    table = np.empty(shape, np.float32)
    _fill(stream_key(seed, number), np.array(first, np.int64), table)
    for axis in range(3):
        position = knots[axis] - first[axis]
        low, high = np.take(table, position, axis), np.take(table, position + 1, axis)
        weight = weights[axis].reshape([-1 if a == axis else 1 for a in range(3)])
        table = low + weight * (high - low)
    return table


def _knots(axis: Floats, spacing: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Find the lattice point below every coordinate, and the weight of the one above."""
    scaled = axis / spacing
    below = np.floor(scaled)
    t = scaled - below
    return below.astype(np.int64), (t * t * (3 - 2 * t)).astype(np.float32)


@njit(nogil=True, cache=True)
def _fill(key: Any, first: NDArray[np.int64], table: NDArray[np.float32]) -> None:
    for z, y, x in np.ndindex(table.shape):
        h = hash3(key, first[0] + z, first[1] + y, first[2] + x)
        table[z, y, x] = np.float32(2.0 * unit(h, 0) - 1.0)
