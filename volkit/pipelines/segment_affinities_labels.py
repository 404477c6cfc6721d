"""The end of the chains that segment affinities: basins, merges, labels, scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from volkit.engine.base import Engine
from volkit.errors import ConfigError
from volkit.geometry import Coord
from volkit.ops.affinity_segmentation import affinity_segment
from volkit.ops.affinity_watershed import NEAREST, Offsets, affinity_watershed
from volkit.ops.background import fill_background
from volkit.ops.graph_holder import Holder
from volkit.ops.metrics import segmentation_scores
from volkit.ops.mutex import mutex_agglomerate
from volkit.ops.octree_agglomeration import agglomeration_tree
from volkit.ops.polarity import polarity
from volkit.ops.relabelling import remove_small
from volkit.pipelines.graph_memory import asked_graph, graph_holder
from volkit.pipelines.segment_affinities_config import SegmentAffinities
from volkit.pipelines.segment_affinities_inputs import AffinityInputs, Config


@dataclass(frozen=True, slots=True)
class Signed:
    """Affinities near and far, of which the near ones attract and all others repel.

    Parameters
    ----------
    values : Volume or dask array of float or uint8, shape (C, Z, Y, X)
        0 to 1, high inside cells.
    offsets : sequence of (z, y, x) or None
        Of every channel.
    near : sequence of int
        The channels of neighbours.

    Raises
    ------
    ConfigError
        If none repels.
    """

    values: Any
    offsets: Sequence[Coord | None]
    near: Sequence[int]

    def __post_init__(self) -> None:
        if sum(offset is not None for offset in self.offsets) == len(self.near):
            raise ConfigError(
                f"offsets {list(self.offsets)} reach neighbours only, and segment.mutex needs "
                "affinities that keep basins apart; state far offsets, or choose "
                "segment.agglomeration"
            )


@dataclass(frozen=True, slots=True)
class AffinitySegmented:
    """What such a chain computes.

    Parameters
    ----------
    boundary : Volume or dask array of float, shape ([C,] Z, Y, X)
        Boundary probability, which the background is filled by; None where affinities are given
        and nothing is filled.
    channel : int
        Which of its channels.
    affinities : Volume or dask array of float, shape (3, Z, Y, X)
        Of neighbours on z, y, x.
    fragments : Volume or dask array of uint64, shape (Z, Y, X)
        Basins; the leaves of the tree.
    tree : dict of ndarray, Delayed of it, BasinTree, AgglomerationTree or None
        Merges; `volkit.ops.affinity_segmentation.relabel_at` cuts them at any threshold, where
        basins are merged by scores the tree itself does.  None after a mutex watershed.
    labels : Volume or dask array of uint64, shape (Z, Y, X)
        Cells; 0 is background.
    scores : SegmentationScores, Delayed or None
        None without a truth.
    warnings : tuple of str, Delayed or None
        What looks wrong beside the truth; None without one.
    """

    boundary: Any
    channel: int
    affinities: Any
    fragments: Any
    tree: Any
    labels: Any
    scores: Any
    warnings: Any = None


def segmented(
    affinities: Any,
    boundary: Any,
    inputs: AffinityInputs,
    config: Config,
    engine: Engine,
    *,
    channel: int = 0,
    offsets: Offsets = NEAREST,
    signed: Signed | None = None,
) -> AffinitySegmented:
    """Segment affinities, fill the background, and score.

    Parameters
    ----------
    affinities : Volume or dask array of float, shape (3, Z, Y, X)
        Of neighbours on z, y, x.
    boundary : Volume or dask array of float, shape ([C,] Z, Y, X), or None
        Boundary probability; None where nothing is to be filled.
    inputs : AffinityInputs
        What the workflow names, opened.
    config : SegmentAffinities, SegmentBoundaries or Recursive
        The options.
    engine : Engine
        Where.
    channel : int
        Which channel is the boundary.
    offsets : sequence of (z, y, x)
        Of the affinities.
    signed : Signed, optional
        Near and far ones, for a mutex watershed.

    Returns
    -------
    AffinitySegmented
    """
    where: dict[str, Any] = {"grid": inputs.grid, "engine": engine}
    if signed is None:
        fragments, tree, labels = _merged(affinities, config, offsets, where)
    else:
        fragments, tree = _fragments(affinities, config, offsets, where), None
        labels = _excluded(fragments, signed, config, where)
    fill, scores, warnings = config.segment.fill, None, None
    if fill is not None:
        labels = fill_background(
            labels, boundary, tile=fill.tile, halo=fill.halo, channel=channel, **where
        )
    if inputs.truth is not None:
        scores = segmentation_scores(
            inputs.truth,
            labels,
            true_zero=config.score.true_zero,
            pred_zero=config.score.pred_zero,
            form=config.score.form,
            **where,
        )
        if isinstance(config, SegmentAffinities):
            options = config.segment.options(offsets).watershed
            warnings = polarity(affinities, inputs.truth, options=options, **where)
        else:
            warnings = polarity(boundary, inputs.truth, options=channel, **where)
    return AffinitySegmented(
        boundary, channel, affinities, fragments, tree, labels, scores, warnings
    )


def _merged(
    affinities: Any, config: Config, offsets: Offsets, where: dict[str, Any]
) -> tuple[Any, Any, Any]:
    """Make fragments, their tree, and labels: by size, or by scores."""
    told = config.segment
    options, how = told.options(offsets), told.scored
    if how is None:
        held = _holder(config, where)
        found = affinity_segment(affinities, options=options, held=held, **where)
        return found.fragments, found.tree, found.labels
    fragments = _fragments(affinities, config, offsets, where)
    tree = agglomeration_tree(
        fragments,
        affinities,
        options=options.watershed,
        linkage=how.rule,
        limit=how.up_to,
        held=_holder(config, where),
        **where,
    )
    return fragments, tree, _large(tree.labels(how.threshold), config, where)


def _fragments(affinities: Any, config: Config, offsets: Offsets, where: dict[str, Any]) -> Any:
    options = config.segment.options(offsets).watershed
    return affinity_watershed(affinities, options=options, **where)


def _excluded(fragments: Any, signed: Signed, config: Config, where: dict[str, Any]) -> Any:
    """Merge fragments that nothing keeps apart."""
    labels = mutex_agglomerate(
        fragments,
        signed.values,
        offsets=signed.offsets,
        attractive=signed.near,
        held=_holder(config, where),
        **where,
    )
    return _large(labels, config, where)


def _holder(config: Config, where: dict[str, Any]) -> Holder:
    graph = asked_graph(config.segment, where["grid"].domain.size)
    return graph_holder(graph, config.cluster, where["engine"])


def _large(labels: Any, config: Config, where: dict[str, Any]) -> Any:
    smallest = config.segment.smallest
    return remove_small(labels, smallest=smallest, **where) if smallest else labels
