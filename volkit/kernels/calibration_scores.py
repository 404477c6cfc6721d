"""Scores of calibration: Brier, and how far frequencies lie from what was said."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.kernels.calibration import Floats, checked

BINNINGS = ("width", "count")


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """What was said and what happened, bin by bin; empty bins are left out.

    Parameters
    ----------
    said, happened : ndarray of float64, shape (K,)
        Mean probability and share of positives.
    count : ndarray of int64, shape (K,)
        Examples.
    """

    said: Floats
    happened: Floats
    count: NDArray[np.int64]

    @property
    def expected_error(self) -> float:
        """Expected calibration error: mean distance of the two, weighted by examples."""
        return float(np.average(np.abs(self.said - self.happened), weights=self.count))

    @property
    def largest_error(self) -> float:
        """Greatest distance of the two."""
        return float(np.abs(self.said - self.happened).max())


def brier(probability: NDArray[Any], positive: NDArray[Any]) -> float:
    """Mean square of probability minus truth, 0 best.

    Raises
    ------
    ContractError
        If values are no probabilities, or there are none.

    Examples
    --------
    >>> brier(np.array([0.5, 1.0]), np.array([True, True]))
    0.125
    """
    given, truth = checked(probability, positive)
    return float(((given - truth) ** 2).mean())


def reliability(
    probability: NDArray[Any],
    positive: NDArray[Any],
    *,
    bins: int = 15,
    binning: str = "width",
) -> Reliability:
    """Compare probabilities with frequencies.

    Parameters
    ----------
    probability : ndarray of float, shape (N,)
        0 to 1.
    positive : ndarray of bool, shape (N,)
        Truth.
    bins : int
        How many.
    binning : str
        ``width``: equal ranges of probability, each with its upper end; ``count``: as equal
        numbers of examples as equal probabilities, which stay together, allow.

    Returns
    -------
    Reliability

    Raises
    ------
    ContractError
        If values are no probabilities, or there are no bins or no such binning.

    References
    ----------
    M. P. Naeini, G. Cooper, M. Hauskrecht, Obtaining well calibrated probabilities using Bayesian
    binning, 2015, https://doi.org/10.1609/aaai.v29i1.9602

    Examples
    --------
    >>> found = reliability(np.array([0.1, 0.1, 0.9]), np.array([0, 1, 1], bool), bins=2)
    >>> found.happened.tolist(), round(found.expected_error, 4)
    ([0.5, 1.0], 0.3)
    """
    given, truth = checked(probability, positive)
    if bins < 1 or binning not in BINNINGS:
        raise ContractError(
            f"{bins} bins of equal {binning!r}; give 1 or more, of {' or '.join(BINNINGS)}"
        )
    if binning == "width":
        place = np.clip(np.ceil(given * bins).astype(np.int64) - 1, 0, bins - 1)
    else:
        before = np.searchsorted(np.sort(given), given, side="left")
        place = before * bins // len(given)
    count = np.bincount(place, minlength=bins)
    used = count > 0
    said, happened = (np.bincount(place, v, bins)[used] / count[used] for v in (given, truth))
    return Reliability(said, happened, count[used].astype(np.int64))
