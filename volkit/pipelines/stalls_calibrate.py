"""Calibrate: held-out predictions in, a calibrator of these networks and its reliability out.

::

    judged tables ─► every part calibrated by the others ─► scores of each method ─► the best one
                  └► a calibrator of all of them ─────────────────────────────────► calibrator.npz
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.engine.base import OnProgress
from volkit.errors import ContractError
from volkit.io.tables import read_table, write_table
from volkit.kernels.calibration import METHODS
from volkit.kernels.folds import stratified_folds
from volkit.ops.calibration_methods import (
    METHOD_SCORES,
    best_method,
    method_scores,
    tried_methods,
)
from volkit.ops.stall_calibration import fit_held_out, write_calibrator
from volkit.ops.stall_ensemble import fingerprint_of, read_folds
from volkit.ops.stall_scores import SCORES, stall_scores
from volkit.pipelines.outcome import Outcome
from volkit.pipelines.plan import Plan, StagePlan
from volkit.pipelines.process_memory import process_bytes
from volkit.pipelines.registry import OnMessage, Pipeline, Workflow
from volkit.pipelines.stalls_calibrate_config import StallsCalibrate
from volkit.pipelines.stalls_plan import listed
from volkit.pipelines.stalls_reliability import reliability_figure

Floats = NDArray[np.float64]
_EXAMPLE_BYTES = 1024  # a row of a table of text, and what is made of it


def calibrate(config: StallsCalibrate) -> Outcome:
    """Fit a calibrator on held-out predictions, and report what it is worth.

    Parameters
    ----------
    config : StallsCalibrate
        The workflow.

    Returns
    -------
    Outcome

    Raises
    ------
    SourceError
        If a table cannot be read.
    ContractError
        If columns are missing, values are no probabilities, or a class is missing.
    ModelError
        If a fold is missing.
    """
    cards = read_folds(config.checkpoint, folds=config.folds)
    model = fingerprint_of([card.identity for card in cards])
    given, truth, fold, group = _judged(config)
    part = _parts(truth, fold, group, config.parts)
    tried = tried_methods(given, truth, part)
    frame = method_scores(tried, truth)
    chosen = best_method(frame) if config.method == "best" else config.method
    made = fit_held_out(given, truth, model=model, method=chosen)
    folder = config.folder
    folder.mkdir(parents=True, exist_ok=True)
    write_calibrator(folder / "calibrator.npz", made)
    facts = {"model": model, "method": chosen, "calibrator": made.identity, "prior": made.fit.prior}
    write_table(folder / "methods.csv", frame, METHOD_SCORES, facts)
    scores = stall_scores(
        given, truth, fold=fold, group=group, threshold=config.threshold, draws=config.draws
    )
    write_table(folder / "scores.csv", scores, SCORES, facts)
    (folder / "calibrator.json").write_text(
        json.dumps({**facts, "fit": made.fit.to_json()}, indent=1) + "\n"
    )
    reliability_figure(folder / "reliability.png", tried, truth, chosen=chosen)
    names = ("calibrator.npz", "methods.csv", "scores.csv", "reliability.png")
    return Outcome(
        files=tuple((name.partition(".")[0], folder / name) for name in names),
        following=("volkit run workflows/stalls/volume.yaml --set networks.calibrator=",
                   folder / "calibrator.npz"),
        scores=_told(frame, chosen),
    )  # fmt: skip


def _judged(
    config: StallsCalibrate,
) -> tuple[Floats, NDArray[np.bool_], NDArray[Any], NDArray[Any]]:
    told = config.input
    uris = (told.tables,) if isinstance(told.tables, str) else told.tables
    frame = pd.concat([read_table(uri)[0] for uri in uris], ignore_index=True)
    missing = [n for n in (told.probability, told.label) if n not in frame.columns]
    if missing:
        raise ContractError(
            f"{', '.join(uris)} have no column {' and '.join(missing)}, but "
            f"{', '.join(map(str, frame.columns[:12]))}; name them in input.probability and "
            "input.label"
        )
    _check_once(frame, uris)
    known = frame[frame[told.label].notna()]
    rows = pd.Series(np.arange(len(known)), known.index)
    fold = known.get(told.fold, pd.Series(0, known.index))
    group = known.get(told.group, rows)
    return (
        known[told.probability].to_numpy(np.float64),
        _stalled(known[told.label]),
        fold.to_numpy(str),
        group.to_numpy(str),
    )


def _check_once(frame: pd.DataFrame, uris: tuple[str, ...]) -> None:
    key = next((name for name in ("filename", "segment_id") if name in frame.columns), "")
    twice = frame[frame.duplicated(key)] if key else frame[:0]
    if len(twice):
        raise ContractError(
            f"{', '.join(uris)} have {twice.iloc[0][key]} more than once, so that it was not held "
            "out; give each example once, judged by the fold that did not learn from it"
        )


def _stalled(values: "pd.Series[Any]") -> NDArray[np.bool_]:
    text = values.astype(str).str.lower()
    wrong = ~text.isin(["1", "0", "1.0", "0.0", "true", "false", "stalled", "flowing"])
    if wrong.any():
        raise ContractError(
            f"a label is {text[wrong].iloc[0]!r}; give 1 and 0, true and false, or stalled and "
            "flowing"
        )
    return text.isin(["1", "1.0", "true", "stalled"]).to_numpy(bool)


def _parts(
    truth: NDArray[np.bool_], fold: NDArray[Any], group: NDArray[Any], count: int
) -> NDArray[Any]:
    """Take folds as they are; divide examples of one fold by group."""
    if len(np.unique(fold)) > 1:
        return fold
    return stratified_folds(truth, group, count=min(count, len(np.unique(group))), seed=0)


def _told(frame: pd.DataFrame, chosen: str) -> tuple[tuple[str, str, str], ...]:
    rows = []
    for _, row in frame.iterrows():
        mark = ", chosen" if row["method"] == chosen else ""
        rows.append(
            (
                f"ECE {row['method']}",
                f"{row['ece']:.4f}",
                f"Brier {row['brier']:.4f}, AUC {row['auc']:.4f}, of {row['examples']}{mark}",
            )
        )
    return tuple(rows)


def plan(config: StallsCalibrate) -> Plan:
    """Say what a calibration will read and need; seconds of one process, whatever it is.

    Parameters
    ----------
    config : StallsCalibrate
        The workflow.

    Returns
    -------
    Plan
        Its domain are the examples.

    Raises
    ------
    VolkitError
        What `calibrate` raises of tables and cards.
    """
    read_folds(config.checkpoint, folds=config.folds)
    given, truth, fold, group = _judged(config)
    count = len(given)
    parts = len(np.unique(_parts(truth, fold, group, config.parts)))
    stage = StagePlan(
        name="calibrator",
        blocks=1,
        voxels=count,
        voxels_read=count,
        bytes_read=sum(column.nbytes for column in (given, truth, fold, group)),
        bytes_written=0,
        memory_bytes=process_bytes() + count * _EXAMPLE_BYTES,
    )
    told = (
        f"{int(truth.sum())} of {count} examples are stalled; {len(METHODS)} methods are fitted to "
        f"{parts} folds without one each, then {config.method} to all"
    )
    return Plan(listed(count, count), (stage,), workers=0, memory_bytes=None, advice=(told,))


def carry_out(
    workflow: Workflow,
    *,
    on_progress: OnProgress | None,
    on_message: OnMessage,
    replace_stale: bool,
) -> Outcome:
    """Carry out a workflow file; it takes seconds, and is done anew each time.

    Parameters
    ----------
    workflow : Workflow
        Whose ``config`` is a StallsCalibrate.
    on_progress : callable or None
        Not used.
    on_message : callable
        Told where the calibrator is.
    replace_stale : bool
        Not used.

    Returns
    -------
    Outcome
    """
    found = calibrate(workflow.config)
    on_message(f"calibrator: {Path(workflow.config.output) / 'calibrator.npz'}")
    return found


PIPELINE = Pipeline(
    "stalls_calibrate",
    StallsCalibrate,
    carry_out,
    plan,
    frozenset({"tables", "checkpoint", "output"}),
)
