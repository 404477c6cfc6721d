"""Segments to be judged: rows of a stall table from the graph of a vessel mask, each its cuboid.

Everything follows from the graph, which is the same for every grid; so is this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.errors import ConfigError, ContractError
from volkit.geometry import Box, Coord, Grid, VoxelScale, coord
from volkit.kernels.segment_merging import Small, chords, without_small

Columns = Mapping[str, NDArray[Any]]
_NM_PER_UM = 1000.0
_AXES = "zyx"


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRule:
    """Which segments are judged, and what of the volume is shown of each.

    Parameters
    ----------
    small_um : float
        Shorter segments are small, micrometres.
    small : {"keep", "skip", "merge"}
        What becomes of small ones; see `volkit.kernels.segment_merging.without_small`.
    margin : tuple of int
        Voxels shown around the vessel; by default as clips are cut out: 2 planes, and 2 voxels to
        the outline, 2 for it, 3 around it.
    at_border : {"keep", "skip"}
        Whether segments are judged that may go on beyond the volume; they are flagged.

    Raises
    ------
    ConfigError
        If a number is negative.
    """

    small_um: float = 0.0
    small: Small = "skip"
    margin: Coord = (2, 7, 7)
    at_border: str = "keep"

    def __post_init__(self) -> None:
        object.__setattr__(self, "margin", coord(self.margin, name="margin"))
        if self.small_um < 0 or min(self.margin) < 0 or self.at_border not in ("keep", "skip"):
            raise ConfigError(
                f"small_um {self.small_um}, margin {self.margin}, at_border {self.at_border!r}; "
                "give 0 or more, and keep or skip"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Segments to be judged.

    Parameters
    ----------
    frame : pandas.DataFrame
        Identity and geometry, as in a stall table, sorted by ``segment_id``.
    became : tuple of ndarray of uint64
        Ids on the centre lines, and of the segments that they belong to now; 0 where none.
    """

    frame: pd.DataFrame
    became: tuple[NDArray[np.uint64], NDArray[np.uint64]]


def stall_segments(
    columns: Columns, rule: SegmentRule, *, grid: Grid, scale: VoxelScale, volume_id: str
) -> Segments:
    """Make the rows of a stall table from a graph.

    Parameters
    ----------
    columns : dict of ndarray
        Of `volkit.ops.vessel_graph.VesselGraph`, computed.
    rule : SegmentRule
        Which, and how much around.
    grid : Grid
        Domain, and the blocks that own segments.
    scale : VoxelScale
        Where voxels lie.
    volume_id : str
        Name of the volume.

    Returns
    -------
    Segments

    Raises
    ------
    ContractError
        If the graph has no segment.
    """
    if not len(columns["segment_id"]):
        raise ContractError(
            f"the vessel mask of {volume_id} has no segment: no voxel is above the threshold, or "
            "vessels have no centre line; check mask, channel and threshold"
        )
    plain = dict(columns)
    left, became = without_small(plain, length_um=rule.small_um, small=rule.small)
    if rule.small == "merge":
        left = _straight(plain, left, became, scale)
    kept = np.ones(len(left["segment_id"]), bool)
    if rule.at_border == "skip":
        kept = ~left["touches_border"]
        gone = np.isin(became, left["segment_id"][~kept])
        became = np.where(gone, np.uint64(0), became)
    left = {name: column[kept] for name, column in left.items()}
    if not kept.any():
        raise ContractError(
            f"of {len(became)} segments of {volume_id} none is left: all are shorter than "
            f"{rule.small_um:g} um or at the border; change segments.small_um or at_border"
        )
    frame = _frame(left, rule, grid, scale).assign(volume_id=volume_id)
    return Segments(frame, (np.asarray(columns["segment_id"]), became))


def cuboid(row: Any) -> Box:
    """Give the cuboid of a row of a stall table, voxels."""
    z, y, x = (int(row[f"{a}0"]) for a in _AXES)
    k, j, i = (int(row[f"{a}1"]) for a in _AXES)
    return Box((z, y, x), (k, j, i))


def _straight(
    columns: dict[str, NDArray[Any]],
    left: dict[str, NDArray[Any]],
    became: NDArray[np.uint64],
    scale: VoxelScale,
) -> dict[str, NDArray[Any]]:
    """Measure the tortuosity of merged segments anew; unknown where one end is free."""
    ids, parts = np.unique(became[became > 0], return_counts=True)
    many = np.isin(left["segment_id"], ids[parts > 1])
    chord = chords(columns, left, spacing_um=_spacing_um(scale))
    winding = np.divide(left["length_um"], chord, out=np.full(len(chord), np.nan), where=chord > 0)
    return {**left, "tortuosity": np.where(many, winding, left["tortuosity"])}


def _frame(
    left: dict[str, NDArray[Any]], rule: SegmentRule, grid: Grid, scale: VoxelScale
) -> pd.DataFrame:
    domain = grid.domain
    made: dict[str, Any] = {}
    extent = np.ones(len(left["segment_id"]), np.int64)
    lengths = []
    for axis, a in enumerate(_AXES):
        low = np.maximum(left[f"{a}0"] - rule.margin[axis], domain.start[axis])
        high = np.minimum(left[f"{a}1"] + rule.margin[axis], domain.stop[axis])
        centre = left[f"centroid_{a}"]
        made |= {f"{a}0": low, f"{a}1": high, f"centroid_{a}": centre}
        place = np.clip(np.rint(centre), domain.start[axis], domain.stop[axis] - 1)
        owner = (place.astype(np.int64) - domain.start[axis]) // grid.block_shape[axis]
        made |= {f"owner_chunk_{a}": owner}
        made |= {
            f"centroid_um_{a}": (centre * scale.voxel_size_nm[axis] + scale.origin_nm[axis])
            / _NM_PER_UM
        }
        extent *= high - low
        lengths.append(high - low)
    names = (
        *("segment_id", "node_a", "node_b", "length_um", "radius_um_mean", "radius_um_min"),
        *("tortuosity", "depth_um", "touches_border"),
    )
    made |= {name: left[name] for name in names}
    shapes = [" x ".join(map(str, shape)) for shape in zip(*lengths, strict=True)]
    return pd.DataFrame({**made, "n_frames": lengths[0], "roi_shape": shapes})


def _spacing_um(scale: VoxelScale) -> tuple[float, float, float]:
    z, y, x = (size / _NM_PER_UM for size in scale.voxel_size_nm)
    return z, y, x
