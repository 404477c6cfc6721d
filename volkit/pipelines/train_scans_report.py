"""The report of a training on scans: tables, scores, figures, and the record of who was met."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from volkit.io.tables import Column, Schema, read_table, write_table
from volkit.models.card import Checkpoint
from volkit.ops.calibration_methods import METHOD_SCORES
from volkit.ops.scan_leakage import LEAKAGE
from volkit.ops.scan_predictive import PREDICTIVE, predictive_values
from volkit.ops.scan_scores import CONFUSION, SCAN_SCORES, confusion, scan_scores
from volkit.pipelines.scans_attention import ATTENTION, Attention
from volkit.pipelines.scans_config import ScoreKeys
from volkit.pipelines.scans_figure import attention_figure, judged_figure
from volkit.training.scan_sites import SITES

JUDGED = Schema(
    (
        Column("scan", "str", "", "its name"),
        Column("subject", "str", "", "whose"),
        Column("session", "str", "", "visit"),
        Column("label", "str", "", "class"),
        Column("fold", "int64", "", "of the network that judged it and had not met its subject"),
        Column("positive", "bool", "", "of the class that is looked for"),
        Column("probability", "float64", "", "of that class, as the network said"),
        Column("calibrated", "float64", "", "by what other folds fitted, or the calibrator given"),
    )
)
HISTORY = Schema(
    (
        Column("fold", "int64", "", "which network"),
        Column("epoch", "int64", "", "from 1 on"),
        Column("loss", "float64", "", "mean over the scans that were learnt from"),
        Column("learning_rate", "float64", "", "of the last step"),
        Column("aside_loss", "float64", "", "of scans set aside to choose by; null without"),
        Column("aside_auc", "float64", "", "of scans set aside to choose by; null without"),
        Column("aside_accuracy", "float64", "", "of scans set aside to choose by; null without"),
    )
)
Files = tuple[tuple[str, Path], ...]
_SHOWN = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "precision", "f1", "auc")
_POINT = 4  # digits of scores on the page


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a run came to.

    Parameters
    ----------
    judged : pandas.DataFrame
        With the columns of `JUDGED`.
    classes : tuple of str
        Negative and positive one.
    methods : pandas.DataFrame or None
        Ways of calibrating, compared; None where there was too little to compare them.
    leakage : pandas.DataFrame or None
        Measured; None where that was not asked for.
    attention : Attention or None
        Where the networks look.
    history : pandas.DataFrame or None
        Epochs; None where nothing was trained.
    sites : pandas.DataFrame or None
        Of all scans, by part; None where no site is known, or nothing was trained.
    """

    judged: pd.DataFrame
    classes: tuple[str, str]
    methods: pd.DataFrame | None = None
    leakage: pd.DataFrame | None = None
    attention: Attention | None = None
    history: pd.DataFrame | None = None
    sites: pd.DataFrame | None = None


def write_report(
    folder: Path, found: Found, keys: ScoreKeys, facts: Mapping[str, Any]
) -> tuple[Files, pd.DataFrame]:
    """Write tables and figures.

    Parameters
    ----------
    folder : Path
        Of the report.
    found : Found
        What there is to tell.
    keys : ScoreKeys
        How it is scored.
    facts : mapping
        JSON: what made it, from what.

    Returns
    -------
    files : tuple of (str, Path)
        By name.
    scores : pandas.DataFrame
        With the columns of `volkit.ops.scan_scores.SCAN_SCORES`.
    """
    how: dict[str, Any] = {"threshold": keys.threshold, "draws": keys.draws}
    scores = scan_scores(found.judged, **how)
    worth = predictive_values(found.judged, keys.prevalences, **how)
    counts = confusion(found.judged, found.classes, threshold=keys.threshold)
    tables = [
        ("judged", found.judged, JUDGED),
        ("scores", scores, SCAN_SCORES),
        ("predictive_values", worth, PREDICTIVE),
        ("confusion", counts, CONFUSION),
    ]
    for name, frame, schema in (
        ("calibration", found.methods, METHOD_SCORES),
        ("leakage", found.leakage, LEAKAGE),
        ("history", found.history, HISTORY),
        ("sites", found.sites, SITES),
        ("attention", None if found.attention is None else found.attention.table, ATTENTION),
    ):
        if frame is not None:
            tables.append((name, frame, schema))
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame, schema in tables:
        write_table(folder / f"{name}.csv", frame, schema, facts)
    _write_json(folder / "scores.json", _told(scores, found))
    files = tuple((name, folder / f"{name}.csv") for name, _, _ in tables)
    return (*files, *_figures(folder, found)), scores


