"""Configuration of training on affinities: the edges of every voxel, near and far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict

from volkit.errors import ConfigError
from volkit.geometry import Coord
from volkit.models.scaling import Scaling
from volkit.training.config import (
    Augmentation,
    CardText,
    LabelledVolume,
    Optimisation,
    Validation,
)

_STRICT: ConfigDict = {"extra": "forbid"}
_NEAREST: tuple[Coord, ...] = ((-1, 0, 0), (0, -1, 0), (0, 0, -1))


@dataclass(frozen=True, slots=True)
class AffinityPatches:
    """What the network sees at one step, and which edges it is asked for.

    Parameters
    ----------
    shape : tuple of int
        Voxels of a patch, (z, y, x).
    batch : int
        Patches per step.
    nearest : tuple of (int, int, int)
        Offsets of the edges that segment: from a voxel to its neighbour, one for each axis.
    auxiliary : tuple of (int, int, int)
        Longer offsets, which take more than an edge filter; they follow in the card's ``offsets``.
    zero : {"membrane", "unlabelled"}
        What label 0 is: a voxel of no object, whose affinities are 0; or one of which nothing is
        known and which teaches nothing.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    shape: Coord = (48, 48, 48)
    batch: int = 2
    nearest: tuple[Coord, ...] = _NEAREST
    auxiliary: tuple[Coord, ...] = ()
    zero: Literal["membrane", "unlabelled"] = "membrane"

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or self.batch < 1:
            raise ConfigError(
                f"patches of {self.shape}, {self.batch} at a time cannot be; give at least 1 "
                "everywhere"
            )
        steps = sorted(tuple(abs(n) for n in offset) for offset in self.nearest)
        if steps != [(0, 0, 1), (0, 1, 0), (1, 0, 0)]:
            raise ConfigError(
                f"nearest {self.nearest} must hold one step along each axis; give for example "
                f"{[list(offset) for offset in _NEAREST]}"
            )
        for offset in self.auxiliary:
            small = all(abs(o) < n for o, n in zip(offset, self.shape, strict=True))
            if not any(offset) or not small:
                raise ConfigError(
                    f"auxiliary offset {offset} must lead to another voxel of a patch of "
                    f"{self.shape}; shorten it, or enlarge the patch"
                )

    @property
    def offsets(self) -> tuple[Coord, ...]:
        """All offsets, in the order of the network's channels."""
        return self.nearest + self.auxiliary


@dataclass(frozen=True, slots=True)
class AffinityConfig:
    """A training run on affinities, whole.

    Parameters
    ----------
    checkpoint : str
        The card to write, a local path ending in ``.yaml``; weights and the state from which an
        interrupted run goes on lie beside it.
    volumes : tuple of LabelledVolume
        What to learn from; patches are drawn by volume of the boxes.
    arguments : mapping
        What the residual U-Net is built with; ``out_channels`` follows from the offsets.
    start_from : str or None
        Card of a residual U-Net that was trained already, whose weights are taken where name and
        shape are those of this network.  Stored networks have no normalisation: say
        ``arguments: {norm: none}`` with it.
    scaling : Scaling
        How the network wants its input, kept in the card.
    window : tuple of int
        Window that the card recommends.
    patches, augmentation, optimisation, validation, card
        See their classes; ``optimisation.balance`` is the share of edges inside cells, and
        ``dice`` is not used.
    precision, device, seed
        As of `volkit.training.config.TrainConfig`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    checkpoint: str
    volumes: tuple[LabelledVolume, ...]
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    start_from: str | None = None
    scaling: Scaling = field(default_factory=lambda: Scaling("moments"))
    window: Coord = (64, 64, 64)
    patches: AffinityPatches = field(default_factory=AffinityPatches)
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
        if "out_channels" in self.arguments:
            raise ConfigError(
                f"arguments give out_channels {self.arguments['out_channels']}, which follows from "
                "the offsets; leave it out"
            )
