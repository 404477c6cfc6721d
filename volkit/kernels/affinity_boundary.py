"""Affinities of voxels from their boundary probabilities."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def least_inside(prob: Floats) -> Floats:
    """Take, of each voxel and the one before it, the smaller probability of being inside.

    Parameters
    ----------
    prob : ndarray of float32, shape (Z, Y, X)
        Boundary probability, 0 to 1.

    Returns
    -------
    ndarray of float32, shape (3, Z, Y, X)
        1 - the larger boundary probability of a voxel and the one before it on z, y, x; 0 where
        there is none before.

    Examples
    --------
    >>> least_inside(np.array([[[0.0, 0.25, 1.0]]], np.float32))[2].tolist()
    [[[0.0, 0.75, 0.0]]]
    """
    out = np.zeros((3, *prob.shape), np.float32)
    for axis in range(3):
        here = tuple(slice(1, None) if axis == n else slice(None) for n in range(3))
        before = tuple(slice(None, -1) if axis == n else slice(None) for n in range(3))
        np.maximum(prob[here], prob[before], out=out[axis][here])
        np.subtract(np.float32(1), out[axis][here], out=out[axis][here])
    return out
