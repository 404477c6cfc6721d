"""Networks whose answers are known: plain functions on batches of windows.

The same as modules of torch are in `volkit.testing.torch_networks`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def identity(batch: npt.NDArray[Any]) -> Floats:
    """Answer the input.

    Parameters
    ----------
    batch : ndarray of real, shape (B, C, z, y, x)
        Windows.

    Returns
    -------
    ndarray of float32, same shape
        A copy.
    """
    return np.array(batch, np.float32)


def ramp(batch: npt.NDArray[Any]) -> Floats:
    """Answer what depends on the position inside the window, so that wrong blending shows.

    Parameters
    ----------
    batch : ndarray of real, shape (B, C, z, y, x)
        Windows; the first channel counts.

    Returns
    -------
    ndarray of float32, shape (B, 2, z, y, x)
        Input + z + 2 y + 3 x, counted from the window's corner; and ones.

    Examples
    --------
    >>> ramp(np.zeros((1, 1, 2, 2, 2)))[0, 0].tolist()
    [[[0.0, 3.0], [2.0, 5.0]], [[1.0, 4.0], [3.0, 6.0]]]
    """
    first = np.asarray(batch, np.float32)[:, 0]
    z, y, x = np.indices(first.shape[1:], np.float32)
    return np.stack([first + (z + 2 * y + 3 * x), np.ones_like(first)], axis=1)
