"""Cutouts: which voxels a part stands for that is said in physical units, or at another level."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, cast

from volkit.errors import ConfigError, GeometryError
from volkit.geometry import Box, VoxelScale
from volkit.geometry.scale import Vector
from volkit.io.layout import vector_nm

if TYPE_CHECKING:
    from volkit.io.volume import Volume

_ROUND = 6  # decimals of a nanometre: beyond them a corner is arithmetic, not meant


@dataclass(frozen=True, slots=True)
class Part:
    """One way of saying which part of a volume; see :meth:`Volume.cutout`."""

    box: Box | None = None
    center_um: Vector | None = None
    size_um: Vector | None = None
    start_nm: Vector | None = None
    stop_nm: Vector | None = None
    level_0: Box | None = None

    def __post_init__(self) -> None:
        given = {f.name for f in fields(self) if getattr(self, f.name) is not None}
        ways = ({"box"}, {"center_um", "size_um"}, {"start_nm", "stop_nm"}, {"level_0"})
        if given not in ways:
            raise ConfigError(
                f"a cutout by {', '.join(sorted(given)) or 'nothing'}; give box, or center_um and "
                "size_um, or start_nm and stop_nm, or level_0"
            )


def find_box(volume: "Volume", part: Part) -> Box:
    """Find the voxels of a part at the level of a volume.

    Raises
    ------
    GeometryError
        If there are none.
    """
    if part.box is not None:
        return part.box
    if part.level_0 is not None:
        if volume.level == 0:
            return part.level_0
        finest = _whole(volume, 0)
        return same_tissue(finest.scale, part.level_0, volume)
    if part.center_um is not None and part.size_um is not None:
        center = [v * 1e3 for v in vector_nm(part.center_um, "center_um")]
        half = [v * 500 for v in vector_nm(part.size_um, "size_um")]
        start = [c - h for c, h in zip(center, half, strict=True)]
        stop = [c + h for c, h in zip(center, half, strict=True)]
    else:
        start = list(vector_nm(cast("Vector", part.start_nm), "start_nm"))
        stop = list(vector_nm(cast("Vector", part.stop_nm), "stop_nm"))
    return _voxels(volume, start, stop)


def same_tissue(scale: VoxelScale, box: Box, volume: "Volume") -> Box:
    """Find the voxels of a volume whose centres lie in a box of another scale.

    Parameters
    ----------
    scale : VoxelScale
        Of the box.
    box : Box
        Voxels.
    volume : Volume
        The same tissue at another level.

    Raises
    ------
    GeometryError
        If there are none.
    """
    start, stop = (
        [o + (v - 0.5) * s for o, v, s in zip(scale.origin_nm, c, scale.voxel_size_nm, strict=True)]
        for c in (box.start, box.stop)
    )
    return _voxels(volume, start, stop)


def _voxels(volume: "Volume", start_nm: list[float], stop_nm: list[float]) -> Box:
    if any(a >= b for a, b in zip(start_nm, stop_nm, strict=True)):
        raise GeometryError(
            f"a cutout from {start_nm} to {stop_nm} nm has no extent; give a positive size"
        )
    start, stop = (
        cast("Vector", tuple(round(v, _ROUND) for v in corner)) for corner in (start_nm, stop_nm)
    )
    box = volume.scale.box(start, stop)
    if not box.size:
        raise GeometryError(
            f"no voxel of {volume.uri} at level {volume.level} has its centre between {start} and "
            f"{stop} nm; its voxels are {volume.voxel_size_nm} nm: choose a larger part, or a "
            "finer level"
        )
    return box


def _whole(volume: "Volume", level: int) -> "Volume":
    from dataclasses import replace

    return replace(volume, level=level, region=None)
