"""Predictive values of scans: what an answer is worth where positives are rarer than here."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.io.tables import Column, Schema
from volkit.kernels.binary_scores import weighted_counts
from volkit.kernels.group_bootstrap import group_interval
from volkit.kernels.proportions import negative_predictive_value, predictive_value
from volkit.kernels.weighted_scores import Weighted
from volkit.ops.scan_scores import LEVELS, Row, answers, at_level, check_judged

PREDICTIVE = Schema(
    (
        Column("level", "str", "", "scan or subject"),
        Column("prevalence", "float64", "", "share of positives where the test is used"),
        Column("ppv", "float64", "", "share of the positive answers that is right there"),
        Column("ppv_low", "float64", "", "95 % interval, bootstrap over subjects"),
        Column("ppv_high", "float64", "", "95 % interval, bootstrap over subjects"),
        Column("npv", "float64", "", "share of the negative answers that is right there"),
        Column("npv_low", "float64", "", "95 % interval, bootstrap over subjects"),
        Column("npv_high", "float64", "", "95 % interval, bootstrap over subjects"),
    )
)


def predictive_values(
    judged: pd.DataFrame,
    prevalences: Sequence[float],
    *,
    threshold: float = 0.5,
    draws: int = 500,
) -> pd.DataFrame:
    """Say what answers are worth where positives are rarer, or more frequent, than here.

    Parameters
    ----------
    judged, threshold, draws
        As for `volkit.ops.scan_scores.scan_scores`.
    prevalences : sequence of float
        Shares of positives; at that of the scans themselves the empirical precision comes out.

    Returns
    -------
    pandas.DataFrame
        With the columns of `PREDICTIVE`.

    Raises
    ------
    ContractError
        If a prevalence is no share, or a column is missing.
    """
    check_judged(judged)
    rows: list[Row] = []
    for level in LEVELS:
        table = at_level(judged, level)
        for prevalence in prevalences:
            row: Row = {"level": level, "prevalence": float(prevalence)}
            for name, value in (("ppv", predictive_value), ("npv", negative_predictive_value)):
                score = _worth(value, table, prevalence, threshold)
                low, high = group_interval(score, table["subject"].to_numpy(str), draws=draws)
                here = score(np.ones(len(table)))
                row |= {name: here, f"{name}_low": low, f"{name}_high": high}
            rows.append(row)
    return PREDICTIVE.framed(rows)


def _worth(
    value: Callable[..., float], table: pd.DataFrame, prevalence: float, threshold: float
) -> Weighted:
    """Give a predictive value as a function of how often each example counts."""
    given, truth = answers(table)

    def score(weight: NDArray[np.float64]) -> float:
        counts = weighted_counts(given, truth, weight, threshold=threshold)
        errors = {"sensitivity": counts.sensitivity, "specificity": counts.specificity}
        if np.isnan(list(errors.values())).any():
            return float("nan")
        return value(**errors, prevalence=float(prevalence))

    return score
