"""Scale: voxels to nanometres and back, the only place where the two meet."""

from dataclasses import dataclass
from math import floor

from volkit.errors import GeometryError
from volkit.geometry.box import Box, Coord

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class VoxelScale:
    """Where voxels lie in physical space.

    The centre of voxel ``i`` lies at ``origin_nm + i * voxel_size_nm``, as OME-Zarr has it.

    Parameters
    ----------
    voxel_size_nm : tuple of float
        Extent of a voxel, (z, y, x), nanometres.
    origin_nm : tuple of float
        Centre of voxel (0, 0, 0), nanometres.

    Raises
    ------
    GeometryError
        If a voxel has no extent.

    Examples
    --------
    >>> scale = VoxelScale((40.0, 4.0, 4.0))
    >>> scale.to_nm((1, 10, 10))
    (40.0, 40.0, 40.0)
    >>> str(scale.box((0, 0, 0), (80, 40, 40)))
    '[0:2, 0:10, 0:10]'
    """

    voxel_size_nm: Vector
    origin_nm: Vector = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if not all(0 < v < float("inf") for v in self.voxel_size_nm):
            raise GeometryError(
                f"voxel size {self.voxel_size_nm} nm must be positive and finite on every axis"
            )

    def to_nm(self, voxel: Vector | Coord) -> Vector:
        """Locate the centre of a voxel, nanometres."""
        z, y, x = (
            o + v * s for o, v, s in zip(self.origin_nm, voxel, self.voxel_size_nm, strict=True)
        )
        return z, y, x

    def to_voxel(self, point_nm: Vector) -> Coord:
        """Find the voxel that holds a point."""
        z, y, x = (
            floor((p - o) / s + 0.5)
            for p, o, s in zip(point_nm, self.origin_nm, self.voxel_size_nm, strict=True)
        )
        return z, y, x

    def box(self, start_nm: Vector, stop_nm: Vector) -> Box:
        """Cut a physical range: the voxels whose centres lie in ``[start_nm, stop_nm)``."""
        start, stop = (
            tuple(
                -floor((o - p) / s)
                for p, o, s in zip(corner, self.origin_nm, self.voxel_size_nm, strict=True)
            )
            for corner in (start_nm, stop_nm)
        )
        return Box(start, stop)  # type: ignore[arg-type]
