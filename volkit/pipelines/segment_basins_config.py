"""How affinities become labels in workflow files: basins, and what merges them."""

from dataclasses import dataclass, field
from typing import Literal

from volkit.errors import ConfigError
from volkit.geometry import Coord
from volkit.kernels.linkage_rule import Kind, Linkage, ratio
from volkit.ops.affinity_segmentation import AffinitySegmentationOptions
from volkit.ops.affinity_watershed import NEAREST, AffinityOptions, Offsets
from volkit.ops.graph_holder import Held, check_held

_LINKAGE = ((1000, 0.1), (5000, 0.3), (20000, 0.5))


@dataclass(frozen=True, slots=True, kw_only=True)
class FillOptions:
    """How background is given to labels; see `volkit.ops.background.fill_background`."""

    tile: Coord = (128, 128, 128)
    halo: Coord = (32, 32, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgglomerationOptions:
    """How basins are merged, the lowest score first.

    The labels are those of merging the whole graph at once, for every block shape, whoever holds
    it; see `volkit.ops.octree_agglomeration`.

    Parameters
    ----------
    linkage, percent, contact, exact, k
        What the score of two regions is; see `volkit.kernels.linkage_rule.Linkage`.
    threshold : float
        Score, 1 - affinity, at which merging ends: higher merges more.  0.7 does well for the
        networks that ship.
    limit : float, optional
        Score up to which the stored merges go, so that thresholds up to it are relabellings; None
        ends at the threshold.
    held : {'auto', 'whole', 'boxes'}
        Who holds the graph of basins: one machine, or boxes of blocks, for any number of basins.
        Auto takes boxes where the graph may be more than the memory of a worker, or than 16 GiB
        where nobody knows that; a run that was begun goes on as it began.

    Raises
    ------
    ConfigError
        If a number lies outside its range, or the limit below the threshold.
    """

    linkage: Kind = "mean"
    percent: int = 50
    contact: Literal["all", "largest"] = "all"
    exact: bool = False
    k: int = 10
    threshold: float = 0.7
    limit: float | None = None
    held: Held = "auto"

    def __post_init__(self) -> None:
        check_held(self.held)
        _ = self.rule
        for score in (self.threshold, self.up_to):
            ratio(score)
        if self.up_to < self.threshold:
            raise ConfigError(
                f"limit is {self.limit}, threshold {self.threshold}; give a limit of "
                f"{self.threshold} or more, or leave it out"
            )

    @property
    def rule(self) -> Linkage:
        """What the score of two regions is."""
        return Linkage(self.linkage, self.percent, self.contact, self.exact, self.k)

    @property
    def up_to(self) -> float:
        """Score up to which the stored merges go."""
        return self.threshold if self.limit is None else self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class MutexOptions:
    """How basins are merged by the mutex watershed; see `volkit.ops.mutex.mutex_agglomerate`.

    The affinities of neighbours attract, all others whose offsets are stated repel.  There is no
    threshold, and no merge tree.

    Parameters
    ----------
    held : {'auto', 'whole', 'boxes'}
        Who holds the graph of basins, as for ``agglomeration``; the labels are the same.

    Raises
    ------
    ConfigError
        If nobody knows who that is.
    """

    held: Held = "auto"

    def __post_init__(self) -> None:
        check_held(self.held)


@dataclass(frozen=True, slots=True, kw_only=True)
class BasinOptions:
    """How affinities become labels.

    Basins are merged by their mean affinity where nothing else is said.

    Parameters
    ----------
    low, high, quantiles, sections
        Of the watershed; see `volkit.ops.affinity_watershed.AffinityOptions`.
    linkage : tuple of (int, float), optional
        Merges basins by size, as published with the watershed; see
        `volkit.ops.affinity_segmentation.AffinitySegmentationOptions`.
    threshold : float, optional
        Of merging by size, which it asks for, too: affinity from which regions of any size join.
    smallest : int
        Segments of fewer voxels become background.
    held : {'auto', 'whole', 'boxes'}
        Who holds the graph of basins, as for ``agglomeration``, which says it for itself; the
        labels are the same.
    agglomeration : AgglomerationOptions, optional
        Merges basins by the affinities between them, however many there are.
    mutex : MutexOptions, optional
        Merges basins by the mutex watershed of near and far affinities instead;
        ``segment_affinities`` only.
    fill : FillOptions or None
        Gives background to the labels around it; None leaves it 0.

    Raises
    ------
    ConfigError
        If a number lies outside its range, basins shall be merged in two ways, or nobody knows who
        is to hold their graph.
    """

    low: float = 0.0001
    high: float | None = 0.9999
    quantiles: bool = False
    sections: bool = False
    linkage: tuple[tuple[int, float], ...] | None = None
    threshold: float | None = None
    smallest: int = 0
    held: Held = "auto"
    agglomeration: AgglomerationOptions | None = None
    mutex: MutexOptions | None = None
    fill: FillOptions | None = field(default_factory=FillOptions)

    def __post_init__(self) -> None:
        self.options(NEAREST)
        check_held(self.held)
        if self.agglomeration is not None and self.mutex is not None:
            raise ConfigError(
                "segment.agglomeration and segment.mutex are two ways to merge; leave one out, or "
                "set it null"
            )
        for way in ("agglomeration", "mutex"):
            if getattr(self, way) is not None:
                self._refuse_by_size(way)

    def _refuse_by_size(self, way: str) -> None:
        """Refuse what counts where basins are merged by size, and here for nothing."""
        if self.threshold is None and self.linkage is None:
            return
        name = "linkage" if self.threshold is None else "threshold"
        own = f"{way}.{name}" if (way, name) == ("agglomeration", "threshold") else f"no {name}"
        raise ConfigError(
            f"segment.{name} merges basins by size, and segment.{way} merges them otherwise; give "
            f"{own}, or set segment.{way} null"
        )

    @property
    def scored(self) -> AgglomerationOptions | None:
        """How basins are merged by scores; None where it is by size, or by a mutex watershed."""
        other = (self.mutex, self.linkage, self.threshold)
        if self.agglomeration is None and all(way is None for way in other):
            return AgglomerationOptions(held=self.held)
        return self.agglomeration

    def options(self, offsets: Offsets) -> AffinitySegmentationOptions:
        """Make the options of the segmentation of affinities with these offsets."""
        watershed = AffinityOptions(
            offsets,
            low=self.low,
            high=self.high,
            quantiles=self.quantiles,
            sections=self.sections,
        )
        linkage = _LINKAGE if self.linkage is None else self.linkage
        return AffinitySegmentationOptions(
            watershed, linkage=linkage, threshold=self.threshold, smallest=self.smallest
        )
