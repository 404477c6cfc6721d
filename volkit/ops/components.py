"""Connected components across blocks, and new names for labels.

A component is named after its first voxel in the domain.  Blocks are labelled alone; parts that
touch across faces are united under their smallest id, which is the id of the whole.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Columns, Op, Reduction
from volkit.errors import ContractError
from volkit.geometry import Block, Box, Grid
from volkit.kernels.label import (
    check_connectivity,
    label_components,
    touching_pairs,
    unique_pairs,
    unite,
)
from volkit.kernels.relabel import present_labels, renamed
from volkit.ops.arguments import arguments

Array = NDArray[Any]
Labels = NDArray[np.uint64]


def connected_components(
    prob: Any,
    *,
    threshold: float,
    connectivity: int = 26,
    below: bool = False,
    channel: int = 0,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "components",
) -> Any:
    """Label the connected components of a thresholded map across every block.

    The result is that of the whole volume at once, to the bit, for every grid.

    Parameters
    ----------
    prob : Volume, dask array or DataArray of number, shape ([C,] Z, Y, X)
        Any map of values.
    threshold : float
        Voxels above it are foreground.
    connectivity : int
        6 (faces), 18 (and edges) or 26 (and corners).
    below : bool
        Take the voxels below the threshold instead.
    channel : int
        Which channel, where there are several.
    grid : Grid, optional
        Blocks to work in; the labels do not depend on it.
    engine : Engine, optional
        Where; None builds a lazy dask array.
    name : str
        Of the result in a job.

    Returns
    -------
    Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        1 + the C-order index, in the domain, of each component's first voxel; 0 is background.

    Raises
    ------
    ContractError
        If the connectivity is unknown; by the block that meets NaN.
    """
    check_connectivity(connectivity)
    call = arguments(prob, grid=grid, engine=engine)
    label = Op(
        _label_block,
        dtype=np.uint64,
        params={
            "threshold": threshold,
            "below": below,
            "connectivity": connectivity,
            "channel": channel,
            "domain": domain_param(call.grid),
        },
    )
    parts = call.engine.map(label, *call.inputs, grid=call.grid, name=f"{name}_parts")
    links = united_parts(parts, connectivity, call.grid, call.engine, name=f"{name}_links")
    return call.wrap(rename(parts, links, grid=call.grid, engine=call.engine, name=name))


def relabel_consecutive(
    labels: Any,
    *,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "consecutive",
) -> Any:
    """Rename labels to 1, 2, 3 … in the order of their ids.

    Parameters
    ----------
    labels : Volume, dask array or DataArray of int, shape (Z, Y, X)
        Ids; 0 stays 0.
    grid : Grid, optional
        Blocks to work in; the names do not depend on it.
    engine : Engine, optional
        Where; None builds a lazy dask array.
    name : str
        Of the result in a job.

    Returns
    -------
    Volume, dask array or DataArray of uint64, shape (Z, Y, X)
    """
    call = arguments(labels, grid=grid, engine=engine)
    present = Reduction(_present_block, _merge_present, finalize=_numbered)
    lookup = call.engine.reduce(present, *call.inputs, grid=call.grid, name=f"{name}_lookup")
    renamed_labels = rename(call.inputs[0], lookup, grid=call.grid, engine=call.engine, name=name)
    return call.wrap(renamed_labels)


def united_parts(parts: Any, connectivity: int, grid: Grid, engine: Engine, *, name: str) -> Any:
    """Find which labels of neighbouring blocks are one component.

    Parameters
    ----------
    parts : Volume or dask array of uint64, shape (Z, Y, X)
        Components of each block alone.
    connectivity : int
        6, 18 or 26.
    grid : Grid
        The blocks in which they were labelled.
    engine : Engine
        Where to run.
    name : str
        Of the stage.

    Returns
    -------
    Columns or Delayed
        ``old``, sorted, and ``new``.
    """
    links = Reduction(
        _links_block,
        _merge_links,
        finalize=_united,
        halo=(1, 1, 1),
        params={"connectivity": connectivity},
    )
    return engine.reduce(links, parts, grid=grid, name=name)


def rename(labels: Any, lookup: Any, *, grid: Grid, engine: Engine, name: str) -> Any:
    """Replace labels by table.

    Parameters
    ----------
    labels : Volume or dask array of int, shape (Z, Y, X)
        Ids; those that are not in the table stay.
    lookup : Columns or Delayed
        ``old``, sorted, and ``new``.
    grid : Grid
        Blocks to work in.
    engine : Engine
        Where to run.
    name : str
        Of the result in a job.

    Returns
    -------
    Volume or dask array of uint64, shape (Z, Y, X)
    """
    op = Op(_rename_block, dtype=np.uint64)
    return engine.map(op, labels, grid=grid, name=name, shared=(lookup,))


def domain_param(grid: Grid) -> list[list[int]]:
    """Write a grid's domain as JSON."""
    return [list(grid.domain.start), list(grid.domain.stop)]


def domain_box(param: Sequence[Sequence[int]]) -> Box:
    """Read a domain from JSON."""
    start, stop = param
    return Box(tuple(start), tuple(stop))  # type: ignore[arg-type]


def single_channel(array: Array, channel: int) -> Array:
    """Take one channel of a block, with or without a channel axis.

    Raises
    ------
    ContractError
        If there is no such channel.
    """
    channels = array if array.ndim == 4 else array[None]
    if not 0 <= channel < len(channels):
        raise ContractError(
            f"channel {channel} of an array with {len(channels)}; choose 0 to {len(channels) - 1}"
        )
    return channels[channel]


def named_components(block: Block, mask: Array, connectivity: int, domain: Box) -> Labels:
    """Label a mask of ``block.write`` by first voxels in the domain."""
    return label_components(
        mask,
        connectivity=connectivity,
        start=block.write.relative_to(domain).start,
        domain_shape=domain.shape,
    )


def _label_block(
    block: Block,
    prob: Array,
    *,
    threshold: float,
    below: bool,
    connectivity: int,
    channel: int,
    domain: list[list[int]],
) -> Labels:
    values = single_channel(prob, channel)
    if values.dtype.kind == "f" and np.isnan(values.min()):
        raise ContractError(
            "values are NaN, which are neither above nor below a threshold; replace them "
            "(numpy.nan_to_num)"
        )
    mask = values < threshold if below else values > threshold
    return named_components(block, mask, connectivity, domain_box(domain))


def _links_block(block: Block, parts: Labels, *, connectivity: int) -> Columns:
    core = block.write.relative_to(block.read)
    a, b = touching_pairs(parts, core, connectivity=connectivity)
    return {"a": a, "b": b}


def _merge_links(tables: Sequence[Columns]) -> Columns:
    a, b = unique_pairs(*(np.concatenate([table[name] for table in tables]) for name in "ab"))
    return {"a": a, "b": b}


def _united(links: Columns) -> Columns:
    old, new = unite(links["a"], links["b"])
    return {"old": old, "new": new}


def _rename_block(block: Block, labels: Array, lookup: Columns) -> Labels:
    return renamed(labels, lookup["old"], lookup["new"])


def _present_block(block: Block, labels: Array) -> Columns:
    return {"label": present_labels(labels)}


def _merge_present(tables: Sequence[Columns]) -> Columns:
    return {"label": np.unique(np.concatenate([table["label"] for table in tables]))}


def _numbered(present: Columns) -> Columns:
    return {
        "old": present["label"],
        "new": np.arange(1, 1 + len(present["label"]), dtype=np.uint64),
    }
