"""Scores of a segmentation, from a contingency table and nothing else.

Sums of squares are integers of any size, and every score is one division of two of them: no voxel
count is too large to be exact.

*split* falls where one true object is cut into several segments, *merge* where one segment joins
several true objects; for the Rand scores 1 is best, for the variation of information 0.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from volkit.errors import GeometryError
from volkit.kernels.contingency import Table

TrueZero = Literal["ignore", "segment"]
PredZero = Literal["singletons", "segment", "ignore"]
Form = Literal["probabilities", "pairs"]

_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class RandScores:
    """Rand scores and the convention that they were computed with.

    Parameters
    ----------
    f_score : float
        Harmonic mean of ``split`` and ``merge``, 0 to 1, 1 best.
    split : float
        1 where no true object is cut (V_split; recall of pairs).
    merge : float
        1 where no segment joins true objects (V_merge; precision of pairs).
    adapted_rand_error : float
        1 - ``f_score``, rounded once.
    voxels : int
        Voxels that count.
    true_zero, pred_zero, form : str
        The convention; see :func:`rand_scores`.
    """

    f_score: float
    split: float
    merge: float
    adapted_rand_error: float
    voxels: int
    true_zero: TrueZero
    pred_zero: PredZero
    form: Form


@dataclass(frozen=True, slots=True)
class VoiScores:
    """Variation of information and the convention that it was computed with.

    Parameters
    ----------
    split : float
        H(pred | true), bits; 0 where no true object is cut.
    merge : float
        H(true | pred), bits; 0 where no segment joins true objects.
    voxels : int
        Voxels that count.
    true_zero, pred_zero : str
        The convention; see :func:`voi_scores`.
    """

    split: float
    merge: float
    voxels: int
    true_zero: TrueZero
    pred_zero: PredZero

    @property
    def total(self) -> float:
        """Variation of information, bits."""
        return self.split + self.merge


def rand_scores(
    table: Table,
    *,
    true_zero: TrueZero = "ignore",
    pred_zero: PredZero = "singletons",
    form: Form = "probabilities",
) -> RandScores:
    """Compute the Rand split, merge and F scores.

    Parameters
    ----------
    table : dict of ndarray
        Contingency table.
    true_zero : {"ignore", "segment"}
        True label 0 (membrane, or not annotated): does not count, or is an object like others.
    pred_zero : {"singletons", "segment", "ignore"}
        Predicted label 0 (not assigned): every voxel a segment of its own, one segment, or does
        not count.
    form : {"probabilities", "pairs"}
        Sums of n^2, as in the definition, or of n (n - 1): pairs of two different voxels, as
        scikit-image has it.  They differ by about one over the number of voxels of a segment.

    Returns
    -------
    RandScores
        The scores with their convention.

    Raises
    ------
    GeometryError
        If no voxel counts, or an option is unknown.

    Notes
    -----
    With n the voxels of a pair, a of a segment and b of a true object, split is the sum of n^2 over
    that of b^2, merge over that of a^2, and F twice the sum of n^2 over that of a^2 and b^2.  Where
    there is nothing to divide by (pairs, and only single voxels), the score is 1.

    References
    ----------
    W. M. Rand, Objective criteria for the evaluation of clustering methods,
    doi:10.1080/01621459.1971.10482356.
    I. Arganda-Carreras et al., Crowdsourcing the creation of image segmentation algorithms for
    connectomics, doi:10.3389/fnana.2015.00142.

    Examples
    --------
    >>> halves = {"true": [1, 2], "pred": [5, 5], "count": [8, 8]}
    >>> scores = rand_scores({name: np.array(column) for name, column in halves.items()})
    >>> scores.merge, scores.split
    (0.5, 1.0)
    """
    _check_choice("form", form, ("probabilities", "pairs"))
    sums = _counted(table, true_zero, pred_zero)
    less = sums.voxels if form == "pairs" else 0
    both = _sum_of_squares(sums.both) + sums.singletons - less
    true = _sum_of_squares(sums.true) - less
    pred = _sum_of_squares(sums.pred) + sums.singletons - less
    return RandScores(
        f_score=2 * both / (true + pred) if true + pred else 1.0,
        split=both / true if true else 1.0,
        merge=both / pred if pred else 1.0,
        adapted_rand_error=(true + pred - 2 * both) / (true + pred) if true + pred else 0.0,
        voxels=sums.voxels,
        true_zero=true_zero,
        pred_zero=pred_zero,
        form=form,
    )


def voi_scores(
    table: Table, *, true_zero: TrueZero = "ignore", pred_zero: PredZero = "singletons"
) -> VoiScores:
    """Compute the variation of information, in its two parts.

    Parameters
    ----------
    table : dict of ndarray
        Contingency table.
    true_zero : {"ignore", "segment"}
        True label 0: does not count, or is an object like others.
    pred_zero : {"singletons", "segment", "ignore"}
        Predicted label 0: every voxel a segment of its own, one segment, or does not count.

    Returns
    -------
    VoiScores
        The parts, in bits, with their convention.

    Raises
    ------
    GeometryError
        If no voxel counts, or an option is unknown.

    References
    ----------
    M. Meilă, Comparing clusterings: an information based distance,
    doi:10.1016/j.jmva.2006.11.013.

    Examples
    --------
    >>> halves = {"true": [1, 2], "pred": [5, 5], "count": [8, 8]}
    >>> scores = voi_scores({name: np.array(column) for name, column in halves.items()})
    >>> scores.split, scores.merge
    (0.0, 1.0)
    """
    sums = _counted(table, true_zero, pred_zero)
    both = sums.both.astype(np.float64)
    # Every term is 0 or more, so that nothing cancels.
    split = np.sum(both * np.log2(sums.true[sums.true_row] / both))
    merge = np.sum(both * np.log2(sums.pred[sums.pred_row] / both))
    single = sums.single.astype(np.float64)
    split += np.sum(single * np.log2(sums.true[sums.single_row]))
    return VoiScores(
        split=float(split) / sums.voxels,
        merge=float(merge) / sums.voxels,
        voxels=sums.voxels,
        true_zero=true_zero,
        pred_zero=pred_zero,
    )


@dataclass(frozen=True, slots=True)
class _Counted:
    """The voxels that count: shared by pairs, and of every object and segment."""

    both: NDArray[np.int64]
    true: NDArray[np.int64]
    pred: NDArray[np.int64]
    true_row: NDArray[np.intp]
    pred_row: NDArray[np.intp]
    single: NDArray[np.int64]
    single_row: NDArray[np.intp]
    voxels: int

    @property
    def singletons(self) -> int:
        """Number of segments of one voxel: each adds 1 to a sum of squares."""
        return int(self.single.sum())


def _counted(table: Table, true_zero: TrueZero, pred_zero: PredZero) -> _Counted:
    _check_choice("true_zero", true_zero, ("ignore", "segment"))
    _check_choice("pred_zero", pred_zero, ("singletons", "segment", "ignore"))
    keep = np.ones(len(table["count"]), bool)
    if true_zero == "ignore":
        keep &= table["true"] != 0
    if pred_zero == "ignore":
        keep &= table["pred"] != 0
    true_id, pred_id, count = (table[name][keep] for name in ("true", "pred", "count"))
    if not len(count):
        raise GeometryError(
            f"no voxel counts with true_zero={true_zero!r} and pred_zero={pred_zero!r}: "
            "the labels that do count are absent; choose other options, or check the labels"
        )
    true, true_row = _sums(true_id, count)
    single = (pred_id == 0) if pred_zero == "singletons" else np.zeros(len(count), bool)
    pred, pred_row = _sums(pred_id[~single], count[~single])
    return _Counted(
        both=count[~single],
        true=true,
        pred=pred,
        true_row=true_row[~single],
        pred_row=pred_row,
        single=count[single],
        single_row=true_row[single],
        voxels=int(count.sum()),
    )


def _sums(
    ids: NDArray[Any], count: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Add counts by id, and tell for every row which sum it went to."""
    found, row = np.unique(ids, return_inverse=True)
    sums = np.zeros(len(found), np.int64)
    np.add.at(sums, row, count)  # bincount would add in float64
    return sums, row


def _sum_of_squares(counts: NDArray[np.int64]) -> int:
    """Add squares exactly: (h 2^32 + l)^2 has three products that each fit in 64 bits."""
    n = counts.astype(np.uint64)
    high, low = n >> _HALF, n & _LOW
    return _sum(low * low) + (_sum(high * low) << 33) + (_sum(high * high) << 64)


def _sum(terms: NDArray[np.uint64]) -> int:
    """Add in two halves, which cannot overflow below 2^32 terms."""
    return int((terms & _LOW).sum()) + (int((terms >> _HALF).sum()) << 32)


def _check_choice(name: str, given: str, choices: tuple[str, ...]) -> None:
    if given not in choices:
        raise GeometryError(f"{name} is {given!r}; choose one of {', '.join(choices)}")