def _figures(folder: Path, found: Found) -> Files:
    subjects = found.judged["subject"].nunique()
    heading = (
        f"{len(found.judged)} scans of {subjects} subjects: {found.classes[1]} against "
        f"{found.classes[0]}"
    )
    judged_figure(
        folder / "figure.png",
        found.judged,
        classes=found.classes,
        history=found.history,
        leakage=found.leakage,
        heading=heading,
    )
    files: Files = (("figure", folder / "figure.png"),)
    if found.attention is not None:
        path = folder / "attention.png"
        attention_figure(path, found.attention, heading=f"what speaks for {found.classes[1]}")
        files += (("attention figure", path),)
    return files


def read_history(cards: Sequence[Checkpoint]) -> pd.DataFrame:
    """Read what trainings told of their epochs.

    Parameters
    ----------
    cards : sequence of Checkpoint
        Of the networks, in the order of their folds.

    Returns
    -------
    pandas.DataFrame
        With the columns of `HISTORY`.

    Raises
    ------
    SourceError
        If a table cannot be read.
    """
    parts = []
    for fold, card in enumerate(Path(each.uri) for each in cards):
        frame = read_table(card.parent / "tracking" / f"{card.stem}.csv")[0]
        parts.append(frame.assign(fold=fold, epoch=frame["step"] + 1))
    return HISTORY.framed(pd.concat(parts, ignore_index=True))


def told_scores(scores: pd.DataFrame) -> tuple[tuple[str, str, str], ...]:
    """List the pooled scores for printing, and the mean of folds where there are some."""
    rows = []
    for level in ("scan", "subject"):
        here = scores[scores["level"] == level].set_index(["part", "score"])
        for name in (*_SHOWN, "ece"):
            row: Any = here.loc[("all", name)]
            said = f"{row['positives']} positive of {row['examples']}"
            if not np.isnan(row["low"]):
                said += f", 95 % within {row['low']:.3f} and {row['high']:.3f}"
            if ("mean of folds", name) in here.index:
                mean: Any = here.loc[("mean of folds", name)]
                said += f"; folds {mean['value']:.3f} ± {mean['deviation']:.3f}"
            rows.append((f"{name} of {level}s", f"{row['value']:.4f}", said))
    return tuple(rows)


def _told(scores: pd.DataFrame, found: Found) -> dict[str, Any]:
    """Give the scores of the page, nested by level."""
    tree: dict[str, Any] = {}
    if found.leakage is not None:
        row = found.leakage.set_index("score").loc["accuracy"]
        tree["leakage, accuracy"] = {
            "with subjects divided": _number(row["by_subject"]),
            "with scans divided at random": _number(row["by_scan"]),
            "too good by": _number(row["leaked"]),
            "too good by at least (95 %)": _number(row["leaked_low"]),
        }
    pooled = scores[scores["part"] == "all"]
    for level, part in pooled.groupby("level"):
        tree[str(level)] = {str(row["score"]): _with_interval(row) for _, row in part.iterrows()}
    means = scores[scores["part"] == "mean of folds"]
    for level, part in means.groupby("level"):
        tree[f"{level}, mean of folds"] = {
            str(row["score"]): f"{row['value']:.{_POINT}f} ± {row['deviation']:.{_POINT}f}"
            for _, row in part.iterrows()
        }
    if found.attention is not None and found.attention.table["inside"].notna().any():
        by = found.attention.table.groupby("label")[["inside", "expected", "enrichment"]].mean()
        tree["attention in the region"] = {
            str(label): {str(name): _number(value) for name, value in row.items()}
            for label, row in by.iterrows()
        }
    return tree


def _with_interval(row: Any) -> str:
    near = "" if np.isnan(row["low"]) else f" ({row['low']:.3f} to {row['high']:.3f})"
    return f"{row['value']:.{_POINT}f}{near}"


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else round(float(value), _POINT)


def _write_json(path: Path, tree: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(tree, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
