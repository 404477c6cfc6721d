"""Ways of calibrating, compared on examples that none of them was fitted on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.io.tables import Column, Schema
from volkit.kernels.binary_scores import roc_area
from volkit.kernels.calibration import METHODS
from volkit.kernels.calibration_scores import brier, reliability
from volkit.ops.stall_calibration import cross_fitted

METHOD_SCORES = Schema(
    (
        Column("method", "str", "", "none, or how probabilities were calibrated"),
        Column("brier", "float64", "", "mean square error, 0 best"),
        Column("ece", "float64", "", "expected calibration error, 15 bins of equal width"),
        Column("largest", "float64", "", "largest distance in a bin"),
        Column("auc", "float64", "", "which no calibration raises"),
        Column("examples", "int64", "", "each calibrated by others"),
    )
)
Floats = NDArray[np.float64]


def tried_methods(
    probability: Floats, positive: NDArray[np.bool_], part: NDArray[Any]
) -> dict[str, Floats]:
    """Calibrate examples by every method, each part by what is fitted on the others.

    Parameters
    ----------
    probability, positive : ndarray, shape (N,)
        What was said, and the truth.
    part : ndarray, shape (N,)
        Fold of each example.

    Returns
    -------
    dict of str to ndarray of float64, shape (N,)
        ``none`` and every method of `volkit.kernels.calibration.METHODS`.

    Raises
    ------
    ContractError
        If there is but one part, or the others of one lack a class.
    """
    fitted = {m: cross_fitted(probability, positive, part, method=m) for m in METHODS}
    return {"none": probability} | fitted


def method_scores(tried: Mapping[str, Floats], positive: NDArray[np.bool_]) -> pd.DataFrame:
    """Score every method.

    Parameters
    ----------
    tried : mapping of str to ndarray of float64, shape (N,)
        Probabilities by method.
    positive : ndarray of bool, shape (N,)
        Truth.

    Returns
    -------
    pandas.DataFrame
        With the columns of `METHOD_SCORES`.

    Raises
    ------
    ContractError
        If values are no probabilities.
    """
    rows = []
    for name, p in tried.items():
        found = reliability(p, positive)
        rows.append(
            {
                "method": name,
                "brier": brier(p, positive),
                "ece": found.expected_error,
                "largest": found.largest_error,
                "auc": roc_area(p, positive),
                "examples": len(positive),
            }
        )
    return METHOD_SCORES.framed(rows)


def best_method(scores: pd.DataFrame) -> str:
    """Name the way of calibrating with the least Brier score; not to calibrate is none."""
    by = scores.set_index("method")["brier"]
    return min((m for m in METHODS if m in by.index), key=lambda m: float(by[m]))
