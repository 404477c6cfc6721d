"""Configuration of stall tables: the keys of their workflow files."""

from dataclasses import dataclass, field
from pathlib import Path

from volkit.errors import ConfigError
from volkit.geometry import Coord
from volkit.geometry.scale import Vector
from volkit.kernels.clips import OutlineRule
from volkit.kernels.stall_decision import DecisionRule
from volkit.models.views import ViewSet, views_of
from volkit.ops.stall_cuboids import CHANNELS, Outline
from volkit.ops.stall_ensemble import StallEnsemble, read_folds
from volkit.ops.stall_prediction import PredictionOptions
from volkit.ops.stall_segments import SegmentRule
from volkit.ops.stall_summary import PUBLISHED_SENSITIVITY, PUBLISHED_SPECIFICITY
from volkit.ops.vessel_graph import VesselOptions
from volkit.pipelines.cluster import ClusterOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkKeys:
    """Which networks are asked, and how.

    Parameters
    ----------
    checkpoint : str or tuple of str
        A card; those of several folds; or the name under which training wrote folds.
    folds : int, optional
        How many there must be; None takes those that are there.
    views : {"none", "flips"}
        One look at each clip, or eight.
    passes : int
        Of every head with dropout; 0 for none.
    seed : int
        Of the units that dropout leaves out.
    rows : int
        Windows that go through a network together.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    calibrator : str, optional
        ``.npz`` of the pipeline ``stalls_calibrate``; None leaves probabilities as they are.
    prior : float, optional
        Share of stalled segments where the data are from; None is that of the calibrator.

    Raises
    ------
    ConfigError
        If there is a prior without a calibrator, or it is no share.
    """

    checkpoint: str | tuple[str, ...]
    folds: int | None = None
    views: ViewSet = "flips"
    passes: int = 50
    seed: int = 0
    rows: int = 8
    device: str = "auto"
    calibrator: str | None = None
    prior: float | None = None

    def __post_init__(self) -> None:
        if self.prior is not None and (self.calibrator is None or not 0 < self.prior < 1):
            raise ConfigError(
                f"prior {self.prior}: a share between 0 and 1 that probabilities are moved to; it "
                "needs a calibrator, which says the share they are from"
            )

    def ensemble(self) -> StallEnsemble:
        """Read the cards."""
        return StallEnsemble(
            read_folds(self.checkpoint, folds=self.folds),
            views=views_of(self.views),
            passes=self.passes,
            seed=self.seed,
            rows=self.rows,
            device=self.device,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportKeys:
    """What is made of the table.

    Parameters
    ----------
    sheet : int
        Segments on the contact sheet: those to be reviewed, then the most probable ones.
    attention : int
        Of these, for how many attention maps are made.
    annotations : bool
        Whether segments become layers of points and boxes for Neuroglancer; of volumes only.
    parts : bool
        Whether the table is written in parts by owner block, too.
    sensitivity, specificity : float
        Of the calls, for what they are worth at this prevalence; those published by default.
    """

    sheet: int = 24
    attention: int = 0
    annotations: bool = True
    parts: bool = False
    sensitivity: float = PUBLISHED_SENSITIVITY
    specificity: float = PUBLISHED_SPECIFICITY


@dataclass(frozen=True, slots=True, kw_only=True)
class StallsRun:
    """Keys that tables of volumes and of clips share.

    Parameters
    ----------
    output : str
        Folder of the run.
    networks, decide, report, predict, cluster
        See their classes.
    reviews : str or tuple of str
        Forms that were filled in, or tables of reviews: they are added to those of earlier runs.
    """

    output: str
    networks: NetworkKeys
    decide: DecisionRule = field(default_factory=DecisionRule)
    predict: PredictionOptions = field(default_factory=PredictionOptions)
    reviews: str | tuple[str, ...] = ()
    report: ReportKeys = field(default_factory=ReportKeys)
    cluster: ClusterOptions = field(default_factory=ClusterOptions)

    def __post_init__(self) -> None:
        if "://" in self.output:
            raise ConfigError(f"output {self.output} is a URL; give a folder of this machine")

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return Path(self.output)

    @property
    def answers(self) -> tuple[str, ...]:
        """Where answers are."""
        return (self.reviews,) if isinstance(self.reviews, str) else self.reviews


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeInput:
    """A volume and its vessels, of the same voxels.

    Parameters
    ----------
    image : str
        Path or URI of the planes as they were taken, one after the other.
    mask : str
        Path or URI of a vessel mask, or of a map of probabilities.
    volume_id : str, optional
        Name of the volume in the table; None takes that of the image.
    level : int, optional
        Of both; 0 is the finest.
    voxel_size_nm : tuple of float, optional
        (z, y, x), where the volumes do not say it.
    """

    image: str
    mask: str
    volume_id: str | None = None
    level: int | None = None
    voxel_size_nm: Vector | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StallsVolume(StallsRun):
    """The keys of a workflow file of ``stalls_volume``.

    Parameters
    ----------
    input : VolumeInput
        What is judged.
    vessels : VesselOptions
        How the mask becomes a graph.
    segments : SegmentRule
        Which segments, and how much around them.
    outline : {"painted", "channel", "none"}
        How the networks are told which vessel is meant; as they were trained.
    grey : tuple of float, optional
        Values that become black and white, for images that are not uint8.
    read_voxels : int
        That are read together at most.
    block_shape : tuple of int
        Unit of work, (z, y, x), voxels.
    """

    input: VolumeInput
    vessels: VesselOptions = field(default_factory=VesselOptions)
    segments: SegmentRule = field(default_factory=SegmentRule)
    outline: Outline = "painted"
    grey: tuple[float, float] | None = None
    read_voxels: int = 2**25
    block_shape: Coord = (128, 256, 256)

    def __post_init__(self) -> None:
        StallsRun.__post_init__(self)
        if min(self.block_shape) < 1 or self.outline not in CHANNELS:
            raise ConfigError(f"block_shape {self.block_shape} must be at least 1 on every axis")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipsInput:
    """Films in which a vessel is outlined, and the tables beside them.

    Parameters
    ----------
    metadata : str
        CSV; see `volkit.io.clip_tables.read_clip_table`.
    clips : str
        Folder of the films.
    labels : str, optional
        CSV of what is stalled: predictions are then scored.
    outline : OutlineRule
        How the outline is found.
    """

    metadata: str
    clips: str
    labels: str | None = None
    outline: OutlineRule = field(default_factory=OutlineRule)


@dataclass(frozen=True, slots=True, kw_only=True)
class StallsClips(StallsRun):
    """The keys of a workflow file of ``stalls_clips``.

    Parameters
    ----------
    input : ClipsInput
        What is judged.
    """

    input: ClipsInput
