"""Options of region studies: which encoders, how they learn, and how often."""

from dataclasses import dataclass, field
from typing import Literal

from volkit.errors import ConfigError
from volkit.kernels.hamming import Shrink

Stem = Literal["fine", "coarse"]
Method = Literal["supervised", "mixup", "byol", "myow", "myow-merged", "pca", "nmf", "random"]
METHODS: tuple[Method, ...] = (
    "supervised",
    "mixup",
    "byol",
    "myow",
    "myow-merged",
    "pca",
    "nmf",
)
UNSCHOOLED: frozenset[Method] = frozenset({"pca", "nmf", "random"})
"""Methods without epochs: components of pixels, and networks as they begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSize:
    """What encoders are made of.

    Parameters
    ----------
    stem : {"fine", "coarse"}
        See :class:`volkit.models.tile_resnet.TileResNet`.
    widths, blocks : tuple of int
        Of the stages; the default is ResNet-18.
    dropout : float
        Before the classifier of supervised training.
    hidden, out : int
        Of projectors and predictors.
    components : int
        Of PCA and NMF; at most as many as tiles to learn from.
    """

    stem: Stem = "fine"
    widths: tuple[int, ...] = (64, 128, 256, 512)
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    dropout: float = 0.2
    hidden: int = 4096
    out: int = 256
    components: int = 256

    def __post_init__(self) -> None:
        if not self.widths or len(self.widths) != len(self.blocks) or min(self.widths) < 1:
            raise ConfigError(
                f"widths {self.widths} and blocks {self.blocks}: give one of each for every stage"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Schooling:
    """How networks learn: SGD along half a cosine.

    Parameters
    ----------
    epochs : int
        Passes over the tiles.
    batch : int
        Tiles that are looked at together.
    learning_rate, momentum, decay : float
        Of SGD; ``decay`` of the weights.
    warmup : float
        Share of the steps in which the rate rises.
    mixup : float
        Parameter of the beta distribution of blends, where the method is mixup.
    average : float
        Share that the following copy keeps at first; it rises to 1 along half a cosine.
    neighbours : int
        Among how many of the nearest tiles MYOW chooses.
    mined : float
        Weight of mined tiles, from the end of the warm-up on.
    """

    epochs: int = 100
    batch: int = 64
    learning_rate: float = 0.03
    momentum: float = 0.9
    decay: float = 5e-4
    warmup: float = 0.1
    mixup: float = 1.0
    average: float = 0.996
    neighbours: int = 5
    mined: float = 0.5

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 2 or not 0 <= self.average <= 1:
            raise ConfigError(
                f"epochs {self.epochs}, batch {self.batch}, average {self.average}: give 1 epoch "
                "or more, 2 tiles or more, and an average between 0 and 1"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewOptions:
    """How far a view may differ from the tile.

    Parameters
    ----------
    crop : float
        Least share of the tile's side that is seen, 0 to 1; what is seen fills the view.
    turn : float
        Most degrees that it is turned; 180 takes all directions alike.
    flip : bool
        Whether it may be mirrored.
    light, contrast : float
        Most that is added, and most that contrast differs from 1.
    noise : float
        Most that the standard deviation of added noise is.
    """

    crop: float = 0.6
    turn: float = 180.0
    flip: bool = True
    light: float = 0.1
    contrast: float = 0.3
    noise: float = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionOptions:
    """What a study compares.

    Parameters
    ----------
    methods : tuple of str
        ``supervised``, ``mixup``, ``byol``, ``myow``, ``myow-merged``, ``pca``, ``nmf``;
        ``random``, a network that is not trained, is the least that frozen features must beat.
    seeds : tuple of int
        Every method is trained once for each.
    side : int
        Pixels to which the sides of tiles are brought down; 0 leaves them as they are.
    shrink : {"mean", "hamming"}
        How; ``hamming`` as published.
    encoder : EncoderSize
        What encoders are made of.
    schooling : Schooling
        How they learn.
    views : ViewOptions
        What self-supervised ones see.

    Raises
    ------
    ConfigError
        If there is no method or no seed, or one stands there twice.
    """

    methods: tuple[Method, ...] = METHODS
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    side: int = 64
    shrink: Shrink = "mean"
    encoder: EncoderSize = field(default_factory=EncoderSize)
    schooling: Schooling = field(default_factory=Schooling)
    views: ViewOptions = field(default_factory=ViewOptions)

    def __post_init__(self) -> None:
        for name, values in (("methods", self.methods), ("seeds", self.seeds)):
            if not values or len(set(values)) < len(values):
                raise ConfigError(f"{name} are {list(values)}; give at least one, each once")
