"""Scores of stall predictions: per fold and pooled, with intervals over groups."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.io.tables import Column, Schema
from volkit.kernels.binary_scores import (
    average_precision,
    best_threshold,
    roc_area,
    scores_at,
)
from volkit.kernels.calibration import checked
from volkit.kernels.calibration_scores import brier, reliability
from volkit.kernels.group_bootstrap import group_interval
from volkit.kernels.weighted_scores import weighted_score

SCORES = Schema(
    (
        Column("part", "str", "", "fold, or all"),
        Column("score", "str", "", "mcc, sensitivity, specificity, precision, auc, ap, brier, ece"),
        Column("at", "str", "", "fixed threshold, best threshold, or all of them"),
        Column("threshold", "float64", "", "null where there is none"),
        Column("value", "float64", "", "null where it is not defined"),
        Column("low", "float64", "", "95 % interval over groups; null for parts"),
        Column("high", "float64", "", "95 % interval over groups; null for parts"),
        Column("examples", "int64", "", "that it was computed on"),
        Column("positives", "int64", "", "stalled ones"),
    )
)
Floats = NDArray[np.float64]
_COUNTED = ("mcc", "sensitivity", "specificity", "precision")


def stall_scores(
    probability: NDArray[Any],
    positive: NDArray[Any],
    *,
    fold: NDArray[Any] | None = None,
    group: NDArray[Any] | None = None,
    threshold: float = 0.7,
    draws: int = 500,
) -> pd.DataFrame:
    """Score probabilities against labels.

    Parameters
    ----------
    probability : ndarray of float, shape (N,)
        Of a stall.
    positive : ndarray of bool, shape (N,)
        Truth.
    fold : ndarray, shape (N,), optional
        Parts to be scored one by one, too.
    group : ndarray, shape (N,), optional
        Animals or projects: whole ones are drawn for intervals; none without.
    threshold : float
        The fixed one.  The best one is chosen on all examples, so that its scores flatter.
    draws : int
        Of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        With the columns of `SCORES`.

    Raises
    ------
    ContractError
        If values are no probabilities, or lengths differ.
    """
    given, truth = checked(probability, positive)
    for name, values in (("fold", fold), ("group", group)):
        if values is not None and len(values) != len(given):
            raise ContractError(
                f"{name} has {len(values)} entries for {len(given)} examples; give one of each"
            )
    best = best_threshold(given, truth).threshold
    rows = _rows("all", given, truth, (threshold, best))
    if group is not None:
        rows = [_with_interval(row, given, truth, np.asarray(group), draws) for row in rows]
    for name in [] if fold is None else np.unique(np.asarray(fold)):
        here = np.asarray(fold) == name
        rows += _rows(str(name), given[here], truth[here], (threshold, best))
    return SCORES.framed(rows)


def _rows(
    part: str, given: Floats, truth: NDArray[np.bool_], thresholds: tuple[float, float]
) -> list[dict[str, Any]]:
    size = {"part": part, "examples": len(truth), "positives": int(truth.sum())}
    rows = []
    for at, threshold in zip(("fixed", "best"), thresholds, strict=True):
        found = scores_at(given, truth, threshold)
        rows += [
            {**size, "score": name, "at": at, "threshold": threshold, "value": getattr(found, name)}
            for name in _COUNTED
        ]
    free = {
        "auc": roc_area(given, truth),
        "ap": average_precision(given, truth),
        "brier": brier(given, truth),
        "ece": reliability(given, truth).expected_error,
    }
    return rows + [{**size, "score": name, "at": "all", "value": v} for name, v in free.items()]


def _with_interval(
    row: dict[str, Any], given: Floats, truth: NDArray[np.bool_], group: NDArray[Any], draws: int
) -> dict[str, Any]:
    name, at = row["score"], row.get("threshold", 0.0)
    score = weighted_score(name, given, truth, threshold=at)
    low, high = group_interval(score, group, draws=draws)
    return {**row, "low": low, "high": high}
