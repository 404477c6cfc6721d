"""Configuration of ``segment_neurons``: the keys of its workflow files."""

from dataclasses import dataclass, field
from typing import Literal

from volkit.errors import ConfigError
from volkit.geometry import Box, Coord
from volkit.geometry.scale import Vector
from volkit.io.faults import Patience
from volkit.io.sources import CacheOptions
from volkit.kernels.scores import Form, PredZero, TrueZero
from volkit.models.ensemble import EnsembleOptions
from volkit.ops.inference import InferenceOptions
from volkit.ops.segmentation import SegmentationOptions
from volkit.pipelines.cluster import ClusterOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOptions:
    """What to segment.

    Parameters
    ----------
    image : str
        Path or URI of the image.
    truth : str, optional
        Path or URI of labels to score against.
    box : Box, optional
        ``start`` and ``stop``, volume coordinates (z, y, x), voxels; None takes all.
    level : int, optional
        Of the image and the truth; 0 is the finest, and taken where none is stated.
    voxel_size_nm : tuple of float, optional
        Of level 0, (z, y, x), instead of what the volumes say.
    missing : {'error', 'zero'}
        Whether a chunk of the image that is not stored is an error, or zeros.
    credentials : str, optional
        ``anonymous``, ``env:NAME``, ``file:PATH`` or ``profile:NAME``; None asks the usual places.
    patience : Patience
        How long a store is asked again.
    cache : CacheOptions, optional
        Chunks of the image that each worker keeps.
    """

    image: str
    truth: str | None = None
    box: Box | None = None
    level: int | None = None
    voxel_size_nm: Vector | None = None
    missing: Literal["error", "zero"] = "error"
    credentials: str | None = None
    patience: Patience = field(default_factory=Patience)
    cache: CacheOptions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreOptions:
    """How background counts; see :func:`volkit.kernels.scores.rand_scores`."""

    true_zero: TrueZero = "ignore"
    pred_zero: PredZero = "singletons"
    form: Form = "probabilities"


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentNeurons:
    """The keys of a workflow file.

    Parameters
    ----------
    input : InputOptions
        What to segment.
    checkpoint : str, tuple of str or EnsembleOptions
        Card of a boundary network: a path, a URL, or ``builtin:NAME``; or several, which are
        averaged; or a mapping with members, weights, combine and deviation.
    output : str
        Folder of the run.
    block_shape : tuple of int
        Unit of work, (z, y, x), voxels.
    infer, segment, score, cluster
        See their classes.
    """

    input: InputOptions
    checkpoint: str | tuple[str, ...] | EnsembleOptions
    output: str
    block_shape: Coord = (128, 256, 256)
    infer: InferenceOptions = field(default_factory=InferenceOptions)
    segment: SegmentationOptions = field(default_factory=SegmentationOptions)
    score: ScoreOptions = field(default_factory=ScoreOptions)
    cluster: ClusterOptions = field(default_factory=ClusterOptions)

    def __post_init__(self) -> None:
        if "://" in self.output:
            raise ConfigError(f"output {self.output} is a URL; give a folder of this machine")
        if min(self.block_shape) < 1:
            raise ConfigError(f"block_shape {self.block_shape} must be at least 1 on every axis")
