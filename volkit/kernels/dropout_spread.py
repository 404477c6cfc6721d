"""Dropout spread: how far the answers of a network with dropout lie apart, example by example."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from volkit.errors import ContractError

Floats = NDArray[np.float64]


def dropout_spread(samples: NDArray[Any]) -> dict[str, Floats]:
    """Describe probabilities that were drawn with dropout.

    Parameters
    ----------
    samples : ndarray of float, shape (P, K, N)
        Probability of the positive class: passes, folds, examples.

    Returns
    -------
    dict of ndarray of float64, shape (N,)
        ``mean``, ``std`` and ``range`` (largest minus smallest) over all passes and folds;
        ``entropy`` of the mean, and ``mutual_info``: that entropy less the mean entropy of the
        samples, which is what the answers differ in, and no doubt that all of them share; both in
        bits, 0 to 1.

    Raises
    ------
    ContractError
        If there is no sample, or values are no probabilities.

    References
    ----------
    Y. Gal and Z. Ghahramani, Dropout as a Bayesian approximation, 2016,
    https://doi.org/10.48550/arXiv.1506.02142; N. Houlsby et al., 2011,
    https://doi.org/10.48550/arXiv.1112.5745

    Examples
    --------
    >>> found = dropout_spread(np.array([[[0.0, 0.5]], [[1.0, 0.5]]]))
    >>> found["entropy"].tolist(), found["mutual_info"].tolist(), found["range"].tolist()
    ([1.0, 1.0], [1.0, 0.0], [1.0, 0.0])
    """
    given = np.asarray(samples, np.float64)
    if given.ndim != 3 or 0 in given.shape[:2] or not ((given >= 0) & (given <= 1)).all():
        raise ContractError(
            f"samples are {given.shape}; give probabilities of one or more passes and folds, "
            "(passes, folds, examples)"
        )
    mean = given.mean((0, 1))
    entropy = binary_entropy(mean)
    shared = binary_entropy(given).mean((0, 1))
    return {
        "mean": mean,
        "std": given.std((0, 1)),
        "range": given.max((0, 1)) - given.min((0, 1)),
        "entropy": entropy,
        "mutual_info": np.maximum(entropy - shared, 0.0),  # never less, but for rounding
    }


def binary_entropy(probability: NDArray[Any]) -> Floats:
    """Measure how open a question with two answers is, bits.

    Examples
    --------
    >>> binary_entropy(np.array([0.0, 0.5, 1.0])).tolist()
    [0.0, 1.0, 0.0]
    """
    p = np.asarray(probability, np.float64)
    return np.asarray((entr(p) + entr(1 - p)) / np.log(2))
