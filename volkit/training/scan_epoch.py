"""Scores of an epoch of training on scans."""

from dataclasses import asdict, dataclass
from math import isnan, log, nan

import numpy as np
from numpy.typing import NDArray

from volkit.kernels.binary_scores import roc_area, scores_at

_LEAST = 1e-7  # a probability of 0 for what is true would cost infinitely much
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class EpochScores:
    """What an epoch came to.

    Parameters
    ----------
    epoch : int
        From 1 on.
    loss, learning_rate : float
        Mean over the scans that were learnt from, and the rate of the last step.
    aside_loss, aside_auc, aside_accuracy : float
        Of the scans set aside to choose by; NaN without any.
    """

    epoch: int
    loss: float
    learning_rate: float
    aside_loss: float = nan
    aside_auc: float = nan
    aside_accuracy: float = nan

    def by(self, metric: str) -> float:
        """Give the score of a metric, more is better; NaN where nobody chooses."""
        return {"loss": -self.aside_loss, "auc": self.aside_auc, "last": float(self.epoch)}[metric]

    def numbers(self) -> dict[str, float]:
        """Give what is known, by name, without the epoch."""
        found = {name: float(value) for name, value in asdict(self).items() if name != "epoch"}
        return {name: value for name, value in found.items() if not isnan(value)}

    def told(self) -> str:
        """Say it in one line."""
        aside = (
            ""
            if isnan(self.aside_loss)
            else f"; set aside: loss {self.aside_loss:.4f}, AUC {self.aside_auc:.3f}, accuracy "
            f"{self.aside_accuracy:.3f}"
        )
        return f"loss {self.loss:.4f}{aside}"


def epoch_scores(
    probability: NDArray[np.float64],
    positive: NDArray[np.bool_],
    *,
    epoch: int,
    loss: float,
    rate: float,
) -> EpochScores:
    """Score an epoch.

    Parameters
    ----------
    probability : ndarray of float64, shape (N,)
        What is said of the scans set aside; empty where there are none.
    positive : ndarray of bool, shape (N,)
        Truth.
    epoch, loss, rate
        Kept.

    Returns
    -------
    EpochScores

    Examples
    --------
    >>> said, truth = np.array([0.75, 0.25]), np.array([True, False])
    >>> epoch_scores(said, truth, epoch=1, loss=0.6, rate=1e-4).told()
    'loss 0.6000; set aside: loss 0.2877, AUC 1.000, accuracy 1.000'
    """
    if not len(probability):
        return EpochScores(epoch, loss, rate)
    right = np.clip(np.where(positive, probability, 1 - probability), _LEAST, 1)
    return EpochScores(
        epoch,
        loss,
        rate,
        float(-sum(map(log, right)) / len(right)),
        roc_area(probability, positive),
        scores_at(probability, positive, _HALF).accuracy,
    )
