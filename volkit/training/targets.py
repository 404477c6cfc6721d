"""Targets: what a network is asked for, made from labels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError
from volkit.geometry import Coord


def boundary_map(labels: NDArray[Any], *, width: int = 1) -> NDArray[np.bool_]:
    """Mark the voxels that lie within ``width`` steps of a voxel of another label.

    Steps go through faces (city-block distance), so a width of 1 marks the two voxels on both
    sides of every contact.  Label 0 is membrane: it is marked whatever lies around it.

    Parameters
    ----------
    labels : ndarray of int, shape (Z, Y, X)
        Segments; 0 is membrane or unlabelled.
    width : int
        Reach on each side of a contact, voxels, at least 1.

    Returns
    -------
    ndarray of bool, shape (Z, Y, X)
        True on a boundary.  Voxels nearer than ``width`` to a face of the array do not see
        what lies beyond it: give that much more and crop.

    Raises
    ------
    ConfigError
        If the width is below 1.

    Examples
    --------
    >>> boundary_map(np.array([[[1, 1, 1, 2, 2, 2]]])).astype(int).tolist()
    [[[0, 0, 1, 1, 0, 0]]]
    """
    if width < 1:
        raise ConfigError(f"width {width} of the boundary must be at least 1 voxel")
    edge = labels == 0
    for axis in range(labels.ndim):
        values = np.moveaxis(labels, axis, 0)
        marked = np.moveaxis(edge, axis, 0)
        differs = values[1:] != values[:-1]
        marked[1:] |= differs
        marked[:-1] |= differs
    for _ in range(width - 1):
        edge = _dilated(edge)
    return edge


def separation_map(labels: NDArray[Any], offset: Coord) -> NDArray[np.bool_]:
    """Mark the voxels whose partner at an offset belongs to another object.

    Parameters
    ----------
    labels : ndarray of int, shape (Z, Y, X)
        Segments; 0 belongs to no object, not even its own.
    offset : tuple of int
        From a voxel to its partner, (z, y, x), voxels, 0 or more.

    Returns
    -------
    ndarray of bool, shape (Z - z, Y - y, X - x)
        For the voxels that have a partner.

    References
    ----------
    Lee et al., Superhuman accuracy on the SNEMI3D connectomics challenge, 2017,
    doi:10.48550/arXiv.1706.00120.

    Examples
    --------
    >>> separation_map(np.array([[[1, 1, 1, 2, 2, 2]]]), (0, 0, 2)).astype(int).tolist()
    [[[0, 1, 1, 0]]]
    """
    here = labels[tuple(slice(0, n - o) for n, o in zip(labels.shape, offset, strict=True))]
    there = labels[tuple(slice(o, None) for o in offset)]
    differs: NDArray[np.bool_] = (here != there) | (here == 0)
    return differs


def _dilated(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Add the face neighbours of a mask."""
    grown = mask.copy()
    for axis in range(mask.ndim):
        source, target = np.moveaxis(mask, axis, 0), np.moveaxis(grown, axis, 0)
        target[1:] |= source[:-1]
        target[:-1] |= source[1:]
    return grown
