"""Class confusion: how well predicted classes agree with true ones, from counts that add up.

The table is that of :mod:`volkit.kernels.sections`, voxels by section, true and predicted class.
A matrix is made of it for the whole (pooled), or for every section, an image of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.kernels.contingency import Table
from volkit.kernels.sections import split_sections

Matrix = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Scores of every class, 0 to 1, 1 best; NaN where a class is neither there nor predicted.

    Parameters
    ----------
    precision, recall, f1, iou, accuracy : ndarray of float64, shape (C,)
        In the order of the classes; ``accuracy`` is the share of voxels that are rightly inside or
        rightly outside the class.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    iou: Floats
    accuracy: Floats

    @property
    def mean_f1(self) -> float:
        """Mean of F1 over all classes, background included; NaN if one is absent."""
        return float(self.f1.mean())

    @property
    def mean_iou(self) -> float:
        """Mean of the IoU over all classes, background included; NaN if one is absent."""
        return float(self.iou.mean())


def confusion_matrix(table: Table, classes: int) -> Matrix:
    """Arrange counts of pairs as a matrix.

    Parameters
    ----------
    table : dict of ndarray
        ``true``, ``pred`` and ``count``, of a volume or of a section.
    classes : int
        How many there are.

    Returns
    -------
    ndarray of int64, shape (C, C)
        Voxels; rows are true classes, columns predicted ones.  Matrices of parts add up.

    Raises
    ------
    ContractError
        If a number is that of no class.

    Examples
    --------
    >>> from volkit.kernels.contingency import contingency
    >>> confusion_matrix(contingency(np.array([0, 1, 1]), np.array([0, 1, 0])), 2).tolist()
    [[1, 0], [1, 1]]
    """
    most = max((int(table[side].max(initial=0)) for side in ("true", "pred")), default=0)
    if most >= classes:
        raise ContractError(
            f"a voxel has class {most}, but there are {classes}, from 0 on; merge the codes of "
            "the source into classes first"
        )
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (table["true"].astype(int), table["pred"].astype(int)), table["count"])
    return matrix


def section_matrices(table: Table, classes: int) -> Matrix:
    """Arrange the counts of every section as a matrix.

    Parameters
    ----------
    table : dict of ndarray
        From :func:`volkit.kernels.sections.section_contingency`.
    classes : int
        How many there are.

    Returns
    -------
    ndarray of int64, shape (N, C, C)
        One matrix for every section that has voxels, in order; their sum is that of the whole.
    """
    found = [confusion_matrix(part, classes) for _, part in split_sections(table)]
    return np.stack(found) if found else np.zeros((0, classes, classes), np.int64)


def pooled_scores(matrices: Sequence[Matrix] | Matrix) -> ClassScores:
    """Score all voxels together: the aggregation that the published code calls new.

    Parameters
    ----------
    matrices : ndarray of int64, shape (N, C, C), or sequence of (C, C)
        Of images or of parts of any shape; only their sum matters.

    Returns
    -------
    ClassScores
        For every class IoU = F1 / (2 - F1).

    References
    ----------
    Quesada et al., MTNeuro, NeurIPS datasets and benchmarks 2022, doi:10.48550/arXiv.2301.00345.

    Examples
    --------
    >>> scores = pooled_scores([np.array([[6, 2], [0, 2]])])
    >>> scores.f1.round(4).tolist(), scores.iou.tolist(), scores.accuracy.tolist()
    ([0.8571, 0.6667], [0.75, 0.5], [0.8, 0.8])
    """
    return ClassScores(*_scores(_stacked(matrices).sum(axis=0)[None])[:, 0])


def per_image_scores(matrices: Sequence[Matrix] | Matrix, *, absent: float = 1.0) -> ClassScores:
    """Score every image and take means: the aggregation that the published code calls old.

    A mean of ratios is no ratio of means: IoU = F1 / (2 - F1) does not hold for these.

    Parameters
    ----------
    matrices : ndarray of int64, shape (N, C, C), or sequence of (C, C)
        One for each image.
    absent : float
        Score of an image that has nothing of a class, neither true nor predicted; NaN leaves the
        image out of the mean.

    Returns
    -------
    ClassScores

    Examples
    --------
    >>> images = [np.array([[4, 0], [0, 0]]), np.array([[2, 1], [0, 1]])]
    >>> per_image_scores(images).iou.round(4).tolist()
    [0.8333, 0.75]
    >>> per_image_scores(images, absent=float("nan")).iou.round(4).tolist()
    [0.8333, 0.5]
    """
    scores = _scores(_stacked(matrices))
    if not np.isnan(absent):
        return ClassScores(*np.where(np.isnan(scores), absent, scores).mean(axis=1))
    known = ~np.isnan(scores)
    total = np.where(known, scores, 0).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return ClassScores(*(total / known.sum(axis=1)))


def balanced_accuracy(matrices: Sequence[Matrix] | Matrix) -> float:
    """Mean of sensitivity and specificity, pooled over all classes but the first.

    Parameters
    ----------
    matrices : ndarray of int64, shape (N, C, C), or sequence of (C, C)
        As for :func:`pooled_scores`.

    Returns
    -------
    float
        The published "balanced accuracy (no background)".

    Examples
    --------
    >>> balanced_accuracy([np.array([[6, 2], [1, 3]])])
    0.75
    """
    hit, extra, missed, rest = (part[0, 1:].sum() for part in _parts(_total(matrices)))
    return float((hit / (hit + missed) + rest / (rest + extra)) / 2)


def _total(matrices: Sequence[Matrix] | Matrix) -> Matrix:
    return np.asarray(_stacked(matrices).sum(axis=0)[None])


def _stacked(matrices: Sequence[Matrix] | Matrix) -> Matrix:
    stacked = np.asarray(matrices, np.int64)
    if stacked.ndim != 3 or stacked.shape[1] != stacked.shape[2] or not len(stacked):
        raise ContractError(
            f"confusion has shape {stacked.shape}; give one square matrix or more, (N, C, C)"
        )
    return stacked


def _parts(matrices: Matrix) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """Count true and false positives, false and true negatives, each of shape (N, C)."""
    hit = np.diagonal(matrices, axis1=1, axis2=2)
    extra, missed = matrices.sum(axis=1) - hit, matrices.sum(axis=2) - hit
    rest = matrices.sum(axis=(1, 2))[:, None] - hit - extra - missed
    return hit, extra, missed, rest


def _scores(matrices: Matrix) -> Floats:
    """Compute precision, recall, F1, IoU and accuracy, shape (5, N, C)."""
    hit, extra, missed, rest = _parts(matrices)
    pairs = (
        (hit, hit + extra),
        (hit, hit + missed),
        (2 * hit, 2 * hit + extra + missed),
        (hit, hit + extra + missed),
        (hit + rest, hit + extra + missed + rest),
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack([part / whole for part, whole in pairs])
