"""Scores of points: precision, recall and F from counts, as the CZII challenge has them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from volkit.errors import ConfigError

Scores = NDArray[np.float64]


def precision_recall_f(
    hits: ArrayLike, false: ArrayLike, missed: ArrayLike, *, beta: float
) -> tuple[Scores, Scores, Scores]:
    """Turn counts into precision, recall and F-beta.

    ``F = (1 + beta^2) P R / (beta^2 P + R)``; each is 0 where its denominator is, so that a class
    that is neither there nor predicted scores 0, as in the challenge.

    Parameters
    ----------
    hits, false, missed : array_like of int
        True positives, false positives (which may be negative, see
        :func:`~volkit.kernels.matching.match_counts`) and false negatives, of one shape.
    beta : float
        How many times as much recall counts as precision does.

    Returns
    -------
    precision, recall, f : ndarray of float64
        Of the same shape.  Precision is above 1 where ``false`` is negative.

    Raises
    ------
    ConfigError
        If beta is not above 0.

    Examples
    --------
    >>> precision, recall, f = precision_recall_f([1, 1], [1, 0], [0, 1], beta=4)
    >>> precision.tolist(), recall.tolist(), f.round(3).tolist()
    ([0.5, 1.0], [1.0, 0.5], [0.944, 0.515])
    """
    if not 0 < beta < np.inf:
        raise ConfigError(f"beta is {beta}; give a number above 0, such as 4")
    hits, false, missed = (np.asarray(n, np.float64) for n in (hits, false, missed))
    precision = _ratio(hits, hits + false)
    recall = _ratio(hits, hits + missed)
    weight = beta**2
    f = _ratio((1 + weight) * (precision * recall), weight * precision + recall)
    return precision, recall, f


def weighted_score(f: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """Average F over classes.

    Parameters
    ----------
    f : mapping of str to float
        Of each class.
    weights : mapping of str to float
        Of each class; 0 leaves it out.

    Returns
    -------
    float

    Raises
    ------
    ConfigError
        If the classes differ, a weight is negative, or all are 0.

    Examples
    --------
    >>> weighted_score({"ribosome": 1.0, "beta-amylase": 0.0}, {"ribosome": 1, "beta-amylase": 0})
    1.0
    """
    if set(f) != set(weights):
        raise ConfigError(
            f"scores are of {', '.join(f)}, weights of {', '.join(weights)}; give a weight for "
            "each class"
        )
    total = sum(weights.values())
    if min(weights.values(), default=0) < 0 or not 0 < total < np.inf:
        raise ConfigError(f"weights are {dict(weights)}; give 0 or more, and not 0 for all")
    added = 0.0
    for name, score in f.items():
        added += score * weights[name]
    return added / total


def _ratio(above: NDArray[Any], below: NDArray[Any]) -> Scores:
    return np.divide(above, below, out=np.zeros(np.shape(below)), where=below > 0)
