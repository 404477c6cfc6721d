"""Configuration of ``regions``: the keys of its workflow files."""

from dataclasses import dataclass, field
from pathlib import Path

from volkit.errors import ConfigError
from volkit.geometry import Box
from volkit.training.region_options import RegionOptions

Boxes = dict[str, tuple[Box, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionsInput:
    """Tiles to learn from, and tiles to be judged by.

    Parameters
    ----------
    image : str
        Path or URI.
    learn, judge : mapping of str to list of Box
        Boxes of every region, each in that region alone, volume coordinates (z, y, x).
    tile : tuple of int
        Extent of a tile of a section, pixels, (y, x).
    level : int, optional
        Of the image; 0 is the finest.
    intensity_range : tuple of float, optional
        What becomes 0 and 1, where the image is not of unsigned integers.

    Raises
    ------
    ConfigError
        If a region is not in both, or a box is both learnt from and judged by.
    """

    image: str
    learn: Boxes
    judge: Boxes
    tile: tuple[int, int] = (256, 256)
    level: int | None = None
    intensity_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if list(self.learn) != list(self.judge) or len(self.learn) < 2:
            raise ConfigError(
                f"input.learn has regions {list(self.learn)}, input.judge {list(self.judge)}; give "
                "two or more, the same in both, in the same order"
            )
        for region, places in self.judge.items():
            for box in places:
                for other in (x for some in self.learn.values() for x in some):
                    if box.intersect(other).size:
                        raise ConfigError(
                            f"box {box} of {region} is judged by, and overlaps {other}, which is "
                            "learnt from; keep them apart"
                        )
        if min(self.tile) < 1:
            raise ConfigError(f"input.tile {self.tile} must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """The keys of a workflow file.

    Parameters
    ----------
    input : RegionsInput
        Tiles.
    study : RegionOptions
        Methods, seeds, and how encoders learn.
    keep : bool
        Store the encoders, for ``readout``.
    output : str
        Folder of the run.

    Raises
    ------
    ConfigError
        If the output is no folder of this machine.
    """

    input: RegionsInput
    study: RegionOptions = field(default_factory=RegionOptions)
    keep: bool = True
    output: str

    def __post_init__(self) -> None:
        if "://" in self.output:
            raise ConfigError(f"output {self.output} is a URL; give a folder of this machine")

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return Path(self.output)
