"""Canonical orientation: scans whose voxels run to the Right, to the front and up.

In volkit's axes (z, y, x) such an array has x growing to the Right, y to Anterior and z to
Superior: the RAS of NIfTI, whose first index is x.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from volkit.errors import SourceError
from volkit.io.files.affine import Affine, axis_letters

S = TypeVar("S", bound=np.generic)

_SPACE = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}


def canonical(values: NDArray[S], affine: Affine) -> tuple[NDArray[S], Affine]:
    """Turn and flip a scan until its axes run as those of space; no voxel is interpolated.

    Parameters
    ----------
    values : ndarray, shape (Z, Y, X)
        Voxels; the last axis is the first index of the affine.
    affine : ndarray of float, shape (4, 4)
        Voxel indices (x, y, z) to millimetres, RAS; it may be oblique.

    Returns
    -------
    values : ndarray, shape (Z', Y', X')
        A view of the same voxels: z to Superior, y to Anterior, x to the Right.
    affine : ndarray of float64, shape (4, 4)
        Of that view; a voxel lies where it lay.

    Raises
    ------
    SourceError
        If the affine is not finite, or flat: then nobody knows where a voxel lies.

    Examples
    --------
    >>> values = np.arange(6).reshape(1, 2, 3)
    >>> turned, affine = canonical(values, np.diag([-2.0, 1.0, 1.0, 1.0]))
    >>> turned[0].tolist()
    [[2, 1, 0], [5, 4, 3]]
    >>> affine[:3, 3].tolist()
    [-4.0, 0.0, 0.0]
    """
    check_affine(affine)
    shape = values.shape[::-1]
    turn = np.zeros((4, 4))
    turn[3, 3] = 1
    order, flips = [0, 0, 0], [1, 1, 1]
    for voxel, letter in enumerate(axis_letters(affine)):
        space, sign = _SPACE[letter]
        order[space], flips[voxel] = voxel, sign
        turn[voxel, space] = sign
        turn[voxel, 3] = 0 if sign > 0 else shape[voxel] - 1
    flipped = values[tuple(slice(None, None, flips[voxel]) for voxel in (2, 1, 0))]
    axes = [2 - order[space] for space in (2, 1, 0)]
    return flipped.transpose(axes), np.asarray(affine, np.float64) @ turn


def reoriented(values: NDArray[S], affine: Affine, axes: str) -> tuple[NDArray[S], Affine]:
    """Turn a canonical scan to other axes: the way back from `canonical`; nothing moves in space.

    Parameters
    ----------
    values : ndarray, shape (Z, Y, X)
        In canonical orientation (RAS).
    affine : ndarray of float, shape (4, 4)
        Voxel indices (x, y, z) to millimetres, RAS.
    axes : str
        Where the first, second and third index of the file shall grow to, as ``"LPS"``.

    Returns
    -------
    values : ndarray
        Its last axis is the first index of the file.
    affine : ndarray of float64, shape (4, 4)

    Examples
    --------
    >>> turned, affine = reoriented(np.arange(6).reshape(1, 2, 3), np.eye(4), "PRS")
    >>> turned[0].tolist(), affine[:3, 3].tolist()
    ([[3, 0], [4, 1], [5, 2]], [0.0, 1.0, 0.0])
    """
    order = [_SPACE[a][0] for a in axes]
    signs = [_SPACE[a][1] for a in axes]
    forward = values.transpose(2, 1, 0).transpose(order)  # the file's indices, first to last
    turn = np.zeros((4, 4))
    turn[3, 3] = 1
    for index, (space, sign) in enumerate(zip(order, signs, strict=True)):
        turn[space, index] = sign
        turn[space, 3] = 0 if sign > 0 else forward.shape[index] - 1
    flipped = forward[tuple(slice(None, None, sign) for sign in signs)]
    return flipped.transpose(2, 1, 0), np.asarray(affine, np.float64) @ turn


def check_affine(affine: Affine) -> None:
    """Refuse an affine that places no voxel.

    Raises
    ------
    SourceError
        If it is no matrix of 4 x 4 finite numbers, or its voxels have no volume.
    """
    found = np.asarray(affine, np.float64)
    if found.shape != (4, 4) or not np.isfinite(found).all():
        raise SourceError(
            f"the affine is {found.tolist()}, expected 4 x 4 finite numbers; convert the scan again"
        )
    lengths = np.linalg.norm(found[:3, :3], axis=0)
    if lengths.min() <= 0 or abs(np.linalg.det(found[:3, :3] / lengths)) < _FLAT:
        raise SourceError(
            f"the affine {found[:3, :3].tolist()} has axes of length 0, or two along one line: its "
            "voxels have no volume; convert the scan again"
        )


# Volume of a voxel over that of the brick with the same edges: below, two axes run alike.
_FLAT = 1e-3
