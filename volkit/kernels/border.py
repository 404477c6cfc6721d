"""Borders: what scoring conventions leave out near them, or thin them to."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from volkit.kernels.boundary import label_edges


def near_border(labels: NDArray[Any], *, distance: float) -> NDArray[np.bool_]:
    """Find the pixels within a distance of a border of their section, the border included.

    Parameters
    ----------
    labels : ndarray of int, shape (Z, Y, X)
        True labels; what lies beyond the array is no border.
    distance : float
        Pixels, from centre to centre.

    Returns
    -------
    ndarray of bool, shape (Z, Y, X)

    References
    ----------
    CREMI, MICCAI challenge on circuit reconstruction from electron microscopy images,
    https://cremi.org; code at https://github.com/cremi/cremi_python (``border_mask``).

    Examples
    --------
    >>> near_border(np.array([[[1, 1, 1, 2, 2, 2]]]), distance=1).tolist()
    [[[False, True, True, True, True, False]]]
    """
    edges = label_edges(labels)
    near = np.zeros(labels.shape, bool)
    for plane, inside, out in zip(edges, ~edges, near, strict=True):
        if plane.any():  # else there is no border to be near to
            out[...] = ndimage.distance_transform_edt(inside) <= distance
    return near


def section_components(mask: NDArray[Any]) -> NDArray[np.uint64]:
    """Label the 4-connected components of every section of a mask, 0 elsewhere.

    Examples
    --------
    >>> section_components(np.array([[[1, 0, 1]], [[1, 1, 1]]])).tolist()
    [[[1, 0, 2]], [[1, 1, 1]]]
    """
    found = np.zeros(mask.shape, np.uint64)
    for plane, out in zip(mask, found, strict=True):
        out[...] = ndimage.label(plane)[0]
    return found


def thinned(labels: NDArray[Any]) -> NDArray[np.uint64]:
    """Grow the segments of every section until borders are one pixel wide.

    Every pixel of label 0 takes the label nearest to it; then the first pixel, in y and in x, of
    every pair of neighbours with different labels becomes 0.

    Parameters
    ----------
    labels : ndarray of int, shape (Z, Y, X)
        Segments; 0 is border.

    Returns
    -------
    ndarray of uint64, shape (Z, Y, X)

    References
    ----------
    I. Arganda-Carreras et al., Crowdsourcing the creation of image segmentation algorithms for
    connectomics, 2015, https://doi.org/10.3389/fnana.2015.00142

    Examples
    --------
    >>> thinned(np.array([[[1, 0, 0, 0, 2]]])).tolist()
    [[[1, 1, 0, 2, 2]]]
    """
    grown = labels.astype(np.uint64)
    for plane in grown:
        if plane.any():
            nearest = ndimage.distance_transform_edt(
                plane == 0, return_distances=False, return_indices=True
            )
            plane[...] = plane[tuple(nearest)]
    thin = grown.copy()
    for axis in (1, 2):
        here, there = (
            tuple(cut if a == axis else slice(None) for a in range(3))
            for cut in (slice(None, -1), slice(1, None))
        )
        thin[here][grown[here] != grown[there]] = 0
    return thin
