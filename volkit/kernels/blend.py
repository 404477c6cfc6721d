"""Blending: weights that let overlapping windows add up to one answer.

Weights are products of one factor per axis.  Windows lie on a product lattice, so that the sum of
all weights at a voxel is a product too: it is known without visiting the windows.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box, Windows

Floats = NDArray[np.float32]
Weighting = Literal["gaussian", "linear", "constant"]

# Standard deviation over extent: MONAI's and nnU-Net's choice.  At a face the factor is still
# exp(-8) = 3e-4, so that no voxel is left without weight.
_SIGMA = 0.125


def axis_weights(extent: int, weighting: Weighting) -> NDArray[np.float64]:
    """Compute the factors of one axis; strictly positive and symmetric.

    Parameters
    ----------
    extent : int
        Voxels of the window on this axis.
    weighting : {'gaussian', 'linear', 'constant'}
        Bell, triangle, or all one.

    Returns
    -------
    ndarray of float64, shape (extent,)
        Greater than 0, at most 1.

    Raises
    ------
    ValueError
        If the weighting is unknown.

    References
    ----------
    Isensee et al., nnU-Net, 2021, https://doi.org/10.1038/s41592-020-01008-z (gaussian).

    Examples
    --------
    >>> axis_weights(4, "linear").tolist()
    [0.5, 1.0, 1.0, 0.5]
    """
    position = np.arange(extent) - (extent - 1) / 2
    if weighting == "constant":
        return np.ones(extent)
    if weighting == "gaussian":
        return np.exp(-0.5 * (position / (_SIGMA * extent)) ** 2)
    if weighting == "linear":
        rise = (extent + 1) / 2 - np.abs(position)
        return rise / rise.max()
    raise ValueError(f"weighting {weighting!r} is unknown; choose one of {get_args(Weighting)}")


def window_weights(shape: Sequence[int], weighting: Weighting) -> Floats:
    """Compute the weights of a window.

    Parameters
    ----------
    shape : sequence of int
        Extent, (z, y, x).
    weighting : {'gaussian', 'linear', 'constant'}
        Shape of the factors.

    Returns
    -------
    ndarray of float32, shape (Z, Y, X)
        Strictly positive.

    Examples
    --------
    >>> window_weights((1, 1, 4), "linear").ravel().tolist()
    [0.5, 1.0, 1.0, 0.5]
    """
    z, y, x = (axis_weights(n, weighting) for n in shape)
    return (z[:, None, None] * y[:, None] * x).astype(np.float32)


def weight_sums(windows: Windows, box: Box, weighting: Weighting) -> Floats:
    """Compute the sum of all windows' weights at every voxel of a box.

    Parameters
    ----------
    windows : Windows
        The lattice.
    box : Box
        Part of its domain.
    weighting : {'gaussian', 'linear', 'constant'}
        Shape of the factors.

    Returns
    -------
    ndarray of float32, shape (Z, Y, X)
        Strictly positive.

    Examples
    --------
    >>> windows = Windows(Box.from_shape((1, 1, 6)), (1, 1, 4), (1, 1, 2))
    >>> weight_sums(windows, windows.domain, "linear").ravel().tolist()
    [0.5, 1.0, 1.5, 1.5, 1.0, 0.5]
    """
    inside = box.relative_to(windows.domain)
    sums = []
    for axis in range(3):
        factors = axis_weights(windows.trusted[axis], weighting)
        position = np.arange(inside.start[axis], inside.stop[axis])
        total = np.zeros(len(position))
        first = max(0, (inside.start[axis] - len(factors)) // windows.stride[axis] + 1)
        for i in range(first, windows.counts[axis]):
            local = position - i * windows.stride[axis]
            if local[-1] < 0:
                break
            covered = (local >= 0) & (local < len(factors))
            total[covered] += factors[local[covered]]
        sums.append(total)
    z, y, x = sums
    return (z[:, None, None] * y[:, None] * x).astype(np.float32)
