"""Labels taken apart into connected pieces, and small ones taken out, at any size."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Columns, Op, Reduction
from volkit.errors import ConfigError, ContractError
from volkit.geometry import Block, Grid
from volkit.kernels.label import check_connectivity, label_equal
from volkit.kernels.label_sizes import add_sizes, label_sizes
from volkit.ops.arguments import Call, arguments
from volkit.ops.components import domain_box, domain_param, rename
from volkit.ops.sharded_lookup import united_by_shards

Array = NDArray[Any]
Labels = NDArray[np.uint64]


def components_of(
    labels: Any,
    *,
    connectivity: int = 26,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "components",
) -> Any:
    """Label the connected components of equal labels across every block.

    The result is that of the whole volume at once, to the bit, for every grid.  No machine holds a
    table of all components: a block reads the names of its own.

    Parameters
    ----------
    labels : Volume, dask array or DataArray of int or bool, shape (Z, Y, X)
        Any ids, up to 2**64 - 1; 0 is background.
    connectivity : int
        6 (faces), 18 (and edges) or 26 (and corners).
    grid : Grid, optional
        Blocks to work in; the result does not depend on it.
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
        If the connectivity is unknown; by the block that meets what is no label.
    """
    check_connectivity(connectivity)
    call = arguments(labels, grid=grid, engine=engine)
    params = {"connectivity": connectivity, "domain": domain_param(call.grid)}
    op = Op(_label_block, dtype=np.uint64, params=params)
    parts = call.engine.map(op, *call.inputs, grid=call.grid, name=f"{name}_parts")
    united = united_by_shards(
        parts, connectivity, call.grid, call.engine, name=name, equal=call.inputs[0]
    )
    return call.wrap(united)


def sizes_of(labels: Any, *, grid: Grid | None = None, engine: Engine | None = None) -> Any:
    """Count the voxels of every label.

    Parameters
    ----------
    labels : Volume, dask array or DataArray of int, shape (Z, Y, X)
        Any ids, up to 2**64 - 1; 0 is left out.
    grid : Grid, optional
        Blocks to work in; the sizes do not depend on it.
    engine : Engine, optional
        Where; None builds a Delayed.

    Returns
    -------
    dict of ndarray, or Delayed of it
        ``id`` (uint64, sorted) and ``voxels`` (int64).
    """
    call = arguments(labels, grid=grid, engine=engine)
    return call.engine.reduce(
        Reduction(_sizes_block, add_sizes), *call.inputs, grid=call.grid, name="sizes"
    )


def remove_small(
    labels: Any,
    *,
    smallest: int,
    mask: Any = None,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "filtered",
) -> Any:
    """Turn labels of few voxels into background, and all that lies outside a mask.

    Parameters
    ----------
    labels : Volume, dask array or DataArray of int, shape (Z, Y, X)
        Any ids, up to 2**64 - 1.
    smallest : int
        Labels of fewer voxels are removed; voxels outside the mask are not counted.
    mask : Volume, dask array or DataArray of int or bool, shape (Z, Y, X), optional
        Where labels stay.
    grid : Grid, optional
        Blocks to work in; the labels do not depend on it.
    engine : Engine, optional
        Where; None builds a lazy dask array.
    name : str
        Of the result in a job.

    Returns
    -------
    Volume, dask array or DataArray of uint64, shape (Z, Y, X)

    Raises
    ------
    ConfigError
        If the size is negative.
    """
    if smallest < 0:
        raise ConfigError(f"smallest is {smallest}; give a number of voxels, 0 or more")
    call = _masked(labels, mask, grid, engine, name)
    small = Reduction(_sizes_block, add_sizes, partial(_too_small, smallest=smallest))
    lookup = call.engine.reduce(small, *call.inputs, grid=call.grid, name=f"{name}_sizes")
    kept = rename(call.inputs[0], lookup, grid=call.grid, engine=call.engine, name=name)
    return call.wrap(kept)


def _masked(labels: Any, mask: Any, grid: Grid | None, engine: Engine | None, name: str) -> Call:
    if mask is None:
        return arguments(labels, grid=grid, engine=engine)
    call = arguments(labels, mask, grid=grid, engine=engine)
    op = Op(_mask_block, dtype=np.uint64)
    inside = call.engine.map(op, *call.inputs, grid=call.grid, name=f"{name}_masked")
    return Call((inside,), call.grid, call.engine, call.template)


def _label_block(
    block: Block, labels: Array, *, connectivity: int, domain: list[list[int]]
) -> Labels:
    if labels.dtype.kind not in "uib" or labels.ndim != 3:
        raise ContractError(
            f"labels are {labels.dtype} of {labels.ndim} axes; give whole numbers with axes "
            "(z, y, x), or threshold a map with connected_components"
        )
    whole = domain_box(domain)
    start = block.write.relative_to(whole).start
    return label_equal(labels, connectivity=connectivity, start=start, domain_shape=whole.shape)


def _mask_block(block: Block, labels: Array, mask: Array) -> Labels:
    return np.where(mask != 0, labels, 0).astype(np.uint64, copy=False)


def _sizes_block(block: Block, labels: Array) -> Columns:
    return label_sizes(labels)


def _too_small(sizes: Columns, *, smallest: int) -> Columns:
    old: Labels = sizes["id"][sizes["voxels"] < smallest]
    return {"old": old, "new": np.zeros(len(old), np.uint64)}
