"""Configuration of training on classes: every voxel is one of a few kinds of tissue."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict

from volkit.errors import ConfigError
from volkit.geometry import Coord
from volkit.kernels.class_merge import check_codes
from volkit.models.scaling import Scaling
from volkit.training.config import Augmentation, CardText, LabelledVolume

_STRICT: ConfigDict = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class ClassPatches:
    """What the network sees at one step.

    Parameters
    ----------
    shape : tuple of int
        Voxels of a patch, (z, y, x); one section for a network of sections.
    batch : int
        Patches per step.
    draw : {"anywhere", "tiles"}
        Patches anywhere in the volumes, varied by ``augmentation``; or, as published, the tiles
        of every volume, from its start on, each once in an epoch, as they are.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    shape: Coord = (32, 64, 64)
    batch: int = 2
    draw: Literal["anywhere", "tiles"] = "anywhere"

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or self.batch < 1:
            raise ConfigError(
                f"patches of {self.shape}, {self.batch} at a time cannot be; give at least 1 "
                "everywhere"
            )


@dataclass(frozen=True, slots=True)
class ClassOptimisation:
    """How the weights are found.

    Parameters
    ----------
    steps : int
        Updates of the weights.
    optimiser : {"adamw", "sgd"}
        AdamW with a warm-up and a cosine fall; or gradient descent at one rate, as published.
    learning_rate : float
        Peak of the schedule, or the rate.
    warmup : int
        Steps of the linear rise; of AdamW.
    weight_decay, momentum : float
        Momentum is that of gradient descent.
    average : float
        Share of the running average of the weights that a step keeps; 0, as published, stores the
        latest weights.
    clip : float
        Largest norm of a gradient; none as published.
    balance : float
        Classes weigh with their share of the voxels to the power of minus this: 0, as published,
        weighs voxels alike, 1 classes.
    adjust : bool
        Whether the weights of classes are taken out of the stored network's answer again, so that
        it is not biased towards rare classes; the network needs a ``head`` with a bias.
    dice : float
        Weight of the Dice loss, mean over classes, that is added to the cross-entropy.

    References
    ----------
    Menon et al., Long-tail learning via logit adjustment, 2021, doi:10.48550/arXiv.2007.07314.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    steps: int = 1000
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 2e-3
    warmup: int = 100
    weight_decay: float = 1e-2
    momentum: float = 0.0
    average: float = 0.99
    clip: float = inf
    balance: float = 0.5
    adjust: bool = True
    dice: float = 1.0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.learning_rate <= 0 or self.clip <= 0:
            raise ConfigError(
                f"steps {self.steps}, learning_rate {self.learning_rate}, clip {self.clip}: "
                "expected at least 1 step, and the others above 0"
            )
        if not (0 <= self.average < 1 and 0 <= self.momentum < 1):
            raise ConfigError(
                f"average {self.average} and momentum {self.momentum} must be at least 0 and "
                "below 1"
            )
        if self.balance < 0 or self.dice < 0:
            raise ConfigError(f"balance {self.balance} and dice {self.dice} must be 0 or more")


@dataclass(frozen=True, slots=True)
class ClassValidation:
    """How the network is judged: F1 and IoU of every class, pooled over all voxels.

    Parameters
    ----------
    volumes : tuple of LabelledVolume
        Not used for training.
    every : int
        Steps between two validations; the last step is always followed by one.
    window : tuple of int
        Windows of the network, side by side.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    volumes: tuple[LabelledVolume, ...] = ()
    every: int = 500
    window: Coord = (32, 64, 64)

    def __post_init__(self) -> None:
        if self.every < 1 or min(self.window) < 1:
            raise ConfigError(
                f"validation every {self.every} steps in windows of {self.window}: expected at "
                "least 1"
            )


@dataclass(frozen=True, slots=True)
class ClassConfig:
    """A training run on classes, whole.

    Parameters
    ----------
    checkpoint : str
        The card to write, a local path ending in ``.yaml``; weights and the state from which an
        interrupted run goes on lie beside it.
    volumes : tuple of LabelledVolume
        What to learn from: images, and labels of classes.
    classes : mapping of str to tuple of int
        Codes of every class in the labels, in the order of the network's channels; codes may be
        merged into one class.  It has no default: sources differ.
    architecture : str
        Name in the registry; the network answers as many channels as there are classes.
    arguments : mapping
        What the architecture is built with; ``out_channels`` follows from the classes.
    scaling : Scaling
        How the network wants its input, kept in the card.
    window : tuple of int
        Window that the card recommends.
    patches, augmentation, optimisation, validation, card
        See their classes.
    precision, device, seed
        As of `volkit.training.config.TrainConfig`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    checkpoint: str
    volumes: tuple[LabelledVolume, ...]
    classes: dict[str, tuple[int, ...]] = field(hash=False)
    architecture: str = "residual_unet3d"
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    scaling: Scaling = field(default_factory=lambda: Scaling("moments"))
    window: Coord = (32, 64, 64)
    patches: ClassPatches = field(default_factory=ClassPatches)
    augmentation: Augmentation = field(default_factory=Augmentation)
    optimisation: ClassOptimisation = field(default_factory=ClassOptimisation)
    validation: ClassValidation = field(default_factory=ClassValidation)
    card: CardText = field(default_factory=CardText)
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.volumes:
            raise ConfigError("volumes is empty; give at least one image with its labels")
        if not self.checkpoint.endswith(".yaml"):
            raise ConfigError(f"checkpoint {self.checkpoint!r} must end in .yaml: it is the card")
        check_codes(self.classes)
        if "out_channels" in self.arguments:
            raise ConfigError(
                f"arguments give out_channels {self.arguments['out_channels']}, which follows from "
                "the classes; leave it out"
            )
