"""Agglomeration that no machine holds as a whole: boxes settle what they can, and pass on the rest.

Labels are those of merging the whole graph at once, for every grid::

    fragments, affinities ─► contacts ─► boxes of 1, 2³, 4³ … blocks ─► tree
                                                                        │ any threshold
                                  labels ◄── a lookup table for each block ◄──┘
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.cascade import Cascade, ids_on_faces
from volkit.engine.cascade_job import StoredCascade
from volkit.engine.op import Columns
from volkit.errors import ConfigError, ContractError
from volkit.geometry import Block, Grid
from volkit.kernels.affinity_graph import basin_graph
from volkit.kernels.contacts import ONE, contacts
from volkit.kernels.linkage_rule import Linkage, ratio
from volkit.kernels.octree_agglomeration import contact_table, rise, sink
from volkit.kernels.probability import probabilities
from volkit.kernels.quantile_scores import contact_histograms, largest_bins
from volkit.kernels.whole_regions import inside_and_named
from volkit.ops.affinity_watershed import AffinityOptions, affinity_call, ready
from volkit.ops.arguments import Call, arguments
from volkit.ops.components import domain_box, domain_param, single_channel
from volkit.ops.sharded_lookup import Risen, rename_by_shards, risen

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class AgglomerationTree:
    """All merges of fragments up to a limit, box by box.

    Parameters
    ----------
    fragments : Volume or dask array of uint64, shape (Z, Y, X)
        What was merged.
    call : Call
        Grid and engine.
    risen : StoredCascade, GraphCascade or PlannedCascade
        The tables of the boxes.
    limit : float
        Score up to which merges are known.
    """

    fragments: Any
    call: Call
    risen: Risen
    limit: float

    def labels(self, threshold: float, *, name: str = "labels") -> Any:
        """Label the segments at a threshold.

        Parameters
        ----------
        threshold : float
            Score (1 - affinity) at which merging ends, up to the limit.
        name : str
            Of the result in a job.

        Returns
        -------
        Volume, dask array or DataArray of uint64, shape (Z, Y, X)
            The smallest fragment id of each segment.

        Raises
        ------
        ConfigError
            If the threshold is above the limit, or negative.
        """
        ratio(threshold)
        if threshold > self.limit:
            raise ConfigError(
                f"threshold is {threshold}, the tree ends at {self.limit}; make it with a limit of "
                f"{threshold} or more"
            )
        how = partial(sink, threshold=threshold)
        return self.call.wrap(rename_by_shards(self.risen, self.fragments, how, name=name))

    def merges(self) -> Iterator[Columns]:
        """Read the merges of every box.

        Yields
        ------
        dict of ndarray
            ``a``, ``b`` (uint64, ``a < b``: what was absorbed into what) and ``num``, ``den``
            (int64: the score as a ratio, units of 2**-30).

        Raises
        ------
        ContractError
            If the tree is not stored by a job.
        """
        if not isinstance(self.risen, StoredCascade):
            raise ContractError(
                "the merges of a lazy tree are not stored; make the tree with a JobEngine"
            )
        for _, _, kept in self.risen.kept():
            yield {name: kept[name] for name in ("a", "b", "num", "den")}


def agglomeration_tree(
    fragments: Any,
    values: Any,
    *,
    options: AffinityOptions | int | None,
    linkage: Linkage | None = None,
    limit: float = 1.0,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "agglomeration",
) -> AgglomerationTree:
    """Merge fragments, the lowest score first, box by box.

    Parameters
    ----------
    fragments : Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        Connected regions named after one of their voxels (1 + its C-order index in the domain), as
        ``affinity_watershed`` and ``components_of`` give them: an id that stands in several places
        would be settled in one of them, and is refused; 0 touches nothing.
    values : Volume, dask array or DataArray of float or uint8
        Affinities, shape (3, Z, Y, X), 0 to 1, high inside cells (uint8: 255 is 1); or boundary
        probabilities, shape ([1,] Z, Y, X), of which the larger of two voxels counts.
    options : AffinityOptions, int or None
        Offsets of affinities, and whether sections stand alone; its thresholds do not matter here.
        For boundary probabilities, their channel; None is the first.
    linkage : Linkage, optional
        What a score is; the mean by default, and always of boundaries.
    limit : float
        Score at which merging ends, whatever threshold is asked for later: the lower, the less
        there is to hold.
    grid : Grid, optional
        Blocks to work in; the labels do not depend on it.
    engine : Engine, optional
        Where; None builds dask graphs.
    name : str
        Of the stage in a job.

    Returns
    -------
    AgglomerationTree
        Labels at any threshold up to the limit.

    Raises
    ------
    ConfigError
        If the limit lies outside 0 to 1, or boundaries shall have another linkage than the mean.
    ContractError
        If there are not three channels; by the block that meets NaN or values outside 0 to 1; by
        the box in which a fragment ends that stands elsewhere too.

    References
    ----------
    R. Lu, A. Zlateski, H. S. Seung, Large-scale image segmentation based on distributed clustering
    algorithms, 2021, https://doi.org/10.48550/arXiv.2106.10795
    """
    linkage = Linkage() if linkage is None else linkage
    ratio(limit)
    if not isinstance(options, AffinityOptions):
        if linkage.kind != "mean":
            raise ConfigError(
                f"linkage is {linkage.kind!r}, boundaries have means only; give affinities and "
                "their options, or leave the linkage out"
            )
        call = arguments(values, grid=grid, engine=engine)
        params: dict[str, Any] = {"channel": options or 0}
    else:
        call, how = affinity_call(values, grid, engine), options
        params = {
            "toward": how.toward,
            "sections": how.sections,
            "kind": linkage.kind,
            "contact": linkage.contact,
        }
    pieces = arguments(fragments, grid=call.grid, engine=call.engine).inputs[0]
    cascade = Cascade(
        _affinity_block if isinstance(options, AffinityOptions) else _boundary_block,
        partial(rise, linkage=linkage, limit=limit),
        halo=(1, 1, 1),
        params={**params, "domain": domain_param(call.grid)},
    )
    tree = risen(call.engine, cascade, pieces, *call.inputs, grid=call.grid, name=name)
    return AgglomerationTree(pieces, call, tree, limit)


def _boundary_block(
    block: Block, pieces: Array, prob: Array, *, channel: int, domain: list[list[int]]
) -> Columns:
    core = block.write.relative_to(block.read)
    labels = pieces.astype(np.uint64, copy=False)
    graph = contacts(labels, probabilities(single_channel(prob, channel)), core)
    graph = {
        "u": graph["u"],
        "v": graph["v"],
        "sum": graph["boundary_sum"],
        "count": graph["count"],
    }
    return {**contact_table(graph), **_places(block, labels, domain)}


def _affinity_block(
    block: Block,
    pieces: Array,
    affinities: Array,
    *,
    toward: int,
    sections: bool,
    kind: str,
    contact: str,
    domain: list[list[int]],
) -> Columns:
    core = block.write.relative_to(block.read)
    labels, checked = pieces.astype(np.uint64, copy=False), ready(affinities)
    if kind == "quantile":
        graph = contact_histograms(labels, checked, core, toward=toward, sections=sections)
        graph = largest_bins(graph) if contact == "largest" else graph
    else:
        graph = scored(basin_graph(labels, checked, core, toward=toward, sections=sections), kind)
    return {**contact_table(graph), **_places(block, labels, domain)}


def _places(block: Block, labels: Array, domain: list[list[int]]) -> Columns:
    """List the fragments at each face, and those that have a voxel, or the one of their name."""
    whole = domain_box(domain)
    core = np.ascontiguousarray(labels[block.crop])
    start = block.write.relative_to(whole).start
    return {
        **ids_on_faces(labels, block.write.relative_to(block.read)),
        **inside_and_named(core, start=start, domain_shape=whole.shape),
    }


def scored(graph: Columns, kind: str) -> Columns:
    """Turn the affinities of a graph into scores, units of 2**-30.

    Parameters
    ----------
    graph : dict of ndarray
        As ``basin_graph`` gives it.
    kind : {'mean', 'max'}
        Of the linkage.

    Returns
    -------
    dict of ndarray
        ``u``, ``v``, ``sum`` and ``count``, as ``contact_table`` takes them.
    """
    if kind == "mean":
        total = graph["count"] * ONE - graph["affinity_sum"]
    else:
        total = ONE - np.rint(graph["affinity"].astype(np.float64) * ONE).astype(np.int64)
    return {"u": graph["u"], "v": graph["v"], "sum": total, "count": graph["count"]}
