"""Scan twins: volumes that are the same head in the same session, whatever their files are called.

The same scan may be stored twice, or again after another conversion: then its voxels differ a
little, and thumbnails tell.
"""

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError

SIDE = 16
"""Voxels along each axis of a thumbnail."""
ALIKE = 0.999
"""Correlation of thumbnails above which two scans are taken as one."""


def thumbnail(volume: NDArray[np.generic]) -> NDArray[np.float32]:
    """Shrink a volume to what tells heads apart.

    Parameters
    ----------
    volume : ndarray of real, shape (Z, Y, X)
        In the same orientation as those it is compared with.

    Returns
    -------
    ndarray of float32, shape (4096,)
        Means of blocks, less their mean, over their deviation: the mean of the product of two is
        their correlation; 0 for a constant volume.

    Raises
    ------
    ContractError
        If a voxel is NaN or infinite.
    """
    values = np.asarray(volume, np.float64)
    if not np.isfinite(values).all():
        raise ContractError("the volume has NaN or infinite voxels; replace them")
    small = values
    for axis in range(3):
        small = _block_means(small, axis)
    flat = small.ravel() - small.mean()
    deviation = flat.std()
    return (flat / deviation if deviation > 0 else np.zeros_like(flat)).astype(np.float32)


def _block_means(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Average an axis into as many parts as a thumbnail has; voxels on a border count in both."""
    n = values.shape[axis]
    moved = np.moveaxis(values, axis, -1)
    total = np.concatenate([np.zeros((*moved.shape[:-1], 1)), np.cumsum(moved, -1)], -1)
    edges = np.linspace(0, n, SIDE + 1)
    low = np.minimum(edges.astype(int), n - 1)
    at = total[..., low] + moved[..., low] * (edges - low)
    return np.moveaxis(np.diff(at, axis=-1) * (SIDE / n), -1, axis)


def twins(thumbnails: NDArray[np.float32], *, alike: float = ALIKE) -> list[tuple[int, int, float]]:
    """Find pairs of scans whose thumbnails hardly differ.

    Parameters
    ----------
    thumbnails : ndarray of float32, shape (N, 4096)
        From `thumbnail`.
    alike : float
        Correlation above which they are one.

    Returns
    -------
    list of tuple (int, int, float)
        Numbers of both, the smaller first, and their correlation; in order.
    """
    found: list[tuple[int, int, float]] = []
    rows = np.asarray(thumbnails, np.float32).reshape(len(thumbnails), -1)
    for first in range(len(rows)):
        against = rows[first + 1 :] @ rows[first] / np.float32(rows.shape[1])
        found.extend(
            (first, first + 1 + int(offset), float(against[offset]))
            for offset in np.flatnonzero(against > alike)
        )
    return found
