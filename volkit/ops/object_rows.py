"""Object rows: labelled objects measured in one call, as a table."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from dask.delayed import Delayed, delayed

from volkit.engine.base import Engine
from volkit.engine.op import Columns
from volkit.errors import ContractError
from volkit.geometry import Box, Grid, VoxelScale
from volkit.io.volume import Volume
from volkit.ops.arguments import arguments
from volkit.ops.statistics import Tables, table_of, tissue_tables
from volkit.ops.statistics_objects import object_frame

_WHOLE = (2**20, 2**20, 2**20)  # a bin that no block reaches over: bins are of no use here


def object_rows(
    labels: Any,
    image: Any = None,
    *,
    scale: VoxelScale | None = None,
    intensity_range: tuple[float, float] | None = None,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "objects",
) -> Any:
    """Measure labelled objects: size, place, shape, and how bright an image is in them.

    Parameters
    ----------
    labels : Volume, dask array, ndarray or DataArray of int, shape (Z, Y, X)
        Ids; 0 is no object.
    image : Volume, dask array, ndarray or DataArray, optional
        Of the same voxels.
    scale : VoxelScale, optional
        Where voxels lie; None takes that of a Volume.
    intensity_range : tuple of float, optional
        Of an image that is not of 8 or 16 bits.
    grid : Grid, optional
        Blocks to work in; the table does not depend on it.
    engine : Engine, optional
        Where to run; None is LazyEngine.
    name : str
        Of the stage.

    Returns
    -------
    pandas.DataFrame
        Columns of :func:`volkit.ops.statistics_objects.object_schema`, in the order of ids
        (LazyEngine: a Delayed of it).

    Raises
    ------
    ContractError
        If labels are no whole numbers, or nothing says where voxels lie.
    """
    call = arguments(labels, grid=grid, engine=engine)
    given = call.inputs[0]
    if np.dtype(given.dtype).kind not in "uib":
        raise ContractError(
            f"labels are {given.dtype}; give whole numbers, or label a map with "
            "connected_components first"
        )
    if scale is None and not isinstance(given, Volume):
        raise ContractError(
            "an array does not say where its voxels lie; pass scale=VoxelScale((z, y, x)) in "
            "nanometres"
        )
    roles = {"cells": labels, **({} if image is None else {"image": image})}
    found = tissue_tables(
        roles,
        Tables(bins=_WHOLE, intensity_range=intensity_range),
        grid=call.grid,
        engine=call.engine,
        name=name,
    )
    finish = partial(
        _rows,
        domain=call.grid.domain,
        scale=scale or given.scale,
        intensity_range=intensity_range,
    )
    return delayed(finish, pure=True)(found) if isinstance(found, Delayed) else finish(found)


def _rows(
    columns: Columns,
    *,
    domain: Box,
    scale: VoxelScale,
    intensity_range: tuple[float, float] | None,
) -> pd.DataFrame:
    table = table_of(columns, "objects")
    return object_frame(table, domain=domain, scale=scale, intensity_range=intensity_range)
