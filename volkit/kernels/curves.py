"""Curves: the Rand scores of a segmentation over thresholds, and the best of them.

The thresholds may be those of a boundary map, with connected components in every section, or those
of a merge tree, for which the contingency table of the fragments is enough.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError, GeometryError
from volkit.kernels.contingency import Table
from volkit.kernels.counted import PredZero, SquareSums, check_choice
from volkit.kernels.growth import Entries, Growth, Merges, grow
from volkit.kernels.scores import RandScores, rand_of_sums
from volkit.kernels.threshold_curve import Columns


@dataclass(frozen=True, slots=True)
class RandCurve:
    """Rand scores at every threshold.

    Parameters
    ----------
    thresholds : tuple of float
        Ascending.
    scores : tuple of RandScores
        One for each.
    segments : tuple of int
        Segments with voxels that count; of sections where they are scored one by one.
    voi_split, voi_merge : tuple of float
        Variation of information, bits; empty where it was not computed.
    """

    thresholds: tuple[float, ...]
    scores: tuple[RandScores, ...]
    segments: tuple[int, ...]
    voi_split: tuple[float, ...] = ()
    voi_merge: tuple[float, ...] = ()

    @property
    def best(self) -> int:
        """Which threshold has the highest F score; of equal ones, the lowest."""
        f_scores = [score.f_score for score in self.scores]
        return f_scores.index(max(f_scores))


def section_curves(
    sums: Columns, thresholds: NDArray[np.float32], *, pred_zero: PredZero = "singletons"
) -> tuple[RandCurve, dict[int, RandCurve]]:
    """Score the stack of sections, and every section, at every threshold of a boundary map.

    Parameters
    ----------
    sums : dict of ndarray
        From :func:`volkit.kernels.threshold_curve.finish_curves`.
    thresholds : ndarray of float32, shape (K,)
        The thresholds.
    pred_zero : {"singletons", "segment", "ignore"}
        How pixels count that no segment of a section holds.

    Returns
    -------
    stack : RandCurve
        Sums of all sections, then divided; labels of different sections are different.
    sections : dict of int to RandCurve
        By z; sections without voxels that count are left out.

    Raises
    ------
    GeometryError
        If no voxel counts.
    """
    counts = np.flatnonzero(sums["sum_all"])
    if not len(counts):
        raise GeometryError(
            "the truth holds no object in the box, only label 0, so there is nothing to score; "
            "choose another box, or check the truth"
        )
    rows = {int(sums["sum_section"][row]): _row_sums(sums, int(row), pred_zero) for row in counts}
    total = [
        sum((row[k] for row in rows.values()), SquareSums(0, 0, 0, 0))
        for k in range(len(thresholds))
    ]
    segments = sums["sum_segments"][counts]
    stack = _curve(thresholds, total, segments.sum(axis=0), pred_zero)
    each = {
        z: _curve(thresholds, row, segments[n], pred_zero)
        for n, (z, row) in enumerate(rows.items())
    }
    return stack, each


def merge_curve(
    table: Table,
    a: NDArray[Any],
    b: NDArray[Any],
    values: NDArray[Any],
    thresholds: NDArray[Any],
    *,
    descending: bool = False,
    pred_zero: PredZero = "singletons",
) -> RandCurve:
    """Score every threshold of a merge tree from the contingency table of its fragments.

    Parameters
    ----------
    table : dict of ndarray
        Contingency table of the fragments (``pred``) and the truth; true label 0 does not count.
    a, b : ndarray of int, shape (M,)
        Pairs of fragments, or of any members of two groups, that a merge joins.
    values : ndarray of float, shape (M,)
        At which threshold each does: mean boundary, or affinity.
    thresholds : ndarray of float, shape (K,)
        Ascending.
    descending : bool
        Merges of at least the threshold are carried out (affinities); else those below it
        (boundary).
    pred_zero : {"singletons", "segment", "ignore"}
        How voxels without a fragment count.

    Returns
    -------
    RandCurve
        With the variation of information.

    Raises
    ------
    ContractError
        If a merge names fragment 0, or is NaN, or thresholds do not ascend.
    GeometryError
        If no voxel counts.

    Notes
    -----
    A tree that merges into the mean of all contacts is no order of values: a merge may come after
    one that is more expensive.  It is carried out where all before it are: pass running maxima
    (``numpy.maximum.accumulate``) of values in the order of the merges.

    Examples
    --------
    >>> table = {"true": np.array([1, 1, 2]), "pred": np.array([5, 6, 7]), "count": np.full(3, 4)}
    >>> found = merge_curve(table, np.array([5, 6]), np.array([6, 7]), np.array([0.2, 0.6]),
    ...                     np.array([0.1, 0.5, 0.9]))
    >>> [round(score.f_score, 3) for score in found.scores], found.best
    ([0.75, 1.0, 0.714], 1)
    """
    check_choice("pred_zero", pred_zero, ("singletons", "segment", "ignore"))
    _check_merges(a, b, values, thresholds)
    counts = table["true"] != 0
    if not counts.any():
        raise GeometryError(
            "the truth holds no object, only label 0, so there is nothing to score; check the truth"
        )
    true, pred, count = (table[name][counts] for name in ("true", "pred", "count"))
    truths, truth = np.unique(true, return_inverse=True)
    ids = np.unique(np.concatenate([x.astype(np.uint64) for x in (pred, a, b)]))
    steps = len(thresholds)
    level, order = _merge_levels(values, thresholds, descending=descending)
    found = grow(
        Entries(
            piece=np.searchsorted(ids, pred.astype(np.uint64)),
            truth=truth.astype(np.int64),
            count=count.astype(np.int64),
            level=np.where(pred == 0, steps, 0),  # what has no fragment never enters
        ),
        Merges(
            np.searchsorted(ids, a.astype(np.uint64)),
            np.searchsorted(ids, b.astype(np.uint64)),
            level,
        ),
        pieces=len(ids),
        truths=len(truths),
        levels=steps,
    )
    sizes, outside = np.zeros((2, len(truths)), np.int64)
    np.add.at(sizes, truth, count)
    np.add.at(outside, truth, np.where(pred == 0, count, 0))
    return _scored(found, sizes, outside, thresholds, order, pred_zero)


def _scored(
    found: Growth,
    sizes: NDArray[np.int64],
    outside: NDArray[np.int64],
    thresholds: NDArray[Any],
    order: NDArray[np.int64],
    pred_zero: PredZero,
) -> RandCurve:
    """Score what has grown, by the whole sizes of true objects and what is in no fragment."""
    total = sum(int(n) ** 2 for n in sizes)
    sums = [
        _by_convention(
            (found.both[k], found.pred[k], found.true[k], found.rest[k]),
            inside=found.voxels[k],
            whole=(int(sizes.sum()), total),
            pred_zero=pred_zero,
        )
        for k in order
    ]
    curve = _curve(thresholds, sums, np.array(found.segments)[order], pred_zero)
    split, merge = _information(found, sizes, outside, pred_zero)
    voxels = [max(1, total.voxels) for total in sums]
    return replace(
        curve,
        voi_split=tuple((np.maximum(0, split[order]) / voxels).tolist()),
        voi_merge=tuple((np.maximum(0, merge[order]) / voxels).tolist()),
    )


def _information(
    found: Growth, sizes: NDArray[np.int64], outside: NDArray[np.int64], pred_zero: PredZero
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the two parts of the variation of information at every level, bits times voxels."""
    both, pred, true = found.both_bits, found.pred_bits, found.true_bits
    if pred_zero != "ignore":
        true = np.full(len(both), _bits(sizes))
    if pred_zero == "segment":
        both, pred = both + _bits(outside), pred + _bits(outside.sum(keepdims=True))
    return true - both, pred - both


