"""Greys of scans, whose scale means nothing: brought to one range, or to one spread."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.geometry import Coord
from volkit.kernels.brain_mask import z_scores
from volkit.kernels.resize import resized

Floats = NDArray[np.float32]


def unit_greys(values: NDArray[Any]) -> Floats:
    """Scale a scan from 0, its least value, to 1, its largest.

    Parameters
    ----------
    values : ndarray of real, shape (Z, Y, X)
        In any unit.

    Returns
    -------
    ndarray of float32, same shape

    Raises
    ------
    ContractError
        If a voxel is NaN or infinite, or all are equal.

    Examples
    --------
    >>> unit_greys(np.array([[[-1, 1, 3]]])).tolist()
    [[[0.0, 0.5, 1.0]]]
    """
    given = _checked(values)
    low, high = given.min(), given.max()
    return (given - low) / (high - low)


def standardised(values: NDArray[Any]) -> Floats:
    """Bring a scan to mean 0 and deviation 1, over all of its voxels.

    Parameters
    ----------
    values : ndarray of real, shape (Z, Y, X)
        In any unit.

    Returns
    -------
    ndarray of float32, same shape

    Raises
    ------
    ContractError
        If a voxel is NaN or infinite, or all are equal.

    Examples
    --------
    >>> standardised(np.array([[[1.0, 3.0]]])).tolist()
    [[[-1.0, 1.0]]]
    """
    return z_scores(_checked(values), None)[0]


def prepared_scan(values: NDArray[Any], window: Coord, *, name: str) -> Floats:
    """Resize a scan, and bring it to greys from 0 to 1.

    Parameters
    ----------
    values : ndarray of float32, shape (Z, Y, X)
        Preprocessed.
    window : tuple of int
        What it is resized to.
    name : str
        For messages.

    Returns
    -------
    ndarray of float32, shape ``window``

    Raises
    ------
    ContractError
        If it is empty, or not finite.
    """
    try:
        return unit_greys(resized(values, window))
    except ContractError as error:
        raise ContractError(f"{name}: {error}") from error


def _checked(values: NDArray[Any]) -> Floats:
    given = np.asarray(values, np.float32)
    if not given.size or not np.isfinite(given).all() or given.min() == given.max():
        raise ContractError(
            f"a scan of {given.shape} has voxels that are NaN or infinite, or all are equal; leave "
            "it out, or preprocess it again"
        )
    return given
