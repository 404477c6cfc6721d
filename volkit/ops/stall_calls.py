"""Calls of a stall table: probabilities calibrated, segments called, a queue of what to look at."""

import numpy as np
import pandas as pd

from volkit.errors import ContractError
from volkit.kernels.calibration import with_prior
from volkit.kernels.stall_decision import CALLS, DecisionRule, decide
from volkit.ops.stall_calibration import StoredCalibrator
from volkit.ops.stall_schema import KEY

_SIGNS = (
    "mc_std",
    "fold_std",
    "mutual_info",
    "snr",
    "mean_intensity",
    "n_frames",
    "touches_border",
)


def calibrated(
    frame: pd.DataFrame, calibrator: StoredCalibrator, *, prior: float | None = None
) -> pd.DataFrame:
    """Fill in the calibrated probabilities of a stall table.

    Parameters
    ----------
    frame : pandas.DataFrame
        A stall table with ``p_stalled``.
    calibrator : StoredCalibrator
        Of the networks that made it.
    prior : float, optional
        Share of stalled segments where the table is from; None leaves that of the calibrator.

    Returns
    -------
    pandas.DataFrame
        A copy with ``p_calibrated``, ``calibrator_id`` and ``prior_assumed``.

    Raises
    ------
    ContractError
        If a prior is not between 0 and 1.
    """
    probability = calibrator.fit(frame["p_stalled"].to_numpy(np.float64))
    fitted = calibrator.fit.prior
    if prior is not None:
        probability = with_prior(probability, fitted=fitted, wanted=prior)
    return frame.assign(
        p_calibrated=probability,
        calibrator_id=calibrator.identity,
        prior_assumed=fitted if prior is None else prior,
    )


def probability_of(frame: pd.DataFrame) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """Give the probability that calls are made by: calibrated where it is, else as predicted."""
    known = frame["p_calibrated"].to_numpy(np.float64)
    return np.where(np.isnan(known), frame["p_stalled"].to_numpy(np.float64), known)


def called(frame: pd.DataFrame, rule: DecisionRule) -> pd.DataFrame:
    """Fill in the decisions of a stall table.

    Parameters
    ----------
    frame : pandas.DataFrame
        A stall table with predictions.
    rule : DecisionRule
        When a segment is stalled.

    Returns
    -------
    pandas.DataFrame
        A copy with ``threshold``, ``call``, ``needs_review``, ``review_reason``, ``priority``.

    Raises
    ------
    ContractError
        If a segment has no prediction.
    """
    probability = probability_of(frame)
    open_ones = frame["segment_id"][np.isnan(probability)]
    if len(open_ones):
        raise ContractError(
            f"segments {', '.join(map(str, open_ones[:5]))} have no prediction; predict them first"
        )
    signs = {name: frame[name].to_numpy() for name in _SIGNS}
    signs["contour_found"] = frame["contour_found"].fillna(True).to_numpy(bool)
    extent = [frame[f"{a}1"].to_numpy() - frame[f"{a}0"].to_numpy() for a in "zyx"]
    signs["n_voxels_roi"] = extent[0] * extent[1] * extent[2]
    found = decide(probability, signs, rule)
    return frame.assign(
        threshold=rule.threshold,
        call=pd.Series(np.array(CALLS)[found.call], frame.index, dtype="str"),
        needs_review=found.review,
        review_reason=found.reason,
        priority=found.priority,
    )


def review_queue(frame: pd.DataFrame) -> pd.DataFrame:
    """List what somebody should look at and has not yet, the most wanted first.

    Parameters
    ----------
    frame : pandas.DataFrame
        A stall table with decisions.

    Returns
    -------
    pandas.DataFrame
        Rows of the table; equal priorities by volume and segment.
    """
    wanted = frame[frame["needs_review"] & frame["review_label"].isna()]
    return wanted.sort_values(
        ["priority", *KEY], ascending=[False, True, True], kind="stable", ignore_index=True
    )
