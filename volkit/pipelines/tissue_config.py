"""Configuration of ``tissue``: the keys of its workflow files."""

from dataclasses import dataclass, field
from pathlib import Path

from volkit.errors import ConfigError
from volkit.geometry import Box, Coord
from volkit.geometry.scale import Vector
from volkit.kernels.class_merge import check_codes
from volkit.kernels.class_statistics import Mode
from volkit.ops.inference_options import InferenceOptions
from volkit.ops.statistics_regions import Interval
from volkit.pipelines.cluster import ClusterOptions
from volkit.pipelines.statistics_config import BranchesOptions, check_named


@dataclass(frozen=True, slots=True, kw_only=True)
class TissueInput:
    """Volumes of the same voxels, and the boxes to work on.

    Parameters
    ----------
    image : str, optional
        Path or URI of what a network sees.
    labels : str, optional
        Path or URI of true classes.
    regions : mapping of str to Box
        Boxes by name, volume coordinates (z, y, x), each taken by itself; empty takes all as one.
    level : int, optional
        Of both; 0 is the finest.
    voxel_size_nm : tuple of float, optional
        (z, y, x), where the volumes do not say it.
    """

    image: str | None = None
    labels: str | None = None
    regions: dict[str, Box] = field(default_factory=dict)
    level: int | None = None
    voxel_size_nm: Vector | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TissueMeasures:
    """What is measured of the classes; see :class:`volkit.pipelines.statistics_config.Statistics`.

    Parameters
    ----------
    cell_class : str, optional
        Class whose components are cells.
    connectivity : int
        Of the components: 6, 18 or 26.
    mode : {'corrected', 'published'}
        Of the features of sections.
    bins : tuple of int
        Sections, rows and columns of a bin, voxels.
    sections : bool
        Features of every tile of every section; needs bins of one section.
    shapes : tuple of str
        Classes whose surface and length are measured, too.
    branches : BranchesOptions
        Class whose branches are measured, too: radii, lengths, junctions.
    interval : Interval
        Intervals of confidence.
    """

    cell_class: str | None = None
    connectivity: int = 26
    mode: Mode = "corrected"
    bins: Coord = (1, 128, 128)
    sections: bool = False
    shapes: tuple[str, ...] = ()
    branches: BranchesOptions = field(default_factory=BranchesOptions)
    interval: Interval = field(default_factory=Interval)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tissue:
    """The keys of a workflow file.

    Parameters
    ----------
    input : TissueInput
        What there is.
    classes : mapping of str to tuple of int
        Codes of every class in the labels, the first being background; several codes are merged.
        It has no default: sources differ.
    checkpoint : str, optional
        Card of a network whose channels are these classes, in this order; None measures the
        labels.
    measure : TissueMeasures
        What is measured.
    infer : InferenceOptions
        How the network is run.
    absent : float
        Score of a section that has nothing of a class, neither true nor predicted, in means per
        image; NaN leaves it out.
    output : str
        Folder of the run.
    block_shape : tuple of int
        Unit of work, (z, y, x), voxels.
    cluster : ClusterOptions
        Where blocks run.

    Raises
    ------
    ConfigError
        If keys contradict each other.
    """

    input: TissueInput
    classes: dict[str, tuple[int, ...]]
    output: str
    checkpoint: str | None = None
    measure: TissueMeasures = field(default_factory=TissueMeasures)
    infer: InferenceOptions = field(default_factory=InferenceOptions)
    absent: float = 1.0
    block_shape: Coord = (64, 256, 256)
    cluster: ClusterOptions = field(default_factory=ClusterOptions)

    def __post_init__(self) -> None:
        check_codes(self.classes)
        if "://" in self.output:
            raise ConfigError(f"output {self.output} is a URL; give a folder of this machine")
        if (self.input.image is None) != (self.checkpoint is None):
            raise ConfigError(
                f"checkpoint {self.checkpoint} and input.image {self.input.image}: a network needs "
                "an image, and an image a network; give both or neither"
            )
        if self.input.image is None and self.input.labels is None:
            raise ConfigError("input has neither image nor labels; give one of them, or both")
        check_named("measure.shapes", self.measure.shapes, self.numbers)
        check_named("measure.branches.of", (self.measure.branches.of,), self.numbers)
        strange = [name for name in self.input.regions if not name.isidentifier()]
        if strange:
            raise ConfigError(
                f"regions {', '.join(strange)}: names become folders and columns; use letters, "
                "digits and _"
            )

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return Path(self.output)

    @property
    def numbers(self) -> dict[str, int]:
        """Numbers of the classes but the first, as they are stored and measured."""
        return {name: number for number, name in enumerate(self.classes) if number}
