"""Evaluation of a merge tree: every threshold of it, from one look at the fragments."""

from functools import partial
from typing import Any

import numpy as np
from dask.base import is_dask_collection
from dask.delayed import delayed
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Columns
from volkit.geometry import Grid
from volkit.kernels.counted import PredZero
from volkit.kernels.curves import merge_curve
from volkit.ops.metrics import contingency_table


def evaluate_tree(
    fragments: Any,
    truth: Any,
    merges: Columns,
    *,
    thresholds: NDArray[Any],
    descending: bool = False,
    pred_zero: PredZero = "singletons",
    grid: Grid | None = None,
    engine: Engine | None = None,
) -> Any:
    """Score a segmentation at every threshold of its merge tree.

    The fragments and the truth are read once, for their contingency table; further thresholds, and
    further trees of the same fragments, cost nothing of that again in a job.

    Parameters
    ----------
    fragments, truth : Volume, dask array, ndarray or DataArray of int, shape (Z, Y, X)
        Labels, aligned voxel by voxel.
    merges : dict of ndarray
        ``a`` and ``b`` (ids of fragments) and ``value`` or ``saliency`` of every merge.
    thresholds : ndarray of float, shape (K,)
        Ascending.
    descending : bool
        Merges of at least the threshold are carried out (saliencies), else those below it.
    pred_zero : {'singletons', 'segment', 'ignore'}
        How voxels without a fragment count.
    grid, engine
        As for :func:`volkit.ops.metrics.contingency_table`.

    Returns
    -------
    RandCurve
        LazyEngine: a Delayed of it.

    Raises
    ------
    GeometryError
        If the domains differ, an input holds no ids, or no voxel counts.
    ContractError
        If a merge names fragment 0, or thresholds do not ascend.
    """
    table = contingency_table(truth, fragments, grid=grid, engine=engine)
    values = merges["value"] if "value" in merges else merges["saliency"]
    score = partial(
        merge_curve,
        a=merges["a"],
        b=merges["b"],
        values=values,
        thresholds=np.asarray(thresholds),
        descending=descending,
        pred_zero=pred_zero,
    )
    return delayed(score, pure=True)(table) if is_dask_collection(table) else score(table)
