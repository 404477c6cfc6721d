"""Affinities from boundary probabilities."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Op
from volkit.geometry import Block, Grid
from volkit.kernels.affinity_boundary import least_inside
from volkit.kernels.probability import probabilities
from volkit.ops.arguments import arguments
from volkit.ops.components import single_channel

Array = NDArray[Any]


def boundary_affinities(
    prob: Any, *, channel: int = 0, grid: Grid | None = None, engine: Engine | None = None
) -> Any:
    """Turn boundary probabilities into affinities of neighbouring voxels.

    Parameters
    ----------
    prob : Volume, dask array or DataArray of float or uint8, shape ([C,] Z, Y, X)
        Boundary probability, 0 to 1 (uint8: 255 is 1).
    channel : int
        Which channel of the map is the boundary.
    grid : Grid, optional
        Blocks to work in; the affinities do not depend on it.
    engine : Engine, optional
        Where; None builds a lazy dask array.

    Returns
    -------
    Volume, dask array or DataArray of float32, shape (3, Z, Y, X)
        1 - the larger probability of a voxel and the one before it on z, y, x (the offsets
        ``NEAREST``); 0 at the domain's first faces.
    """
    call = arguments(prob, grid=grid, engine=engine)
    op = Op(
        _affinity_block,
        dtype=np.float32,
        halo=(1, 1, 1),
        channels=3,
        params={"channel": channel},
    )
    return call.wrap(call.engine.map(op, *call.inputs, grid=call.grid, name="affinities"))


def _affinity_block(block: Block, prob: Array, *, channel: int) -> NDArray[np.float32]:
    return least_inside(probabilities(single_channel(prob, channel)))
