"""Connected components across blocks, of a map and of equal labels.

A component is named after its first voxel in the domain.  Blocks are labelled alone; parts that
touch across faces are united under their smallest id, which is the id of the whole.
"""

from collections.abc import Sequence
from math import ceil, floor, isfinite
from typing import Any, Unpack

import numpy as np
from numpy.typing import DTypeLike, NDArray

from volkit.engine.base import Engine
from volkit.engine.cascade import Shards
from volkit.engine.op import Columns
from volkit.errors import ContractError
from volkit.geometry import Block, Box, Grid
from volkit.kernels.label import label_components
from volkit.kernels.label_runs import check_connectivity
from volkit.ops.arguments import arguments
from volkit.ops.component_rims import (
    ResultOptions,
    block_names,
    block_rims,
    components_by_rims,
)

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
    **result: Unpack[ResultOptions],
) -> Any:
    """Label the connected components of a thresholded map across every block.

    The result is that of the whole volume at once, to the bit, for every grid.  No machine holds a
    table of all components: a block reads the names of its own.

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
    **result
        ``name`` (str) of the result in a job; ``dtype`` of the labels: uint64, or uint32, which is
        half the bytes and names fewer than 2**32 voxels.

    Returns
    -------
    Volume, dask array or DataArray of ``dtype``, shape (Z, Y, X)
        1 + the C-order index, in the domain, of each component's first voxel; 0 is background.

    Raises
    ------
    ContractError
        If the connectivity is unknown, or the dtype holds no name for every voxel; by the block
        that meets NaN.
    """
    check_connectivity(connectivity)
    call = arguments(prob, grid=grid, engine=engine)
    params = {
        "threshold": threshold,
        "below": below,
        "connectivity": connectivity,
        "channel": channel,
        "domain": domain_param(call.grid),
    }
    kernels = _rims_block, _named_block
    return components_by_rims(call, *kernels, params=params, **result)


def components_of(
    labels: Any,
    *,
    connectivity: int = 26,
    dtype: DTypeLike = np.uint64,
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
    dtype : dtype
        Of the result: uint64, or uint32, which is half the bytes and names fewer than 2**32
        voxels.
    grid : Grid, optional
        Blocks to work in; the result does not depend on it.
    engine : Engine, optional
        Where; None builds a lazy dask array.
    name : str
        Of the result in a job.

    Returns
    -------
    Volume, dask array or DataArray of ``dtype``, shape (Z, Y, X)
        1 + the C-order index, in the domain, of each component's first voxel; 0 is background.

    Raises
    ------
    ContractError
        If the connectivity is unknown, or the dtype holds no name for every voxel; by the block
        that meets what is no label.
    """
    check_connectivity(connectivity)
    call = arguments(labels, grid=grid, engine=engine)
    params = {"connectivity": connectivity, "domain": domain_param(call.grid)}
    kernels = _equal_rims_block, _equal_named_block
    return components_by_rims(call, *kernels, params=params, dtype=dtype, name=name)


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


def foreground(
    array: Array, *, threshold: float, channel: int, below: bool = False
) -> NDArray[np.bool_]:
    """Take the voxels of one channel that are above a threshold, or below it.

    Raises
    ------
    ContractError
        If there is no such channel, or values are NaN.
    """
    values = single_channel(array, channel)
    if values.dtype.kind == "f" and np.isnan(values.min()):
        raise ContractError(
            "values are NaN, which are neither above nor below a threshold; replace them "
            "(numpy.nan_to_num)"
        )
    if values.dtype == bool and threshold == 0 and not below:
        return values
    if values.dtype.kind in "iu" and isfinite(threshold):
        # Whole numbers are compared as such: beside a float, NumPy makes floats of them all.
        threshold = ceil(threshold) if below else floor(threshold)
    mask: NDArray[np.bool_] = values < threshold if below else values > threshold
    return mask


def named_components(block: Block, mask: Array, connectivity: int, domain: Box) -> Labels:
    """Label a mask of ``block.write`` by first voxels in the domain."""
    return label_components(
        mask,
        connectivity=connectivity,
        start=block.write.relative_to(domain).start,
        domain_shape=domain.shape,
    )


def _rims_block(
    block: Block,
    prob: Array,
    *,
    connectivity: int,
    domain: list[list[int]],
    runs: bool = False,
    **how: Any,
) -> Columns:
    mask, whole = foreground(prob, **how), domain_box(domain)
    return block_rims(block, mask, connectivity=connectivity, domain=whole, runs=runs)


def _named_block(
    block: Block,
    prob: Array,
    shards: Shards,
    *,
    connectivity: int,
    domain: list[list[int]],
    dtype: str = "uint64",
    **how: Any,
) -> Array:
    mask = foreground(prob, **how) if prob.size else prob
    whole = domain_box(domain)
    return block_names(block, mask, shards, connectivity=connectivity, domain=whole, dtype=dtype)


def _equal_rims_block(
    block: Block,
    labels: Array,
    *,
    connectivity: int,
    domain: list[list[int]],
    runs: bool = False,
) -> Columns:
    _check_labels(labels)
    whole = domain_box(domain)
    return block_rims(block, labels, connectivity=connectivity, domain=whole, runs=runs)


def _equal_named_block(
    block: Block,
    labels: Array,
    shards: Shards,
    *,
    connectivity: int,
    domain: list[list[int]],
    dtype: str = "uint64",
) -> Array:
    whole = domain_box(domain)
    return block_names(block, labels, shards, connectivity=connectivity, domain=whole, dtype=dtype)


def _check_labels(labels: Array) -> None:
    if labels.dtype.kind not in "uib" or labels.ndim != 3:
        raise ContractError(
            f"labels are {labels.dtype} of {labels.ndim} axes; give whole numbers with axes "
            "(z, y, x), or threshold a map with connected_components"
        )
