"""Components of the whole from blocks that read nothing of each other.

Labelling costs less than to store labels and to read them again, with those around them::

    values ─► parts of each block ─► rims ─► boxes of 2³, 4³ … blocks ─► names
                   └────► parts of each block, under the names of the whole ◄─┘

A job stores the parts as runs, beside the rims, and paints them; where nothing is stored between,
blocks are labelled twice.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypedDict

import numpy as np
from numpy.typing import DTypeLike, NDArray

from volkit.engine.cascade import Cascade, Shards
from volkit.engine.cascade_job import StoredShards
from volkit.engine.op import Columns, Op
from volkit.errors import ContractError
from volkit.geometry import Block, Box
from volkit.kernels.label_rims import rim_table, rise_rims
from volkit.kernels.label_runs import Parts, component_parts
from volkit.kernels.octree_components import sink_links
from volkit.kernels.run_columns import run_columns, runs_of
from volkit.ops.arguments import Call
from volkit.ops.sharded_lookup import risen

Array = NDArray[Any]
Labels = NDArray[np.uint64]


class ResultOptions(TypedDict, total=False):
    """What labels are called in a job, and their type."""

    name: str
    dtype: DTypeLike


def components_by_rims(
    call: Call,
    rims: Callable[..., Columns],
    named: Callable[..., Array],
    *,
    params: Mapping[str, Any],
    dtype: DTypeLike = np.uint64,
    name: str = "components",
) -> Any:
    """Label the connected components of a call's only input.

    Parameters
    ----------
    call : Call
        Its input, grid and engine.
    rims : callable
        ``rims(block, values, **params)``: what :func:`block_rims` says; with ``runs=True`` with
        the runs beside.
    named : callable
        ``named(block, values, shards, **params)``: what :func:`block_names` says.
    params : mapping
        Options of both, ``connectivity`` among them; JSON.
    dtype : dtype
        Of the result, which ``named`` is told where it is not uint64.
    name : str
        Of the result in a job; the tables are the stage ``name_links``.

    Returns
    -------
    Volume, dask array or DataArray of ``dtype``, shape (Z, Y, X)
        1 + the C-order index, in the domain, of each component's first voxel; 0 is background.

    Raises
    ------
    ContractError
        If the dtype holds no name for every voxel of the domain.
    """
    kind = _checked(np.dtype(dtype), call.grid.domain)
    rise = partial(rise_rims, connectivity=params["connectivity"], domain=call.grid.domain)
    cascade = Cascade(rims, rise, params=params, stored_kernel=partial(rims, runs=True))
    tree = risen(call.engine, cascade, *call.inputs, grid=call.grid, name=f"{name}_links")
    told = {} if kind == np.uint64 else {"dtype": kind.name}
    op = Op(named, dtype=kind, params={**params, **told})
    return call.wrap(tree.map(op, *call.inputs, sink=sink_links, name=name))


def block_rims(
    block: Block, values: Array, *, connectivity: int, domain: Box, runs: bool = False
) -> Columns:
    """List the components of a block that touch its faces.

    Parameters
    ----------
    block : Block
        Without a halo.
    values : ndarray of bool or int, shape (Z, Y, X)
        A mask, or labels.
    connectivity : int
        6, 18 or 26.
    domain : Box
        That all blocks lie in.
    runs : bool
        Give the runs of the block, too, as its own.

    Returns
    -------
    dict of ndarray
        As ``rim_table`` gives them.
    """
    parts = _parts(block, values, connectivity, domain)
    table = rim_table(parts, block.write)
    if runs:
        table |= {f"own.{name}": column for name, column in run_columns(parts).items()}
    return table


def block_names(
    block: Block,
    values: Array,
    shards: Shards,
    *,
    connectivity: int,
    domain: Box,
    dtype: str = "uint64",
) -> Array:
    """Label a block under the names of the whole.

    Parameters
    ----------
    block : Block
        Without a halo.
    values : ndarray of bool or int, shape (Z, Y, X)
        A mask, or labels; without voxels where the runs are stored.
    shards : Shards
        What becomes of the block's own names.
    connectivity : int
        6, 18 or 26.
    domain : Box
        That all blocks lie in.
    dtype : str
        Of the labels, ``uint32`` or ``uint64``.

    Returns
    -------
    ndarray of ``dtype``, shape (Z, Y, X)
    """
    lookup = shards.of(block.number)
    if values.size == 0 and isinstance(shards, StoredShards):
        parts = runs_of(shards.own(block.number), block.write.shape)
    else:
        parts = _parts(block, values, connectivity, domain)
    into = np.empty(block.write.shape, dtype)
    return parts.painted(lookup["old"], lookup["new"], into=into)


def _checked(dtype: np.dtype[Any], domain: Box) -> np.dtype[Any]:
    """Refuse a type that cannot name every voxel of a domain."""
    if dtype not in (np.uint32, np.uint64) or domain.size > np.iinfo(dtype).max:
        raise ContractError(
            f"components of {domain.size} voxels are to be {dtype}; choose uint64, or uint32 for "
            "fewer than 2**32 voxels"
        )
    return dtype


def _parts(block: Block, values: Array, connectivity: int, domain: Box) -> Parts:
    return component_parts(
        values,
        connectivity=connectivity,
        start=block.write.relative_to(domain).start,
        domain_shape=domain.shape,
    )
