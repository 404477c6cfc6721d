"""Class readout: a linear classifier on embeddings that stay as they are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from volkit.errors import GeometryError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ClassReadout:
    """A linear classifier.

    Parameters
    ----------
    weights : ndarray of float64, shape (D, K)
        Of every component for every class.
    intercept : ndarray of float64, shape (K,)
        Of every class.
    """

    weights: Floats
    intercept: Floats

    def __call__(self, embeddings: NDArray[Any]) -> NDArray[np.int64]:
        """Choose a class for every row, shape (N,)."""
        logits = np.asarray(embeddings, np.float64) @ self.weights + self.intercept
        return logits.argmax(axis=1).astype(np.int64)


def class_readout(
    embeddings: NDArray[Any],
    classes: NDArray[Any],
    *,
    count: int,
    decay: float = 1e-3,
    steps: int = 200,
) -> ClassReadout:
    """Fit a softmax classifier; the best one is found, whatever chance.

    Parameters
    ----------
    embeddings : ndarray of float, shape (N, D)
        One row each; components are brought to the same spread.
    classes : ndarray of int, shape (N,)
        0 to ``count - 1``.
    count : int
        Classes.
    decay : float
        Half of it times the squared weights is added to the mean loss.
    steps : int
        Most iterations of L-BFGS.

    Returns
    -------
    ClassReadout

    Raises
    ------
    GeometryError
        If rows do not match, or a class is beyond ``count``.

    Examples
    --------
    >>> points = np.array([[0.0, 1.0], [0.2, 1.1], [3.0, 0.9], [3.1, 1.0]])
    >>> class_readout(points, np.array([1, 1, 0, 0]), count=2)(points).tolist()
    [1, 1, 0, 0]
    """
    x = np.asarray(embeddings, np.float64)
    if x.ndim != 2 or classes.shape != (len(x),) or not len(x) or not np.isfinite(x).all():
        raise GeometryError(
            f"embeddings of shape {x.shape} for classes of {classes.shape}: give finite (N, D) and "
            "(N,), with at least one row"
        )
    if classes.min() < 0 or classes.max() >= count:
        raise GeometryError(f"classes {classes.min()} to {classes.max()} are not among {count}")
    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread[spread == 0] = 1
    scaled = (x - mean) / spread
    truth = np.eye(count)[classes]

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights = flat[:-count].reshape(-1, count)
        logits = scaled @ weights + flat[-count:]
        logits -= logsumexp(logits, axis=1, keepdims=True)
        error = (np.exp(logits) - truth) / len(x)
        slope = np.append(scaled.T @ error + decay * weights, error.sum(axis=0))
        value = -(truth * logits).sum() / len(x) + decay / 2 * (weights**2).sum()
        return float(value), slope.ravel()

    found = minimize(
        loss,
        np.zeros((x.shape[1] + 1) * count),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": steps},
    ).x
    weights = found[:-count].reshape(-1, count) / spread[:, None]
    return ClassReadout(weights, found[-count:] - mean @ weights)
