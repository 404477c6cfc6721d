"""Scores of a network for clips, after an epoch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from volkit.kernels.binary_scores import best_threshold, roc_area


@dataclass(frozen=True, slots=True)
class StallScores:
    """How well a network tells stalled clips from others.

    Parameters
    ----------
    stage, epoch : int
        Of the run: stages from 0, epochs of the stage from 1 on.
    loss, learning_rate : float
        Mean of the epoch's batches, and the rate of its steps.
    auc : float
        Area under the receiver operating characteristic.
    mcc, threshold : float
        Best Matthews correlation, and the threshold that gives it.
    sensitivity, specificity : float
        At that threshold.
    clips, stalled : int
        Judged, and how many of them are stalled.
    """

    stage: int
    epoch: int
    loss: float
    learning_rate: float
    auc: float
    mcc: float
    threshold: float
    sensitivity: float
    specificity: float
    clips: int
    stalled: int

    def by(self, metric: str) -> float:
        """Give the score of a stage's metric."""
        return self.mcc if metric == "mcc" else self.auc

    def told(self) -> str:
        """Say it in one line."""
        return (
            f"AUC {self.auc:.4f}; MCC {self.mcc:.4f} at {self.threshold:g} (sensitivity "
            f"{self.sensitivity:.3f}, specificity {self.specificity:.3f}; {self.stalled} stalled "
            f"of {self.clips})"
        )


def scored(
    probability: NDArray[np.float64],
    stalled: NDArray[np.bool_],
    *,
    stage: int,
    epoch: int,
    loss: float,
    learning_rate: float,
) -> StallScores:
    """Score what a network says of clips.

    Parameters
    ----------
    probability : ndarray of float64, shape (N,)
        Of being stalled.
    stalled : ndarray of bool, shape (N,)
        Truth; both classes occur.
    stage, epoch, loss, learning_rate
        Kept.

    Returns
    -------
    StallScores
    """
    best = best_threshold(probability, stalled)
    return StallScores(
        stage,
        epoch,
        loss,
        learning_rate,
        roc_area(probability, stalled),
        best.mcc,
        best.threshold,
        best.sensitivity,
        best.specificity,
        len(stalled),
        int(stalled.sum()),
    )
