"""Threshold search: the F score of every threshold in one pass over candidates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def counts_over(
    candidates: Floats,
    scores: NDArray[np.floating],
    truth: Floats,
    *,
    radius: float,
    thresholds: Sequence[float],
) -> Counts:
    """Count hits of one tomogram and kind at every threshold, as the CZII challenge does.

    A true particle is hit where any candidate at or above the threshold lies within ``radius``
    (inclusive); all candidates that are not hits one to one count as false, so that a candidate
    that hits two makes the number of false ones -1.

    Parameters
    ----------
    candidates, truth : ndarray of float64, shapes (N, 3) and (M, 3)
        Centres, in any unit.
    scores : ndarray of float, shape (N,)
        Of the candidates.
    radius : float
        In the unit of the centres.
    thresholds : sequence of float
        Any number.

    Returns
    -------
    ndarray of int64, shape (T, 3)
        True positives, false positives and false negatives.

    Examples
    --------
    >>> found, truth = np.array([[0.0, 0, 0], [0, 0, 9]]), np.array([[0.0, 0, 1]])
    >>> counts_over(found, np.array([0.9, 0.5]), truth, radius=1, thresholds=(0.4, 0.6)).tolist()
    [[1, 1, 0], [1, 0, 0]]
    """
    limits = np.asarray(thresholds, float)
    best = np.full(len(truth), -np.inf)
    if len(truth) and len(candidates):
        near = KDTree(candidates).query_ball_point(truth, radius)
        best = np.array([max((scores[i] for i in ids), default=-np.inf) for ids in near], float)
    hits = (best[:, None] >= limits).sum(axis=0)
    if not len(truth):
        hits = np.zeros(len(limits), np.int64)
    kept = (np.asarray(scores, float)[:, None] >= limits).sum(axis=0)
    return np.stack([hits, kept - hits, len(truth) - hits], axis=1).astype(np.int64)


def f_scores(counts: NDArray[np.integer], beta: float) -> Floats:
    """Compute F-beta of counts, shape (..., 3) to (...); 0 where nothing was hit.

    Examples
    --------
    >>> f_scores(np.array([[1, 1, 0], [1, 0, 1]]), beta=4.0).round(3).tolist()
    [0.944, 0.515]
    """
    hit, false, missed = np.moveaxis(np.asarray(counts, float), -1, 0)
    square = beta * beta
    divide = (1 + square) * hit + square * missed + false
    return np.divide((1 + square) * hit, divide, out=np.zeros_like(hit), where=hit > 0)


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
    counts: Counts, thresholds: Sequence[float], weights: Sequence[float], *, beta: float
) -> PickScores:
    """Choose the threshold of every kind.

    Parameters
    ----------
    counts : ndarray of int64, shape (C, T, 3)
        Summed over tomograms.
    thresholds : sequence of float
        T of them.
    weights : sequence of float
        C of them; kinds of weight 0 get a threshold and no say.
    beta : float
        Of the F score.

    Returns
    -------
    PickScores
    """
    scores = f_scores(counts, beta)
    at = scores.argmax(axis=1)
    best = scores[np.arange(len(at)), at]
    total = float(np.sum(weights))
    score = float(best @ np.asarray(weights, float)) / total if total else 0.0
    rows = tuple((int(r[0]), int(r[1]), int(r[2])) for r in counts[np.arange(len(at)), at])
    return PickScores(
        score,
        tuple(float(f) for f in best),
        tuple(float(thresholds[n]) for n in at),
        rows,
    )
