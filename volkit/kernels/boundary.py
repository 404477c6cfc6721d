"""Boundaries: which pixels of a truth are boundary, and how well a map finds them.

Pixels are counted by the first threshold that lies above them, so that one pass answers for all
thresholds; counts of parts add up.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import GeometryError

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BoundaryCurve:
    """How well a map finds the boundary, at every threshold.

    A pixel is called boundary where the map is at least the threshold.

    Parameters
    ----------
    thresholds : tuple of float
        Ascending.
    pixel_error : tuple of float
        Share of pixels that are called wrongly.
    precision : tuple of float
        Share of what is called boundary that is; 1 where nothing is.
    recall : tuple of float
        Share of the boundary that is called so.
    boundary, interior : int
        Pixels of the truth.
    separation : float
        Chance that a pixel of the boundary has a higher value than one of the interior, ties
        halved, as far as the thresholds tell (area under the ROC curve); below 0.5 the map is
        upside down.
    """

    thresholds: tuple[float, ...]
    pixel_error: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    boundary: int
    interior: int
    separation: float

    @property
    def f_scores(self) -> tuple[float, ...]:
        """Harmonic means of precision and recall."""
        return tuple(
            2 * p * r / (p + r) if p + r else 0.0
            for p, r in zip(self.precision, self.recall, strict=True)
        )

    @property
    def best(self) -> int:
        """Which threshold has the lowest pixel error; of equal ones, the lowest."""
        return self.pixel_error.index(min(self.pixel_error))


def label_edges(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Find the pixels that have a neighbour with another label in their section.

    Parameters
    ----------
    labels : ndarray of int, shape (Z, Y, X)
        True labels.

    Returns
    -------
    ndarray of bool, shape (Z, Y, X)
        Both sides of every edge, 4-connected; the rim of the array is no edge.

    Examples
    --------
    >>> label_edges(np.array([[[1, 1, 2, 2]]])).tolist()
    [[[False, True, True, False]]]
    """
    edges = np.zeros(labels.shape, bool)
    for axis in (1, 2):
        here, there = (
            tuple(cut if a == axis else slice(None) for a in range(3))
            for cut in (slice(None, -1), slice(1, None))
        )
        unlike = labels[here] != labels[there]
        edges[here] |= unlike
        edges[there] |= unlike
    return edges


def count_levels(levels: NDArray[Any], boundary: NDArray[np.bool_], *, thresholds: int) -> Counts:
    """Count the pixels of interior and boundary at every level.

    Parameters
    ----------
    levels : ndarray of int
        From :func:`volkit.kernels.leaves.threshold_levels`.
    boundary : ndarray of bool, the same shape
        The truth.
    thresholds : int
        How many there are.

    Returns
    -------
    ndarray of int64, shape (2, K + 1)
        Interior, boundary.

    Examples
    --------
    >>> count_levels(np.array([0, 1, 1]), np.array([False, False, True]), thresholds=1).tolist()
    [[1, 1], [0, 1]]
    """
    both = levels.astype(np.int64) + (thresholds + 1) * boundary
    return np.bincount(both.ravel(), minlength=2 * (thresholds + 1)).reshape(2, -1).astype(np.int64)


def boundary_curve(counts: Counts, thresholds: NDArray[np.float32]) -> BoundaryCurve:
    """Compute pixel error, precision and recall at every threshold.

    Parameters
    ----------
    counts : ndarray of int64, shape (2, K + 1)
        From :func:`count_levels`, of all pixels.
    thresholds : ndarray of float32, shape (K,)
        Ascending.

    Returns
    -------
    BoundaryCurve

    Raises
    ------
    GeometryError
        If the truth has no boundary, or nothing else.

    Examples
    --------
    >>> found = boundary_curve(np.array([[3, 1], [1, 3]]), np.float32([0.5]))
    >>> found.pixel_error, found.precision, found.recall, found.separation
    ((0.25,), (0.75,), (0.75,), 0.75)
    """
    interior, boundary = (int(n) for n in counts.sum(axis=1))
    if not interior or not boundary:
        raise GeometryError(
            f"the truth has {boundary} pixels of boundary and {interior} of interior, and there is "
            "nothing to tell apart; choose another box or another boundary ('zero', 'edges')"
        )
    # Called boundary at threshold k: all levels above k.
    false, true = (np.cumsum(row[::-1])[::-1][1:] for row in counts)
    called = false + true
    # Each pixel of boundary is above all interior of lower levels, and level with half of its own.
    below = np.cumsum(counts[0]) - counts[0]
    wins = sum(
        int(n) * (2 * int(b) + int(own))
        for n, b, own in zip(counts[1], below, counts[0], strict=True)
    )
    return BoundaryCurve(
        thresholds=tuple(float(str(t)) for t in thresholds),  # 0.2, not 0.200000003
        pixel_error=tuple(((boundary - true + false) / (boundary + interior)).tolist()),
        precision=tuple(np.where(called, true / np.maximum(called, 1), 1.0).tolist()),
        recall=tuple((true / boundary).tolist()),
        boundary=boundary,
        interior=interior,
        separation=wins / (2 * boundary * interior),
    )
