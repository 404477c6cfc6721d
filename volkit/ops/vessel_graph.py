"""Vessel graphs across blocks: a table of segments that is the same for every grid and engine.

::

    mask ─► skeleton ─► runs of every block ─► branches ─► rules ─► segments
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Columns, Op, Reduction
from volkit.errors import ConfigError, ContractError
from volkit.geometry import Block, Coord, Grid, coord
from volkit.io.volume import Volume
from volkit.kernels.relabel import renamed
from volkit.kernels.skeleton_branches import join_runs
from volkit.kernels.skeleton_runs import FIRST, RADIUS_UNIT, add_runs, skeleton_runs
from volkit.kernels.sparse_voxels import set_voxels, within
from volkit.kernels.vessel_radius import Spacing, background_distance, distance_beyond
from volkit.kernels.vessel_rules import SpurRule, apply_rule
from volkit.kernels.vessel_segments import junction_columns, segment_columns
from volkit.ops.arguments import arguments
from volkit.ops.components import connected_components, domain_box, domain_param, foreground
from volkit.ops.vessel_skeleton import open_faces, skeleton_stages

Array = NDArray[Any]
_NM_PER_UM = 1000.0


@dataclass(frozen=True, slots=True)
class VesselOptions:
    """How a mask becomes segments.

    Parameters
    ----------
    threshold : float
        Voxels above it are vessel.
    channel : int
        Which channel, where there are several.
    halo : tuple of int
        What a block sees around itself, voxels: more than the radius of the widest vessel.
    spurs : SpurRule or None
        Which side branches are no vessels, micrometres; None keeps the graph as it is.

    Raises
    ------
    ConfigError
        If the halo is less than 2 voxels.
    """

    threshold: float = 0.0
    channel: int = 0
    halo: Coord = (16, 16, 16)
    spurs: SpurRule | None = field(default_factory=lambda: SpurRule(radii=1.0))

    def __post_init__(self) -> None:
        object.__setattr__(self, "halo", coord(self.halo, name="halo"))
        if min(self.halo) < 2:
            raise ConfigError(f"halo is {self.halo}; a graph needs 2 voxels or more on every axis")


@dataclass(frozen=True, slots=True)
class VesselGraph:
    """Skeleton and graph of a mask.

    Parameters
    ----------
    skeleton : Volume, dask array or DataArray of uint8, shape (Z, Y, X)
        1 on the skeleton.
    columns : dict of ndarray or Delayed
        Columns of segments, and those of junctions, which begin with ``junction_``; ``part_id``
        and ``part_segment``: what each branch of the skeleton has become, 0 where it is a spur.
    """

    skeleton: Any
    columns: Any


def vessel_graph(
    mask: Any,
    *,
    options: VesselOptions | None = None,
    voxel_size_nm: tuple[float, float, float] | None = None,
    grid: Grid | None = None,
    engine: Engine | None = None,
) -> VesselGraph:
    """Turn a vessel mask into segments: branches of its skeleton between junctions.

    Parameters
    ----------
    mask : Volume, dask array or DataArray of bool, int or float, shape ([C,] Z, Y, X)
        A mask, or a map of probabilities.
    options : VesselOptions, optional
        How.
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
        By the block in which a vessel is wider than the halo.
    GeometryError
        If a lazy grid has blocks thinner than the halo.
    """
    call = arguments(mask, grid=grid, engine=engine)
    options = options or VesselOptions()
    spacing, rule = _spacing_um(call.inputs[0], voxel_size_nm), options.spurs
    skeleton = skeleton_stages(
        call, threshold=options.threshold, halo=options.halo, channel=options.channel
    )
    gather = Reduction(
        _runs_block,
        add_runs,
        partial(
            _segments,
            spacing=spacing,
            spurs=None if rule is None else (rule.length, rule.radii),
            domain=domain_param(call.grid),
        ),
        halo=options.halo,
        params={
            "threshold": options.threshold,
            "channel": options.channel,
            "spacing": list(spacing),
            "domain": domain_param(call.grid),
        },
    )
    columns = call.engine.reduce(
        gather, skeleton, call.inputs[0], grid=call.grid, name="vessel_graph"
    )
    return VesselGraph(call.wrap(skeleton), columns)


def label_segments(
    graph: VesselGraph, *, grid: Grid | None = None, engine: Engine | None = None
) -> Any:
    """Write the id of its segment into every voxel of the skeleton.

    Parameters
    ----------
    graph : VesselGraph
        From ``vessel_graph``.
    grid : Grid, optional
        Blocks to work in; the labels do not depend on it.
    engine : Engine, optional
        The one that made the graph.

    Returns
    -------
    Volume, dask array or DataArray of uint64, shape (Z, Y, X)
        0 on junctions, spurs and the background.
    """
    call = arguments(graph.skeleton, grid=grid, engine=engine)
    thin = Op(_runs_only_block, dtype=np.uint8, halo=(1, 1, 1))
    runs = call.engine.map(thin, *call.inputs, grid=call.grid, name="vessel_runs")
    # Voxels of two branches never touch, so that a branch is a component, and named as one.
    parts = connected_components(
        runs, threshold=0, grid=call.grid, engine=call.engine, name="vessel_parts"
    )
    name = Op(_named_block, dtype=np.uint64)
    return call.wrap(
        call.engine.map(name, parts, grid=call.grid, name="vessel_labels", shared=(graph.columns,))
    )


def segment_frame(columns: Columns) -> pd.DataFrame:
    """Make the table of segments, sorted by id, from the columns of a graph."""
    apart = ("junction_", "part_")
    return pd.DataFrame({name: c for name, c in columns.items() if not name.startswith(apart)})


def _spacing_um(mask: Any, stated: tuple[float, float, float] | None) -> Spacing:
    if stated is None and not isinstance(mask, Volume):
        raise ConfigError(
            "a dask array has no voxel size; give voxel_size_nm=(z, y, x), nanometres"
        )
    z, y, x = mask.voxel_size_nm if stated is None else stated
    return z / _NM_PER_UM, y / _NM_PER_UM, x / _NM_PER_UM


def _runs_block(
    block: Block,
    skeleton: Array,
    values: Array,
    *,
    threshold: float,
    channel: int,
    spacing: list[float],
    domain: list[list[int]],
) -> Columns:
    whole, core = domain_box(domain), block.write.relative_to(block.read)
    voxels = set_voxels(skeleton)
    voxels = voxels[within(voxels, core)]
    distance, reach = np.zeros(0), np.zeros((0, 3), np.int64)
    if len(voxels):
        mask = foreground(values, threshold=threshold, channel=channel)
        distance = _radii(block, mask, voxels, spacing, domain)
        # Two balls that the vessel holds: in space, and in voxels, by which thinning draws the ends
        # of vessels back from where they are cut off.
        near = background_distance(mask, voxels, spacing=(1.0, 1.0, 1.0))[:, None]
        span = np.maximum(distance[:, None] / np.array(spacing), near)
        reach = np.ceil(span).astype(np.int64) - 1
    return skeleton_runs(
        skeleton > 0,
        core,
        np.rint(distance / RADIUS_UNIT).astype(np.int64),
        reach,
        start=block.read.relative_to(whole).start,
        domain_shape=whole.shape,
    )


def _radii(
    block: Block,
    mask: NDArray[np.bool_],
    voxels: NDArray[np.int64],
    spacing: list[float],
    domain: list[list[int]],
) -> NDArray[np.float64]:
    """Measure radii; refuse what may be nearer to a background that is not seen."""
    step = (spacing[0], spacing[1], spacing[2])
    before, after = open_faces(block, domain_box(domain))
    distance = background_distance(mask, voxels, spacing=step)
    unseen = distance_beyond(
        block.read.shape, voxels, spacing=step, open_before=before, open_after=after
    )
    wide = np.flatnonzero((distance > unseen) | np.isinf(distance))
    if len(wide):
        where = tuple((voxels[wide[0]] + block.read.start).tolist())
        raise ContractError(
            f"the vessel at {where} has no background within {unseen[wide[0]]:g} um, which is all "
            "that the block sees; give a wider halo, or check threshold and mask"
        )
    return distance


def _segments(
    table: Columns,
    *,
    spacing: Spacing,
    spurs: tuple[float, float] | None,
    domain: list[list[int]],
) -> Columns:
    whole = domain_box(domain)
    branches = join_runs(table, spacing=spacing, domain_shape=whole.shape)
    part = became = (branches.total[:, FIRST] + 1).astype(np.uint64)
    if spurs is not None:
        rule = SpurRule(*spurs)
        branches, became = apply_rule(branches, rule)
    return {
        **segment_columns(branches, spacing_um=spacing, start=whole.start),
        **junction_columns(branches, start=whole.start),
        "part_id": part,
        "part_segment": became,
    }


def _runs_only_block(block: Block, skeleton: Array) -> NDArray[np.uint8]:
    """Leave junctions out: voxels with more than two neighbours."""
    present = skeleton > 0
    around = np.zeros(skeleton.shape, np.uint8)
    padded = np.pad(present, 1)
    nz, ny, nx = skeleton.shape
    for z, y, x in np.ndindex(3, 3, 3):
        around += padded[z : z + nz, y : y + ny, x : x + nx]
    return (present & (around <= 3)).astype(np.uint8)


def _named_block(block: Block, parts: Array, columns: Columns) -> NDArray[np.uint64]:
    return renamed(parts, columns["part_id"], columns["part_segment"])
