"""Calibration of a training on scans: honest for what is reported, of all of them for later."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from volkit.errors import ContractError
from volkit.ops.calibration_methods import best_method, method_scores, tried_methods
from volkit.ops.scan_ensemble import ScanEnsemble
from volkit.ops.stall_calibration import fit_held_out, write_calibrator
from volkit.pipelines.train_scans_config import TrainScans


def calibrated(
    table: pd.DataFrame, config: TrainScans, ensemble: ScanEnsemble
) -> tuple[pd.DataFrame, pd.DataFrame | None, tuple[tuple[str, Path], ...]]:
    """Calibrate what was said: each fold by the others, one alone by the scans set aside.

    Parameters
    ----------
    table : pandas.DataFrame
        Of all folds, judged scans and those set aside.
    config : TrainScans
        The workflow.
    ensemble : ScanEnsemble
        The networks.

    Returns
    -------
    judged : pandas.DataFrame
        With ``calibrated``; missing where nothing could be fitted.
    methods : pandas.DataFrame or None
        Ways of calibrating, compared; None where there is one fold alone.
    files : tuple of (str, Path)
        The calibrator of these networks, fitted on all that was held out; none where a class lacks.
    """
    judged = table[table["role"] == "judged"].drop(columns=["role", "epoch"])
    judged = judged.reset_index(drop=True)
    aside = table[table["role"] == "choosing"]
    folds = judged["fold"].nunique()
    source = judged if folds > 1 else aside
    given, truth = source["probability"].to_numpy(np.float64), source["positive"].to_numpy(bool)
    methods: pd.DataFrame | None = None
    chosen: str = config.calibration
    said = np.full(len(judged), np.nan)
    if folds > 1:
        with suppress(ContractError):  # the others of a fold may lack a class
            tried = tried_methods(given, truth, source["fold"].to_numpy())
            methods = method_scores(tried, truth)
            chosen = best_method(methods) if chosen == "best" else chosen
            said = tried[chosen]
    if not len(source) or truth.all() or not truth.any():
        return judged.assign(calibrated=said), methods, ()
    chosen = "platt" if chosen == "best" else chosen  # nothing to compare methods on
    made = fit_held_out(given, truth, model=ensemble.fingerprint, method=chosen)
    path = Path(config.networks).parent / "calibrator.npz"
    write_calibrator(path, made)
    if folds == 1:
        said = made.fit(judged["probability"].to_numpy(np.float64))
    return judged.assign(calibrated=said), methods, (("calibrator", path),)
