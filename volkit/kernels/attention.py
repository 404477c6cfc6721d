"""Attention maps: what the maps of a network look like in colours, over what it saw."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.geometry import Coord
from volkit.kernels.resize import resized

Bytes = NDArray[np.uint8]


def channel_colours(maps: NDArray[Any]) -> Bytes:
    """Turn the channels of maps into colours: deviation red, largest green, mean blue.

    Parameters
    ----------
    maps : ndarray of float, shape (F, z, y, x)
        Before the global pooling; made for networks that pool by the maximum.

    Returns
    -------
    ndarray of uint8, shape (3, z, y, x)
        Each colour from 0, where it is least, to 255; 0 everywhere where it is constant.

    Raises
    ------
    ContractError
        If there are no channels, or values are not finite.

    Examples
    --------
    >>> maps = np.array([[[[0.0, 2.0]]], [[[0.0, 4.0]]]])
    >>> channel_colours(maps).tolist()
    [[[[0, 255]]], [[[0, 255]]], [[[0, 255]]]]
    """
    given = np.asarray(maps, np.float64)
    if given.ndim != 4 or not len(given) or not np.isfinite(given).all():
        raise ContractError(
            f"maps are {given.shape}; give finite values of one or more channels, (F, z, y, x)"
        )
    return np.stack([to_bytes(v) for v in (given.std(0), given.max(0), given.mean(0))])


def gradient_map(maps: NDArray[Any], gradients: NDArray[Any]) -> NDArray[np.float64]:
    """Weigh the channels of maps by their mean gradient, and keep what speaks for the answer.

    Parameters
    ----------
    maps, gradients : ndarray of float, shape (F, z, y, x)
        Maps, and the gradient of the answer by them.

    Returns
    -------
    ndarray of float64, shape (z, y, x)
        0 or more.

    References
    ----------
    R. R. Selvaraju et al., Grad-CAM, 2017, doi:10.1109/ICCV.2017.74.
    """
    weight = np.asarray(gradients, np.float64).mean((1, 2, 3))
    return np.maximum(np.tensordot(weight, np.asarray(maps, np.float64), 1), 0.0)


def to_bytes(values: NDArray[Any]) -> Bytes:
    """Scale values from 0, the least, to 255; 0 everywhere where they are constant."""
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    return np.rint((values - low) / (high - low) * 255).astype(np.uint8)


def enlarged(colours: NDArray[Any], shape: Coord) -> Bytes:
    """Bring colours, shape (..., z, y, x), to the extent of what the network saw."""
    return np.rint(resized(colours, shape)).astype(np.uint8)


def overlaid(grey: NDArray[Any], colours: Bytes, *, share: float = 0.5) -> Bytes:
    """Lay colours over an image.

    Parameters
    ----------
    grey : ndarray of real, shape (z, y, x)
        Scaled from its least to its largest value.
    colours : ndarray of uint8, shape (3, z, y, x)
        Of the same extent.
    share : float
        Of the colours.

    Returns
    -------
    ndarray of uint8, shape (3, z, y, x)
    """
    mixed = (1 - share) * to_bytes(np.asarray(grey, np.float64))[None] + share * colours
    return np.rint(mixed).astype(np.uint8)
