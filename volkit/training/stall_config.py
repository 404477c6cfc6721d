"""Configuration of training on clips: frozen values, complete when constructed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict

from volkit.errors import ConfigError
from volkit.geometry import Coord
from volkit.kernels.clips import OutlineRule
from volkit.models.scaling import Scaling
from volkit.training.config import CardText
from volkit.training.stall_options import Folds, Stage, StallAugmentation, StallOptimisation

_STRICT: ConfigDict = {"extra": "forbid"}

PUBLISHED_STAGES = (
    Stage("mcc", negatives=1, drop_planes=False),
    Stage("auc", negatives=4, drop_planes=False),
    Stage("auc", negatives=10, tier1=True),
)
"""All data by the best MCC, all data by the area, then labels of high confidence alone."""


@dataclass(frozen=True, slots=True)
class ClipFiles:
    """Where clips are, and which of them are used.

    Parameters
    ----------
    metadata : str
        CSV, see `volkit.io.clip_tables`.
    clips : str
        Folder of the films.
    labels : str or None
        CSV of what is stalled; without, an expert's answer counts, then the crowd's from 0.5 on.
    subset : {"all", "micro", "nano"}
        Which clips of the metadata.
    cache : str or None
        Folder in which cut clips are kept, so that no film is decoded twice; None cuts every clip
        anew when a run begins.
    outline : OutlineRule
        How the vessel is found in a film.
    without_outline : {"refuse", "leave_out", "whole"}
        What becomes of clips in which no vessel is outlined.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    metadata: str
    clips: str
    labels: str | None = None
    subset: Literal["all", "micro", "nano"] = "all"
    cache: str | None = None
    outline: OutlineRule = field(default_factory=OutlineRule)
    without_outline: Literal["refuse", "leave_out", "whole"] = "leave_out"


@dataclass(frozen=True, slots=True)
class Inflation:
    """Weights of a network for images that the network for clips starts from.

    Parameters
    ----------
    weights : str
        A local ``.safetensors`` file, see `volkit.models.inflation.load_inflated`.
    spread : {"mean", "centre"}
        Over the planes of a kernel.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    weights: str
    spread: Literal["mean", "centre"] = "mean"


@dataclass(frozen=True, slots=True)
class StallTrainConfig:
    """A training run on clips, whole.

    Parameters
    ----------
    checkpoint : str
        The card to write, a local path ending in ``.yaml``; where several folds are trained, each
        has its own, ``NAME-fold0.yaml`` and so on.
    data : ClipFiles
        Films, metadata, labels.
    network : mapping
        What `volkit.models.stall_networks.StallNetwork` is built with; the published one without.
    inflate : Inflation or None
        Weights of a 2-D backbone to start from; None starts at random.
    window : tuple of int
        What a clip is resized to, (z, y, x).
    scaling : Scaling
        How the network wants its input; of kind fixed or none.
    folds, augmentation, stages, optimisation, card
        See their classes; stages follow one another, each from the best weights of the one before.
    memory_mib : int
        Cut clips that are kept in memory.
    precision : {"bfloat16", "float32"}
        What convolutions compute in.
    device : {"auto", "cpu", "cuda"}
        Where; ``auto`` takes CUDA where it is.
    seed : int
        Of everything random: two runs on one machine's CPU give the same bytes.

    Raises
    ------
    ConfigError
        If values do not fit together.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    checkpoint: str
    data: ClipFiles
    network: Mapping[str, Any] = field(default_factory=dict, hash=False)
    inflate: Inflation | None = None
    window: Coord = (96, 128, 128)
    scaling: Scaling = field(default_factory=lambda: Scaling("fixed", shift=114.5, divide=57.4))
    folds: Folds = field(default_factory=Folds)
    augmentation: StallAugmentation = field(default_factory=StallAugmentation)
    stages: tuple[Stage, ...] = PUBLISHED_STAGES
    optimisation: StallOptimisation = field(default_factory=StallOptimisation)
    card: CardText = field(default_factory=CardText)
    memory_mib: int = 2048
    precision: Literal["bfloat16", "float32"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.checkpoint.endswith(".yaml"):
            raise ConfigError(f"checkpoint {self.checkpoint!r} must end in .yaml: it is the card")
        if not self.stages:
            raise ConfigError("stages is empty; give at least one, or leave the key out")
        if self.scaling.needs_histogram:
            raise ConfigError(
                f"scaling of kind {self.scaling.kind!r} depends on a whole volume, which a clip is "
                "not; say kind: fixed with shift and divide"
            )
        if int(self.network.get("in_channels", 3)) not in (1, 3) or "dims" in self.network:
            raise ConfigError(
                f"network {dict(self.network)} does not fit clips, which have 3 colours, or 1 grey "
                "as their mean, and 3 dimensions; correct in_channels, and leave dims out"
            )

    def card_path(self, fold: int) -> Path:
        """Name the card of a fold."""
        path = Path(self.checkpoint)
        if len(self.folds.chosen) == 1:
            return path
        return path.with_name(f"{path.stem}-fold{fold}.yaml")
