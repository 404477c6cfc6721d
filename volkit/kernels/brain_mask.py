"""Brain masks: one piece without holes, and what tells that a head is not as it should be."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from volkit.errors import ContractError

Mask = NDArray[np.bool_]
Floats = NDArray[np.floating]

_BRIGHT = 1.6  # times the white matter: vessels after gadolinium are about twice as bright


def one_piece(mask: Mask) -> Mask:
    """Keep the largest piece of a mask, and fill what it encloses.

    Parameters
    ----------
    mask : ndarray of bool, shape (Z, Y, X)
        With crumbs, and holes such as ventricles.

    Returns
    -------
    ndarray of bool, shape (Z, Y, X)
        Voxels that share a face are of one piece; of equally large pieces the first is kept.

    Raises
    ------
    ContractError
        If the mask is empty.

    Examples
    --------
    >>> one_piece(np.array([[[1, 0, 1, 1]]], bool)).astype(int).tolist()
    [[[0, 0, 1, 1]]]
    """
    pieces, count = ndimage.label(mask)
    if not count:
        raise ContractError(
            "the brain mask is empty; give another mask, or another way to find the brain"
        )
    largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    return np.asarray(ndimage.binary_fill_holes(pieces == largest), bool)


def cut_share(mask: Mask) -> float:
    """Tell how much of a brain may be outside: of its largest section, what lies on a face.

    Parameters
    ----------
    mask : ndarray of bool, shape (Z, Y, X)
        The brain in the whole field of view.

    Returns
    -------
    float
        0 where the brain touches no face, 1 where it is cut at its widest; the worst of the faces.

    Examples
    --------
    >>> mask = np.ones((2, 4, 4), bool)
    >>> mask[0, 1:] = False
    >>> cut_share(mask)
    1.0
    >>> cut_share(np.pad(mask, 1))
    0.0
    """
    worst = 0.0
    for axis in range(3):
        areas = mask.sum(axis=tuple(a for a in range(3) if a != axis))
        most = int(areas.max(initial=0))
        if most:
            worst = max(worst, float(max(areas[0], areas[-1]) / most))
    return worst


@dataclass(frozen=True, slots=True)
class Signal:
    """How bright a brain is.

    Parameters
    ----------
    mean, deviation : float
        Over the brain.
    noise : float
        Standard deviation of the air around the head; NaN where it was cleared.
    snr : float
        Mean over noise; NaN without.
    bright_share : float
        Of the brain, voxels much brighter than white matter: vessels, after a contrast agent.
    """

    mean: float
    deviation: float
    noise: float
    snr: float
    bright_share: float


def brain_signal(values: Floats, mask: Mask) -> Signal:
    """Measure how bright a brain is, and how noisy the air.

    Parameters
    ----------
    values : ndarray of float, shape (Z, Y, X)
        The head.
    mask : ndarray of bool, shape (Z, Y, X)
        Its brain, not empty.

    Returns
    -------
    Signal
        Air is looked for in the eight corners of the field of view.  White matter is taken to be
        as bright as the brightest quarter of the brain, on the median; brightness begins at 0,
        or below where the scan was normalised: at the air, or the darkest voxels of the brain.

    Examples
    --------
    >>> values = np.zeros((8, 8, 8))
    >>> values[2:6, 2:6, 2:6] = 10
    >>> found = brain_signal(values, values > 0)
    >>> found.mean, found.deviation, found.bright_share, bool(np.isnan(found.snr))
    (10.0, 0.0, 0.0, True)
    """
    brain = values[mask].astype(np.float64)
    lowest, high = np.quantile(brain, (0.01, 0.75))
    white = float(np.median(brain[brain >= high]))
    air = _corners(values, mask)
    dark = min(0.0, float(np.median(air)), float(lowest))
    noise = float(air.std())
    known = noise > 0
    return Signal(
        mean=float(brain.mean()),
        deviation=float(brain.std()),
        noise=noise if known else float("nan"),
        snr=float(brain.mean() / noise) if known else float("nan"),
        bright_share=float((brain > dark + _BRIGHT * (white - dark)).mean()),
    )


def _corners(values: Floats, mask: Mask) -> NDArray[np.float64]:
    """Take an eighth of the field of view in each corner along every axis, without the brain."""
    ends = [np.r_[0 : max(1, n // 8), n - max(1, n // 8) : n] for n in values.shape]
    part, inside = values[np.ix_(*ends)], mask[np.ix_(*ends)]
    found = part[~inside]
    return np.asarray(found if found.size else np.zeros(1), np.float64)


def z_scores(
    values: NDArray[np.float32], over: Mask | None
) -> tuple[NDArray[np.float32], float, float]:
    """Subtract the mean and divide by the standard deviation.

    Parameters
    ----------
    values : ndarray of float32, shape (Z, Y, X)
        Voxels.
    over : ndarray of bool, shape (Z, Y, X), or None
        Which voxels mean and deviation are of; None takes all.  The map is the same for all voxels.

    Returns
    -------
    values : ndarray of float32, shape (Z, Y, X)
    mean, deviation : float
        What was subtracted, and divided by.

    Raises
    ------
    ContractError
        If the voxels are all equal, or there are none.
    """
    chosen = (values if over is None else values[over]).astype(np.float64)
    mean = float(chosen.mean()) if chosen.size else 0.0
    deviation = float(chosen.std()) if chosen.size else 0.0
    if not deviation > 0:
        raise ContractError(
            f"{chosen.size} voxels have a standard deviation of {deviation:g}, so they cannot be "
            "normalised; the scan is empty or constant: acquire or convert it again"
        )
    found = (values - np.float32(mean)) / np.float32(deviation)
    return found.astype(np.float32, copy=False), mean, deviation
