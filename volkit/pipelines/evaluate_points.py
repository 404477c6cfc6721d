"""Evaluate points: picks scored against true centres, with tables and a figure."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from volkit.io.points.files import read_points
from volkit.io.points.options import PointOptions
from volkit.io.tables import Column, Schema, write_table
from volkit.ops.particle_results import PointEvaluation
from volkit.ops.particle_scoring import THRESHOLDS, evaluate_points
from volkit.pipelines.evaluate_config import Evaluate
from volkit.pipelines.evaluate_page import write_evaluation_page
from volkit.pipelines.outcome import Outcome
from volkit.pipelines.run_parameters import run_parameters
from volkit.version import __version__

_SUFFIXES = (".csv", ".parquet", ".star", ".ndjson", ".jsonl")
_MEANINGS = {
    "tomogram": "in which",
    "class": "of which particles",
    "threshold": "points count that score above",
    "hits": "true positives",
    "false": "false positives; negative where one point finds two",
    "missed": "false negatives",
    "precision": "1 best",
    "recall": "1 best",
    "f": "F-beta, 1 best",
}


def is_points(config: Evaluate) -> bool:
    """Tell whether a prediction is a table of points, by what is said of it or by its name."""
    name = config.pred.partition("?")[0].lower()
    return config.kind == "points" or (config.kind == "auto" and name.endswith(_SUFFIXES))


def score_points(config: Evaluate) -> tuple[PointEvaluation, Outcome]:
    """Score points, and report.

    Parameters
    ----------
    config : Evaluate
        What to score.

    Returns
    -------
    found : PointEvaluation
        The scores.
    outcome : Outcome
        What was written.

    Raises
    ------
    SourceError
        If a table cannot be read, or holds what cannot be scored.
    ConfigError
        If only one of the two names tomograms.
    """
    how = config.points
    pred = _read(config, config.pred, how.user, how.session)
    truth = _read(config, config.truth, how.true_user, how.true_session)
    found = evaluate_points(
        *_of_same_tomogram(pred, truth, how.tomogram),
        convention=how.convention,
        thresholds=config.thresholds or THRESHOLDS,
    )
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    made = {"volkit": __version__, "parameters": run_parameters(config)}
    files: tuple[tuple[str, Path], ...] = (
        ("figure", _figure(folder / "figure.png", found)),
        ("scores", _scores(folder / "scores.json", found, made)),
        ("tomograms", _table(folder / "tomograms.csv", found.tomograms, made)),
        ("curve", _table(folder / "curve.csv", found.curve, made)),
    )
    files += (("page", write_evaluation_page(folder)),)
    following = ("open", folder / "figure.png")
    return found, Outcome(files=files, following=following, scores=tuple(found.as_table()))


def _read(config: Evaluate, uri: str, user: str | None, session: str | None) -> pd.DataFrame:
    how = config.points
    options = PointOptions(
        voxel_size_nm=config.voxel_size_nm,
        class_name=how.class_name,
        tomogram=how.tomogram,
        user=user,
        session=session,
    )
    return read_points(uri, options)


def _of_same_tomogram(
    pred: pd.DataFrame, truth: pd.DataFrame, tomogram: str | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Drop the name of the tomogram where it was chosen, and the other table has none."""
    named = ["tomogram" in frame.columns for frame in (pred, truth)]
    if tomogram is None or all(named):
        return pred, truth
    pred, truth = (frame.drop(columns="tomogram", errors="ignore") for frame in (pred, truth))
    return pred, truth


def _scores(path: Path, found: PointEvaluation, made: dict[str, Any]) -> Path:
    value = {
        "kind": "points",
        "convention": asdict(found.convention),
        "score": found.score,
        "classes": [asdict(each) for each in found.classes],
        "best": {"score": found.best_score, "threshold": found.best_threshold},
        "warnings": list(found.warnings),
        "made": made,
    }
    scratch = path.with_suffix(".part")
    scratch.write_text(json.dumps(value, indent=1, default=str) + "\n", encoding="utf-8")
    scratch.replace(path)
    return path


def _table(path: Path, frame: pd.DataFrame, made: dict[str, Any]) -> Path:
    frame = frame.astype({name: "str" for name in ("tomogram", "class") if name in frame.columns})
    named = dict.fromkeys(("tomogram", "class"), "str")
    columns = [
        Column(name, named.get(name, str(frame[name].dtype)), "", _MEANINGS[name])
        for name in frame.columns
    ]
    write_table(path, frame, Schema(tuple(columns)), made)
    return path


def _figure(path: Path, found: PointEvaluation) -> Path:
    """Draw F by threshold and precision by recall, a line for each class, as PNG."""
    figure = Figure(figsize=(11, 4.2), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    by_threshold, by_recall = figure.subplots(1, 2)
    for name, rows in found.curve.groupby("class", sort=False):
        (line,) = by_threshold.plot(rows["threshold"], rows["f"], marker=".", label=name)
        best = rows[rows["threshold"] == found.best_threshold[str(name)]]
        by_threshold.plot(best["threshold"], best["f"], "o", color=line.get_color())
        by_recall.plot(rows["recall"], rows["precision"], marker=".", color=line.get_color())
    by_threshold.set(xlabel="threshold", ylabel=f"F{found.convention.beta:g}", ylim=(-0.02, 1.05))
    by_recall.set(xlabel="recall", ylabel="precision", xlim=(-0.02, 1.05))
    by_threshold.legend(fontsize="small")
    figure.suptitle(f"score {found.score:.4f}, at the best thresholds {found.best_score:.4f}")
    # Without the version of matplotlib in the file, equal pictures are equal bytes.
    figure.savefig(path, metadata={"Software": None})
    return path
