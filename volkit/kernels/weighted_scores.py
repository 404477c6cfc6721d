"""Weighted scores: scores of yes-or-no answers as functions of how often each example counts.

That is what a bootstrap asks for: a draw with replacement is a weight for each example.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.kernels.binary_scores import average_precision, roc_area, weighted_counts
from volkit.kernels.calibration import Floats, checked
from volkit.kernels.calibration_scores import reliability

COUNTED = (
    "accuracy",
    "balanced_accuracy",
    "sensitivity",
    "specificity",
    "precision",
    "f1",
    "mcc",
)
"""Scores of answers at a threshold."""
FREE = ("auc", "ap", "brier", "ece")
"""Scores of the probabilities themselves."""

Weighted = Callable[[Floats], float]


def weighted_score(
    name: str, probability: NDArray[Any], positive: NDArray[Any], *, threshold: float = 0.5
) -> Weighted:
    """Give a score as a function of how often each example counts.

    Parameters
    ----------
    name : str
        One of `COUNTED` or `FREE`.
    probability : ndarray of float, shape (N,)
        0 to 1.
    positive : ndarray of bool, shape (N,)
        Truth.
    threshold : float
        From it on an answer is positive; for `COUNTED`.

    Returns
    -------
    callable
        From weights, shape (N,), to the score; those of ``ece`` are whole numbers.  NaN where the
        score is not defined, as where a class has no weight.

    Raises
    ------
    ContractError
        If there is no such score, or values are no probabilities.

    Examples
    --------
    >>> score = weighted_score("accuracy", np.array([0.9, 0.2]), np.array([True, True]))
    >>> score(np.array([1.0, 1.0])), score(np.array([3.0, 1.0]))
    (0.5, 0.75)
    """
    given, truth = checked(probability, positive)
    if name in COUNTED:
        return lambda weight: float(
            getattr(weighted_counts(given, truth, weight, threshold=threshold), name)
        )
    if name in ("auc", "ap"):
        area = roc_area if name == "auc" else average_precision
        return lambda weight: area(given, truth, weight=weight)
    if name == "brier":
        return lambda weight: _mean((given - truth) ** 2, weight)
    if name == "ece":
        return lambda weight: _expected_error(given, truth, weight)
    raise ContractError(f"there is no score {name!r}; choose one of {', '.join(COUNTED + FREE)}")


def _mean(values: Floats, weight: Floats) -> float:
    total = float(weight.sum())
    return float((values * weight).sum() / total) if total > 0 else float("nan")


def _expected_error(given: Floats, truth: NDArray[np.bool_], weight: Floats) -> float:
    times = weight.astype(np.int64)
    if not times.any():
        return float("nan")
    return reliability(np.repeat(given, times), np.repeat(truth, times)).expected_error
