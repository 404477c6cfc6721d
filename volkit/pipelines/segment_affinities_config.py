"""Configuration of the pipelines that segment affinities: the keys of their workflow files."""

from dataclasses import dataclass, field
from typing import Literal

from volkit.errors import ConfigError
from volkit.geometry import Box, Coord
from volkit.geometry.scale import Vector
from volkit.io.faults import Patience
from volkit.io.sources import CacheOptions
from volkit.models.ensemble import EnsembleOptions
from volkit.ops.inference import InferenceOptions
from volkit.pipelines.cluster import ClusterOptions
from volkit.pipelines.segment_basins_config import BasinOptions
from volkit.pipelines.segment_config import ScoreOptions

CheckpointKeys = str | tuple[str, ...] | EnsembleOptions
OffsetKeys = tuple[Coord | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """What to segment: an image that a network answers, or what one answered already.

    Parameters
    ----------
    image : str, optional
        Path or URI of the image; shown in the report, too.
    boundaries : str, optional
        Path or URI of a stored boundary map, instead of a network; ``segment_boundaries`` only.
    affinities : str, optional
        Path or URI of stored affinities, instead of a network; ``segment_affinities`` only.
    truth : str, optional
        Path or URI of labels to score against.
    box : Box, optional
        ``start`` and ``stop``, volume coordinates (z, y, x), voxels; None takes all.
    level : int, optional
        Of the image and the truth; 0 is the finest, and taken where none is stated.
    voxel_size_nm : tuple of float, optional
        Of level 0, (z, y, x), instead of what the volumes say.
    missing : {'error', 'zero'}
        Whether a chunk that is not stored is an error, or zeros.
    credentials : str, optional
        ``anonymous``, ``env:NAME``, ``file:PATH`` or ``profile:NAME``; None asks the usual places.
    patience : Patience
        How long a store is asked again.
    cache : CacheOptions, optional
        Chunks of the image that each worker keeps.
    """

    image: str | None = None
    boundaries: str | None = None
    affinities: str | None = None
    truth: str | None = None
    box: Box | None = None
    level: int | None = None
    voxel_size_nm: Vector | None = None
    missing: Literal["error", "zero"] = "error"
    credentials: str | None = None
    patience: Patience = field(default_factory=Patience)
    cache: CacheOptions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerOptions:
    """Which precomputed layers are written beside the results, for Neuroglancer.

    Parameters
    ----------
    labels, image : bool
        Whether there is one of these.
    levels : int, optional
        How many levels they have, 1 to 64; None goes on until no axis is longer than 256 voxels.
    """

    labels: bool = True
    image: bool = True
    levels: int | None = None

    def __post_init__(self) -> None:
        if self.levels is not None and not 1 <= self.levels <= 64:
            raise ConfigError(f"layers.levels is {self.levels}; give 1 to 64, or leave it out")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segmentation:
    """Keys that the three pipelines share.

    Parameters
    ----------
    input : SourceOptions
        What to segment.
    output : str
        Folder of the run.
    block_shape : tuple of int
        Unit of work, (z, y, x), voxels.
    infer, segment, layers, score, cluster
        See their classes.
    """

    input: SourceOptions
    output: str
    block_shape: Coord = (128, 256, 256)
    infer: InferenceOptions = field(default_factory=InferenceOptions)
    segment: BasinOptions = field(default_factory=BasinOptions)
    layers: LayerOptions = field(default_factory=LayerOptions)
    score: ScoreOptions = field(default_factory=ScoreOptions)
    cluster: ClusterOptions = field(default_factory=ClusterOptions)

    def __post_init__(self) -> None:
        if "://" in self.output:
            raise ConfigError(f"output {self.output} is a URL; give a folder of this machine")
        if min(self.block_shape) < 1:
            raise ConfigError(f"block_shape {self.block_shape} must be at least 1 on every axis")


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentAffinities(_Segmentation):
    """The keys of a workflow of ``segment_affinities``.

    Parameters
    ----------
    checkpoint : str, tuple of str or EnsembleOptions, optional
        Card of a network that answers affinities.
    offsets : tuple of (z, y, x) or None, optional
        From a voxel to the one that each channel of stored affinities compares it with; a card
        says its own.

    Raises
    ------
    ConfigError
        If there are a network and stored affinities, or neither, or the offsets of the stored ones
        are missing, or a list without any.
    """

    checkpoint: CheckpointKeys | None = None
    offsets: OffsetKeys | None = None

    def __post_init__(self) -> None:
        _Segmentation.__post_init__(self)
        _check_source(self.input, self.checkpoint, "affinities")
        if self.offsets == () or (self.offsets is None and self.input.affinities is not None):
            raise ConfigError(
                "offsets are missing: affinities do not tell what they compare, and a wrong guess "
                "shifts borders by a voxel; give for example "
                "offsets: [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentBoundaries(_Segmentation):
    """The keys of a workflow of ``segment_boundaries``.

    Parameters
    ----------
    checkpoint : str, tuple of str or EnsembleOptions, optional
        Card of a network that answers boundary probabilities.
    channel : int, optional
        Which channel is the boundary; None takes the only one, or what a card calls so.

    Raises
    ------
    ConfigError
        If there are a network and a stored map, or neither; or far affinities are asked for.
    """

    checkpoint: CheckpointKeys | None = None
    channel: int | None = None

    def __post_init__(self) -> None:
        _Segmentation.__post_init__(self)
        _check_source(self.input, self.checkpoint, "boundaries")
        _refuse_mutex(self.segment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recursive(_Segmentation):
    """The keys of a workflow of ``recursive_vd2d3d``.

    Parameters
    ----------
    preliminary : str
        Card of the network that answers first.
    checkpoint : str, tuple of str or EnsembleOptions
        Card of the network that sees the image and the first one's boundary map.  Where it scales
        nothing, the image is scaled as the first one's card says.
    levels : tuple of float
        What 0 and 1 of the map become before this card scales them, as in its training.
    infer_preliminary : InferenceOptions
        As ``infer``, for the first one.
    channel : int, optional
        Which channel is the boundary in what both answer; None takes the only one, or what a card
        calls so.

    Raises
    ------
    ConfigError
        If no image is given, or something that is stored instead; or far affinities are asked for.
    """

    preliminary: str
    checkpoint: CheckpointKeys
    infer_preliminary: InferenceOptions = field(default_factory=InferenceOptions)
    channel: int | None = None
    levels: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        _Segmentation.__post_init__(self)
        _check_source(self.input, self.checkpoint, None)
        _refuse_mutex(self.segment)


def _check_source(told: SourceOptions, checkpoint: CheckpointKeys | None, name: str | None) -> None:
    """Refuse two sources, none, or one that belongs to another pipeline."""
    stored = {"boundaries": told.boundaries, "affinities": told.affinities}
    stray = [key for key, value in stored.items() if key != name and value is not None]
    if stray:
        raise ConfigError(
            f"input.{stray[0]} is not for this pipeline; use segment_{stray[0]}, or leave it out"
        )
    given = None if name is None else stored[name]
    if (given is None) == (checkpoint is None):
        raise ConfigError(
            f"{'neither' if given is None else 'both'} checkpoint and input.{name} given; give a "
            f"network's card with input.image, or stored {name} as input.{name}"
        )
    if checkpoint is not None and told.image is None:
        raise ConfigError("input.image is missing: a network needs something to see; give it")


def _refuse_mutex(told: BasinOptions) -> None:
    if told.mutex is not None:
        raise ConfigError(
            "segment.mutex needs affinities that reach farther than neighbours, and boundaries "
            "tell none; use segment_affinities, or leave it out"
        )
