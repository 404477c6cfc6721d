"""Particles: points from heat maps of any size, the same for every grid.

::

    heat map ─► peaks of each block ─► one table ─► best of each neighbourhood ─► centres

A block decides about its own voxels, with a halo as far as max-pooling reaches, so that no point
is lost or doubled at a seam; of a stored map the halo is read only where a peak hangs on it.
Suppression looks at the whole table, which is small.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.on_demand import OnDemand
from volkit.engine.op import Columns, Reduction
from volkit.errors import ContractError, GeometryError
from volkit.geometry import AXES, Block, Grid, VoxelScale
from volkit.io.points.table import points_frame
from volkit.io.stated_size import says_size
from volkit.io.volume import Volume
from volkit.kernels.particle_coordinates import ParticleCoordinates
from volkit.kernels.suppression import suppress
from volkit.ops.arguments import arguments
from volkit.ops.block_peaks import Peaks, block_peaks, peaks_halo
from volkit.ops.particle_options import PickOptions
from volkit.ops.particle_scoring import evaluate_points as evaluate_points

Array = NDArray[Any]

_UINT8_ONE = 255.0


def pick(
    heat: Any,
    options: PickOptions,
    *,
    scale: VoxelScale | None = None,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "picks",
) -> Any:
    """Find the particles of a tomogram in its heat maps.

    The table is that of the whole volume at once, to the bit, for every grid.  In a job the peaks
    are stored under ``name``: another exclusion distance or offset reuses them.

    Parameters
    ----------
    heat : Volume, dask array, ndarray or DataArray of float or uint8, shape ([C,] Z, Y, X)
        One map for each class; uint8 stands for 0 to 1 in steps of 1/255.
    options : PickOptions
        Classes, thresholds and distances.
    scale : VoxelScale, optional
        Where voxels lie; None takes what a Volume says.
    grid : Grid, optional
        Blocks to work in; the table does not depend on it.  None takes the chunks.
    engine : Engine, optional
        Where to run; None is LazyEngine.
    name : str
        Name of the stage.

    Returns
    -------
    pandas.DataFrame
        ``z_nm, y_nm, x_nm, score, class``: class by class in the order of ``options``, the best
        first, ties in C order of voxels (LazyEngine: a Delayed of it).

    Raises
    ------
    GeometryError
        If the map has another number of channels than there are classes, or nothing says how large
        voxels are.
    ContractError
        If the map is neither float nor uint8; by the block that meets NaN.
    """
    call = arguments(heat, grid=grid, engine=engine)
    _check_heat(call.inputs[0], options)
    scale = stated_scale(call.inputs[0]) if scale is None else scale
    reduction = Reduction(
        _peaks_block,
        _merge_peaks,
        finalize=partial(_points, options=options, scale=scale),
        halo=peaks_halo(options.reach, refine=options.refine),
        params={
            "thresholds": list(options.thresholds),
            "reach": list(options.reach),
            "refine": options.refine,
        },
        on_demand=True,
    )
    return call.engine.reduce(reduction, *call.inputs, grid=call.grid, name=name)


def _check_heat(heat: Any, options: PickOptions) -> None:
    dtype = np.dtype(heat.dtype)
    if dtype.kind != "f" and dtype != np.uint8:
        raise ContractError(
            f"the heat map is {dtype}; give floats, or uint8 where 255 stands for 1"
        )
    stored = isinstance(heat, Volume)
    channels = heat.channels if stored else (len(heat) if heat.ndim == 4 else None)
    if (1 if channels is None else channels) != len(options.classes):
        raise GeometryError(
            f"the heat map has {channels or 1} channel(s), classes are "
            f"{', '.join(options.classes)}; name each channel once"
        )


def stated_scale(heat: Any) -> VoxelScale:
    """Take the scale of a volume that states one: centres of others would be wrong unnoticed.

    Parameters
    ----------
    heat : Volume, or any array
        Which never states one.

    Returns
    -------
    VoxelScale

    Raises
    ------
    GeometryError
        If it states none.
    """
    if isinstance(heat, Volume) and says_size(heat):
        return heat.scale
    told = heat.uri if isinstance(heat, Volume) else f"an array ({type(heat).__name__})"
    raise GeometryError(
        f"{told} does not say how large its voxels are; open it with voxel_size_nm=(z, y, x), or "
        "pass scale=VoxelScale(...)"
    )


def _peaks_block(
    block: Block, heat: OnDemand, *, thresholds: list[float], reach: list[int], refine: bool
) -> Columns:
    """Find the peaks of each class whose voxel the block decides."""
    unit = _UINT8_ONE if heat.values.dtype == np.uint8 else 1.0
    found = block_peaks(
        heat,
        block,
        thresholds=[threshold * unit for threshold in thresholds],
        radius=(reach[0], reach[1], reach[2]),
        refine=refine,
    )
    return _merge_peaks([_columns(each, unit) for each in found])


def _columns(found: Peaks, unit: float) -> Columns:
    return {
        **{axis: found.voxels[:, n] for n, axis in enumerate(AXES)},
        **{f"{axis}_shift": found.shifts[:, n] for n, axis in enumerate(AXES)},
        "score": (found.scores / unit).astype(np.float64),
        "class": np.full(len(found.voxels), found.channel, np.int64),
    }


def _merge_peaks(tables: Sequence[Columns]) -> Columns:
    """Put the peaks of several blocks in C order, classes of one voxel in theirs."""
    joined = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    order = np.lexsort([joined[name] for name in ("class", *reversed(AXES))])
    return {name: column[order] for name, column in joined.items()}


def _points(table: Columns, *, options: PickOptions, scale: VoxelScale) -> pd.DataFrame:
    """Locate the peaks, and leave the best of each neighbourhood."""
    how = ParticleCoordinates.of(scale, target_offset=options.target_offset)
    places = [table[axis] + table[f"{axis}_shift"] for axis in AXES]
    centres = how.decode(np.stack(places, axis=1))
    kept = _kept(centres, table["score"], table["class"], options)
    order = kept[np.lexsort((kept, -table["score"][kept], table["class"][kept]))]
    names = [options.classes[n] for n in table["class"][order]]
    return points_frame(centres[order], names, scores=table["score"][order])


def _kept(centres: Array, scores: Array, classes: Array, options: PickOptions) -> NDArray[np.int64]:
    if options.exclusions_nm is None:
        return np.arange(len(centres))
    radius = np.asarray(options.exclusions_nm)[classes]
    if options.across_classes:
        return suppress(centres, scores, radius=radius)
    parts = []
    for number in range(len(options.classes)):
        rows = np.flatnonzero(classes == number)
        parts.append(rows[suppress(centres[rows], scores[rows], radius=radius[rows])])
    return np.concatenate(parts)
