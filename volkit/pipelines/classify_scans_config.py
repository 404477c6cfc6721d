"""Configuration of classifying scans: the keys of its workflow files."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from volkit.errors import ConfigError
from volkit.pipelines.cluster import ClusterOptions
from volkit.pipelines.scans_config import AttentionKeys, ScoreKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanNetworks:
    """Which networks are asked.

    Parameters
    ----------
    checkpoint : str or tuple of str
        The name under which a training wrote its folds, a card, or several; with the record of the
        training beside them.
    folds : int, optional
        How many there must be; None takes those that are there.
    calibrator : str, optional
        ``.npz`` that the training wrote; None leaves probabilities as they are.
    prior : float, optional
        Share of positives where the scans are from; None is that of the calibrator.
    device : {"auto", "cpu", "cuda"}
        Where; ``auto`` takes what is there.

    Raises
    ------
    ConfigError
        If there is a prior without a calibrator, or it is no share.
    """

    checkpoint: str | tuple[str, ...]
    folds: int | None = None
    calibrator: str | None = None
    prior: float | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        if self.prior is not None and (self.calibrator is None or not 0 < self.prior < 1):
            raise ConfigError(
                f"prior {self.prior}: a share between 0 and 1 that probabilities are moved to; it "
                "needs a calibrator, which says the share they are from"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyScansInput:
    """Which scans.

    Parameters
    ----------
    manifest : str
        Of scans that were preprocessed as those of the training: its own manifest, or one of other
        subjects.  Where a class is not known, any name that is none of the networks' will do.
    """

    manifest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyScans:
    """The keys of a workflow file of ``classify_scans``.

    Parameters
    ----------
    output : str
        Folder of the run.
    input, networks, scores, attention
        See their classes.
    cluster : ClusterOptions
        Where scans are judged: in this process, unless it is said otherwise.
    group : int
        Scans of a piece of work, which is done or not; results do not depend on it.

    Raises
    ------
    ConfigError
        If the output is no folder of this machine, or a group has no scan.
    """

    output: str
    input: ClassifyScansInput
    networks: ScanNetworks
    scores: ScoreKeys = field(default_factory=ScoreKeys)
    attention: AttentionKeys = field(default_factory=AttentionKeys)
    group: int = 8
    cluster: ClusterOptions = field(default_factory=lambda: ClusterOptions(system="here"))

    def __post_init__(self) -> None:
        if "://" in self.output:
            raise ConfigError(f"output {self.output} is a URL; give a folder of this machine")
        if self.group < 1:
            raise ConfigError(f"group is {self.group}; give 1 scan or more")

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return Path(self.output)
