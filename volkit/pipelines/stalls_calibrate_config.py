"""Configuration of calibration: the keys of its workflow files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from volkit.errors import ConfigError
from volkit.kernels.calibration import METHODS


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedKeys:
    """Tables of probabilities beside labels, of examples that their network had not seen.

    Parameters
    ----------
    tables : str or tuple of str
        CSV or Parquet; ``NAME.judged.csv`` of training, one for each fold.
    probability, label, fold, group : str
        Names of their columns; ``group`` is the animal or project.
    """

    tables: str | tuple[str, ...]
    probability: str = "probability"
    label: str = "stalled"
    fold: str = "fold"
    group: str = "project_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class StallsCalibrate:
    """The keys of a workflow file of ``stalls_calibrate``.

    Parameters
    ----------
    input : JudgedKeys
        Held-out predictions.
    checkpoint : str or tuple of str
        The networks that made them; the calibrator serves these alone.
    output : str
        Folder of the report.
    folds : int, optional
        How many networks there must be.
    method : {"best", "isotonic", "centred", "platt", "temperature"}
        See `volkit.kernels.calibration.fit_calibrator`; ``best`` is the one of the lowest Brier
        score on examples that it was not fitted on.
    parts : int
        Into which examples of one fold are divided by group, to be calibrated by the others.
    threshold : float
        That scores are stated at, beside the best one.
    draws : int
        Of the bootstrap over groups.
    """

    input: JudgedKeys
    checkpoint: str | tuple[str, ...]
    output: str
    folds: int | None = None
    method: Literal["best", "isotonic", "centred", "platt", "temperature"] = "best"
    parts: int = 5
    threshold: float = 0.7
    draws: int = 500

    def __post_init__(self) -> None:
        if "://" in self.output or self.parts < 2 or self.method not in ("best", *METHODS):
            raise ConfigError(
                f"output {self.output} is to be a folder of this machine, parts {self.parts} 2 or "
                "more"
            )

    @property
    def folder(self) -> Path:
        """Folder of the report."""
        return Path(self.output)
