"""Heat maps: a Gaussian at every particle, one map for every kind."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError
from volkit.geometry import Box
from volkit.geometry.scale import Vector

Unit = Literal["voxels", "nm"]

REACH = 3.7  # deviations after which a Gaussian is cut off, at 0.001; the published patch's too


def sigmas_in_voxels(
    sigmas: Sequence[float], unit: Unit, voxel_size_nm: Vector
) -> NDArray[np.float64]:
    """Give the deviations of every kind along every axis.

    Parameters
    ----------
    sigmas : sequence of float
        One for each kind.
    unit : {"voxels", "nm"}
        What they count; nanometres make Gaussians round where voxels are not.
    voxel_size_nm : tuple of float
        (z, y, x).

    Returns
    -------
    ndarray of float64, shape (C, 3)
        (z, y, x), voxels.

    Raises
    ------
    ConfigError
        If a deviation is not above 0.

    Examples
    --------
    >>> sigmas_in_voxels([6.0], "nm", (2.0, 1.0, 1.0)).tolist()
    [[3.0, 6.0, 6.0]]
    """
    if not sigmas or min(sigmas) <= 0:
        raise ConfigError(f"sigmas {list(sigmas)} are not all above 0; give one for each kind")
    divide = np.ones(3) if unit == "voxels" else np.array(voxel_size_nm)
    return np.array(sigmas, float)[:, None] / divide


def heat_maps(
    places: NDArray[np.floating],
    kinds: NDArray[np.integer],
    box: Box,
    *,
    sigmas: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Draw the heat maps of a box.

    Where Gaussians of a kind overlap, the larger value counts, so that neighbours keep a peak
    each.  A value follows from its voxel and the particles alone: boxes agree where they meet.

    Parameters
    ----------
    places : ndarray of float, shape (N, 3)
        Centres, (z, y, x) in voxels; the centre of voxel i is at i.
    kinds : ndarray of int, shape (N,)
        Kind of each, from 0.
    box : Box
        Voxels to draw.
    sigmas : ndarray of float64, shape (C, 3)
        As `sigmas_in_voxels` gives them.

    Returns
    -------
    ndarray of float32, shape (C, Z, Y, X)
        0 to 1; 1 at a centre that lies on a voxel.

    Examples
    --------
    >>> maps = heat_maps(np.array([[0.0, 0.0, 1.0]]), np.array([0]), Box.from_shape((1, 1, 4)),
    ...                  sigmas=np.ones((1, 3)))
    >>> maps.ravel().astype(float).round(3).tolist()
    [0.607, 1.0, 0.607, 0.135]
    """
    maps = np.zeros((len(sigmas), *box.shape), np.float32)
    for place, kind in zip(np.asarray(places, float), kinds, strict=True):
        sigma = sigmas[kind]
        first = np.maximum(np.ceil(place - REACH * sigma).astype(int), box.start)
        last = np.minimum(np.floor(place + REACH * sigma).astype(int) + 1, box.stop)
        if (first >= last).any():
            continue
        z, y, x = (
            np.exp(-0.5 * ((np.arange(a, b) - p) / s) ** 2)
            for a, b, p, s in zip(first, last, place, sigma, strict=True)
        )
        values = (z[:, None, None] * (y[:, None] * x)).astype(np.float32)
        part = tuple(slice(a - o, b - o) for a, b, o in zip(first, last, box.start, strict=True))
        there = maps[(kind, *part)]
        np.maximum(there, values, out=there)
    return maps
