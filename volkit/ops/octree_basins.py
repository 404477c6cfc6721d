"""Linkage of basins by size that no machine holds as a whole: boxes decide what they can.

Labels, and the merge tree, are those of the whole graph, for every grid; see
`volkit.kernels.settled_linkage` for why.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.cascade import Cascade, ids_on_faces
from volkit.engine.cascade_job import StoredCascade
from volkit.engine.op import Columns
from volkit.errors import ContractError
from volkit.geometry import Block
from volkit.kernels.affinity_graph import basin_graph
from volkit.kernels.octree_basins import basin_table, rise_basins, sink_basins
from volkit.ops.affinity_watershed import AffinityOptions, ready
from volkit.ops.arguments import Call
from volkit.ops.components import domain_param
from volkit.ops.relabelling import remove_small
from volkit.ops.sharded_lookup import Risen, rename_by_shards, risen

Array = NDArray[Any]

STAGE = "basin_graph"
"""Of a job, whoever holds the graph."""


@dataclass(frozen=True, slots=True)
class BasinTree:
    """The merge tree of basins, of which every box of blocks has a part.

    Parameters
    ----------
    merged : StoredCascade, GraphCascade or EagerCascade
        The tables of the boxes.
    """

    merged: Risen

    def labels(
        self, fragments: Any, call: Call, *, threshold: float | None, smallest: int, name: str
    ) -> Any:
        """Label the segments at a threshold.

        Parameters
        ----------
        fragments : Volume or dask array of uint64, shape (Z, Y, X)
            The basins.
        call : Call
            Grid and engine.
        threshold : float or None
            Least affinity across which regions join; None joins by size alone.
        smallest : int
            Segments of fewer voxels become background.
        name : str
            Of the result in a job.

        Returns
        -------
        Volume or dask array of uint64, shape (Z, Y, X)
            The smallest fragment id of each segment; 0 is background.
        """
        how = partial(sink_basins, threshold=threshold)
        if not smallest:
            return rename_by_shards(self.merged, fragments, how, name=name)
        joined = rename_by_shards(self.merged, fragments, how, name=f"{name}_joined")
        where: dict[str, Any] = {"grid": call.grid, "engine": call.engine}
        return remove_small(joined, smallest=smallest, name=name, **where)

    def merges(self) -> Iterator[Columns]:
        """Read the part of the tree that each box has.

        Yields
        ------
        dict of ndarray
            ``a``, ``b``, ``saliency`` and ``linked``, as ``merge_tree`` gives them.

        Raises
        ------
        ContractError
            If the tree is not stored by a job.
        """
        if not isinstance(self.merged, StoredCascade):
            raise ContractError(
                "the merges of a lazy tree are not stored; make the tree with a JobEngine"
            )
        for _, _, kept in self.merged.kept():
            yield {name: kept[name] for name in ("a", "b", "saliency", "linked")}


def basin_tree(
    fragments: Any,
    call: Call,
    options: AffinityOptions,
    *,
    linkage: Sequence[tuple[int, float]],
) -> BasinTree:
    """Join basins by size, and span the rest, box by box.

    Parameters
    ----------
    fragments : Volume or dask array of uint64, shape (Z, Y, X)
        Basins, connected all of them, as ``affinity_watershed`` gives them.
    call : Call
        Whose only input are the affinities.
    options : AffinityOptions
        Their offsets, and whether sections stand alone.
    linkage : sequence of (int, float)
        Pairs (voxels, affinity): a region of fewer voxels joins across that affinity or more.

    Returns
    -------
    BasinTree
    """
    pairs: list[Any] = [[int(size), float(need)] for size, need in linkage]
    cascade = Cascade(
        _table_block,
        partial(rise_basins, linkage=pairs),
        halo=(1, 1, 1),
        params={
            "toward": options.toward,
            "sections": options.sections,
            "domain": domain_param(call.grid),
        },
    )
    return BasinTree(
        risen(call.engine, cascade, fragments, *call.inputs, grid=call.grid, name=STAGE)
    )


def _table_block(
    block: Block,
    pieces: Array,
    affinities: Array,
    *,
    toward: int,
    sections: bool,
    domain: list[list[int]],
) -> Columns:
    """List the contacts and sizes of basins; the domain tells boxes' ledgers from a whole's."""
    core = block.write.relative_to(block.read)
    labels = pieces.astype(np.uint64, copy=False)
    graph = basin_graph(labels, ready(affinities), core, toward=toward, sections=sections)
    return {**basin_table(graph), **ids_on_faces(labels, core)}
