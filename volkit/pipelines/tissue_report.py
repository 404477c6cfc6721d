"""Report of ``tissue``: scores of classes and features of regions, each in one table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from volkit.io.tables import read_table, write_table
from volkit.kernels.class_confusion import (
    ClassScores,
    balanced_accuracy,
    per_image_scores,
    pooled_scores,
    section_matrices,
)
from volkit.pipelines.statistics_report import described
from volkit.pipelines.tissue_config import Tissue
from volkit.pipelines.tissue_region import RegionResult
from volkit.wording import counted

_MEASURES = ("precision", "recall", "f1", "iou", "accuracy")
Rows = list[tuple[str, str, str]]


def score_frame(results: Sequence[RegionResult], config: Tissue) -> pd.DataFrame:
    """Score every region, and all of them together.

    Parameters
    ----------
    results : sequence of RegionResult
        Those with pairs count.
    config : Tissue
        Names the classes.

    Returns
    -------
    DataFrame
        ``region`` (``all`` for all), ``aggregation`` (``pooled`` over voxels; ``per_image``, means
        of sections), ``class`` (``mean`` of all classes, background included), and the scores;
        ``balanced_accuracy`` in the pooled rows of means.  Empty where nothing was compared.
    """
    count = len(config.classes)
    found = {r.name: section_matrices(r.pairs, count) for r in results if r.pairs is not None}
    if len(found) > 1:
        found["all"] = np.concatenate(list(found.values()))
    rows = []
    for region, matrices in found.items():
        for aggregation, scores in (
            ("pooled", pooled_scores(matrices)),
            ("per_image", per_image_scores(matrices, absent=config.absent)),
        ):
            said = {"region": region, "aggregation": aggregation}
            rows += [{**said, **row} for row in _rows(scores, list(config.classes))]
            if aggregation == "pooled":
                rows[-1]["balanced_accuracy"] = balanced_accuracy(matrices)
    return pd.DataFrame(rows)


def _rows(scores: ClassScores, names: list[str]) -> list[dict[str, Any]]:
    table = {name: getattr(scores, name) for name in _MEASURES}
    rows = [
        {"class": name, **{measure: float(column[k]) for measure, column in table.items()}}
        for k, name in enumerate(names)
    ]
    means = {measure: float(column.mean()) for measure, column in table.items()}
    return [*rows, {"class": "mean", **means, "balanced_accuracy": float("nan")}]


def feature_frame(results: Sequence[RegionResult], *, table: str = "regions.csv") -> pd.DataFrame:
    """Put the rows of all regions under each other.

    Parameters
    ----------
    results : sequence of RegionResult
        With their reports.
    table : str
        Of the reports, ``regions.csv`` or ``graph.csv``.

    Returns
    -------
    DataFrame
        ``region``, ``of`` (truth or predicted), and what the table measures.
    """
    frames = []
    for result in results:
        for what, folder in result.reports.items():
            frame = read_table(folder / table)[0].drop(columns=["region", "name"], errors="ignore")
            frame.insert(0, "of", what)
            frame.insert(0, "region", result.name)
            frames.append(frame)
    return pd.concat(frames, ignore_index=True).astype({"region": "str", "of": "str"})


def absent_classes(features: pd.DataFrame, config: Tissue) -> list[str]:
    """Say which classes have no voxel in any region: their codes may be those of another source.

    Parameters
    ----------
    features : DataFrame
        From :func:`feature_frame`.
    config : Tissue
        Names the classes.

    Returns
    -------
    list of str
        A line for each, of the truth and of what was predicted.
    """
    hints = {"truth": "; check that classes has the codes of these labels"}
    return [
        f"{what}: no voxel of any region is {name} = {list(config.classes[name])}"
        + hints.get(str(what), "")
        for what, mine in features.groupby("of", sort=False)
        for name in config.numbers
        if not mine[f"{name}_fraction"].any()
    ]


def write_report(
    folder: Path, results: Sequence[RegionResult], config: Tissue, made: dict[str, Any]
) -> tuple[tuple[tuple[str, Path], ...], Rows]:
    """Write ``features.csv``, and what else is wanted.

    That is ``graph.csv`` where branches are measured, and ``scores.csv`` where there is something
    to compare.

    Parameters
    ----------
    folder : Path
        Where; made where it is not there.
    results : sequence of RegionResult
        By region.
    config : Tissue
        The workflow.
    made : dict
        Provenance, JSON.

    Returns
    -------
    files : tuple of (str, Path)
        What was written, by name.
    rows : list of (str, str, str)
        What a person wants to see first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    frames = {"features.csv": feature_frame(results)}
    if config.measure.branches.of is not None:
        frames["graph.csv"] = feature_frame(results, table="graph.csv")
    scores = score_frame(results, config)
    if len(scores):
        frames["scores.csv"] = scores.astype(
            dict.fromkeys(("region", "aggregation", "class"), "str")
        )
    for name, frame in frames.items():
        write_table(folder / name, frame, described(frame), made)
    files = tuple((name.partition(".")[0], folder / name) for name in frames)
    rows = _told(scores, frames["features.csv"], config)
    return files, rows + _told_of_branches(frames.get("graph.csv"))


def _told_of_branches(graph: pd.DataFrame | None) -> Rows:
    return [
        (
            f"{row['region']}, {row['of']}",
            f"{row['branches']:,} branch{'es' * (row['branches'] != 1)} of {row['class']}",
            f"{row['length_um']:,.1f} um long, mean radius {row['radius_um']:.2f} um",
        )
        for row in ([] if graph is None else graph.to_dict("records"))
    ]


def _told(scores: pd.DataFrame, features: pd.DataFrame, config: Tissue) -> Rows:
    rows: Rows = []
    if len(scores):
        last = scores[(scores["class"] == "mean") & (scores["region"] == scores["region"].iloc[-1])]
        for row in last.itertuples():
            rows.append((f"mean IoU, {row.aggregation}", f"{row.iou:.4f}", "1 best"))
            rows.append((f"mean F1, {row.aggregation}", f"{row.f1:.4f}", "1 best"))
    for row in features.to_dict("records"):
        shares = (f"{name} {100 * row[f'{name}_fraction']:.2f} %" for name in config.numbers)
        cells = counted(row["cells"], "cell") if "cells" in row else "of the voxels"
        rows.append((f"{row['region']}, {row['of']}", ", ".join(shares), cells))
    return rows
