"""New names for labels, their sizes, and small ones taken out, at any size."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Columns, Op, Reduction
from volkit.errors import ConfigError
from volkit.geometry import Block, Grid
from volkit.kernels.label_sizes import add_sizes, check_ids, label_sizes
from volkit.kernels.relabel import present_labels
from volkit.ops.arguments import Call, arguments
from volkit.ops.id_lookup import MetIds, meet

Array = NDArray[Any]
Labels = NDArray[np.uint64]


def relabel_consecutive(
    labels: Any,
    *,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "consecutive",
) -> Any:
    """Rename labels to 1, 2, 3 … in the order of their ids.

    No machine holds a table of all ids; see `volkit.ops.id_lookup`.

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
    ids = _met(call, present_ids, ordered=True, name=f"{name}_lookup")
    return call.wrap(ids.rename(ids.numbered(), call.inputs[0], name=name))


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

    No machine holds a table of all sizes; see `volkit.ops.id_lookup`.

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
    ids = _met(call, _sizes_block, ordered=False, name=f"{name}_sizes")
    return call.wrap(ids.rename(ids.without_small(smallest), call.inputs[0], name=name))


def _met(call: Call, kernel: Callable[..., Columns], *, ordered: bool, name: str) -> MetIds:
    (labels,) = call.inputs
    return meet(call.engine, kernel, labels, ordered=ordered, grid=call.grid, name=name)


def _masked(labels: Any, mask: Any, grid: Grid | None, engine: Engine | None, name: str) -> Call:
    if mask is None:
        return arguments(labels, grid=grid, engine=engine)
    call = arguments(labels, mask, grid=grid, engine=engine)
    op = Op(_mask_block, dtype=np.uint64)
    inside = call.engine.map(op, *call.inputs, grid=call.grid, name=f"{name}_masked")
    return Call((inside,), call.grid, call.engine, call.template)


def _mask_block(block: Block, labels: Array, mask: Array) -> Labels:
    return np.where(mask != 0, labels, 0).astype(np.uint64, copy=False)


def _sizes_block(block: Block, labels: Array) -> Columns:
    return label_sizes(labels)


def present_ids(block: Block, labels: Array) -> Columns:
    """List the ids of a block, sorted, as ``id``; 0 is left out."""
    check_ids(labels)
    return {"id": present_labels(labels)}
