"""Stall tables of runs: predictions put beside segments, calibrated, called, reviewed, written."""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from volkit.errors import SourceError
from volkit.io.redaction import redacted
from volkit.models.ensemble import named
from volkit.ops.stall_calibration import StoredCalibrator, read_calibrator
from volkit.ops.stall_calls import calibrated, called, review_queue
from volkit.ops.stall_ensemble import StallEnsemble
from volkit.ops.stall_files import write_parts, write_stalls
from volkit.ops.stall_review import (
    add_reviews,
    merged,
    no_reviews,
    read_reviews,
    write_form,
    write_reviews,
)
from volkit.ops.stall_schema import completed
from volkit.ops.stall_summary import StallSummary, stall_summary
from volkit.pipelines.stalls_config import StallsRun
from volkit.version import __version__

Files = tuple[tuple[str, Path], ...]


@dataclass(frozen=True, slots=True)
class Made:
    """What a table is made with.

    Parameters
    ----------
    config : StallsRun
        The workflow.
    ensemble : StallEnsemble
        The networks.
    calibrator : StoredCalibrator or None
        Theirs.
    preprocess : mapping
        How clips are made, as JSON.
    input_uri, input_version : str
        From what.
    """

    config: StallsRun
    ensemble: StallEnsemble
    calibrator: StoredCalibrator | None
    preprocess: Any
    input_uri: str
    input_version: str

    @property
    def config_hash(self) -> str:
        """Digest of the workflow, but for where it runs and what people answer."""
        left_out = ("output", "cluster", "reviews", "report", "predict")
        return _digest({k: v for k, v in asdict(self.config).items() if k not in left_out})

    @property
    def columns(self) -> dict[str, str]:
        """Give the columns that say what made a row."""
        cards = self.ensemble.checkpoints
        run = {"config": self.config_hash, "input": self.input_version}
        return {
            "run_id": _digest({**run, "networks": self.ensemble.facts})[:16],
            "model_name": ", ".join(named(card) for card in cards),
            "model_version": ", ".join(card.version for card in cards),
            "weights_sha256": self.ensemble.weights_sha256,
            "preprocess_hash": _digest(self.preprocess),
            "config_hash": self.config_hash,
            "volkit_version": __version__,
            "input_uri": str(redacted(self.input_uri)),
            "input_version": self.input_version,
        }


def open_calibrator(config: StallsRun, ensemble: StallEnsemble) -> StoredCalibrator | None:
    """Read the calibrator that a workflow names; one of other networks is refused."""
    uri = config.networks.calibrator
    return None if uri is None else read_calibrator(uri, model=ensemble.fingerprint)


def finished_table(rows: pd.DataFrame, made: Made) -> pd.DataFrame:
    """Turn segments with predictions into a stall table.

    Parameters
    ----------
    rows : pandas.DataFrame
        Identity, geometry, signal and predictions.
    made : Made
        With what.

    Returns
    -------
    pandas.DataFrame
        Calibrated and called; without reviews.
    """
    config, window = made.config, made.ensemble.window
    extent = np.stack([rows[f"{a}1"].to_numpy() - rows[f"{a}0"].to_numpy() for a in "zyx"])
    factor = np.prod(np.array(window)[:, None] / extent, axis=0) ** (1 / 3)
    filled = rows.assign(
        **made.columns,
        resize_factor=factor,
        needs_review=False,
        review_reason=0,
        created_at=_begun(config.folder, made.columns["run_id"]),
    )
    table = completed(filled, folds=len(made.ensemble.checkpoints))
    if made.calibrator is not None:
        table = calibrated(table, made.calibrator, prior=config.networks.prior)
    return completed(called(table, config.decide), folds=len(made.ensemble.checkpoints))


def reviewed(table: pd.DataFrame, config: StallsRun) -> pd.DataFrame:
    """Add the answers that a workflow names to those of earlier runs, and merge them all.

    Parameters
    ----------
    table : pandas.DataFrame
        From `finished_table`.
    config : StallsRun
        The workflow.

    Returns
    -------
    pandas.DataFrame
        With answers; all of them are kept in ``report/reviews.parquet``.
    """
    kept = config.folder / "report" / "reviews.parquet"
    history = read_reviews(kept) if kept.exists() else no_reviews()
    for uri in config.answers:
        history = add_reviews(history, read_reviews(uri))
    found = merged(table, history)
    if len(history):
        write_reviews(kept, history)
    return found


def write_table_files(
    table: pd.DataFrame, made: Made, *, tissue_mm3: float | None
) -> tuple[Files, StallSummary]:
    """Write table, form and summary.

    Parameters
    ----------
    table : pandas.DataFrame
        From `reviewed`.
    made : Made
        With what.
    tissue_mm3 : float or None
        Volume that was looked at.

    Returns
    -------
    files : tuple of (str, Path)
        By name.
    summary : StallSummary
    """
    config = made.config
    folder = config.folder / "report"
    folder.mkdir(parents=True, exist_ok=True)
    provenance = {**made.columns, "networks": made.ensemble.facts, "preprocess": made.preprocess}
    write_stalls(folder / "stalls.parquet", table, provenance)
    write_stalls(folder / "stalls.csv", table, provenance)
    if config.report.parts:
        write_parts(folder / "stalls", table, provenance)
    write_form(folder / "review.csv", review_queue(table))
    summary = stall_summary(
        table,
        tissue_mm3=tissue_mm3,
        sensitivity=config.report.sensitivity,
        specificity=config.report.specificity,
    )
    text = json.dumps(summary.as_json(), indent=1) + "\n"
    (folder / "summary.json").write_text(text)
    names = {"table": "stalls.parquet", "csv": "stalls.csv", "form": "review.csv"}
    files = tuple((name, folder / file) for name, file in names.items())
    return (*files, ("summary", folder / "summary.json")), summary


def _begun(folder: Path, run_id: str) -> str:
    """Say when this computation was begun first: a run that goes on makes the same table."""
    path = folder / "begun.json"
    known: dict[str, str] = {}
    if path.exists():
        try:
            known = dict(json.loads(path.read_text()))
        except ValueError as error:
            raise SourceError(f"{path} cannot be understood ({error}); delete it") from error
    if run_id not in known:
        known[run_id] = datetime.now(UTC).isoformat(timespec="seconds")
        folder.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".part")
        scratch.write_text(json.dumps(known, indent=1) + "\n")
        scratch.replace(path)
    return known[run_id]


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
