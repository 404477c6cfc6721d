"""Cells: the connected components of one class of a label volume, across every block."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Op
from volkit.errors import ContractError
from volkit.geometry import Block, Grid
from volkit.kernels.label_runs import check_connectivity
from volkit.ops.arguments import arguments
from volkit.ops.components import (
    domain_box,
    domain_param,
    named_components,
    united_parts,
)
from volkit.ops.sharded_lookup import rename


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
    label = Op(
        _label_block,
        dtype=np.uint64,
        params={
            "labels": [int(x) for x in labels],
            "connectivity": connectivity,
            "domain": domain_param(call.grid),
        },
    )
    parts = call.engine.map(label, *call.inputs, grid=call.grid, name=f"{name}_parts")
    links = united_parts(parts, connectivity, call.grid, call.engine, name=f"{name}_links")
    return call.wrap(rename(parts, links, grid=call.grid, engine=call.engine, name=name))


def _label_block(
    block: Block,
    classes: NDArray[Any],
    *,
    labels: list[int],
    connectivity: int,
    domain: list[list[int]],
) -> NDArray[np.uint64]:
    if classes.dtype.kind not in "uib":
        raise ContractError(
            f"class labels are {classes.dtype}, which are not ids; give integers, for example "
            "classes.astype(np.uint8) where every value is a whole number"
        )
    mask = classes == labels[0]
    for other in labels[1:]:
        mask |= classes == other
    return named_components(block, mask, connectivity, domain_box(domain))
