"""Synthetic tissue for benches: smooth noise, and cells packed without gaps."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from volkit.kernels.peaks import peaks
from volkit.kernels.watershed import flood

Labels = NDArray[np.uint64]


def noise(size: int, *, sigma: float) -> NDArray[np.float32]:
    """Make smooth noise from 0 to 1.

    Parameters
    ----------
    size : int
        Extent of the cube, voxels.
    sigma : float
        Of the Gaussian filter, voxels.

    Returns
    -------
    ndarray of float32, shape (size, size, size)
    """
    white = np.random.default_rng(4).random((size,) * 3, np.float32)
    smooth = ndimage.gaussian_filter(white, sigma)
    return (smooth - smooth.min()) / np.float32(np.ptp(smooth))


def seeds_of(prob: NDArray[np.float32], *, radius: int) -> Labels:
    """Put ids where boundaries are weakest within a radius.

    Parameters
    ----------
    prob : ndarray of float32, shape (Z, Y, X)
        Boundary probability.
    radius : int
        Voxels.

    Returns
    -------
    ndarray of uint64, shape (Z, Y, X)
    """
    seeds = np.zeros(prob.shape, np.uint64)
    points, _ = peaks(1 - prob, radius=radius, threshold=0)
    seeds[tuple(points.T)] = 1 + np.arange(len(points))
    return seeds


def cells(size: int, *, radius: int, sigma: float = 2) -> Labels:
    """Make cells with faces as uneven as those of tissue, packed without gaps.

    Parameters
    ----------
    size : int
        Extent of the cube, voxels.
    radius : int
        Least distance of two seeds, voxels.
    sigma : float
        How smooth their faces are, voxels.

    Returns
    -------
    ndarray of uint64, shape (size, size, size)
    """
    prob = noise(size, sigma=sigma)
    return flood(prob, seeds_of(prob, radius=radius))
