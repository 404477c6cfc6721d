"""Scores of yes-or-no answers: confusion counts, MCC, areas under curves, the best threshold."""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.kernels.calibration import Floats, checked

PUBLISHED_THRESHOLDS = np.round(np.arange(0.02, 0.975, 0.01), 2)
"""Over which the best MCC is published."""


@dataclass(frozen=True, slots=True)
class BinaryScores:
    """What answers at one threshold are worth.

    Parameters
    ----------
    threshold : float
        Probabilities from it on count as positive.
    hits, false, missed, rejected : float
        True positives, false positives, false negatives, true negatives; counts, or their weights.

    Examples
    --------
    >>> scores = BinaryScores(0.5, hits=6, false=1, missed=2, rejected=3)
    >>> round(scores.mcc, 4), scores.sensitivity, scores.specificity
    (0.4781, 0.75, 0.75)
    >>> scores.accuracy, scores.balanced_accuracy, scores.f1
    (0.75, 0.75, 0.8)
    """

    threshold: float
    hits: float
    false: float
    missed: float
    rejected: float

    @property
    def mcc(self) -> float:
        """Matthews correlation, -1 to 1; 0 where a row or column of the counts is empty.

        References
        ----------
        B. W. Matthews, 1975, doi:10.1016/0005-2795(75)90109-9.
        """
        a, b, c, d = (float(n) for n in (self.hits, self.false, self.missed, self.rejected))
        below = sqrt(a + b) * sqrt(a + c) * sqrt(d + b) * sqrt(d + c)
        return (a * d - b * c) / below if below else 0.0

    @property
    def accuracy(self) -> float:
        """Share of all answers that are right; NaN without any."""
        return _share(self.hits + self.rejected, self.false + self.missed)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of sensitivity and specificity; NaN where a class is missing."""
        return (self.sensitivity + self.specificity) / 2

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and sensitivity; NaN without any positive, true or said."""
        return _share(2 * self.hits, self.false + self.missed)

    @property
    def sensitivity(self) -> float:
        """Share of the positives that are found; NaN without any."""
        return _share(self.hits, self.missed)

    @property
    def specificity(self) -> float:
        """Share of the negatives that are left alone; NaN without any."""
        return _share(self.rejected, self.false)

    @property
    def precision(self) -> float:
        """Share of the answers "positive" that are right; NaN without any."""
        return _share(self.hits, self.false)


def scores_at(
    probability: NDArray[Any],
    positive: NDArray[Any],
    threshold: float,
    *,
    weight: NDArray[Any] | None = None,
) -> BinaryScores:
    """Count answers at a threshold.

    Parameters
    ----------
    probability : ndarray of float, shape (N,)
        0 to 1.
    positive : ndarray of bool, shape (N,)
        Truth.
    threshold : float
        From it on an answer is positive.
    weight : ndarray, shape (N,), optional
        How often each example counts.

    Returns
    -------
    BinaryScores

    Raises
    ------
    ContractError
        If values are no probabilities, or there are none.
    """
    given, truth = checked(probability, positive)
    count = np.ones(len(given)) if weight is None else np.asarray(weight, np.float64)
    return weighted_counts(given, truth, count, threshold=threshold)


def weighted_counts(
    probability: Floats, positive: NDArray[np.bool_], weight: Floats, *, threshold: float
) -> BinaryScores:
    """Count answers at a threshold, each as often as its weight says.

    Parameters
    ----------
    probability, positive, weight : ndarray, shape (N,)
        Checked before.
    threshold : float
        From it on an answer is positive.

    Returns
    -------
    BinaryScores
    """
    said = probability >= threshold
    cells = (said & positive, said & ~positive, ~said & positive, ~said & ~positive)
    return BinaryScores(float(threshold), *(float(weight[cell].sum()) for cell in cells))


def roc_area(
    probability: NDArray[Any], positive: NDArray[Any], *, weight: NDArray[Any] | None = None
) -> float:
    """Measure how often a positive gets more than a negative; ties count half.

    Parameters
    ----------
    probability, positive, weight
        As for `scores_at`.

    Returns
    -------
    float
        0 to 1; NaN where one class is missing.

    Raises
    ------
    ContractError
        If values are no probabilities, or there are none.

    Examples
    --------
    >>> roc_area(np.array([0.1, 0.5, 0.5, 0.9]), np.array([False, False, True, True]))
    0.875
    """
    up, down = _by_value(probability, positive, weight)
    if not (up.sum() > 0 and down.sum() > 0):
        return float("nan")
    below = np.cumsum(down) - down
    return float((up * (below + down / 2)).sum() / (up.sum() * down.sum()))


def average_precision(
    probability: NDArray[Any], positive: NDArray[Any], *, weight: NDArray[Any] | None = None
) -> float:
    """Measure the area under precision over recall, as the sum over its steps.

    Parameters
    ----------
    probability, positive, weight
        As for `scores_at`.

    Returns
    -------
    float
        0 to 1; NaN without positives.

    Raises
    ------
    ContractError
        If values are no probabilities, or there are none.

    Examples
    --------
    >>> average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]))
    0.8333333333333333
    """
    up, down = (values[::-1] for values in _by_value(probability, positive, weight))
    if not up.sum() > 0:
        return float("nan")
    hits, all_said = np.cumsum(up), np.cumsum(up + down)
    right = np.divide(hits, all_said, out=np.zeros(len(hits)), where=all_said > 0)
    return float((up * right).sum() / up.sum())


def precision_recall(
    probability: NDArray[Any], positive: NDArray[Any]
) -> tuple[Floats, Floats, Floats]:
    """List precision and recall at every threshold that changes them.

    Returns
    -------
    threshold, precision, recall : ndarray of float64, shape (K,)
        From the highest threshold to the lowest; recall is NaN without positives.

    Raises
    ------
    ContractError
        If values are no probabilities, or there are none.
    """
    up, down = (values[::-1] for values in _by_value(probability, positive, None))
    hits, false = np.cumsum(up), np.cumsum(down)
    recall = hits / up.sum() if up.sum() > 0 else np.full(len(hits), np.nan)
    return np.unique(np.asarray(probability, np.float64))[::-1], hits / (hits + false), recall


def best_threshold(
    probability: NDArray[Any],
    positive: NDArray[Any],
    *,
    thresholds: NDArray[Any] = PUBLISHED_THRESHOLDS,
) -> BinaryScores:
    """Find the threshold with the highest MCC, the lowest of equals.

    Parameters
    ----------
    probability, positive
        As for `scores_at`.
    thresholds : ndarray of float
        To choose from; as published by default, 0.02 to 0.97.

    Returns
    -------
    BinaryScores

    Raises
    ------
    ContractError
        If values are no probabilities, or there are none.
    """
    found = [scores_at(probability, positive, t) for t in np.sort(np.asarray(thresholds))]
    return max(found, key=lambda scores: scores.mcc)


def _share(part: float, rest: float) -> float:
    return part / (part + rest) if part + rest else float("nan")


def _by_value(
    probability: NDArray[Any], positive: NDArray[Any], weight: NDArray[Any] | None
) -> tuple[Floats, Floats]:
    """Add up positives and negatives of every value, from the lowest on."""
    given, truth = checked(probability, positive)
    count = np.ones(len(given)) if weight is None else np.asarray(weight, np.float64)
    values, place = np.unique(given, return_inverse=True)
    up, down = (np.bincount(place, count * side, len(values)) for side in (truth, ~truth))
    return up.astype(np.float64), down.astype(np.float64)
