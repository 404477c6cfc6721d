"""Branches of a class: the graph of its voxels, and what it is like on the whole."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Columns, Op
from volkit.geometry import Block, Grid
from volkit.geometry.scale import Vector
from volkit.ops.arguments import arguments
from volkit.ops.vessel_graph import VesselGraph, VesselOptions, segment_frame, vessel_graph

_UM3_PER_MM3 = 1e9


def class_graph(
    classes: Any,
    label: int,
    *,
    options: VesselOptions | None = None,
    voxel_size_nm: Vector | None = None,
    grid: Grid | None = None,
    engine: Engine | None = None,
) -> VesselGraph:
    """Turn one class into branches between junctions, with their length and radius.

    Parameters
    ----------
    classes : Volume, dask array or ndarray of int, shape (Z, Y, X)
        Labels.
    label : int
        Which of them.
    options : VesselOptions, optional
        Halo and spurs; threshold and channel are not asked for.
    voxel_size_nm : tuple of float, optional
        Extent of a voxel, (z, y, x); that of the Volume by default.
    grid : Grid, optional
        Blocks to work in; the graph does not depend on it.
    engine : Engine, optional
        Where; None builds a lazy dask array and a Delayed.

    Returns
    -------
    VesselGraph

    Raises
    ------
    ConfigError
        If there is no voxel size.
    ContractError
        By the block in which a branch is wider than the halo.
    """
    call = arguments(classes, grid=grid, engine=engine)
    op = Op(_mask_block, dtype=np.uint8, params={"label": int(label)})
    mask = call.engine.map(op, *call.inputs, grid=call.grid, name="branch_mask")
    size = voxel_size_nm or getattr(call.inputs[0], "voxel_size_nm", None)
    return vessel_graph(
        mask, options=options, voxel_size_nm=size, grid=call.grid, engine=call.engine
    )


def branch_frame(columns: Columns, *, name: str, volume_um3: float) -> pd.DataFrame:
    """Summarise a graph.

    Parameters
    ----------
    columns : dict of ndarray
        Of the graph.
    name : str
        Of the class.
    volume_um3 : float
        Of the tissue, cubic micrometres.

    Returns
    -------
    DataFrame
        One row: ``class``, ``branches``, ``junctions``, ``free_ends``, ``length_um``,
        ``length_per_volume`` (1/um^2), ``branches_per_mm3``, ``radius_um`` and ``radius_um_sd``
        (over the length), means ``branch_length_um`` and ``tortuosity`` of branches.  NaN where
        there is no branch.
    """
    frame = segment_frame(columns)
    length, radius = frame["length_um"].to_numpy(), frame["radius_um_mean"].to_numpy()
    total = float(length.sum())
    mean = float((radius * length).sum() / total) if total else float("nan")
    spread = float((((radius - mean) ** 2 * length).sum() / total) ** 0.5) if total else mean
    row = {
        "class": name,
        "branches": len(frame),
        "junctions": len(columns["junction_id"]),
        "free_ends": int(frame["free_ends"].sum()),
        "length_um": total,
        "length_per_volume": total / volume_um3,
        "branches_per_mm3": _UM3_PER_MM3 * len(frame) / volume_um3,
        "radius_um": mean,
        "radius_um_sd": spread,
        "branch_length_um": total / len(frame) if len(frame) else float("nan"),
        "tortuosity": float(frame["tortuosity"].mean()),
    }
    return pd.DataFrame([row]).astype({"class": "str"})


def _mask_block(block: Block, classes: NDArray[Any], *, label: int) -> NDArray[np.uint8]:
    return (classes == label).astype(np.uint8)
