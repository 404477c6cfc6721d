"""Configuration of ``readout``: the keys of its workflow files."""

from dataclasses import dataclass, field
from pathlib import Path

from volkit.errors import ConfigError
from volkit.geometry import Box, Coord
from volkit.kernels.hamming import Shrink
from volkit.pipelines.cluster import ClusterOptions

FEATURES = ("vessel_percent", "axon_percent", "cells", "cell_size", "distance_1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadoutInput:
    """What is embedded, and what is to be read out of it.

    Parameters
    ----------
    image : str
        Path or URI of the volume that the encoder sees.
    features : str
        Table of the tiles of sections, ``sections.parquet`` of the pipeline ``statistics``, of the
        same box and tiles.
    encoder : str
        Card of a network that answers whole tiles (``.yaml``), or components (``.npz``), as
        ``regions`` makes them.
    tile : tuple of int
        Extent of a tile, pixels, (y, x).
    side : int
        Pixels to which the sides of tiles are brought down; 0 leaves them.
    shrink : {'mean', 'hamming'}
        How; ``hamming`` is that of whole sections of the box, as published.
    box : Box, optional
        ``start`` and ``stop``, volume coordinates (z, y, x), voxels; None takes all.
    level : int, optional
        Of the image; 0 is the finest.
    intensity_range : tuple of float, optional
        What becomes 0 and 1, where the image is not of whole numbers.
    """

    image: str
    features: str
    encoder: str
    tile: tuple[int, int] = (128, 128)
    side: int = 32
    shrink: Shrink = "mean"
    box: Box | None = None
    level: int | None = None
    intensity_range: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readout:
    """The keys of a workflow file.

    Parameters
    ----------
    input : ReadoutInput
        What is read out of what.
    targets : tuple of str
        Columns of the table, without the unit at their end.
    folds : int
        Runs of sections that are held out in turn.
    gap : int
        Sections on both sides of a run that take no part in its fit.
    ridge : float
        Damping of the fits; 0 is ordinary least squares, as published.
    umap : bool
        Draw a map of the embeddings; needs umap-learn.
    block_shape : tuple of int
        Unit of work, (z, y, x), voxels; whole tiles are read once.
    output : str
        Folder of the run.
    cluster : ClusterOptions
        Where blocks run.

    Raises
    ------
    ConfigError
        If keys contradict each other.
    """

    input: ReadoutInput
    targets: tuple[str, ...] = FEATURES
    folds: int = 5
    gap: int = 10
    ridge: float = 0.0
    umap: bool = False
    block_shape: Coord = (16, 256, 256)
    output: str
    cluster: ClusterOptions = field(default_factory=ClusterOptions)

    def __post_init__(self) -> None:
        if "://" in self.output:
            raise ConfigError(f"output {self.output} is a URL; give a folder of this machine")
        if not self.targets or self.folds < 2 or self.gap < 0 or self.ridge < 0:
            raise ConfigError(
                f"targets {list(self.targets)}, folds {self.folds}, gap {self.gap}, ridge "
                f"{self.ridge}: give a target or more, 2 folds or more, and nothing negative"
            )

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return Path(self.output)
