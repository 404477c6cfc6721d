"""Agglomeration of fragments by the mean affinity between them."""

from functools import partial
from typing import Any

from volkit.engine.base import Engine
from volkit.engine.op import Columns
from volkit.geometry import Grid
from volkit.kernels.agglomerate import agglomerate_mean
from volkit.kernels.contacts import ONE
from volkit.kernels.merge_tree import check_cut
from volkit.ops.affinity_segmentation import graph_of
from volkit.ops.affinity_watershed import AffinityOptions, affinity_call
from volkit.ops.arguments import arguments
from volkit.ops.sharded_lookup import rename


def affinity_agglomerate(
    fragments: Any,
    affinities: Any,
    *,
    options: AffinityOptions,
    threshold: float,
    grid: Grid | None = None,
    engine: Engine | None = None,
) -> Any:
    """Merge fragments across the strongest mean affinities first.

    Parameters
    ----------
    fragments : Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        Ids that are unique in the domain; 0 touches nothing.
    affinities : Volume, dask array or DataArray of float or uint8, shape (3, Z, Y, X)
        0 to 1, high inside cells (uint8: 255 is 1).
    options : AffinityOptions
        Their offsets, and whether sections stand alone; its thresholds do not matter here.
    threshold : float
        1 - mean affinity at which merging ends: higher merges more.
    grid : Grid, optional
        Blocks to work in; the labels do not depend on it.
    engine : Engine, optional
        Where; None builds a lazy dask array.

    Returns
    -------
    Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        The smallest fragment id of each group.

    Raises
    ------
    ConfigError
        If the threshold lies outside 0 to 1.
    ContractError
        If there are not three channels; by the block that meets NaN or values outside 0 to 1.

    References
    ----------
    J. Funke et al., Large scale image segmentation with structured loss based deep learning for
    connectome reconstruction, 2019, https://doi.org/10.1109/TPAMI.2018.2835450
    """
    check_cut(threshold, 0)
    call = affinity_call(affinities, grid, engine)
    pieces = arguments(fragments, grid=call.grid, engine=call.engine).inputs[0]
    lookup = graph_of(pieces, call, options, partial(_merged, threshold=threshold))
    return call.wrap(rename(pieces, lookup, grid=call.grid, engine=call.engine, name="labels"))


def _merged(graph: Columns, *, threshold: float) -> Columns:
    boundary_sum = graph["count"] * ONE - graph["affinity_sum"]
    old, new = agglomerate_mean(
        graph["u"], graph["v"], boundary_sum, graph["count"], threshold=threshold
    )
    return {"old": old, "new": new}
