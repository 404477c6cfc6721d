"""Metrics: segmentations against the truth, without loading either.

Every score comes from one contingency table, added up over blocks.  In a job the table is stored
under ``name``: further scores of the same volumes and grid reuse it.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Reduction
from volkit.errors import GeometryError
from volkit.geometry import Block, Box, Grid
from volkit.io.volume import Volume
from volkit.kernels.contingency import Table, add_contingency, contingency
from volkit.kernels.dice import dice_scores
from volkit.kernels.scores import (
    Form,
    PredZero,
    RandScores,
    TrueZero,
    VoiScores,
    rand_scores,
    voi_scores,
)
from volkit.ops.arguments import arguments


@dataclass(frozen=True, slots=True)
class SegmentationScores:
    """All scores of a segmentation, with their convention.

    Parameters
    ----------
    rand : RandScores
        Rand split, merge and F.
    voi : VoiScores
        Variation of information.
    true_objects, pred_segments : int
        Number of ids other than 0.
    """

    rand: RandScores
    voi: VoiScores
    true_objects: int
    pred_segments: int

    def as_table(self) -> list[tuple[str, str, str]]:
        """List the scores as rows of name, value and meaning, for printing."""
        rand, voi = self.rand, self.voi
        return [
            ("Rand F", f"{rand.f_score:.4f}", "1 best"),
            ("Rand split", f"{rand.split:.4f}", "1: no true object is cut"),
            ("Rand merge", f"{rand.merge:.4f}", "1: no segment joins true objects"),
            ("adapted Rand error", f"{rand.adapted_rand_error:.4f}", "0 best"),
            ("VOI split", f"{voi.split:.4f}", "bits, 0: no true object is cut"),
            ("VOI merge", f"{voi.merge:.4f}", "bits, 0: no segment joins true objects"),
            ("true objects", f"{self.true_objects}", "ids other than 0"),
            ("segments", f"{self.pred_segments}", "ids other than 0"),
            ("voxels", f"{rand.voxels}", "that count"),
            (
                "convention",
                f"{rand.true_zero} / {rand.pred_zero} / {rand.form}",
                "true 0 / predicted 0 / sums",
            ),
        ]


def contingency_table(
    true: Any,
    pred: Any,
    *,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "contingency",
) -> Any:
    """Count the voxels that each pair of labels shares.

    Parameters
    ----------
    true, pred : Volume, dask array, ndarray or DataArray of int, shape (Z, Y, X)
        Labels, aligned voxel by voxel; ids from 0 on.
    grid : Grid, optional
        Blocks to work in; the table does not depend on it.  None takes the chunks.
    engine : Engine, optional
        Where to run; None is LazyEngine.
    name : str
        Name of the stage.

    Returns
    -------
    dict of ndarray
        ``true`` and ``pred`` (uint64) and ``count`` (int64), each pair once, sorted (LazyEngine: a
        Delayed of it).

    Raises
    ------
    GeometryError
        If the domains differ, or an input holds no ids.
    """
    return _reduce(true, pred, None, grid=grid, engine=engine, name=name)


def rand(
    true: Any,
    pred: Any,
    *,
    true_zero: TrueZero = "ignore",
    pred_zero: PredZero = "singletons",
    form: Form = "probabilities",
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "contingency",
) -> Any:
    """Compute the Rand split, merge and F scores of ``pred``.

    Parameters
    ----------
    true, pred, grid, engine, name
        As for :func:`contingency_table`.
    true_zero, pred_zero, form : str
        How background counts, and which sums; as for
        :func:`~volkit.kernels.scores.rand_scores`.

    Returns
    -------
    RandScores
        With its convention (LazyEngine: a Delayed of it).

    Raises
    ------
    GeometryError
        If the domains differ, an input holds no ids, or no voxel counts.
    """
    finish = partial(rand_scores, true_zero=true_zero, pred_zero=pred_zero, form=form)
    return _reduce(true, pred, finish, grid=grid, engine=engine, name=name)


def voi(
    true: Any,
    pred: Any,
    *,
    true_zero: TrueZero = "ignore",
    pred_zero: PredZero = "singletons",
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "contingency",
) -> Any:
    """Compute the variation of information of ``pred``, in its two parts.

    Parameters
    ----------
    true, pred, grid, engine, name
        As for :func:`contingency_table`.
    true_zero, pred_zero : str
        How background counts; as for :func:`~volkit.kernels.scores.voi_scores`.

    Returns
    -------
    VoiScores
        In bits, with its convention (LazyEngine: a Delayed of it).

    Raises
    ------
    GeometryError
        If the domains differ, an input holds no ids, or no voxel counts.
    """
    finish = partial(voi_scores, true_zero=true_zero, pred_zero=pred_zero)
    return _reduce(true, pred, finish, grid=grid, engine=engine, name=name)


def dice(
    true: Any,
    pred: Any,
    *,
    classes: tuple[int, ...] | None = None,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "contingency",
) -> Any:
    """Compute the Dice overlap of every class, for labels that mean the same in both.

    Parameters
    ----------
    true, pred, grid, engine, name
        As for :func:`contingency_table`; the labels are classes, such as tissues.
    classes : tuple of int, optional
        Which; None takes all that occur but 0.

    Returns
    -------
    dict of int to float
        0 to 1, 1 best (LazyEngine: a Delayed of it).

    Raises
    ------
    GeometryError
        If the domains differ, or an input holds no ids.
    """
    finish = partial(dice_scores, classes=classes)
    return _reduce(true, pred, finish, grid=grid, engine=engine, name=name)


def segmentation_scores(
    true: Any,
    pred: Any,
    *,
    true_zero: TrueZero = "ignore",
    pred_zero: PredZero = "singletons",
    form: Form = "probabilities",
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "contingency",
) -> Any:
    """Compute all scores of a segmentation from one table.

    Parameters
    ----------
    true, pred, grid, engine, name
        As for :func:`contingency_table`.
    true_zero, pred_zero, form : str
        How background counts, and which sums; as for
        :func:`~volkit.kernels.scores.rand_scores`.

    Returns
    -------
    SegmentationScores
        With the convention (LazyEngine: a Delayed of it).

    Raises
    ------
    GeometryError
        If the domains differ, an input holds no ids, or no voxel counts.
    """
    finish = partial(_all_scores, true_zero=true_zero, pred_zero=pred_zero, form=form)
    return _reduce(true, pred, finish, grid=grid, engine=engine, name=name)


def _all_scores(
    table: Table, *, true_zero: TrueZero, pred_zero: PredZero, form: Form
) -> SegmentationScores:
    return SegmentationScores(
        rand=rand_scores(table, true_zero=true_zero, pred_zero=pred_zero, form=form),
        voi=voi_scores(table, true_zero=true_zero, pred_zero=pred_zero),
        true_objects=_objects(table["true"]),
        pred_segments=_objects(table["pred"]),
    )


def _objects(ids: NDArray[np.uint64]) -> int:
    return int(np.count_nonzero(np.unique(ids)))


def _table_block(block: Block, true: NDArray[Any], pred: NDArray[Any]) -> Table:
    return contingency(true, pred)


def _reduce(
    true: Any, pred: Any, finalize: Any, *, grid: Grid | None, engine: Engine | None, name: str
) -> Any:
    call = arguments(true, pred, grid=grid, engine=engine)
    _check_labels(*call.inputs, whole=grid is None)
    return call.engine.reduce(
        Reduction(_table_block, add_contingency, finalize), *call.inputs, grid=call.grid, name=name
    )


def _check_labels(true: Any, pred: Any, *, whole: bool) -> None:
    """Refuse what cannot be aligned or is no label, before anything is read."""
    for what, labels in (("true", true), ("predicted", pred)):
        if np.dtype(labels.dtype).kind not in "uib" or _has_channels(labels):
            raise GeometryError(
                f"{what} labels {_describe(labels)} are {labels.dtype}"
                f"{' with channels' * _has_channels(labels)}; give integer ids of shape (z, y, x)"
            )
    same_kind = isinstance(true, Volume) is isinstance(pred, Volume)
    if whole and same_kind and _domain(true) != _domain(pred):
        raise GeometryError(
            f"true labels {_describe(true)} and predicted labels {_describe(pred)} are not of the "
            "same domain; give volumes that cover the same voxels"
        )


def _has_channels(labels: Any) -> bool:
    return (labels.channels is not None) if isinstance(labels, Volume) else labels.ndim != 3


def _domain(labels: Any) -> Box:
    return labels.domain if isinstance(labels, Volume) else Box.from_shape(labels.shape)


def _describe(labels: Any) -> str:
    if isinstance(labels, Volume):
        return f"{labels.uri} {labels.domain}"
    return f"(dask array of shape {labels.shape})"
