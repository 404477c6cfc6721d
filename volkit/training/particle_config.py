"""Configuration of training on particles: frozen values, complete when constructed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict

from volkit.errors import ConfigError
from volkit.geometry import Coord
from volkit.kernels.blend import Weighting
from volkit.models.card import Activation
from volkit.models.scaling import Scaling
from volkit.training.config import CardText
from volkit.training.heatmap_losses import HeatMapLoss
from volkit.training.particle_options import CropAugmentation, Crops, LabelledTomogram, ParticleKind

_STRICT: ConfigDict = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class HeatMapOptimisation:
    """How the weights are found; the defaults are those of model A.

    Parameters
    ----------
    steps : int
        Updates of the weights.
    learning_rate : float
        Peak of the schedule.
    warmup : int
        Steps of the linear rise before the cosine fall.
    weight_decay : float
        Of AdamW.
    average : float
        Share of the running average that a step keeps; the average is validated and stored.
    clip : float
        Largest norm of a gradient; 0 does not clip.
    loss : {"weighted", "balanced"}
        See `volkit.training.heatmap_losses`.
    mixup : float
        Probability that a batch is blended.
    mixup_alpha : float
        Of the beta distribution of the share.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    steps: int = 20_000
    learning_rate: float = 1e-3
    warmup: int = 1_000
    weight_decay: float = 0.0
    average: float = 0.999
    clip: float = 0.0
    loss: HeatMapLoss = "weighted"
    mixup: float = 0.5
    mixup_alpha: float = 1.0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.learning_rate <= 0 or not 0 <= self.average < 1:
            raise ConfigError(
                f"steps {self.steps}, learning_rate {self.learning_rate}, average {self.average}: "
                "expected at least 1 step, a rate above 0, and an average from 0 to below 1"
            )
        if not 0 <= self.mixup <= 1 or self.mixup_alpha <= 0:
            raise ConfigError(
                f"mixup {self.mixup} with mixup_alpha {self.mixup_alpha}: expected a probability, "
                "and a parameter above 0"
            )


@dataclass(frozen=True, slots=True)
class PickValidation:
    """How the network is judged: find particles, search thresholds, count F4.

    Parameters
    ----------
    volumes : tuple of LabelledTomogram
        Not used for training.
    every : int
        Steps between two validations; the last step is always followed by one.
    stride : tuple of int or None
        Between windows; None is half a window.
    weights : str
        How answers of overlapping windows are weighted.
    reach : int
        Voxels on each side within which a peak is the largest; 1 is a kernel of 3.
    thresholds : tuple of float
        Ascending, searched for every kind; particles score above them.
    beta : float
        Of the F score; 4 weighs a missed particle as 16 false ones.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    volumes: tuple[LabelledTomogram, ...] = ()
    every: int = 500
    stride: Coord | None = None
    weights: Weighting = "pyramid"
    reach: int = 3
    thresholds: tuple[float, ...] = tuple(round(0.05 * n, 2) for n in range(1, 20))
    beta: float = 4.0

    def __post_init__(self) -> None:
        if self.every < 1 or not self.thresholds or self.reach < 0 or self.beta <= 0:
            raise ConfigError(
                f"validation every {self.every} steps, thresholds {self.thresholds}, reach "
                f"{self.reach}, beta {self.beta}: expected 1 step, 1 threshold, and beta above 0"
            )


@dataclass(frozen=True, slots=True)
class ParticleTrainConfig:
    """A training run on particles, whole.

    Parameters
    ----------
    checkpoint : str
        The card to write, a local path ending in ``.yaml``.
    volumes : tuple of LabelledTomogram
        What to learn from, each drawn as often as any other.
    kinds : tuple of ParticleKind
        Channels of the network, in their order.
    fold : int or None
        Which of ``volumes`` is left out of training and judged, besides ``validation.volumes``.
    architecture : str
        Name in the registry.
    arguments : mapping
        What the architecture is built with, without its channels.
    backbone : str
        Weights of timm for the backbone, a local ``.safetensors`` file; empty starts anew.
    scaling : Scaling
        How the network wants its input, kept in the card.
    activation : {"sigmoid", "none"}
        What turns the network's answer into heat maps; "none" as published.
    crops, augmentation, optimisation, validation, card
        See their classes.
    precision : {"float32", "bfloat16"}
        What convolutions compute in; on a CPU, bfloat16 does not repeat: oneDNN's gradients of
        some 3-D convolutions differ from run to run, and are NaN at times, which ends the run.
    device : {"auto", "cpu", "cuda"}
        Where; ``auto`` takes CUDA where it is.
    seed : int
        Of everything random.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    checkpoint: str
    volumes: tuple[LabelledTomogram, ...]
    kinds: tuple[ParticleKind, ...]
    fold: int | None = None
    architecture: str = "convnext_unet"
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    backbone: str = ""
    scaling: Scaling = field(default_factory=lambda: Scaling("moments"))
    activation: Activation = "none"
    crops: Crops = field(default_factory=Crops)
    augmentation: CropAugmentation = field(default_factory=CropAugmentation)
    optimisation: HeatMapOptimisation = field(default_factory=HeatMapOptimisation)
    validation: PickValidation = field(default_factory=PickValidation)
    card: CardText = field(default_factory=CardText)
    precision: Literal["float32", "bfloat16"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = 42

    def __post_init__(self) -> None:
        if not self.checkpoint.endswith(".yaml"):
            raise ConfigError(f"checkpoint {self.checkpoint!r} must end in .yaml: it is the card")
        if self.fold is not None and not 0 <= self.fold < len(self.volumes):
            raise ConfigError(
                f"fold {self.fold} is not one of {len(self.volumes)} volumes; count from 0"
            )
        if not self.learnt:
            raise ConfigError("no volume is left to learn from; give at least one more")
        names = [kind.name for kind in self.kinds]
        if not names or len(set(names)) < len(names):
            raise ConfigError(f"kinds {names} must be at least one, each named once")
        if self.activation == "softmax":
            raise ConfigError("activation softmax would make kinds compete; use sigmoid or none")
        _, y, x = self.crops.shape
        if self.augmentation.quarter_turns and y != x:
            raise ConfigError(
                f"crops of {self.crops.shape} are not square; set quarter_turns to false"
            )

    @property
    def learnt(self) -> tuple[LabelledTomogram, ...]:
        """What is learnt from."""
        return tuple(v for n, v in enumerate(self.volumes) if n != self.fold)

    @property
    def unseen(self) -> tuple[LabelledTomogram, ...]:
        """What judges."""
        left_out = () if self.fold is None else (self.volumes[self.fold],)
        return (*left_out, *self.validation.volumes)

    @property
    def card_path(self) -> Path:
        """The card to write."""
        return Path(self.checkpoint)
