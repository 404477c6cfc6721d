"""Cells: the connected components of one class of a label volume, across every block."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.cascade import Shards
from volkit.engine.op import Columns
from volkit.errors import ContractError
from volkit.geometry import Block, Grid
from volkit.kernels.label_runs import check_connectivity
from volkit.ops.arguments import arguments
from volkit.ops.component_rims import block_names, block_rims, components_by_rims
from volkit.ops.components import domain_box, domain_param

Array = NDArray[Any]


def class_components(
    classes: Any,
    labels: Sequence[int],
    *,
    connectivity: int = 26,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "cells",
) -> Any:
    """Label the connected components of some classes of the whole volume.

    A component that is cut by blocks is one, with its full size: the result is that of the whole
    volume at once, to the bit, for every grid.

    Parameters
    ----------
    classes : Volume, dask array, ndarray or DataArray of int, shape (Z, Y, X)
        Labels.
    labels : sequence of int
        Which of them are foreground, all together.
    connectivity : int
        6 (faces), 18 (and edges) or 26 (and corners).
    grid : Grid, optional
        Blocks to work in; the components do not depend on it.
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
        If the connectivity is unknown; by a block whose labels are no integers.
    """
    check_connectivity(connectivity)
    call = arguments(classes, grid=grid, engine=engine)
    params = {
        "labels": [int(x) for x in labels],
        "connectivity": connectivity,
        "domain": domain_param(call.grid),
    }
    kernels = _rims_block, _named_block
    return components_by_rims(call, *kernels, params=params, name=name)


def _rims_block(
    block: Block,
    classes: Array,
    *,
    labels: list[int],
    connectivity: int,
    domain: list[list[int]],
    runs: bool = False,
) -> Columns:
    mask, whole = _of_classes(classes, labels), domain_box(domain)
    return block_rims(block, mask, connectivity=connectivity, domain=whole, runs=runs)


def _named_block(
    block: Block,
    classes: Array,
    shards: Shards,
    *,
    labels: list[int],
    connectivity: int,
    domain: list[list[int]],
) -> NDArray[np.uint64]:
    mask = _of_classes(classes, labels)
    return block_names(block, mask, shards, connectivity=connectivity, domain=domain_box(domain))


def _of_classes(classes: Array, labels: list[int]) -> NDArray[np.bool_]:
    if classes.dtype.kind not in "uib":
        raise ContractError(
            f"class labels are {classes.dtype}, which are not ids; give integers, for example "
            "classes.astype(np.uint8) where every value is a whole number"
        )
    mask: NDArray[np.bool_] = classes == labels[0]
    for other in labels[1:]:
        mask |= classes == other
    return mask
