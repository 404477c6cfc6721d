"""Scores of scans: by fold and pooled, of scans and of subjects, with intervals over subjects.

Scans of one subject are alike, so that as many answers say less than as many subjects would:
intervals are those of a bootstrap that draws whole subjects.  Beside them stand Wilson's, which
take scans as independent, and are then too narrow.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.io.tables import Column, Schema
from volkit.kernels.binary_scores import BinaryScores, scores_at
from volkit.kernels.group_bootstrap import group_interval
from volkit.kernels.group_means import group_means
from volkit.kernels.proportions import wilson_interval
from volkit.kernels.weighted_scores import COUNTED, FREE, weighted_score

LEVELS = ("scan", "subject")
POOLED, MEAN = "all", "mean of folds"

SCAN_SCORES = Schema(
    (
        Column("part", "str", "", "fold, all of them pooled, or the mean of folds"),
        Column("level", "str", "", "scan, or subject: mean probability of its scans"),
        Column("score", "str", "", "ap is the area under precision over recall"),
        Column("value", "float64", "", "null where it is not defined"),
        Column("deviation", "float64", "", "of folds, as of a sample (n - 1); null elsewhere"),
        Column("low", "float64", "", "95 % interval, bootstrap over subjects; pooled only"),
        Column("high", "float64", "", "95 % interval, bootstrap over subjects; pooled only"),
        Column("wilson_low", "float64", "", "95 % interval of a proportion of independent answers"),
        Column("wilson_high", "float64", "", "95 % interval of a proportion"),
        Column("examples", "int64", "", "scans or subjects"),
        Column("positives", "int64", "", "of the class that is looked for"),
    )
)
CONFUSION = Schema(
    (
        Column("level", "str", "", "scan or subject"),
        Column("truth", "str", "", "class"),
        Column("said", "str", "", "class"),
        Column("count", "int64", "", "how often"),
    )
)
_JUDGED = ("subject", "positive", "probability", "fold")
Row = dict[str, Any]


def scan_scores(judged: pd.DataFrame, *, threshold: float = 0.5, draws: int = 500) -> pd.DataFrame:
    """Score what networks say of scans that they have not learnt from.

    Parameters
    ----------
    judged : pandas.DataFrame
        One row for each scan: ``subject``, ``positive`` (bool), ``probability`` (0 to 1) and
        ``fold``, by which the network was trained that judged it.
    threshold : float
        From it on an answer is positive; to be fixed before looking.
    draws : int
        Of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        With the columns of `SCAN_SCORES`.

    Raises
    ------
    ContractError
        If a column is missing, or values are no probabilities.
    """
    check_judged(judged)
    rows: list[Row] = []
    folds = sorted(judged["fold"].unique())
    for level in LEVELS:
        own: list[Row] = []
        for fold in folds if len(folds) > 1 else ():
            part = at_level(judged[judged["fold"] == fold], level)
            own += _rows(f"fold {fold}", level, part, threshold)
        pooled = at_level(judged, level)
        rows += [_bounded(row, pooled, threshold, draws) for row in
                 _rows(POOLED, level, pooled, threshold)]  # fmt: skip
        rows += _means(own, level)
        rows += own
    return SCAN_SCORES.framed(rows)


def at_level(judged: pd.DataFrame, level: str) -> pd.DataFrame:
    """Give scans as they are, or subjects with the mean probability of their scans.

    Parameters
    ----------
    judged : pandas.DataFrame
        As for `scan_scores`.
    level : {"scan", "subject"}
        Which.

    Returns
    -------
    pandas.DataFrame
        ``subject``, ``positive``, ``probability``.
    """
    if level == "scan":
        return judged[list(_JUDGED[:3])].reset_index(drop=True)
    subject = judged["subject"].to_numpy(str)
    names, means = group_means(judged["probability"].to_numpy(np.float64), subject)
    _, truth = group_means(judged["positive"].to_numpy(np.float64), subject)
    # A mean of ones may round to more than one.
    said = np.clip(means, 0.0, 1.0)
    return pd.DataFrame({"subject": names, "positive": truth > 0.5, "probability": said})


def confusion(
    judged: pd.DataFrame, classes: tuple[str, str], *, threshold: float = 0.5
) -> pd.DataFrame:
    """Count what was said of each class.

    Parameters
    ----------
    judged, threshold
        As for `scan_scores`.
    classes : tuple of str
        Names of the negative and of the positive class.

    Returns
    -------
    pandas.DataFrame
        With the columns of `CONFUSION`.
    """
    check_judged(judged)
    rows = []
    for level in LEVELS:
        found = scores_at(*answers(at_level(judged, level)), threshold)
        negative, positive = classes
        rows += [
            {"level": level, "truth": truth, "said": said, "count": int(count)}
            for truth, said, count in (
                (positive, positive, found.hits),
                (positive, negative, found.missed),
                (negative, positive, found.false),
                (negative, negative, found.rejected),
            )
        ]
    return CONFUSION.framed(rows)


def _rows(part: str, level: str, table: pd.DataFrame, threshold: float) -> list[Row]:
    given, truth = answers(table)
    size = {"part": part, "level": level, "examples": len(truth), "positives": int(truth.sum())}
    once = np.ones(len(truth))
    rows = []
    for name in COUNTED + FREE:
        score = weighted_score(name, given, truth, threshold=threshold)
        rows.append({**size, "score": name, "value": score(once)})
    return rows


def _bounded(row: Row, table: pd.DataFrame, threshold: float, draws: int) -> Row:
    """Add the intervals of a pooled score."""
    given, truth = answers(table)
    score = weighted_score(row["score"], given, truth, threshold=threshold)
    low, high = group_interval(score, table["subject"].to_numpy(str), draws=draws)
    found = {**row, "low": low, "high": high}
    counts = _proportion(row["score"], scores_at(given, truth, threshold))
    if counts is not None:
        found["wilson_low"], found["wilson_high"] = wilson_interval(*counts)
    return found


def _proportion(name: str, counts: BinaryScores) -> tuple[int, int] | None:
    """Give right answers and all of those that a proportion counts; None where it is none."""
    hits, false, missed, rejected = (
        int(n) for n in (counts.hits, counts.false, counts.missed, counts.rejected)
    )
    return {
        "accuracy": (hits + rejected, hits + false + missed + rejected),
        "sensitivity": (hits, hits + missed),
        "specificity": (rejected, rejected + false),
        "precision": (hits, hits + false),
    }.get(name)


def _means(rows: Sequence[Row], level: str) -> list[Row]:
    """Average each score over folds."""
    found = []
    for name in COUNTED + FREE if rows else ():
        mine = [row for row in rows if row["score"] == name]
        values = np.array([row["value"] for row in mine])
        found.append(
            {
                "part": MEAN,
                "level": level,
                "score": name,
                "value": float(values.mean()),
                "deviation": float(values.std(ddof=1)),
                "examples": sum(row["examples"] for row in mine),
                "positives": sum(row["positives"] for row in mine),
            }
        )
    return found


def answers(table: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Give the probabilities of a table, and the truth."""
    return table["probability"].to_numpy(np.float64), table["positive"].to_numpy(bool)


def check_judged(judged: pd.DataFrame) -> None:
    """Refuse a table of judged scans that lacks a column.

    Raises
    ------
    ContractError
        Which names the columns.
    """
    missing = [name for name in _JUDGED if name not in judged]
    if missing:
        raise ContractError(
            f"the table of judged scans has no column {' and '.join(missing)}; give "
            f"{', '.join(_JUDGED)}"
        )
