"""Threshold search: the best threshold of every kind of particle, and what it scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from volkit.kernels.point_scores import precision_recall_f


@dataclass(frozen=True, slots=True)
class PickScores:
    """How well a network's heat maps find particles, each kind at its best threshold.

    Parameters
    ----------
    score : float
        Mean F over the kinds, by their weights; 1 is best.
    kinds : tuple of float
        F of every kind.
    thresholds : tuple of float
        Best of every kind; the lowest where several are.
    counts : tuple of (int, int, int)
        True positives, false positives and false negatives of every kind at it.
    """

    score: float
    kinds: tuple[float, ...]
    thresholds: tuple[float, ...]
    counts: tuple[tuple[int, int, int], ...]


def best_thresholds(
    counts: NDArray[np.integer],
    thresholds: Sequence[float],
    weights: Sequence[float],
    *,
    beta: float,
) -> PickScores:
    """Choose the threshold of every kind.

    Parameters
    ----------
    counts : ndarray of int, shape (C, T, 3)
        True positives, false positives and false negatives of every kind above every threshold,
        added up over tomograms.
    thresholds : sequence of float
        T of them, ascending.
    weights : sequence of float
        C of them; kinds of weight 0 get a threshold and no say.
    beta : float
        Of the F score.

    Returns
    -------
    PickScores

    Examples
    --------
    >>> counts = np.array([[[2, 8, 0], [1, 0, 1]], [[0, 1, 0], [0, 0, 0]]])
    >>> found = best_thresholds(counts, (0.1, 0.2), (1, 0), beta=1)
    >>> round(found.score, 3), found.thresholds, found.counts
    (0.667, (0.2, 0.1), ((1, 0, 1), (0, 1, 0)))
    """
    _, _, scores = precision_recall_f(counts[..., 0], counts[..., 1], counts[..., 2], beta=beta)
    at = scores.argmax(axis=1)
    each = np.arange(len(at))
    best = scores[each, at]
    total = float(np.sum(weights))
    return PickScores(
        float(best @ np.asarray(weights, float)) / total if total else 0.0,
        tuple(float(f) for f in best),
        tuple(float(thresholds[n]) for n in at),
        tuple((int(a), int(b), int(c)) for a, b, c in counts[each, at]),
    )
