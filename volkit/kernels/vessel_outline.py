"""Outlines: the vessel that is meant, drawn as in annotated films or in a channel of its own."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from volkit.errors import ContractError
from volkit.kernels.vessel_radius import Spacing, background_distance

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

ORANGE = (220, 100, 30)
"""Inside the box of colours in which published outlines are."""

CHANNELS = (1, 2, 3)
"""Grey; grey and the outline; red, green and blue with the outline in orange."""

_GAP, _WIDTH = 2, 2  # voxels between vessel and outline, and of the outline
_ALL_AROUND = np.ones((3, 3, 3), bool)


def outlined(grey: Bytes, inside: Mask, *, channels: int = 3) -> Bytes:
    """Draw the outline of a vessel into every plane, as films for annotators have it.

    Parameters
    ----------
    grey : ndarray of uint8, shape (Z, Y, X)
        Planes.
    inside : ndarray of bool, shape (Z, Y, X)
        Voxels of the vessel; what they cover in any plane is outlined in all.
    channels : int
        One of `CHANNELS`.

    Returns
    -------
    ndarray of uint8, shape (channels, Z, Y, X)

    Raises
    ------
    ContractError
        If shapes differ, or there is no such number of channels.

    Examples
    --------
    >>> grey, inside = np.zeros((1, 1, 9), np.uint8), np.arange(9).reshape(1, 1, 9) == 0
    >>> outlined(grey, inside, channels=2)[1].tolist()
    [[[0, 0, 0, 255, 255, 0, 0, 0, 0]]]
    """
    if grey.shape != inside.shape or grey.ndim != 3 or channels not in CHANNELS:
        raise ContractError(
            f"planes of {grey.shape}, a vessel of {inside.shape} and {channels} channels were "
            "given; expected one shape (Z, Y, X), and 1, 2 or 3 channels"
        )
    if channels == 1:
        return grey[None].copy()
    near = ndimage.binary_dilation(inside.any(0), iterations=_GAP)
    line = ndimage.binary_dilation(near, iterations=_WIDTH) & ~near
    if channels == 2:
        return np.stack([grey, np.broadcast_to(np.uint8(255) * line, grey.shape)])
    colours = np.repeat(grey[None], 3, axis=0)
    colours[:, :, line] = np.array(ORANGE, np.uint8)[:, None, None]
    return colours


def segment_voxels(
    mask: Mask, labels: NDArray[np.uint64], segment: int, *, spacing: Spacing
) -> Mask:
    """Find the voxels of a vessel that belong to one segment: its centre line is the nearest one.

    They are no farther from it than the vessel is wide there (and a voxel, since lines wander), so
    that vessels whose line is not in the array are left alone.

    Parameters
    ----------
    mask : ndarray of bool, shape (Z, Y, X)
        Vessels.
    labels : ndarray of uint64, shape (Z, Y, X)
        Ids of the segments on their centre lines, 0 elsewhere.
    segment : int
        Which.
    spacing : tuple of float
        Extent of a voxel, (z, y, x).

    Returns
    -------
    ndarray of bool, shape (Z, Y, X)
        Of these voxels, those that hang together with the centre line.
    """
    lines, vessel = np.argwhere(labels), np.argwhere(mask)
    found = labels == segment
    if not len(vessel) or not found.any():
        return np.asarray(found)
    size = np.array(spacing)
    distance, nearest = KDTree(lines * size).query(vessel * size)
    radius = background_distance(mask, lines, spacing=spacing) + size.min()
    near = distance <= radius[nearest]
    z, y, x = vessel[near & (labels[tuple(lines.T)][nearest] == segment)].T
    found[z, y, x] = True
    parts, _ = ndimage.label(found, _ALL_AROUND)
    kept = np.unique(parts[labels == segment])
    return np.asarray(np.isin(parts, kept) & found)


def filled_outline(line: NDArray[np.bool_]) -> tuple[Mask, Mask]:
    """Find what an outline encloses, and what lies beyond it, in a picture.

    Parameters
    ----------
    line : ndarray of bool, shape (Y, X)
        Pixels of the outline.

    Returns
    -------
    inside, outside : ndarray of bool, shape (Y, X)
        Neither has a pixel beside the line, whose colour runs over.

    Examples
    --------
    >>> line = np.zeros((7, 7), bool)
    >>> line[[0, -1]] = line[:, [0, -1]] = True
    >>> inside, outside = filled_outline(line)
    >>> int(inside.sum()), int(outside.sum())
    (9, 0)
    """
    near = ndimage.binary_dilation(line, np.ones((3, 3), bool))
    within = ndimage.binary_fill_holes(line)
    return np.asarray(within & ~near), np.asarray(~within & ~near)


def segment_signal(values: NDArray[Any], inside: Mask, outside: Mask) -> dict[str, float]:
    """Measure how a vessel looks in its cuboid.

    Parameters
    ----------
    values : ndarray of real, shape (Z, Y, X)
        Planes, as stored.
    inside, outside : ndarray of bool, shape (Z, Y, X)
        Voxels of the vessel, and of tissue around.

    Returns
    -------
    dict of float
        ``mean_intensity``; ``snr``: how far it is from the mean outside, in deviations of that;
        ``motion_score``: mean change from plane to plane inside over that outside.  NaN where
        there is nothing to measure.

    Examples
    --------
    >>> values = np.array([[[5.0, 1.0, 3.0]], [[7.0, 1.0, 2.0]]])
    >>> inside = np.broadcast_to([True, False, False], (2, 1, 3))
    >>> found = segment_signal(values, inside, ~inside)
    >>> found["mean_intensity"], round(found["snr"], 4), found["motion_score"]
    (6.0, 5.1257, 4.0)
    """
    given = np.asarray(values, np.float64)
    step = np.abs(np.diff(given, axis=0))
    still = inside[1:] & inside[:-1], outside[1:] & outside[:-1]
    within, beyond = (_mean(step[where]) for where in still)
    centre, around = _mean(given[inside]), given[outside]
    noise = float(around.std()) if around.size else float("nan")
    return {
        "mean_intensity": centre,
        "snr": (centre - _mean(around)) / noise if noise > 0 else float("nan"),
        "motion_score": within / beyond if beyond > 0 else float("nan"),
    }


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")
