"""Leakage, measured: what a network that has met its subjects before seems to be worth.

The same scans are judged twice: by networks that learnt from other subjects, and by networks that
learnt from other scans, some of them of the same subjects.  What the second ones do better they
owe to knowing heads, and not to knowing the disease.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.io.tables import Column, Schema
from volkit.kernels.group_bootstrap import group_interval
from volkit.kernels.weighted_scores import weighted_score

LEAKAGE = Schema(
    (
        Column("score", "str", "", "of scans"),
        Column("by_subject", "float64", "", "subjects divided: nobody is met twice"),
        Column("by_subject_low", "float64", "", "95 % interval, bootstrap over subjects"),
        Column("by_subject_high", "float64", "", "95 % interval, bootstrap over subjects"),
        Column("by_scan", "float64", "", "scans divided at random: subjects are met again"),
        Column("by_scan_low", "float64", "", "95 % interval, bootstrap over subjects"),
        Column("by_scan_high", "float64", "", "95 % interval, bootstrap over subjects"),
        Column("leaked", "float64", "", "by scan less by subject"),
        Column("leaked_low", "float64", "", "95 % interval, the same subjects in both"),
        Column("leaked_high", "float64", "", "95 % interval, the same subjects in both"),
        Column("known_subjects", "float64", "", "share of scans whose subject was met before"),
    )
)
_SCORES = ("accuracy", "balanced_accuracy", "auc", "brier")


def leakage_table(
    by_subject: pd.DataFrame,
    by_scan: pd.DataFrame,
    *,
    known_subjects: float,
    threshold: float = 0.5,
    draws: int = 500,
) -> pd.DataFrame:
    """Compare scores of the same scans under both ways of dividing them.

    Parameters
    ----------
    by_subject, by_scan : pandas.DataFrame
        ``scan``, ``subject``, ``positive``, ``probability``; the scans that only one of them has
        do not count.
    known_subjects : float
        Share of the scans of ``by_scan`` whose subject was met before.
    threshold : float
        From it on an answer is positive.
    draws : int
        Of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        With the columns of `LEAKAGE`.

    Raises
    ------
    ContractError
        If they have no scan in common.
    """
    both = by_subject.merge(
        by_scan[["scan", "probability"]], on="scan", suffixes=("", "_by_scan"), validate="1:1"
    )
    if not len(both):
        raise ContractError("no scan was judged both ways; divide the same scans")
    truth, subject = both["positive"].to_numpy(bool), both["subject"].to_numpy(str)
    once = np.ones(len(both))
    rows: list[dict[str, Any]] = []
    for name in _SCORES:
        honest, known = (
            weighted_score(name, both[c].to_numpy(np.float64), truth, threshold=threshold)
            for c in ("probability", "probability_by_scan")
        )

        def gain(weight: NDArray[np.float64], a: Any = honest, b: Any = known) -> float:
            return float(b(weight) - a(weight))

        row: dict[str, Any] = {"score": name, "known_subjects": known_subjects}
        for column, score in (("by_subject", honest), ("by_scan", known), ("leaked", gain)):
            low, high = group_interval(score, subject, draws=draws)
            row |= {column: score(once), f"{column}_low": low, f"{column}_high": high}
        rows.append(row)
    return LEAKAGE.framed(rows)


def leakage_told(table: pd.DataFrame) -> str:
    """Say it in a sentence.

    Parameters
    ----------
    table : pandas.DataFrame
        From `leakage_table`.

    Returns
    -------
    str
    """
    row: Any = table.set_index("score").loc["accuracy"]
    points = 100 * float(row["leaked"])
    low, high = 100 * float(row["leaked_low"]), 100 * float(row["leaked_high"])
    verdict = (
        "that is what knowing the subjects seems to add, and it is not worth anything"
        if low > 0
        else "that could be chance"
    )
    return (
        f"accuracy {float(row['by_scan']):.3f} with scans divided at random, "
        f"{float(row['by_subject']):.3f} with subjects divided: {points:+.1f} points "
        f"(95 % within {low:+.1f} and {high:+.1f}); {verdict}"
    )
