"""Agglomeration that no machine holds as a whole: boxes settle what they can, and pass on the rest.

Labels are those of merging the whole graph at once, for every grid::

    fragments, affinities ─► contacts ─► boxes of 1, 2³, 4³ … blocks ─► tree
                                                                        │ any threshold
                                  labels ◄── a lookup table for each block ◄──┘

Where one machine can hold the graph, that costs less, and gives the same.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from dask.delayed import Delayed, delayed

from volkit.engine.base import Engine
from volkit.engine.cascade import Cascade
from volkit.engine.cascade_eager import EagerCascade
from volkit.engine.cascade_graph import GraphCascade
from volkit.engine.cascade_job import StoredCascade
from volkit.engine.op import Columns, Reduction
from volkit.errors import ConfigError, ContractError
from volkit.geometry import Grid
from volkit.kernels.linkage_rule import Linkage, ratio
from volkit.kernels.octree_agglomeration import add_contacts_of, rise, sink
from volkit.ops.affinity_watershed import AffinityOptions, affinity_call
from volkit.ops.arguments import Call, arguments
from volkit.ops.components import domain_param
from volkit.ops.contact_tables import affinity_table, boundary_table
from volkit.ops.graph_holder import Held, who_holds
from volkit.ops.sharded_lookup import Risen, rename, rename_by_shards, risen

STAGE = "agglomeration"
"""Of a job."""


@dataclass(frozen=True, slots=True)
class AgglomerationTree:
    """All merges of fragments up to a limit, box by box.

    Parameters
    ----------
    fragments : Volume or dask array of uint64, shape (Z, Y, X)
        What was merged.
    call : Call
        Grid and engine.
    merged : StoredCascade, GraphCascade, EagerCascade, Columns or Delayed
        The tables of the boxes, or that of the whole; None where it is only planned.
    limit : float
        Score up to which merges are known.
    """

    fragments: Any
    call: Call
    merged: Risen | Columns | Delayed | None
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
        tree, grid, engine = self.merged, self.call.grid, self.call.engine
        if isinstance(tree, StoredCascade | GraphCascade | EagerCascade):
            return self.call.wrap(rename_by_shards(tree, self.fragments, how, name=name))
        cut = partial(how, above=None)
        lookup = delayed(cut, pure=True)(tree) if isinstance(tree, Delayed) else tree and cut(tree)
        labels = rename(self.fragments, lookup, grid=grid, engine=engine, name=name)
        return self.call.wrap(labels)

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
        if isinstance(self.merged, StoredCascade):
            tables = [kept for _, _, kept in self.merged.kept()]
        elif isinstance(self.merged, dict):
            tables = [self.merged]
        else:
            raise ContractError(
                "the merges of a lazy tree are not stored; make the tree with a JobEngine"
            )
        for kept in tables:
            yield {name: kept[name] for name in ("a", "b", "num", "den")}


def agglomeration_tree(
    fragments: Any,
    values: Any,
    *,
    options: AffinityOptions | int | None,
    linkage: Linkage | None = None,
    limit: float = 1.0,
    held: Held = "boxes",
    grid: Grid | None = None,
    engine: Engine | None = None,
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
    held : {'boxes', 'whole', 'auto'}
        Who holds the graph: no one but boxes of blocks, one machine, or what
        `volkit.ops.graph_holder.held_by` says.  The labels are the same; one machine merges
        fragments that stand in several places, too.
    grid : Grid, optional
        Blocks to work in; the labels do not depend on it.
    engine : Engine, optional
        Where; None builds dask graphs.  The stage of a job is ``agglomeration``.

    Returns
    -------
    AgglomerationTree
        Labels at any threshold up to the limit.

    Raises
    ------
    ConfigError
        If the limit lies outside 0 to 1, boundaries shall have another linkage than the mean, or
        nobody knows who is to hold the graph.
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
    call, kernel, params = _measured(values, options, linkage, grid, engine)
    pieces = arguments(fragments, grid=call.grid, engine=call.engine).inputs[0]
    inputs: Any = (pieces, *call.inputs)
    merge, halo = partial(rise, linkage=linkage, limit=limit), (1, 1, 1)
    tree: Any
    if who_holds(held, call.grid.domain.size) == "whole":
        add, params = partial(add_contacts_of, linkage=linkage), {**params, "domain": None}
        graph = Reduction(
            kernel, add, partial(_merged, linkage=linkage, limit=limit), halo=halo, params=params
        )
        tree = call.engine.reduce(graph, *inputs, grid=call.grid, name=STAGE)
    else:
        params = {**params, "domain": domain_param(call.grid)}
        cascade = Cascade(kernel, merge, halo=halo, params=params)
        tree = risen(call.engine, cascade, *inputs, grid=call.grid, name=STAGE)
    return AgglomerationTree(pieces, call, tree, limit)


def _measured(
    values: Any,
    options: AffinityOptions | int | None,
    linkage: Linkage,
    grid: Grid | None,
    engine: Engine | None,
) -> tuple[Call, Any, Mapping[str, Any]]:
    """Say what measures the contacts of blocks."""
    if isinstance(options, AffinityOptions):
        how = {"toward": options.toward, "sections": options.sections, "linkage": asdict(linkage)}
        return affinity_call(values, grid, engine), affinity_table, how
    if linkage.kind != "mean":
        raise ConfigError(
            f"linkage is {linkage.kind!r}, boundaries have means only; give affinities and "
            "their options, or leave the linkage out"
        )
    call = arguments(values, grid=grid, engine=engine)
    return call, boundary_table, {"channel": options or 0}


def _merged(graph: Columns, *, linkage: Linkage, limit: float) -> Columns:
    """Merge the whole graph, of which nobody else decides anything."""
    _, kept = rise([graph], linkage=linkage, limit=limit)
    return dict(kept)
