"""Linear readout: how much of some numbers a linear function of embeddings tells.

Ordinary least squares with an intercept needs sums of products alone, so that it is found without
all embeddings in memory: sums of parts add up to those of the whole.  Columns that say the same
are no obstacle: of all solutions the smallest is taken.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import GeometryError

Floats = NDArray[np.float64]
_NOTHING = 1e-11  # share of the largest spread of embeddings, below which there is none
_ROWS = 65536  # at once


@dataclass(frozen=True, slots=True, eq=False)
class ReadoutSums:
    """Sums over rows, from which a fit and its score follow.

    Parameters
    ----------
    count : int
        Rows.
    origin : ndarray of float64, shape (D + 1,)
        Subtracted from embeddings and target, so that sums keep their digits; the same in all
        parts.
    first : ndarray of float64, shape (D + 1,)
        Sums.
    second : ndarray of float64, shape (D + 1, D + 1)
        Sums of products.
    """

    count: int
    origin: Floats
    first: Floats
    second: Floats

    def __add__(self, other: "ReadoutSums") -> "ReadoutSums":
        if not np.array_equal(self.origin, other.origin):
            raise GeometryError("sums of parts have different origins; make them with the same one")
        return ReadoutSums(
            self.count + other.count,
            self.origin,
            self.first + other.first,
            self.second + other.second,
        )


@dataclass(frozen=True, slots=True, eq=False)
class LinearReadout:
    """A linear function of embeddings.

    Parameters
    ----------
    weights : ndarray of float64, shape (D,)
        Of the components.
    intercept : float
        Added.
    """

    weights: Floats
    intercept: float

    def __call__(self, embeddings: NDArray[Any]) -> Floats:
        """Predict the target of every row, shape (N,)."""
        answer: Floats = np.asarray(embeddings, np.float64) @ self.weights + self.intercept
        return answer


def readout_sums(
    embeddings: NDArray[Any], target: NDArray[Any], *, origin: Floats | None = None
) -> ReadoutSums:
    """Add up what a readout needs.

    Parameters
    ----------
    embeddings : ndarray of float, shape (N, D)
        One row each.
    target : ndarray of float, shape (N,)
        What is to be told.
    origin : ndarray of float64, shape (D + 1,), optional
        See :class:`ReadoutSums`; None takes the means of these rows.

    Returns
    -------
    ReadoutSums

    Raises
    ------
    GeometryError
        If rows do not match, there are none, or a number is not finite.
    """
    if embeddings.ndim != 2 or target.shape != (len(embeddings),) or not len(embeddings):
        raise GeometryError(
            f"embeddings of shape {embeddings.shape} and a target of {target.shape}: give (N, D) "
            "and (N,), with at least one row"
        )
    if origin is None:
        means = embeddings.mean(axis=0, dtype=np.float64)
        origin = np.append(means, target.mean(dtype=np.float64))
    parts = []
    for start in range(0, len(embeddings), _ROWS):
        rows = slice(start, start + _ROWS)
        both = np.column_stack([embeddings[rows], target[rows]]).astype(np.float64) - origin
        if not np.isfinite(both).all():
            raise GeometryError("embeddings or target hold NaN or infinity; leave these rows out")
        parts.append(ReadoutSums(len(both), origin, both.sum(axis=0), both.T @ both))
    return reduce(ReadoutSums.__add__, parts)


def fitted(sums: ReadoutSums, *, ridge: float = 0.0) -> LinearReadout:
    """Fit the readout whose squared errors are least.

    Parameters
    ----------
    sums : ReadoutSums
        Of the rows to fit.
    ridge : float
        Added to the mean square of weights, in units of the mean spread of a component; 0 is
        ordinary least squares.

    Returns
    -------
    LinearReadout
    """
    mean = sums.first / sums.count
    spread = sums.second - np.outer(sums.first, mean)
    size = len(mean) - 1
    values, axes = np.linalg.eigh(spread[:size, :size])
    damped = values + ridge * values.sum() / max(size, 1)
    kept = damped > _NOTHING * max(damped.max(initial=0.0), np.finfo(np.float64).tiny)
    along = axes[:, kept]
    weights = along @ ((along.T @ spread[:size, size]) / damped[kept])
    origin = sums.origin + mean
    return LinearReadout(weights, float(origin[size] - origin[:size] @ weights))


def r_squared(predicted: NDArray[Any], target: NDArray[Any]) -> float:
    """Compute the coefficient of determination, 1 - SS_res / SS_tot; NaN for a constant target.

    Examples
    --------
    >>> r_squared(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]))
    1.0
    >>> r_squared(np.array([2.0, 2.0, 2.0]), np.array([1.0, 2.0, 3.0]))
    0.0
    """
    total = float(((target - target.mean()) ** 2).sum()) if len(target) else 0.0
    if not total:
        return float("nan")
    return 1 - float(((target - predicted) ** 2).sum()) / total


def in_sample(embeddings: NDArray[Any], target: NDArray[Any], *, ridge: float = 0.0) -> float:
    """Score a readout on the rows it was fitted to, as published.

    Parameters
    ----------
    embeddings : ndarray of float, shape (N, D)
        One row each.
    target : ndarray of float, shape (N,)
        NaN leaves a row out.
    ridge : float
        See :func:`fitted`.

    Returns
    -------
    float
        R^2; with as many components as rows it is 1, whatever the target.
    """
    known = np.isfinite(target)
    if not known.any():
        return float("nan")
    x, y = embeddings[known], target[known]
    return r_squared(fitted(readout_sums(x, y), ridge=ridge)(x), y)


def held_out(
    embeddings: NDArray[Any],
    target: NDArray[Any],
    sections: NDArray[Any],
    *,
    folds: int = 5,
    gap: int = 10,
    ridge: float = 0.0,
) -> float:
    """Score readouts on sections that they were not fitted to.

    Neighbouring sections and tiles are alike, so whole runs of sections are held out, and sections
    near them are not fitted either.

    Parameters
    ----------
    embeddings : ndarray of float, shape (N, D)
        One row each.
    target : ndarray of float, shape (N,)
        NaN leaves a row out.
    sections : ndarray of int, shape (N,)
        Of every row.
    folds : int
        Into how many runs sections are cut.
    gap : int
        Sections on both sides of a run that take no part in its fit.
    ridge : float
        See :func:`fitted`.

    Returns
    -------
    float
        R^2 of all predictions together, about the mean of all rows; NaN where nothing can be
        fitted.
    """
    known = np.isfinite(target)
    x, y, z = embeddings[known], target[known], sections[known]
    predicted = np.full(len(y), np.nan)
    for inside, outside in section_folds(z, folds=folds, gap=gap):
        if outside.any():
            predicted[inside] = fitted(readout_sums(x[outside], y[outside]), ridge=ridge)(x[inside])
    told = np.isfinite(predicted)
    return r_squared(predicted[told], y[told])


def section_folds(
    sections: NDArray[Any], *, folds: int, gap: int
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Cut sections into runs: rows that are held out, and rows that are fitted.

    Parameters
    ----------
    sections : ndarray of int, shape (N,)
        Of every row.
    folds, gap : int
        See :func:`held_out`.

    Yields
    ------
    tuple of ndarray of bool, shape (N,)

    Raises
    ------
    GeometryError
        If there are fewer than two folds, or fewer sections than folds.

    Examples
    --------
    >>> [(a.tolist(), b.tolist()) for a, b in section_folds(np.array([0, 1, 2]), folds=2, gap=1)]
    [([True, True, False], [False, False, False]), ([False, False, True], [True, False, False])]
    """
    found = np.unique(sections)
    if folds < 2 or len(found) < folds:
        raise GeometryError(
            f"{folds} folds of {len(found)} sections; give 2 folds or more, and at least as many "
            "sections"
        )
    for run in _runs(found, folds):
        first, last = run[0], run[-1]
        inside = (sections >= first) & (sections <= last)
        yield inside, (sections < first - gap) | (sections > last + gap)


def _runs(found: NDArray[Any], folds: int) -> Sequence[NDArray[Any]]:
    return np.array_split(found, folds)
