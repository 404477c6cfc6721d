"""Configuration of training on scans: the keys of its workflow files."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from volkit.errors import ConfigError
from volkit.pipelines.cluster import ClusterOptions
from volkit.pipelines.scans_config import AttentionKeys, ScoreKeys
from volkit.training.config import CardText
from volkit.training.scan_options import ScanFold, ScanTraining
from volkit.training.scan_roles import By
from volkit.training.tracking import TrackingKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainScansInput:
    """Which scans.

    Parameters
    ----------
    manifest : str
        Of the split: see `volkit.io.scan_manifest`.
    positive : str
        The class that is looked for.
    digest : str or None
        Of the manifest that is meant, or its beginning: another one is refused.
    compare_voxels : bool
        Whether scans are compared by their voxels before anything is learnt, too; without, only
        names of subjects and sessions are.

    Raises
    ------
    ConfigError
        If a digest is too short to tell manifests apart.
    """

    manifest: str
    positive: str = "AD"
    digest: str | None = None
    compare_voxels: bool = True

    def __post_init__(self) -> None:
        if self.digest is not None and len(self.digest) < 8:
            raise ConfigError(f"input.digest {self.digest!r} is too short; give 8 digits or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainScans:
    """The keys of a workflow file of ``train_scans``.

    Parameters
    ----------
    output : str
        Folder of the run: networks, and a report.
    input, training, scores, attention, card, tracking
        See their classes.
    cluster : ClusterOptions
        Where folds are trained: one after the other in this process, unless it is said otherwise.
    calibration : {"best", "isotonic", "centred", "platt", "temperature"}
        How probabilities are calibrated; ``best`` has the least Brier score on folds that it was
        not fitted on.
    measure_leakage : bool
        Whether the same networks are trained once more with scans divided at random, and the
        report says how much better that looks.
    threads : int
        That make scans ready.
    memory_mib : int
        Voxels of scans that are kept in memory.
    device : {"auto", "cpu", "cuda"}
        Where; ``auto`` takes what is there.

    Raises
    ------
    ConfigError
        If the output is no folder of this machine, numbers make no sense, or the network does not
        show where it looks.
    """

    output: str
    input: TrainScansInput
    training: ScanTraining = field(default_factory=ScanTraining)
    scores: ScoreKeys = field(default_factory=ScoreKeys)
    calibration: Literal["best", "isotonic", "centred", "platt", "temperature"] = "best"
    attention: AttentionKeys = field(default_factory=AttentionKeys)
    measure_leakage: bool = False
    tracking: TrackingKeys = field(default_factory=TrackingKeys)
    card: CardText = field(default_factory=CardText)
    threads: int = 2
    memory_mib: int = 4096
    device: Literal["auto", "cpu", "cuda"] = "auto"
    cluster: ClusterOptions = field(default_factory=lambda: ClusterOptions(system="here"))

    def __post_init__(self) -> None:
        if "://" in self.output:
            raise ConfigError(f"output {self.output} is a URL; give a folder of this machine")
        if self.threads < 1 or self.memory_mib < 0:
            raise ConfigError(
                f"{self.threads} threads and memory_mib {self.memory_mib}; give 1 and 0 or more"
            )
        if self.attention.scans and self.training.network.architecture == "scan_transformer":
            raise ConfigError(
                f"attention.scans is {self.attention.scans}, but a scan_transformer has no maps "
                "that show where it looks; give 0, or a convolutional network"
            )

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return Path(self.output)

    def fold(self, number: int, by: By) -> ScanFold:
        """Say how one network is trained, and where its card is written."""
        name = "net" if by == "subject" else "mixed"
        return ScanFold(
            str(self.folder / "networks" / f"{name}-fold{number}.yaml"),
            self.training,
            number,
            by,
            self.threads,
            self.device,
            self.card,
            self.tracking,
        )

    @property
    def networks(self) -> str:
        """Name under which all cards lie."""
        return str(self.folder / "networks" / "net")
