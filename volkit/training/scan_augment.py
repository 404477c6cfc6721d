"""Variations of scans, as published: noise, then gamma, then z-normalisation."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from volkit.kernels.scan_greys import standardised
from volkit.training.scan_options import ScanAugmentation

Floats = NDArray[np.float32]


def varied_scan(unit: Floats, rng: Generator, options: ScanAugmentation) -> Floats:
    """Vary a scan, and bring it to what a network takes.

    Parameters
    ----------
    unit : ndarray of float32, shape (Z, Y, X)
        From 0 to 1; left as it is.
    rng : numpy.random.Generator
        Source of chance.
    options : ScanAugmentation
        Extents.

    Returns
    -------
    ndarray of float32, same shape
        Mean 0, deviation 1.

    Examples
    --------
    >>> still = ScanAugmentation(noise=0, gamma=0)
    >>> varied_scan(np.array([[[0.0, 1.0]]], np.float32), np.random.default_rng(0), still).tolist()
    [[[-1.0, 1.0]]]
    """
    deviation = np.float32(rng.uniform(0, options.noise))
    power = np.float32(np.exp(rng.uniform(-options.gamma, options.gamma)))
    found = unit
    if options.noise:
        found = found + deviation * rng.standard_normal(unit.shape, np.float32)
    if options.gamma:
        # Noise takes some greys below 0, of which there is no power: they keep their sign.
        found = np.copysign(np.abs(found) ** power, found)
    return standardised(found)
