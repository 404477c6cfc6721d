"""Options of training on particles: tomograms, kinds, crops, and how these are varied."""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict

from volkit.errors import ConfigError
from volkit.geometry import Coord
from volkit.training.heatmaps import Unit

_STRICT: ConfigDict = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class LabelledTomogram:
    """A tomogram and where its particles are.

    Parameters
    ----------
    image : str
        URI, as `volkit.io.volume.open_volume` takes it.
    points : str
        A table (see `volkit.training.particle_points.read_points`), or a specimen.
    run : str
        Which rows of a table of several tomograms; empty takes all.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    image: str
    points: str
    run: str = ""


@dataclass(frozen=True, slots=True)
class ParticleKind:
    """A kind of particle, a channel of the network.

    Parameters
    ----------
    name : str
        As tables of points have it.
    radius_nm : float
        Of the particle; an answer within half of it counts as found.
    weight : float
        In the score; 0 leaves a kind out of it.
    sigma : float
        Deviation of its Gaussian, in the unit of the targets.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    radius_nm: float
    weight: float = 1.0
    sigma: float = 6.0

    def __post_init__(self) -> None:
        if self.radius_nm <= 0 or self.sigma <= 0 or self.weight < 0:
            raise ConfigError(
                f"kind {self.name!r}: radius_nm {self.radius_nm} and sigma {self.sigma} must be "
                f"above 0, weight {self.weight} 0 or more"
            )


@dataclass(frozen=True, slots=True)
class Crops:
    """What the network sees at one step.

    Parameters
    ----------
    shape : tuple of int
        Voxels of a crop, (z, y, x).
    batch : int
        Crops per step.
    focus : float
        Share of crops that hold a particle of a kind drawn evenly; the others lie anywhere.
    sigma_unit : {"voxels", "nm"}
        What the deviations of the kinds count.
    target_offset : float
        Between centres and the voxels that mark them, see
        `volkit.kernels.particle_coordinates.ParticleCoordinates`; 1.0 as published, whose rounding
        is left out: Gaussians lie where the centres are.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    shape: Coord = (16, 128, 128)
    batch: int = 32
    focus: float = 0.0
    sigma_unit: Unit = "voxels"
    target_offset: float = 0.5

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or self.batch < 1 or not 0 <= self.focus <= 1:
            raise ConfigError(
                f"crops of {self.shape}, {self.batch} at a time, focus {self.focus}: expected at "
                "least 1, and a focus from 0 to 1"
            )


@dataclass(frozen=True, slots=True)
class CropAugmentation:
    """How crops are varied.

    Parameters
    ----------
    flips : tuple of bool
        Whether crops are mirrored along (z, y, x), each for half of them.
    quarter_turns : bool
        Whether they are turned by multiples of 90 degrees about z; needs square crops.
    rotate : float
        Share that is turned by any angle about z and zoomed; beyond the tomogram there is 0.
    zoom : float
        Largest change of size of these, 0.1 is 0.9 to 1.1.
    tone : float
        Share whose contrast and brightness change.
    contrast, brightness : float
        Largest changes of these, in units of the scaled image.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    flips: tuple[bool, bool, bool] = (False, True, True)
    quarter_turns: bool = True
    rotate: float = 0.5
    zoom: float = 0.1
    tone: float = 0.3
    contrast: float = 0.3
    brightness: float = 0.3

    def __post_init__(self) -> None:
        for name in ("rotate", "zoom", "tone", "contrast", "brightness"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"augmentation {name} is {getattr(self, name)}; give 0 to 1")
