"""Affine sampling: a volume looked at from the voxels of another one, wherever these lie."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from volkit.errors import ContractError
from volkit.geometry import Coord

Affine = NDArray[np.float64]


def sampled(
    values: NDArray[Any], affine: Affine, *, shape: Coord, onto: Affine, nearest: bool = False
) -> NDArray[np.float32]:
    """Sample a volume at the centres of another grid's voxels.

    Parameters
    ----------
    values : ndarray of real, shape (Z, Y, X)
        What is sampled.
    affine : ndarray of float64, shape (4, 4)
        Its voxel indices (x, y, z) to millimetres.
    shape : tuple of int
        Of the other grid, (z, y, x).
    onto : ndarray of float64, shape (4, 4)
        The other grid's voxel indices (x, y, z) to millimetres.
    nearest : bool
        Take the nearest voxel, as masks need it, rather than interpolate linearly.

    Returns
    -------
    ndarray of float32, ``shape``
        0 outside of the volume, whose voxels end half a voxel beyond their centres; interpolated,
        it ends at the outermost centres.

    Raises
    ------
    ContractError
        If an affine has no inverse.

    Examples
    --------
    >>> line = np.arange(4.0).reshape(1, 1, 4)
    >>> shifted = np.eye(4)
    >>> shifted[0, 3] = 0.5
    >>> sampled(line, np.eye(4), shape=(1, 1, 3), onto=shifted)[0, 0].tolist()
    [0.5, 1.5, 2.5]
    """
    try:
        change = np.linalg.inv(np.asarray(affine, np.float64)) @ np.asarray(onto, np.float64)
    except np.linalg.LinAlgError as error:
        raise ContractError(
            f"the affine {np.asarray(affine).tolist()} has no inverse; correct it in the file"
        ) from error
    return np.asarray(
        ndimage.affine_transform(
            np.asarray(values, np.float32),
            change[:3, :3][::-1, ::-1],
            change[:3, 3][::-1],
            output_shape=shape,
            order=0 if nearest else 1,
            # Else the outer half of the outermost voxels would be outside, too.
            mode="grid-constant" if nearest else "constant",
        )
    )
