"""Configuration of training as published: patches of answers, of a network with pooling."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict

from volkit.errors import ConfigError
from volkit.geometry import Coord
from volkit.models.scaling import Scaling
from volkit.training.config import CardText, LabelledVolume, Validation

_STRICT: ConfigDict = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class OutputPatches:
    """What the network answers at one step; it sees as much more as its field of view takes.

    Parameters
    ----------
    shape : tuple of int
        Voxels answered per patch, (z, y, x).
    batch : int
        Patches per step.
    boundary_width : int
        Reach of a boundary on each side of a contact, voxels.
    planar : bool
        Whether only contacts within a section are boundaries, as annotators of thick sections
        draw them; else contacts with the next section count too.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    shape: Coord = (1, 150, 150)
    batch: int = 1
    boundary_width: int = 1
    planar: bool = True

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or self.batch < 1 or self.boundary_width < 1:
            raise ConfigError(
                f"patches of {self.shape}, {self.batch} at a time, with a boundary of width "
                f"{self.boundary_width} cannot be; give at least 1 everywhere"
            )


@dataclass(frozen=True, slots=True)
class Descent:
    """Stochastic gradient descent with momentum.

    Parameters
    ----------
    steps : int
        Updates of the weights.
    learning_rate, momentum : float
        Fixed, as published.
    anneal : float
        Factor of the rate after every 100 updates; 1 keeps it.
    balance : {"global", "none"}
        Whether both classes weigh alike, counted once over all that is learnt from.
    average : float
        Share of the running average of the weights that a step keeps; 0, as published, stores
        the latest weights.
    clip : float
        Largest norm of a gradient; none as published.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    steps: int = 60_000
    learning_rate: float = 0.01
    momentum: float = 0.9
    anneal: float = 1.0
    balance: Literal["global", "none"] = "global"
    average: float = 0.0
    clip: float = inf

    def __post_init__(self) -> None:
        if self.steps < 1 or self.learning_rate <= 0 or self.anneal <= 0 or self.clip <= 0:
            raise ConfigError(
                f"steps {self.steps}, learning_rate {self.learning_rate}, anneal {self.anneal}, "
                f"clip {self.clip}: expected at least 1 step, and the others above 0"
            )
        if not (0 <= self.momentum < 1 and 0 <= self.average < 1):
            raise ConfigError(
                f"momentum {self.momentum} and average {self.average} must be at least 0 and "
                "below 1"
            )


@dataclass(frozen=True, slots=True)
class Recursion:
    """The map of an earlier network, which becomes the last channel of the input.

    It is computed once, when the run begins, and never changes.

    Parameters
    ----------
    checkpoint : str
        Card of the earlier network, such as a VD2D.
    channel : int
        Which of its answers is the map.
    levels : tuple of float
        Values that 0 and 1 of the map become.  With ``scaling: {kind: none}`` the network sees
        them as they are, beside an image that is scaled as the earlier network's card says.  Else
        they are in the unit of the image and scaled with it: with ``{kind: fixed, shift: 128,
        divide: 33}``, (95, 161) shows the network -1 and 1.
    start : bool
        Whether the 2-D layers start from the weights of that VD2D.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    checkpoint: str
    channel: int = 1
    levels: tuple[float, float] = (0.0, 1.0)
    start: bool = True


@dataclass(frozen=True, slots=True)
class DenseConfig:
    """A training run of a published network, whole.

    Parameters
    ----------
    checkpoint : str
        The card to write, a local path ending in ``.yaml``; weights, the state from which an
        interrupted run goes on and the maps of ``recursion`` lie beside it.
    volumes : tuple of LabelledVolume
        What to learn from; patches are drawn by volume of the boxes, everywhere in them: beyond
        their faces the image is mirrored.
    architecture : str
        ``n4``, ``vd2d`` or ``vd2d3d``, or any chain of valid convolutions and max-pooling.
    arguments : mapping
        What the architecture is built with.
    scaling : Scaling
        How the network wants its input, kept in the card.
    window : tuple of int
        Window that the card recommends, more than the field of view.
    recursion : Recursion or None
        The second stage: what an earlier network made of the image.
    patches, optimisation, validation, card
        See their classes.
    precision, device, seed
        As of `volkit.training.config.TrainConfig`.

    References
    ----------
    Lee et al., Recursive training of 2D-3D convolutional networks for neuronal boundary
    detection, NIPS 2015, https://doi.org/10.48550/arXiv.1508.04843
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    checkpoint: str
    volumes: tuple[LabelledVolume, ...]
    architecture: str = "vd2d"
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    scaling: Scaling = field(default_factory=lambda: Scaling("moments"))
    window: Coord = (1, 236, 236)
    recursion: Recursion | None = None
    patches: OutputPatches = field(default_factory=OutputPatches)
    optimisation: Descent = field(default_factory=Descent)
    validation: Validation = field(default_factory=Validation)
    card: CardText = field(default_factory=CardText)
    precision: Literal["bfloat16", "float32"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.volumes:
            raise ConfigError("volumes is empty; give at least one image with its labels")
        if not self.checkpoint.endswith(".yaml"):
            raise ConfigError(f"checkpoint {self.checkpoint!r} must end in .yaml: it is the card")
        if self.recursion and self.scaling.needs_histogram:
            raise ConfigError(
                f"scaling of kind {self.scaling.kind!r} would mix image and map; with recursion "
                "say kind: none, and the image is scaled as the earlier network's card says"
            )
