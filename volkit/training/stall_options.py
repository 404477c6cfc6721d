"""Options of training on clips: folds, augmentations, stages and how weights are found."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import ConfigDict

from volkit.errors import ConfigError

_STRICT: ConfigDict = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class Folds:
    """How clips are divided into those that teach and those that judge.

    Parameters
    ----------
    count : int
        Folds; each judges the network that learns from the others.
    train : tuple of int
        Folds to train; none means all.
    by : {"project", "clip"}
        What stays together.  Clips of one animal are alike: where they are in two folds, scores
        say too much.
    mixed_projects : bool
        Whether clips of one project may be in two folds, as they were in the published code.

    Raises
    ------
    ConfigError
        If numbers make no sense, or projects would be mixed unasked.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    count: int = 5
    train: tuple[int, ...] = ()
    by: Literal["project", "clip"] = "project"
    mixed_projects: bool = False

    def __post_init__(self) -> None:
        wrong = [n for n in self.train if not 0 <= n < self.count]
        if self.count < 2 or wrong or len(set(self.train)) < len(self.train):
            raise ConfigError(
                f"folds {list(self.train)} of {self.count} cannot be trained; give a count of 2 "
                "or more, and each fold once, from 0 on"
            )
        if self.by == "clip" and not self.mixed_projects:
            raise ConfigError(
                "folds by clip put clips of one project into several folds, so that a network is "
                "judged on animals it has seen; say by: project, or mixed_projects: true if that "
                "is meant"
            )

    @property
    def chosen(self) -> tuple[int, ...]:
        """Folds to train."""
        return self.train or tuple(range(self.count))


@dataclass(frozen=True, slots=True)
class StallAugmentation:
    """How clips are varied, in this order; the defaults are the published "heavy" ones.

    Each number but the extents is a probability; 0 turns its variation off.

    Parameters
    ----------
    rotate, angle : float
        Turn within planes, by up to ``angle`` degrees.
    elastic, deformation : float
        Bend smoothly, over up to ``deformation`` of the extent.
    crop, crop_share : float
        Cut off up to ``crop_share`` at each of the six sides.
    drop_planes, drop_share : float
        Leave out that share of the planes of one axis: blood then seems to move faster.
    grid_dropout : float
        Black out cubes on a grid.
    flip : float
        Mirror, for each axis.
    turn : float
        Quarter turns within planes.
    noise, noise_deviation : float
        Grain of a deviation of up to so many grey levels.
    gamma, gamma_range : float
        Bend the greys by an exponent of 1 ± ``gamma_range``.

    Raises
    ------
    ConfigError
        If a probability or an extent makes no sense.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    rotate: float = 0.3
    angle: float = 10.0
    elastic: float = 0.1
    deformation: float = 0.25
    crop: float = 0.4
    crop_share: float = 0.15
    drop_planes: float = 0.3
    drop_share: float = 0.1
    grid_dropout: float = 0.1
    flip: float = 0.5
    turn: float = 0.5
    noise: float = 0.2
    noise_deviation: float = 5.0
    gamma: float = 0.2
    gamma_range: float = 0.5

    def __post_init__(self) -> None:
        chances = ("rotate", "elastic", "crop", "drop_planes", "grid_dropout", "flip", "turn")
        for name in (*chances, "noise", "gamma", "deformation"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"augmentation {name} is {getattr(self, name)}; give 0 to 1")
        for name in ("crop_share", "drop_share", "gamma_range"):
            if not 0 <= getattr(self, name) < (0.5 if name == "crop_share" else 1):
                raise ConfigError(
                    f"augmentation {name} is {getattr(self, name)}, which leaves nothing; give 0 "
                    "to below 1 (crop_share: 0.5)"
                )
        if self.angle < 0 or self.noise_deviation < 0:
            raise ConfigError(
                f"augmentation angle {self.angle} and noise_deviation {self.noise_deviation} "
                "must be 0 or more"
            )


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a training run, which begins with the best weights of the part before.

    Parameters
    ----------
    metric : {"mcc", "auc"}
        What the best weights are the best in: Matthews correlation at the best threshold, or the
        area under the receiver operating characteristic.
    negatives : float
        Flowing clips for each stalled one in validation; 0 takes all.
    tier1 : bool
        Whether only labels of high confidence count, in training and validation.
    drop_planes : bool
        Whether that augmentation is used.
    epochs : int
        At most.
    patience : int
        Epochs without a better score before the stage ends.

    Raises
    ------
    ConfigError
        If a number makes no sense.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    metric: Literal["mcc", "auc"] = "auc"
    negatives: float = 4.0
    tier1: bool = False
    drop_planes: bool = True
    epochs: int = 150
    patience: int = 15

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.patience < 1 or self.negatives < 0:
            raise ConfigError(
                f"a stage of {self.epochs} epochs, patience {self.patience} and negatives "
                f"{self.negatives} cannot be; give 1, 1 and 0 or more"
            )


@dataclass(frozen=True, slots=True)
class StallOptimisation:
    """How the weights are found; the defaults are the published ones.

    Parameters
    ----------
    batch : int
        Clips that go through the network together.
    batches : int
        Of an epoch.
    accumulate : int
        Batches whose gradients are averaged for one step of Adam.
    positive : float
        Probability that a drawn clip is a stalled one.
    learning_rate : float
        At the beginning of a stage.
    factor, patience, least_rate : float, int, float
        The rate is multiplied by ``factor`` after so many epochs without a better score, down to
        ``least_rate``.
    average : float
        Share of a running average of the weights that a step keeps; 0, as published, takes the
        weights themselves.

    Raises
    ------
    ConfigError
        If a number makes no sense.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    batch: int = 6
    batches: int = 1000
    accumulate: int = 20
    positive: float = 0.25
    learning_rate: float = 1e-4
    factor: float = 0.95
    patience: int = 3
    least_rate: float = 1e-9
    average: float = 0.0

    def __post_init__(self) -> None:
        whole = (self.batch, self.batches, self.accumulate, self.patience)
        if min(whole) < 1 or not 0 < self.positive < 1:
            raise ConfigError(
                f"batch, batches, accumulate and patience {whole} with positive {self.positive} "
                "cannot be; give 1 or more, and a probability between 0 and 1"
            )
        if self.learning_rate <= 0 or not 0 < self.factor <= 1 or not 0 <= self.average < 1:
            raise ConfigError(
                f"learning_rate {self.learning_rate}, factor {self.factor} and average "
                f"{self.average} cannot be; give a rate above 0, a factor of up to 1, and an "
                "average from 0 to below 1"
            )
