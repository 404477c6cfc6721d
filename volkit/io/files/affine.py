"""Affines: how the voxels of a scan lie in the patient, as NIfTI and DICOM state it.

An affine takes voxel indices (x, y, z) to millimetres along Right, Anterior, Superior.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from volkit.geometry.scale import Vector

Affine = npt.NDArray[np.float64]

_ENDS = (("L", "R"), ("P", "A"), ("I", "S"))  # of each axis of space, where it falls and grows
_STRAIGHT = 1e-4  # share of an axis that may point elsewhere and is taken for rounding


def axis_letters(affine: Affine) -> str:
    """Say which way the voxel indices x, y, z grow.

    Parameters
    ----------
    affine : ndarray of float, shape (4, 4)
        Voxel indices (x, y, z) to millimetres, RAS.

    Returns
    -------
    str
        As ``"RAS"`` or ``"LPS"``: the nearest end of space for each index, no axis twice.

    Examples
    --------
    >>> axis_letters(np.diag([-1.0, -1.0, 2.0, 1.0]))
    'LPS'
    """
    # The largest share first, so that an oblique scan gives each axis of space to one index.
    left = np.abs(_directions(affine))
    letters = [""] * 3
    for _ in range(3):
        space, voxel = np.unravel_index(np.argmax(left), left.shape)
        letters[voxel] = _ENDS[int(space)][int(affine[space, voxel] > 0)]
        left[space], left[:, voxel] = -1, -1
    return "".join(letters)


def aligned_origin_nm(affine: Affine) -> Vector:
    """Give the centre of the first voxel, where volkit's axes can express the affine.

    Parameters
    ----------
    affine : ndarray of float, shape (4, 4)
        Voxel indices (x, y, z) to millimetres, RAS.

    Returns
    -------
    tuple of float
        (z, y, x), nanometres; 0 where an index runs against its axis of space, or obliquely: then
        positions are within the scan, and the affine alone says where it lies.

    Examples
    --------
    >>> affine = np.diag([1.0, 1.0, 2.0, 1.0])
    >>> affine[:3, 3] = -98, -134, -72
    >>> aligned_origin_nm(affine)
    (-72000000.0, -134000000.0, -98000000.0)
    """
    if not np.allclose(_directions(affine), np.eye(3), atol=_STRAIGHT):
        return 0.0, 0.0, 0.0
    x, y, z = (round(float(v) * 1e6, 3) for v in affine[:3, 3])
    return z, y, x


def affine_attributes(affine: Affine) -> dict[str, Any]:
    """State an affine as attributes: ``affine_mm`` and ``orientation``."""
    return {
        "affine_mm": [[float(v) for v in row] for row in affine],
        "orientation": axis_letters(affine),
    }


def _directions(affine: Affine) -> Affine:
    """Give the unit direction of each voxel index, in columns."""
    columns = affine[:3, :3]
    lengths = np.linalg.norm(columns, axis=0)
    return np.asarray(columns / np.where(lengths > 0, lengths, 1), np.float64)
