"""Deviations: how far two maps of values are apart, in parts that add up."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum, nan, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import GeometryError

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class DeviationScores:
    """How far two maps of values are apart.

    Parameters
    ----------
    values : int
        All values: voxels, times channels.
    unlike : int
        That differ at all; NaN is like NaN.
    over : int
        That differ by more than the threshold, or of which one alone is no finite number.
    threshold : float
        The threshold.
    largest : float
        Largest absolute difference.
    mean : float
        Mean absolute difference.
    correlation : float
        Pearson's; NaN where one of the maps is constant.
    """

    values: int
    unlike: int
    over: int
    threshold: float
    largest: float
    mean: float
    correlation: float


def block_deviation(
    number: int, old: NDArray[Any], new: NDArray[Any], *, threshold: float
) -> Columns:
    """Measure how far two maps are apart in a block.

    Means and squared deviations are those of the finite values of the block itself, so that nothing
    cancels when blocks are put together.

    Parameters
    ----------
    number : int
        Of the block.
    old, new : ndarray of number, the same shape
        Values.
    threshold : float
        What counts as far apart.

    Returns
    -------
    dict of ndarray
        One row: ``block``, ``values``, ``unlike``, ``over``, ``finite``, ``largest``, ``sum``,
        ``mean_old``, ``mean_new``, ``square_old``, ``square_new`` and ``product``.

    Raises
    ------
    GeometryError
        If the shapes differ.

    Examples
    --------
    >>> found = block_deviation(0, np.array([0.0, 1.0]), np.array([0.0, 0.5]), threshold=0.25)
    >>> {name: found[name].item() for name in ("unlike", "over", "largest", "sum")}
    {'unlike': 1, 'over': 1, 'largest': 0.5, 'sum': 0.5}
    """
    if old.shape != new.shape:
        raise GeometryError(
            f"old values have shape {old.shape} and new ones {new.shape}; give two arrays of the "
            "same voxels and channels"
        )
    # NaN alone is not itself.
    unlike = (old != new) & ((old == old) | (new == new))
    finite = np.isfinite(old) & np.isfinite(new)
    a, b = old[finite].astype(np.float64), new[finite].astype(np.float64)
    apart = np.abs(a - b)
    mean_a, mean_b = (float(x.mean()) if x.size else 0.0 for x in (a, b))
    a -= mean_a
    b -= mean_b
    row: dict[str, int | float] = {
        "block": number,
        "values": int(old.size),
        "unlike": int(np.count_nonzero(unlike)),
        "over": int(np.count_nonzero(apart > threshold)) + int(np.count_nonzero(unlike & ~finite)),
        "finite": int(a.size),
        "largest": float(apart.max(initial=0.0)),
        "sum": float(apart.sum()),
        "mean_old": mean_a,
        "mean_new": mean_b,
        "square_old": float(a @ a),
        "square_new": float(b @ b),
        "product": float(a @ b),
    }
    return {name: np.array([value]) for name, value in row.items()}


def deviation_scores(rows: Mapping[str, NDArray[Any]], *, threshold: float) -> DeviationScores:
    """Put blocks together.

    Parameters
    ----------
    rows : mapping of ndarray
        Rows of :func:`block_deviation`, in any order: sums are rounded once.
    threshold : float
        The one that they were counted with.

    Returns
    -------
    DeviationScores

    Examples
    --------
    >>> rows = block_deviation(0, np.array([0, 2, 4]), np.array([1, 5, 9]), threshold=2)
    >>> scores = deviation_scores(rows, threshold=2)
    >>> scores.over, scores.largest, scores.mean, scores.correlation
    (2, 5.0, 3.0, 1.0)
    """
    n = rows["finite"].astype(np.float64)
    count = int(rows["finite"].sum())
    shift = {}
    for side in ("old", "new"):
        mean = fsum(n * rows[f"mean_{side}"]) / count if count else 0.0
        shift[side] = rows[f"mean_{side}"] - mean
    square_old = fsum(rows["square_old"] + n * shift["old"] ** 2)
    square_new = fsum(rows["square_new"] + n * shift["new"] ** 2)
    product = fsum(rows["product"] + n * shift["old"] * shift["new"])
    spread = sqrt(square_old * square_new)
    return DeviationScores(
        values=int(rows["values"].sum()),
        unlike=int(rows["unlike"].sum()),
        over=int(rows["over"].sum()),
        threshold=threshold,
        largest=float(rows["largest"].max(initial=0.0)),
        mean=fsum(rows["sum"]) / count if count else 0.0,
        correlation=min(1.0, max(-1.0, product / spread)) if spread else nan,
    )