def _bits(counts: NDArray[np.int64]) -> float:
    """Add up n log2 n."""
    n = counts[counts > 0].astype(np.float64)
    return float(np.sum(n * np.log2(n)))


def _by_convention(
    sums: tuple[int, int, int, int], *, inside: int, whole: tuple[int, int], pred_zero: PredZero
) -> SquareSums:
    """Make of what is inside the sums that a convention asks for.

    ``sums``: pairs, segments and objects inside, objects outside; ``whole``: voxels and squares.
    """
    both, pred, true, rest = sums
    voxels, objects = whole
    outside = voxels - inside
    if pred_zero == "ignore":
        return SquareSums(both, true, pred, inside)
    if pred_zero == "segment":
        return SquareSums(both + rest, objects, pred + outside**2, voxels)
    return SquareSums(both + outside, objects, pred + outside, voxels)


def _row_sums(sums: Columns, row: int, pred_zero: PredZero) -> list[SquareSums]:
    whole = int(sums["sum_all"][row]), _number(sums["sum_objects"][row])
    found = []
    for k in range(sums["sum_voxels"].shape[1]):
        both, pred, true, rest = (
            _number(sums[f"sum_{name}"][row, k]) for name in ("both", "pred", "true", "rest")
        )
        inside = int(sums["sum_voxels"][row, k])
        found.append(
            _by_convention(
                (both, pred, true, rest), inside=inside, whole=whole, pred_zero=pred_zero
            )
        )
    return found


def _number(halves: NDArray[np.uint64]) -> int:
    return (int(halves[0]) << 64) + int(halves[1])


def _curve(
    thresholds: NDArray[Any], sums: list[SquareSums], segments: NDArray[Any], pred_zero: PredZero
) -> RandCurve:
    return RandCurve(
        thresholds=tuple(float(str(t)) for t in thresholds),  # 0.2, not 0.200000003
        scores=tuple(rand_of_sums(total, pred_zero=pred_zero) for total in sums),
        segments=tuple(int(n) for n in segments),
    )


def _merge_levels(
    values: NDArray[Any], thresholds: NDArray[Any], *, descending: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the level at which each merge comes, and the level of each threshold."""
    steps = np.arange(len(thresholds))
    if descending:  # the highest threshold comes first
        below = np.searchsorted(thresholds, values, side="right")
        return len(thresholds) - below, steps[::-1].copy()
    return np.searchsorted(thresholds, values, side="right"), steps


def _check_merges(
    a: NDArray[Any], b: NDArray[Any], values: NDArray[Any], thresholds: NDArray[Any]
) -> None:
    if len(a) and (min(int(a.min()), int(b.min())) < 1 or not np.isfinite(values).all()):
        raise ContractError(
            "a merge names fragment 0, which is background, or its value is not finite; give pairs "
            "of ids from 1 on, and finite values"
        )
    if not len(thresholds) or not (np.diff(thresholds) > 0).all():
        raise ContractError(
            f"thresholds {list(thresholds)} do not ascend; give each once, in order"
        )
