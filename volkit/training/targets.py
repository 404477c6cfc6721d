"""Targets: what a network is asked for, made from labels."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError
from volkit.geometry import Coord

ZeroLabel = Literal["membrane", "unlabelled"]
Slices = tuple[slice, ...]


def boundary_map(
    labels: NDArray[Any], *, width: int = 1, planar: bool = False
) -> NDArray[np.bool_]:
    """Mark the voxels that lie within ``width`` steps of a voxel of another label.

    Steps go through faces (city-block distance), so a width of 1 marks the two voxels on both
    sides of every contact.  Label 0 is membrane: it is marked whatever lies around it.

    Parameters
    ----------
    labels : ndarray of int, shape (Z, Y, X)
        Segments; 0 is membrane or unlabelled.
    width : int
        Reach on each side of a contact, voxels, at least 1.
    planar : bool
        Whether sections stand alone: contacts along z are no boundaries.

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
    for axis in range(int(planar), labels.ndim):
        values = np.moveaxis(labels, axis, 0)
        marked = np.moveaxis(edge, axis, 0)
        differs = values[1:] != values[:-1]
        marked[1:] |= differs
        marked[:-1] |= differs
    for _ in range(width - 1):
        edge = _dilated(edge, range(int(planar), labels.ndim))
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


def affinity_maps(
    labels: NDArray[Any], offsets: Sequence[Coord], *, zero: ZeroLabel = "membrane"
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell for every voxel whether its partners at some offsets belong to the same object.

    Parameters
    ----------
    labels : ndarray of int, shape (Z, Y, X)
        Segments.
    offsets : sequence of (int, int, int)
        From a voxel to its partner, (z, y, x), voxels.
    zero : {"membrane", "unlabelled"}
        What label 0 is: a voxel that belongs to no object, whose affinities are 0; or one of which
        nothing is known.

    Returns
    -------
    affinities : ndarray of bool, shape (C, Z, Y, X)
        True where both labels are equal and not 0.
    known : ndarray of bool, shape (C, Z, Y, X)
        False where the partner lies outside the array or either voxel is unlabelled.

    References
    ----------
    Lee et al., Superhuman accuracy on the SNEMI3D connectomics challenge, 2017,
    doi:10.48550/arXiv.1706.00120.

    Examples
    --------
    >>> row = np.array([[[1, 1, 2, 0]]])
    >>> same, known = affinity_maps(row, [(0, 0, -1)], zero="unlabelled")
    >>> same.astype(int).tolist(), known.astype(int).tolist()
    ([[[[0, 1, 0, 0]]]], [[[[0, 1, 1, 0]]]])
    """
    same = np.zeros((len(offsets), *labels.shape), bool)
    known = np.zeros_like(same)
    for channel, offset in enumerate(offsets):
        here, there = _partners(labels.shape, offset)
        a, b = labels[here], labels[there]
        same[channel][here] = (a == b) & (a != 0)
        known[channel][here] = True if zero == "membrane" else (a != 0) & (b != 0)
    return same, known


def boundary_of(affinities: NDArray[np.float32], offsets: Sequence[Coord]) -> NDArray[np.float32]:
    """Turn affinities of neighbours into boundary probabilities: of its edges, the weakest counts.

    Parameters
    ----------
    affinities : ndarray of float32, shape (C, Z, Y, X)
        0 to 1, high inside cells.
    offsets : sequence of (int, int, int)
        From a voxel to its partner, (z, y, x), voxels, one for each channel.

    Returns
    -------
    ndarray of float32, shape (Z, Y, X)
        1 - the least affinity among the edges that a voxel has within the array; what
        ``boundary_map`` is to labels.

    Examples
    --------
    >>> row = np.array([[[[0.0, 1.0, 0.25]]]], np.float32)
    >>> boundary_of(row, [(0, 0, -1)]).tolist()
    [[[0.0, 0.75, 0.75]]]
    """
    out = np.zeros(affinities.shape[1:], np.float32)
    for channel, offset in zip(affinities, offsets, strict=True):
        here, there = _partners(out.shape, offset)
        apart = 1 - channel[here]
        np.maximum(out[here], apart, out=out[here])
        np.maximum(out[there], apart, out=out[there])
    return out


def _partners(shape: tuple[int, ...], offset: Coord) -> tuple[Slices, Slices]:
    """Cut out the voxels that have a partner, and the partners."""
    here = tuple(
        slice(max(0, -o), max(0, n - max(0, o))) for n, o in zip(shape, offset, strict=True)
    )
    there = tuple(
        slice(max(0, o), max(0, n - max(0, -o))) for n, o in zip(shape, offset, strict=True)
    )
    return here, there


def _dilated(mask: NDArray[np.bool_], axes: Iterable[int]) -> NDArray[np.bool_]:
    """Add the neighbours of a mask along some axes."""
    grown = mask.copy()
    for axis in axes:
        source, target = np.moveaxis(mask, axis, 0), np.moveaxis(grown, axis, 0)
        target[1:] |= source[:-1]
        target[:-1] |= source[1:]
    return grown
