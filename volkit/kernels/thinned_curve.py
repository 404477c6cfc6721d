"""Thinned curves: Rand sums of whole sections at few thresholds, with borders thinned at each."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Coord
from volkit.kernels.border import section_components, thinned
from volkit.kernels.contingency import contingency
from volkit.kernels.counted import square_sums
from volkit.kernels.threshold_curve import Columns, no_leaves, no_sums, split_halves


def thinned_curve(
    prob: NDArray[np.float32],
    truth: NDArray[Any],
    *,
    thresholds: NDArray[np.float32],
    start: Coord = (0, 0, 0),
) -> Columns:
    """Segment whole sections at every threshold, thin the borders, and add up squares.

    Parameters
    ----------
    prob : ndarray of float32, shape (Z, Y, X)
        Boundary probability of whole sections.
    truth : ndarray of int, shape (Z, Y, X)
        True labels; 0 does not count.
    thresholds : ndarray of float32, shape (K,)
        Ascending.
    start : tuple of int
        Where the sections begin, voxels.

    Returns
    -------
    dict of ndarray
        As :func:`volkit.kernels.threshold_curve.tile_curve` gives it of finished sections.
    """
    found = no_sums(len(thresholds))
    found |= {name: np.zeros((len(prob), *c.shape[1:]), c.dtype) for name, c in found.items()}
    found["sum_section"] = np.arange(start[0], start[0] + len(prob), dtype=np.int64)
    for z, plane in enumerate(truth):
        if plane.any():
            _fill(found, z, prob[z], plane, thresholds)
    return {**no_leaves(), **found}


def _fill(
    found: Columns,
    z: int,
    prob: NDArray[np.float32],
    truth: NDArray[Any],
    thresholds: NDArray[np.float32],
) -> None:
    counts = truth != 0
    found["sum_all"][z] = np.count_nonzero(counts)
    sizes = np.unique(truth[counts], return_counts=True)[1]
    found["sum_objects"][z] = split_halves(sum(int(n) ** 2 for n in sizes))
    for k, threshold in enumerate(thresholds):
        pred = thinned(section_components(prob[None] < threshold))[0]
        inside = counts & (pred != 0)
        outside = np.unique(truth[counts & (pred == 0)], return_counts=True)[1]
        found["sum_rest"][z, k] = split_halves(sum(int(n) ** 2 for n in outside))
        if not inside.any():
            continue
        table = contingency(truth[inside], pred[inside])
        sums = square_sums(table, true_zero="ignore", pred_zero="ignore")
        found["sum_voxels"][z, k] = sums.voxels
        found["sum_segments"][z, k] = len(np.unique(table["pred"]))
        for name in ("both", "pred", "true"):
            found[f"sum_{name}"][z, k] = split_halves(getattr(sums, name))
