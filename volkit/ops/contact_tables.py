"""Contacts of fragments in a block, as the tables that agglomeration begins with."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.cascade import ids_on_faces
from volkit.engine.op import Columns
from volkit.geometry import Block, Box, Coord
from volkit.kernels.affinity_graph import basin_graph
from volkit.kernels.contacts import ONE, contacts
from volkit.kernels.largest_affinities import largest_affinities
from volkit.kernels.linkage_rule import Linkage
from volkit.kernels.octree_agglomeration import contact_table
from volkit.kernels.probability import probabilities
from volkit.kernels.quantile_scores import contact_histograms, largest_bins
from volkit.kernels.whole_regions import inside_and_named
from volkit.ops.affinity_watershed import ready
from volkit.ops.components import domain_box, single_channel

Array = NDArray[Any]


def boundary_table(
    block: Block, pieces: Array, prob: Array, *, channel: int, domain: list[list[int]] | None
) -> Columns:
    """List the contacts of fragments in a block by the boundary probability at them.

    Parameters
    ----------
    block : Block
        With a halo of one voxel.
    pieces : ndarray of int, shape (Z, Y, X)
        Fragments.
    prob : ndarray of float or uint8, shape ([C,] Z, Y, X)
        Boundary probability.
    channel : int
        Which channel.
    domain : list of list of int, or None
        Where all blocks lie, for tables that rise box by box; None where the whole is merged.

    Returns
    -------
    dict of ndarray
        As ``contact_table`` gives it, with the places of fragments.
    """
    core = block.write.relative_to(block.read)
    labels = pieces.astype(np.uint64, copy=False)
    graph = contacts(labels, probabilities(single_channel(prob, channel)), core)
    graph = {
        "u": graph["u"],
        "v": graph["v"],
        "sum": graph["boundary_sum"],
        "count": graph["count"],
    }
    return {**contact_table(graph), **fragment_places(block, labels, domain)}


def affinity_table(
    block: Block,
    pieces: Array,
    affinities: Array,
    *,
    toward: int,
    sections: bool,
    linkage: Mapping[str, Any],
    domain: list[list[int]] | None,
) -> Columns:
    """List the contacts of fragments in a block by the affinities across them.

    Parameters
    ----------
    block : Block
        With a halo of one voxel.
    pieces : ndarray of int, shape (Z, Y, X)
        Fragments.
    affinities : ndarray of float or uint8, shape (3, Z, Y, X)
        Of neighbours on z, y, x.
    toward : {-1, 1}
        Whether an affinity is that with the neighbour before the voxel, or after it.
    sections : bool
        Leave edges on z out.
    linkage : mapping
        The fields of a ``Linkage``.
    domain : list of list of int, or None
        Where all blocks lie, for tables that rise box by box; None where the whole is merged.

    Returns
    -------
    dict of ndarray
        As ``contact_table`` gives it, with the places of fragments.
    """
    core, rule = block.write.relative_to(block.read), Linkage(**linkage)
    labels, checked = pieces.astype(np.uint64, copy=False), ready(affinities)
    graph = linkage_graph(labels, checked, core, rule, toward=toward, sections=sections)
    return {**contact_table(graph), **fragment_places(block, labels, domain)}


def linkage_graph(
    labels: Array,
    affinities: Array,
    core: Box,
    linkage: Linkage,
    *,
    toward: int,
    sections: bool = False,
) -> Columns:
    """Measure what a linkage needs to know of the affinities between every two labels that touch.

    Parameters
    ----------
    labels : ndarray of uint64, shape (Z, Y, X)
        Fragments; 0 touches nothing.
    affinities : ndarray of float32, shape (3, Z, Y, X)
        0 to 1.
    core : Box
        The voxels that count, in the arrays' own coordinates.
    linkage : Linkage
        What a score is.
    toward : {-1, 1}
        Whether an affinity is that with the neighbour before the voxel, or after it.
    sections : bool
        Leave edges on z out.

    Returns
    -------
    dict of ndarray
        What ``contact_table`` takes; scores in units of 2**-30.
    """
    how: Any = {"toward": toward, "sections": sections}
    if linkage.kind == "max_k":
        return largest_affinities(labels, affinities, core, k=linkage.k, **how)
    if linkage.kind == "quantile" and not linkage.exact:
        rows = contact_histograms(labels, affinities, core, **how)
        return largest_bins(rows) if linkage.contact == "largest" else rows
    # The largest of 1 - affinity is 1 - the smallest.
    values = np.float32(1) - affinities if linkage.kind == "min" else affinities
    graph = basin_graph(labels, values, core, **how)
    ends = {"u": graph["u"], "v": graph["v"]}
    if linkage.kind == "mean":
        total = graph["count"] * ONE - graph["affinity_sum"]
        return {**ends, "sum": total, "count": graph["count"]}
    most = np.rint(graph["affinity"].astype(np.float64) * ONE).astype(np.int64)
    if linkage.exact:
        return {**ends, "edge": np.arange(len(most)), "bin": most, "number": np.ones_like(most)}
    total = most if linkage.kind == "min" else ONE - most
    return {**ends, "sum": total, "count": graph["count"]}


def fragment_places(
    block: Block, labels: Array, domain: list[list[int]] | None, *, reach: Coord = (1, 1, 1)
) -> Columns:
    """List the fragments at each face, and those that have a voxel, or the one of their name.

    Parameters
    ----------
    block : Block
        With a halo of as many voxels as contacts reach.
    labels : ndarray of uint64, shape (Z, Y, X)
        Fragments.
    domain : list of list of int, or None
        Where all blocks lie; None where the whole is merged, and nothing is listed.
    reach : tuple of int
        How far the voxels of contacts lie apart.

    Returns
    -------
    dict of ndarray
        ``id``, ``face``, ``inside`` and ``named``, as ``octree_agglomeration`` reads them.
    """
    if domain is None:
        return {}
    whole = domain_box(domain)
    core = np.ascontiguousarray(labels[block.crop])
    start = block.write.relative_to(whole).start
    return {
        **ids_on_faces(labels, block.write.relative_to(block.read), reach=reach),
        **inside_and_named(core, start=start, domain_shape=whole.shape),
    }
