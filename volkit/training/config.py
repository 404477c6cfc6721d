"""Configuration of a training run: frozen values, complete when constructed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict

from volkit.errors import ConfigError
from volkit.geometry import Coord
from volkit.models.scaling import Scaling

_STRICT: ConfigDict = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class LabelledVolume:
    """An image and its labels, aligned voxel by voxel.

    Parameters
    ----------
    image, labels : str
        URIs, as `volkit.io.volume.open_volume` takes them.
    start, stop : tuple of int or None
        The box to use, volume coordinates (z, y, x); None is the domain's own corner.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    image: str
    labels: str
    start: Coord | None = None
    stop: Coord | None = None


@dataclass(frozen=True, slots=True)
class Patches:
    """What the network sees at one step.

    Parameters
    ----------
    shape : tuple of int
        Voxels of a patch, (z, y, x).
    batch : int
        Patches per step.
    boundary_width : int
        Reach of a boundary on each side of a contact, voxels.
    separations : tuple of (int, int, int)
        Offsets, voxels, 0 or more on every axis: while it trains, the network is also asked
        whether the voxel there belongs to another object, which takes more than an edge filter.
        What is stored answers boundaries alone.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    shape: Coord = (48, 48, 48)
    batch: int = 4
    boundary_width: int = 1
    separations: tuple[Coord, ...] = ()

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or self.batch < 1 or self.boundary_width < 1:
            raise ConfigError(
                f"patches of {self.shape}, {self.batch} at a time, with a boundary of width "
                f"{self.boundary_width} cannot be; give at least 1 everywhere"
            )
        if any(min(offset) < 0 or max(offset) == 0 for offset in self.separations):
            raise ConfigError(
                f"separations {self.separations} must reach forward; give offsets such as [8, 0, 0]"
            )


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How patches are varied; every strength 0 turns its variation off.

    Parameters
    ----------
    isotropic : bool
        Whether all axes are alike; else only turns and mirrors within sections are taken.
    warp : float
        Share of patches that are turned by any angle, zoomed and stretched.
    zoom : float
        Largest change of size by a warp, 0.25 is 1/1.25 to 1.25.
    angle : float
        Deviation of the angle of a warp, radians; about z only unless isotropic.
    contrast, brightness, gamma : float
        Largest relative change of contrast and gamma, and deviation of the brightness,
        in units of the scaled image.
    noise : float
        Largest deviation of additive noise, in units of the scaled image.
    blur : float
        Largest standard deviation of blurring, voxels.
    shading : float
        Strength of slow changes of brightness within a patch.
    sections : float
        Share of patches in which sections are missing, repeated, blurred or noisy.
    misaligned : float
        Share of patches in which a section, or all from one on, slipped sideways.
    slip : int
        Largest shift of a misalignment, voxels.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    isotropic: bool = True
    warp: float = 0.5
    zoom: float = 0.25
    angle: float = 0.35
    contrast: float = 0.5
    brightness: float = 0.3
    gamma: float = 0.6
    noise: float = 0.45
    blur: float = 1.1
    shading: float = 0.25
    sections: float = 0.2
    misaligned: float = 0.0
    slip: int = 4

    def __post_init__(self) -> None:
        for name in self.__slots__[1:]:
            if getattr(self, name) < 0:
                raise ConfigError(f"augmentation {name} is {getattr(self, name)}; give 0 or more")


@dataclass(frozen=True, slots=True)
class Optimisation:
    """How the weights are found.

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
        Share of the running average that a step keeps; the average is what is stored.
    clip : float
        Largest norm of a gradient.
    balance : float
        Share of the boundary class in the cross-entropy, 0 to 1.
    dice : float
        Weight of the Dice loss that is added.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    steps: int = 1000
    learning_rate: float = 2e-3
    warmup: int = 100
    weight_decay: float = 1e-2
    average: float = 0.998
    clip: float = 5.0
    balance: float = 0.5
    dice: float = 0.0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.learning_rate <= 0 or not 0 < self.balance < 1:
            raise ConfigError(
                f"steps {self.steps}, learning_rate {self.learning_rate}, balance {self.balance}: "
                "expected at least 1 step, a rate above 0, and a balance between 0 and 1"
            )


@dataclass(frozen=True, slots=True)
class Validation:
    """How the network is judged: segment, then compare with the truth.

    Parameters
    ----------
    volumes : tuple of LabelledVolume
        Not used for training.
    every : int
        Steps between two validations; the last step is always followed by one.
    window : tuple of int
        Windows of the network, at half overlap.
    thresholds : tuple of float
        Mean boundary at which agglomeration stops; the best is reported.
    components : bool
        Whether true objects that fall apart within the box count as several, since nothing in
        the box could join them.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    volumes: tuple[LabelledVolume, ...] = ()
    every: int = 500
    window: Coord = (64, 64, 64)
    thresholds: tuple[float, ...] = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    components: bool = True

    def __post_init__(self) -> None:
        if self.every < 1 or not self.thresholds:
            raise ConfigError(
                f"validation every {self.every} steps at thresholds {self.thresholds}: expected "
                "at least 1 step and 1 threshold"
            )


@dataclass(frozen=True, slots=True)
class CardText:
    """What the card of the checkpoint says for people.

    Parameters
    ----------
    description, version, licence, attribution, training_data : str
        Free text.
    voxel_size_nm : tuple of float or None
        Voxels it was trained on, (z, y, x), nanometres.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    voxel_size_nm: tuple[float, float, float] | None = None
    description: str = ""
    version: str = "1"
    licence: str = "unknown"
    attribution: str = ""
    training_data: str = "unknown"


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """A training run, whole.

    Parameters
    ----------
    checkpoint : str
        The card to write, a local path ending in ``.yaml``; weights and the state from which an
        interrupted run goes on lie beside it.
    volumes : tuple of LabelledVolume
        What to learn from; patches are drawn by volume of the boxes.
    architecture : str
        Name in the registry.
    arguments : mapping
        What the architecture is built with.
    scaling : Scaling
        How the network wants its input, kept in the card.
    window : tuple of int
        Window that the card recommends.
    patches, augmentation, optimisation, validation, card
        See their classes.
    precision : {"bfloat16", "float32"}
        What convolutions compute in.
    device : {"auto", "cpu", "cuda"}
        Where; ``auto`` takes CUDA where it is.
    seed : int
        Of everything random: two runs on one machine's CPU give the same bytes.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    checkpoint: str
    volumes: tuple[LabelledVolume, ...]
    architecture: str = "residual_unet3d"
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    scaling: Scaling = field(default_factory=lambda: Scaling("moments"))
    window: Coord = (64, 64, 64)
    patches: Patches = field(default_factory=Patches)
    augmentation: Augmentation = field(default_factory=Augmentation)
    optimisation: Optimisation = field(default_factory=Optimisation)
    validation: Validation = field(default_factory=Validation)
    card: CardText = field(default_factory=CardText)
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.volumes:
            raise ConfigError("volumes is empty; give at least one image with its labels")
        if not self.checkpoint.endswith(".yaml"):
            raise ConfigError(f"checkpoint {self.checkpoint!r} must end in .yaml: it is the card")
