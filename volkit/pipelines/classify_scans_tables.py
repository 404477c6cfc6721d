"""Tables of classified scans: probabilities calibrated, classes called, subjects summed up."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.io.tables import Column, Schema, write_table
from volkit.kernels.calibration import with_prior
from volkit.ops.scan_ensemble import ScanEnsemble
from volkit.ops.scan_prediction import SCAN_CALLS
from volkit.ops.stall_calibration import read_calibrator
from volkit.pipelines.classify_scans_config import ClassifyScans
from volkit.pipelines.train_scans_report import Files

SUBJECTS = Schema(
    (
        Column("subject", "str", "", "whose"),
        Column("label", "str", "", "class in the manifest"),
        Column("scans", "int64", "", "that networks were asked about"),
        Column("probability", "float64", "", "mean over scans, calibrated where there is one"),
        Column("call", "str", "", "class at the threshold"),
    )
)


def called(table: pd.DataFrame, config: ClassifyScans, ensemble: ScanEnsemble) -> pd.DataFrame:
    """Calibrate probabilities, and call classes.

    Parameters
    ----------
    table : pandas.DataFrame
        From `volkit.ops.scan_prediction.predict_scans`.
    config : ClassifyScans
        Calibrator, prior and threshold.
    ensemble : ScanEnsemble
        The networks.

    Returns
    -------
    pandas.DataFrame
        A copy with ``calibrated`` and ``call``.

    Raises
    ------
    ModelError
        If the calibrator is of other networks.
    """
    asked, keys = table["networks"].to_numpy() > 0, config.networks
    said = table["probability"].to_numpy(np.float64)
    calibrated = np.full(len(table), np.nan)
    if keys.calibrator is not None:
        fit = read_calibrator(keys.calibrator, model=ensemble.fingerprint).fit
        calibrated[asked] = fit(said[asked])
        if keys.prior is not None:
            calibrated[asked] = with_prior(calibrated[asked], fitted=fit.prior, wanted=keys.prior)
    found = table.assign(calibrated=calibrated)
    call = np.where(asked, _classes(_best(found), config.scores.threshold, ensemble), "")
    return found.assign(call=pd.Series(call, table.index, dtype="str"))


def known(table: pd.DataFrame, ensemble: ScanEnsemble) -> pd.DataFrame | None:
    """Give the scans that can be scored; None where classes are not known, or one is missing."""
    found = table[(table["networks"] > 0) & table["label"].isin(ensemble.classes)]
    if found["label"].nunique() < 2:
        return None
    judged = found.assign(positive=found["label"] == ensemble.positive)
    names = ["scan", "subject", "session", "label", "fold", "positive", "probability", "calibrated"]
    return judged[names].reset_index(drop=True)


def write_calls(
    table: pd.DataFrame,
    config: ClassifyScans,
    ensemble: ScanEnsemble,
    facts: Mapping[str, Any],
) -> Files:
    """Write the tables of scans and of subjects.

    Parameters
    ----------
    table : pandas.DataFrame
        From `called`.
    config : ClassifyScans
        Folder and threshold.
    ensemble : ScanEnsemble
        The networks.
    facts : mapping
        JSON: what made them, from what.

    Returns
    -------
    tuple of (str, Path)
        By name.
    """
    folder = config.folder / "report"
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / "scans.csv", table, SCAN_CALLS, facts)
    asked = table[table["networks"] > 0]
    rows = asked.assign(best=_best(asked)).groupby("subject", sort=True)
    subjects = rows.agg(
        label=("label", "first"), scans=("scan", "count"), probability=("best", "mean")
    ).reset_index()
    said = subjects["probability"].to_numpy(np.float64)
    call = _classes(said, config.scores.threshold, ensemble)
    frame = SUBJECTS.framed(subjects.assign(call=call))
    write_table(folder / "subjects.csv", frame, SUBJECTS, facts)
    return (("scans", folder / "scans.csv"), ("subjects", folder / "subjects.csv"))


def _best(table: pd.DataFrame) -> NDArray[np.float64]:
    """Give calibrated probabilities, and others where there are none."""
    return table["calibrated"].fillna(table["probability"]).to_numpy(np.float64)


def _classes(
    probability: NDArray[np.float64], threshold: float, ensemble: ScanEnsemble
) -> NDArray[np.str_]:
    return np.where(probability >= threshold, ensemble.positive, ensemble.negative)
