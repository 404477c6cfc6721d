"""Scores of a segmentation, from a contingency table and nothing else.

Sums of squares are integers of any size, and every score is one division of two of them: no voxel
count is too large to be exact.

*split* falls where one true object is cut into several segments, *merge* where one segment joins
several true objects; for the Rand scores 1 is best, for the variation of information 0.
"""

from dataclasses import dataclass

import numpy as np

from volkit.kernels.contingency import Table
from volkit.kernels.counted import Form as Form
from volkit.kernels.counted import PredZero as PredZero
from volkit.kernels.counted import SquareSums, check_choice, counted, square_sums
from volkit.kernels.counted import TrueZero as TrueZero


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
    sums = square_sums(table, true_zero=true_zero, pred_zero=pred_zero)
    return rand_of_sums(sums, true_zero=true_zero, pred_zero=pred_zero, form=form)


def rand_of_sums(
    sums: SquareSums,
    *,
    true_zero: TrueZero = "ignore",
    pred_zero: PredZero = "singletons",
    form: Form = "probabilities",
) -> RandScores:
    """Compute the Rand scores from sums of squares, such as those of a stack of sections.

    Parameters
    ----------
    sums : SquareSums
        Of the voxels that count.
    true_zero, pred_zero : str
        The convention that they were made with.
    form : {"probabilities", "pairs"}
        As for :func:`rand_scores`.

    Returns
    -------
    RandScores

    Raises
    ------
    GeometryError
        If the form is unknown.

    Examples
    --------
    >>> rand_of_sums(SquareSums(both=128, true=128, pred=256, voxels=16)).merge
    0.5
    """
    check_choice("form", form, ("probabilities", "pairs"))
    less = sums.voxels if form == "pairs" else 0
    both, true, pred = sums.both - less, sums.true - less, sums.pred - less
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
    sums = counted(table, true_zero, pred_zero)
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
