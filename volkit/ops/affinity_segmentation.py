"""Segmentation of affinities: fragments, their graph, a merge tree, and labels at any threshold."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from dask.delayed import Delayed, delayed
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Columns, Reduction
from volkit.geometry import Block, Grid
from volkit.kernels.affinity_graph import add_graphs, basin_graph
from volkit.kernels.merge_tree import check_cut, check_linkage, cut_tree, merge_tree
from volkit.ops.affinity_watershed import (
    AffinityOptions,
    affinity_call,
    basin_fragments,
    ready,
)
from volkit.ops.arguments import Call, arguments
from volkit.ops.graph_holder import Held, who_holds
from volkit.ops.octree_basins import STAGE, BasinTree, basin_tree
from volkit.ops.sharded_lookup import rename

Array = NDArray[Any]
Labels = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class AffinitySegmentationOptions:
    """How affinities become labels.

    Parameters
    ----------
    watershed : AffinityOptions
        How they are cut into fragments.
    linkage : tuple of (int, float)
        Pairs (voxels, affinity): a region of fewer voxels joins its neighbour across an edge of
        that affinity or more.
    threshold : float or None
        Least affinity across which regions of any size join; None joins by size alone.
    smallest : int
        Segments of fewer voxels become background.

    Raises
    ------
    ConfigError
        If an affinity lies outside 0 to 1, or a size is negative.
    """

    watershed: AffinityOptions
    linkage: tuple[tuple[int, float], ...] = ((256, 0.3),)
    threshold: float | None = None
    smallest: int = 0

    def __post_init__(self) -> None:
        check_linkage(self.linkage)
        check_cut(self.threshold, self.smallest)


@dataclass(frozen=True, slots=True)
class AffinitySegmentation:
    """Labels of affinities, and what other thresholds need.

    Parameters
    ----------
    labels : Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        The smallest fragment id of each segment; 0 is background.
    fragments : Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        The basins.
    tree : dict of ndarray, Delayed of it, or BasinTree
        As ``merge_tree`` gives it, or a part of it for every box; ``relabel_at`` cuts it.
    """

    labels: Any
    fragments: Any
    tree: Any


def affinity_segment(
    affinities: Any,
    *,
    options: AffinitySegmentationOptions,
    held: Held = "whole",
    grid: Grid | None = None,
    engine: Engine | None = None,
) -> AffinitySegmentation:
    """Segment affinities by size-dependent single linkage of their basins.

    Whether two regions join follows from their sizes at that moment, which merges anywhere may have
    changed.  Boxes of blocks decide what cannot depend on that, and pass on the rest; or one
    machine holds the graph of the basins and their tree, some hundreds of bytes for a contact.
    Blocks are sent the names of their own basins.

    Parameters
    ----------
    affinities : Volume, dask array or DataArray of float or uint8, shape (3, Z, Y, X)
        0 to 1, high inside cells (uint8: 255 is 1).
    options : AffinitySegmentationOptions
        How.
    held : {'whole', 'boxes', 'auto'}
        Who holds the graph: one machine, no one but boxes of blocks, or what
        `volkit.ops.graph_holder.held_by` says.  Labels and tree are the same.
    grid : Grid, optional
        Blocks to work in; the labels do not depend on it.
    engine : Engine, optional
        Where; None builds lazy dask arrays.

    Returns
    -------
    AffinitySegmentation
        Labels, fragments and merge tree.

    Raises
    ------
    ConfigError
        If nobody knows who is to hold the graph.
    ContractError
        If there are not three channels; by the block that meets NaN or values outside 0 to 1.

    References
    ----------
    A. Zlateski, H. S. Seung, Image segmentation by size-dependent single linkage clustering of a
    watershed basin graph, 2015, https://doi.org/10.48550/arXiv.1505.00249
    """
    call = affinity_call(affinities, grid, engine)
    holder = who_holds(held, call.grid.domain.size)
    pieces = basin_fragments(call, options.watershed)
    cut: dict[str, Any] = {"threshold": options.threshold, "smallest": options.smallest}
    linkage = [list(pair) for pair in options.linkage]
    tree: Any
    if holder == "boxes":
        tree = basin_tree(pieces, call, options.watershed, linkage=options.linkage)
        labels = tree.labels(pieces, call, **cut, name="labels")
    else:
        tree = graph_of(
            pieces, call, options.watershed, partial(_tree_and_cut, linkage=linkage, **cut)
        )
        labels = rename(pieces, tree, grid=call.grid, engine=call.engine, name="labels")
    return AffinitySegmentation(call.wrap(labels), call.wrap(pieces), tree)


def affinity_graph(
    fragments: Any,
    affinities: Any,
    *,
    options: AffinityOptions,
    grid: Grid | None = None,
    engine: Engine | None = None,
) -> Any:
    """Measure the affinities between all fragments that touch.

    Parameters
    ----------
    fragments : Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        Ids; 0 touches nothing.
    affinities : Volume, dask array or DataArray of float or uint8, shape (3, Z, Y, X)
        0 to 1.
    options : AffinityOptions
        Their offsets, and whether sections stand alone; thresholds do not matter here.
    grid : Grid, optional
        Blocks to work in; the graph does not depend on it.
    engine : Engine, optional
        Where; None builds a Delayed.

    Returns
    -------
    dict of ndarray, or Delayed of it
        As ``basin_graph`` gives it.
    """
    call = affinity_call(affinities, grid, engine)
    pieces = arguments(fragments, grid=call.grid, engine=call.engine).inputs[0]
    return graph_of(pieces, call, options, None)


def relabel_at(
    fragments: Any,
    tree: Any,
    *,
    threshold: float | None,
    smallest: int = 0,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "labels",
) -> Any:
    """Cut a merge tree at a threshold, and label the segments.

    Parameters
    ----------
    fragments : Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        The basins that the tree was made from.
    tree : dict of ndarray, Delayed of it, or BasinTree
        As ``affinity_segment`` gives it.
    threshold : float or None
        Least affinity across which regions join; None joins by size alone.
    smallest : int
        Segments of fewer voxels become background.
    grid : Grid, optional
        Blocks to work in; the labels do not depend on it.  Those of the tree where boxes hold it.
    engine : Engine, optional
        Where; None builds a lazy dask array.
    name : str
        Of the result in a job.

    Returns
    -------
    Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        The smallest fragment id of each segment; 0 is background.

    Raises
    ------
    ConfigError
        If the threshold lies outside 0 to 1, or the size is negative.
    """
    check_cut(threshold, smallest)
    call = arguments(fragments, grid=grid, engine=engine)
    if isinstance(tree, BasinTree):
        how: dict[str, Any] = {"threshold": threshold, "smallest": smallest, "name": name}
        return call.wrap(tree.labels(call.inputs[0], call, **how))
    cut = partial(_cut, threshold=threshold, smallest=smallest)
    lookup = delayed(cut, pure=True)(tree) if isinstance(tree, Delayed) else cut(tree)
    labels = rename(call.inputs[0], lookup, grid=call.grid, engine=call.engine, name=name)
    return call.wrap(labels)


def graph_of(pieces: Any, call: Call, options: AffinityOptions, finalize: Any) -> Any:
    """Reduce fragments and a call's affinities to their graph, or to what ``finalize`` makes of it.

    Parameters
    ----------
    pieces : Volume or dask array of uint64, shape (Z, Y, X)
        Fragments.
    call : Call
        Whose only input are the affinities.
    options : AffinityOptions
        Their offsets, and whether sections stand alone.
    finalize : callable or None
        What the graph is for.

    Returns
    -------
    object
        What ``finalize`` returns, or the graph (LazyEngine: a Delayed of it).
    """
    graph = Reduction(
        _graph_block,
        add_graphs,
        finalize,
        halo=(1, 1, 1),
        params={"toward": options.toward, "sections": options.sections},
    )
    return call.engine.reduce(graph, pieces, *call.inputs, grid=call.grid, name=STAGE)


def _graph_block(
    block: Block, pieces: Array, affinities: Array, *, toward: int, sections: bool
) -> Columns:
    return basin_graph(
        pieces.astype(np.uint64, copy=False),
        ready(affinities),
        block.write.relative_to(block.read),
        toward=toward,
        sections=sections,
    )


def _tree_and_cut(
    graph: Columns, *, linkage: list[list[float]], threshold: float | None, smallest: int
) -> Columns:
    """Make the tree, with the lookup table of one cut beside it."""
    tree = merge_tree(graph, linkage=[(int(size), need) for size, need in linkage])
    return {**tree, **_cut(tree, threshold=threshold, smallest=smallest)}


def _cut(tree: Columns, *, threshold: float | None, smallest: int) -> Columns:
    old, new = cut_tree(tree, threshold=threshold, smallest=smallest)
    return {"old": old, "new": new}
