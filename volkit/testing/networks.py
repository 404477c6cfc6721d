"""Networks whose answers are known: plain functions on batches of windows.

The same as modules of torch are in `volkit.testing.torch_networks`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from volkit.geometry import Coord

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


@dataclass(frozen=True, slots=True)
class Affinities:
    """Answers which edges join voxels of one label; what a window does not hold, it cannot tell.

    Parameters
    ----------
    offsets : tuple of tuple of int
        From a voxel to its partner, (z, y, x), voxels; one channel each.

    Examples
    --------
    >>> Affinities(((0, 0, -1),))(np.array([[[[[1, 1, 2, 2]]]]])).ravel().tolist()
    [0.0, 1.0, 0.0, 1.0]
    """

    offsets: tuple[Coord, ...]

    def __call__(self, batch: npt.NDArray[Any]) -> Floats:
        """Answer a batch of labels, shape (B, 1, z, y, x), with a channel for each offset."""
        labels = np.asarray(batch)[:, 0]
        answer = np.zeros((len(labels), len(self.offsets), *labels.shape[1:]), np.float32)
        for channel, offset in enumerate(self.offsets):
            steps = list(zip(labels.shape[1:], offset, strict=True))
            here: Any = tuple(slice(max(0, -o), max(0, n - max(0, o))) for n, o in steps)
            there: Any = tuple(slice(max(0, o), max(0, n - max(0, -o))) for n, o in steps)
            answer[:, channel][(..., *here)] = labels[(..., *here)] == labels[(..., *there)]
        return answer


def gradient(batch: npt.NDArray[Any]) -> Floats:
    """Answer the slope along z, y and x, in channels 0, 1 and 2.

    Parameters
    ----------
    batch : ndarray of real, shape (B, C, z, y, x)
        Windows; the first channel counts.

    Returns
    -------
    ndarray of float32, shape (B, 3, z, y, x)
        Central differences, one-sided at the window's faces.

    Examples
    --------
    >>> gradient(ramp(np.zeros((1, 1, 3, 3, 3))))[0, :, 1, 1, 1].tolist()
    [1.0, 2.0, 3.0]
    """
    first = np.asarray(batch, np.float32)[:, 0]
    slopes = [np.gradient(first, axis=axis) for axis in (1, 2, 3)]
    return np.stack(slopes, axis=1).astype(np.float32)
