"""Options of training on scans: the network, how scans are varied, how weights are found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict

from volkit.errors import ConfigError
from volkit.geometry import Coord
from volkit.training.config import CardText
from volkit.training.scan_roles import By
from volkit.training.tracking import TrackingKeys

_STRICT: ConfigDict = {"extra": "forbid"}
SET_HERE = ("in_channels", "classes")  # arguments of a network that the scans decide


@dataclass(frozen=True, slots=True)
class ScanNetwork:
    """A network, what it starts from, and what of it is trained.

    Parameters
    ----------
    architecture : str
        ``video_resnet`` (r3d_18, or mc3_18 by its argument ``kind``), ``scan_resnet``,
        ``scan_densenet``, ``scan_transformer``, ``section_net`` (the baseline in two dimensions),
        or another name in the registry whose network takes ``in_channels`` and ``classes``.
    arguments : mapping
        What else it is built with.
    weights : str or None
        A local file of weights to start from, ``.safetensors`` or ``.pt``/``.pth``: of a
        `volkit.models.video_resnet.VideoResNet` those of films, under torchvision's names; of
        others their own.  None starts at random.
    train_from : str or None
        First part that is trained; those before it stay as they are, normalisation too.  None
        trains everything.

    Raises
    ------
    ConfigError
        If an argument is one that the scans decide, or parts are frozen at random.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    architecture: str = "video_resnet"
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    weights: str | None = None
    train_from: str | None = None

    def __post_init__(self) -> None:
        taken = [name for name in SET_HERE if name in self.arguments]
        if taken:
            raise ConfigError(
                f"network.arguments give {' and '.join(taken)}, which the scans decide; leave "
                "them out"
            )
        if self.train_from is not None and self.weights is None:
            raise ConfigError(
                f"network.train_from is {self.train_from!r}, but no weights are given: what is "
                "frozen would stay as it was drawn; give network.weights, or leave train_from out"
            )


@dataclass(frozen=True, slots=True)
class ScanAugmentation:
    """How scans are varied, greys from 0 to 1: noise, then gamma; z-normalisation follows.

    Parameters
    ----------
    noise : float
        Largest standard deviation of noise; each scan draws its own, from 0 on.
    gamma : float
        Greys are raised to a power whose logarithm is drawn from 0 to ± this.

    Raises
    ------
    ConfigError
        If one is below 0.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    noise: float = 0.25
    gamma: float = 0.3

    def __post_init__(self) -> None:
        if self.noise < 0 or self.gamma < 0:
            raise ConfigError(
                f"augmentation noise {self.noise} and gamma {self.gamma} must be 0 or more; 0 "
                "turns one off"
            )


@dataclass(frozen=True, slots=True)
class ScanOptimisation:
    """How the weights are found: AdamW, a rate that rises and then falls along a cosine.

    Parameters
    ----------
    epochs : int
        Every scan is seen once in each.
    batch : int
        Scans that go through the network together.
    learning_rate, weight_decay : float
        The rate at its highest, and how much weights shrink.
    warmup : int
        Epochs in which the rate rises.
    balance : bool
        Whether scans of the rarer class count more, so that both classes count alike.
    choose : {"last", "loss", "auc"}
        Which weights are kept: the last, or those that are best on scans set aside for it; never
        those that are best on the scans that judge.
    aside : float
        Share of the scans to learn from, by subject, that is set aside to choose by; where a
        manifest has a part ``val``, that is it, and this is not used.

    Raises
    ------
    ConfigError
        If a number makes no sense.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    epochs: int = 30
    batch: int = 4
    learning_rate: float = 1e-4
    weight_decay: float = 1e-2
    warmup: int = 1
    balance: bool = True
    choose: Literal["last", "loss", "auc"] = "last"
    aside: float = 0.0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or not 0 <= self.warmup < self.epochs:
            raise ConfigError(
                f"{self.epochs} epochs, batches of {self.batch} and a warm-up of {self.warmup} "
                "cannot be; give 1, 1 and fewer than there are epochs (warmup: 0 for one epoch)"
            )
        if self.learning_rate <= 0 or self.weight_decay < 0 or not 0 <= self.aside < 1:
            raise ConfigError(
                f"learning_rate {self.learning_rate}, weight_decay {self.weight_decay} and aside "
                f"{self.aside} cannot be; give a rate above 0, a decay of 0 or more, and a share "
                "from 0 to below 1"
            )


@dataclass(frozen=True, slots=True)
class ScanTraining:
    """What decides the weights of a network for scans, but for the scans.

    Parameters
    ----------
    window : tuple of int
        What a scan is resized to, (z, y, x), if it is not of this extent already.
    network, augmentation, optimisation
        See their classes.
    precision : {"float32", "bfloat16"}
        What convolutions compute in.
    seed : int
        Of everything random: two runs on one machine's CPU give the same bytes.

    Raises
    ------
    ConfigError
        If an extent is less than 1.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    window: Coord = (128, 128, 128)
    network: ScanNetwork = field(default_factory=ScanNetwork)
    augmentation: ScanAugmentation = field(default_factory=ScanAugmentation)
    optimisation: ScanOptimisation = field(default_factory=ScanOptimisation)
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.window) < 1:
            raise ConfigError(f"window is {self.window}; give 1 voxel or more on every axis")


@dataclass(frozen=True, slots=True)
class ScanFold:
    """One training of a run, whole.

    Parameters
    ----------
    checkpoint : str
        The card to write, a local path ending in ``.yaml``.
    training : ScanTraining
        What decides the weights.
    number : int
        Which.
    by : {"subject", "scan"}
        What was divided; ``scan`` leaks.
    threads : int
        That make scans ready; results do not depend on it.
    device : {"auto", "cpu", "cuda"}
        Where; ``auto`` takes what is there.
    card : CardText
        What the card says for people.
    tracking : TrackingKeys
        Who is told the numbers of its epochs.
    """

    checkpoint: str
    training: ScanTraining
    number: int = 0
    by: By = "subject"
    threads: int = 2
    device: str = "auto"
    card: CardText = field(default_factory=CardText)
    tracking: TrackingKeys = field(default_factory=TrackingKeys)
