"""Configuration of ``statistics``: the keys of its workflow files."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from volkit.errors import ConfigError
from volkit.geometry import Box, Coord
from volkit.geometry.scale import Vector
from volkit.kernels.class_statistics import Mode
from volkit.kernels.vessel_rules import SpurRule
from volkit.ops.statistics_classes import Unknown, check_classes
from volkit.ops.statistics_regions import Interval
from volkit.pipelines.cluster import ClusterOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsInput:
    """What to measure: volumes of the same voxels.

    Parameters
    ----------
    classes : str, optional
        Path or URI of semantic labels.
    cells : str, optional
        Path or URI of ids of objects; without, cells are the components of ``cell_class``.
    regions : str, optional
        Path or URI of ids of regions.
    image : str, optional
        Path or URI of an image, for the intensity of cells.
    box : Box, optional
        ``start`` and ``stop``, volume coordinates (z, y, x), voxels; None takes all.
    level : int, optional
        Of all of them; 0 is the finest, and taken where none is stated.
    voxel_size_nm : tuple of float, optional
        (z, y, x), where the volumes do not say it.
    """

    classes: str | None = None
    cells: str | None = None
    regions: str | None = None
    image: str | None = None
    box: Box | None = None
    level: int | None = None
    voxel_size_nm: Vector | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchesOptions:
    """Which class is measured as a graph of branches, and how.

    Parameters
    ----------
    of : str, optional
        The class; None leaves it out.
    halo : tuple of int
        What a block sees around itself, voxels: more than the radius of the widest vessel.
    spurs : SpurRule or None
        Which side branches are no vessels, micrometres; None keeps them all.
    """

    of: str | None = None
    halo: Coord = (16, 16, 16)
    spurs: SpurRule | None = field(default_factory=lambda: SpurRule(radii=1.0))


def check_named(key: str, names: Iterable[str | None], classes: Iterable[str]) -> None:
    """Refuse to measure what is no class.

    Parameters
    ----------
    key : str
        Of the workflow file.
    names : iterable of str or None
        What it says; None measures nothing.
    classes : iterable of str
        Those that have a label.

    Raises
    ------
    ConfigError
        If a name is none of them.
    """
    known = list(classes)
    unnamed = sorted({name for name in names if name is not None} - set(known))
    if unnamed:
        raise ConfigError(
            f"{key}: {', '.join(unnamed)}: not among the classes {', '.join(known) or '(none)'}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The keys of a workflow file.

    Parameters
    ----------
    input : StatisticsInput
        What to measure.
    output : str
        Folder of the run.
    classes : mapping of str to int
        Labels by name; sources differ in them, so they are printed with every result.
    unknown : {'error', 'other'}
        Whether labels without a name are an error, or tissue of no class.
    cell_class : str, optional
        Class whose components are cells.
    connectivity : int
        Of the components: 6, 18 or 26.
    mode : {'corrected', 'published'}
        Of the features of sections; see :mod:`volkit.kernels.class_statistics`.
    bins : tuple of int
        Sections, rows and columns of a bin, voxels.
    sections : bool
        Make the table of cells in every tile of every section; needs bins of one section.
    shapes : tuple of str
        Classes whose surface and length are measured, too.
    branches : BranchesOptions
        Class whose branches are measured, too: radii, lengths, junctions.
    regions : mapping of str to int
        Ids of regions by name; others keep their number.
    boxes : mapping of str to Box
        Parts of the volume that get rows of their own.
    intensity_range : tuple of float, optional
        Lowest and highest value of an image that is not of 8 or 16 bits.
    interval : Interval
        Intervals of confidence.
    distances : bool
        Measure distances between cells: each to its nearest others, anywhere in the volume.
    partition : tuple of int, optional
        Voxels whose cells are written as one file, a multiple of ``block_shape``; None writes one
        file, for up to some ten million cells.
    block_shape : tuple of int
        Unit of work, (z, y, x), voxels.
    cluster : ClusterOptions
        Where blocks run.

    Raises
    ------
    ConfigError
        If keys contradict each other.
    """

    input: StatisticsInput
    output: str
    classes: dict[str, int] = field(default_factory=dict)
    unknown: Unknown = "error"
    cell_class: str | None = None
    connectivity: int = 26
    mode: Mode = "corrected"
    bins: Coord = (1, 256, 256)
    sections: bool = False
    shapes: tuple[str, ...] = ()
    branches: BranchesOptions = field(default_factory=BranchesOptions)
    regions: dict[str, int] = field(default_factory=dict)
    boxes: dict[str, Box] = field(default_factory=dict)
    intensity_range: tuple[float, float] | None = None
    interval: Interval = field(default_factory=Interval)
    distances: bool = True
    partition: Coord | None = None
    block_shape: Coord = (128, 256, 256)
    cluster: ClusterOptions = field(default_factory=ClusterOptions)

    def __post_init__(self) -> None:
        if "://" in self.output:
            raise ConfigError(f"output {self.output} is a URL; give a folder of this machine")
        if min(*self.block_shape, *self.bins) < 1:
            raise ConfigError(
                f"block_shape {self.block_shape} and bins {self.bins} must be at least 1"
            )
        if self.input.classes is None and self.input.cells is None:
            raise ConfigError("input has neither classes nor cells; give one of them, or both")
        if self.input.classes is not None:
            check_classes(self.classes)
        self._check_cells()
        check_named("shapes", self.shapes, self.classes)
        check_named("branches.of", (self.branches.of,), self.classes)
        if self.partition is not None and any(
            p % b for p, b in zip(self.partition, self.block_shape, strict=True)
        ):
            raise ConfigError(
                f"partition {self.partition} is no multiple of block_shape {self.block_shape}; "
                "blocks must not lie in two partitions"
            )

    def _check_cells(self) -> None:
        if self.cell_class is not None:
            if self.input.cells is not None:
                raise ConfigError("both input.cells and cell_class say what cells are; drop one")
            if self.cell_class not in self.classes:
                raise ConfigError(
                    f"cell_class {self.cell_class!r} is not among the classes "
                    f"{', '.join(self.classes) or '(none)'}"
                )
        if self.sections:
            if self.bins[0] != 1:
                raise ConfigError(f"sections need bins of one section, not {self.bins[0]}")
            if self.input.classes is None or not self.has_cells:
                raise ConfigError("sections need input.classes, and cells or cell_class")

    @property
    def has_cells(self) -> bool:
        """Whether there are cells."""
        return self.input.cells is not None or self.cell_class is not None

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return Path(self.output)
