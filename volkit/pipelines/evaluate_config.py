"""Configuration of ``evaluate``: the keys of its workflow files."""

from dataclasses import dataclass, field
from typing import Literal

from volkit.errors import ConfigError
from volkit.geometry import Box, Coord
from volkit.ops.evaluation_convention import find_convention
from volkit.pipelines.cluster import ClusterOptions
from volkit.pipelines.evaluate_points_config import PointScoring


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluate:
    """The keys of a workflow file.

    Parameters
    ----------
    pred, truth : str
        Volumes: labels or a boundary map, and true labels.
    output : str
        Folder of the scores.
    image : str, optional
        Volume to show objects over.
    kind : {'auto', 'labels', 'boundary', 'points'}
        What the prediction is.
    convention : str
        What counts: volkit, skimage, cremi, snemi3d, isbi2012.
    box : Box, optional
        The part to score, voxels of the prediction, (z, y, x); None takes all that both cover.
    thresholds : tuple of float
        Of a boundary map, ascending; empty takes 0.01 to 0.99.
    channel : int
        Which channel of the map is the boundary.
    truth_boundary : {'auto', 'zero', 'edges'}
        What is boundary in the truth.
    voxel_size_nm : tuple of float, optional
        Where the volumes do not say it, (z, y, x).
    worst : int
        Objects to draw.
    points : PointScoring
        Radii and weights, where the prediction is a table of points.
    block_shape : tuple of int, optional
        Unit of work, (z, y, x), voxels.
    cluster : ClusterOptions
        Where blocks run; this process by default.
    """

    pred: str
    truth: str
    output: str
    image: str | None = None
    kind: Literal["auto", "labels", "boundary", "points"] = "auto"
    convention: str = "volkit"
    box: Box | None = None
    thresholds: tuple[float, ...] = ()
    channel: int = 0
    truth_boundary: Literal["auto", "zero", "edges"] = "auto"
    voxel_size_nm: tuple[float, float, float] | None = None
    worst: int = 3
    points: PointScoring = field(default_factory=PointScoring)
    block_shape: Coord | None = None
    cluster: ClusterOptions = field(default_factory=lambda: ClusterOptions(workers=0))

    def __post_init__(self) -> None:
        find_convention(self.convention)
        if "://" in self.output:
            raise ConfigError(f"output {self.output} is a URL; give a folder of this machine")
        if self.block_shape is not None and min(self.block_shape) < 1:
            raise ConfigError(f"block_shape {self.block_shape} must be at least 1 on every axis")
        if not 0 <= self.worst <= 12:
            raise ConfigError(f"worst is {self.worst}; draw 0 to 12 objects")
