"""Calibrators of stall networks: fitted on held-out folds, stored as arrays of one model."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.columns import digest, read_columns, write_columns
from volkit.errors import ContractError, ModelError, SourceError
from volkit.io.place import Place
from volkit.kernels.calibration import Calibrator, Floats, checked, fit_calibrator
from volkit.models import location

_FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class StoredCalibrator:
    """A calibrator, and the networks whose probabilities it maps.

    Parameters
    ----------
    fit : Calibrator
        The map.
    model : str
        Fingerprint of the networks: of other ones it would say nothing.
    examples, positives : int
        What it was fitted on.
    """

    fit: Calibrator
    model: str
    examples: int
    positives: int

    @property
    def identity(self) -> str:
        """Digest of map and model."""
        return digest(_columns(self))


def fit_held_out(
    probability: NDArray[Any], positive: NDArray[Any], *, model: str, method: str = "isotonic"
) -> StoredCalibrator:
    """Fit a calibrator on answers of networks that had not been trained on the examples.

    Parameters
    ----------
    probability : ndarray of float, shape (N,)
        Of each example by the fold that held it out.
    positive : ndarray of bool, shape (N,)
        Truth.
    model : str
        Fingerprint of all folds together.
    method : str
        One of `volkit.kernels.calibration.METHODS`.

    Returns
    -------
    StoredCalibrator

    Raises
    ------
    ContractError
        If values are no probabilities, or one class is missing.
    """
    fit = fit_calibrator(probability, np.asarray(positive, bool), method=method)
    return StoredCalibrator(fit, model, len(probability), int(np.sum(positive)))


def cross_fitted(
    probability: NDArray[Any],
    positive: NDArray[Any],
    fold: NDArray[Any],
    *,
    method: str = "isotonic",
) -> Floats:
    """Calibrate every fold with what is fitted on the others, so that scores are honest.

    Parameters
    ----------
    probability, positive
        As for `fit_held_out`.
    fold : ndarray, shape (N,)
        Fold, project or animal of each example.
    method : str
        As for `fit_held_out`.

    Returns
    -------
    ndarray of float64, shape (N,)

    Raises
    ------
    ContractError
        If there is but one fold, or the others of one lack a class.
    """
    given, truth = checked(probability, positive)
    names, place = np.unique(np.asarray(fold), return_inverse=True)
    if len(names) < 2:
        raise ContractError(
            f"all examples are of fold {names[0]}; give two folds or more, so that one can be "
            "calibrated by the others"
        )
    found = np.empty(len(given))
    for n in range(len(names)):
        here = place == n
        found[here] = fit_calibrator(given[~here], truth[~here], method=method)(given[here])
    return found


def write_calibrator(target: str | Path, calibrator: StoredCalibrator) -> None:
    """Write a calibrator as arrays.

    Parameters
    ----------
    target : str or Path
        Ends in ``.npz``.
    calibrator : StoredCalibrator
        What to write.

    Raises
    ------
    ContractError
        If the name ends otherwise.
    """
    if not str(target).endswith(".npz"):
        raise ContractError(f"{target} does not end in .npz; a calibrator is stored as arrays")
    write_columns(Place.at(target), _columns(calibrator))


def read_calibrator(source: str | Path, *, model: str | None = None) -> StoredCalibrator:
    """Read a calibrator; nothing in the file is run.

    Parameters
    ----------
    source : str or Path
        From `write_calibrator`; ``builtin:NAME`` for that of a checkpoint that ships with volkit.
    model : str, optional
        Fingerprint of the networks that it shall serve; None takes any.

    Returns
    -------
    StoredCalibrator

    Raises
    ------
    SourceError
        If there is none, or it is damaged.
    ContractError
        If the arrays are no calibrator.
    ModelError
        If it was fitted for other networks.
    """
    columns = _shipped(str(source)) or read_columns(Place.at(source))
    try:
        if int(columns["format"]) != _FORMAT:
            raise SourceError(
                f"calibrator {source} has format {int(columns['format'])}, this volkit reads "
                f"{_FORMAT}; fit it again"
            )
        fit = Calibrator(
            str(columns["method"]), columns["x"], columns["y"], float(columns["prior"])
        )
        found = StoredCalibrator(
            fit, str(columns["model"]), int(columns["examples"]), int(columns["positives"])
        )
    except (KeyError, TypeError) as error:
        raise ContractError(
            f"{source} is no calibrator ({error}); write one with volkit.ops.stall_calibration"
        ) from error
    if model is not None and found.model != model:
        raise ModelError(
            f"calibrator {source} is for the model {found.model[:12]}…, these networks are "
            f"{model[:12]}…; fit one for them (workflows/stalls/calibrate.yaml), or leave it out"
        )
    return found


def _shipped(source: str) -> dict[str, NDArray[Any]] | None:
    if not source.startswith(location.BUILTIN):
        return None
    try:
        data = location.read_bytes(f"{source}.calibrator.npz")
    except FileNotFoundError as error:
        raise SourceError(
            f"volkit ships no calibrator for {source}; fit one (workflows/stalls/calibrate.yaml), "
            "or leave it out"
        ) from error
    with np.load(BytesIO(data), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _columns(calibrator: StoredCalibrator) -> dict[str, NDArray[Any]]:
    fit = calibrator.fit
    return {
        "format": np.array(_FORMAT),
        "method": np.array(fit.method),
        "x": fit.x,
        "y": fit.y,
        "prior": np.array(fit.prior),
        "model": np.array(calibrator.model),
        "examples": np.array(calibrator.examples),
        "positives": np.array(calibrator.positives),
    }
