"""Layouts: shape, type, place and storage of a volume that is to be created."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, cast

import numpy as np
import numpy.typing as npt

from volkit.errors import ConfigError, GeometryError, SourceError
from volkit.geometry import AXES, Coord, VoxelScale, coord
from volkit.geometry.scale import Vector

# Chunks of 64³ decode fast and are small enough to fetch one by one; a shard of 2³ of them keeps
# the number of files down.  Larger blocks bring their own shape.
_CHUNK = 64
_SHARD = 128

Kind = Literal["image", "labels"]

UNSTATED = "voxel_size_stated"
"""Attribute of volkit's own that is False where nobody said how large voxels are."""


class LayoutOptions(TypedDict, total=False):
    """Keywords of ``create_volume`` that make a ``Layout``; they are documented there."""

    shape: Coord
    dtype: npt.DTypeLike
    channels: int | None
    voxel_size_nm: Vector | None
    start: Coord
    origin_nm: Vector
    chunk_shape: Coord | None
    shard_shape: Coord | None
    kind: Kind | None
    encoding: str | None


@dataclass(frozen=True, slots=True)
class Layout:
    """What a volume is before it holds voxels.

    Parameters
    ----------
    shape : tuple of int
        Extent, (z, y, x), voxels.
    dtype : dtype
        Of a voxel: bool, integer or float.
    channels : int or None
        Number of channels; None for no channel axis.
    voxel_size_nm : tuple of float
        Extent of a voxel, nanometres.
    start : tuple of int
        Volume coordinates of the first voxel.
    origin_nm : tuple of float
        Centre of voxel (0, 0, 0) of the volume coordinates, nanometres.
    chunk_shape : tuple of int or None
        Unit of compression; None chooses about 64³ within the shard.
    shard_shape : tuple of int or None
        Unit of writing, whole chunks; None is the chunk where that is given, else about 128³.
    kind : {"image", "labels"} or None
        What the voxels are, for storage that tells the two apart; None follows the type.
    encoding : str or None
        How chunks are stored, for storage that offers a choice; None leaves it to the storage.

    Raises
    ------
    GeometryError
        If a shape is empty, or chunks do not divide shards.
    SourceError
        If the type cannot be stored.
    ConfigError
        If ``kind`` is another word.
    """

    shape: Coord
    dtype: npt.DTypeLike
    channels: int | None = None
    voxel_size_nm: Vector = (1.0, 1.0, 1.0)
    start: Coord = (0, 0, 0)
    origin_nm: Vector = (0.0, 0.0, 0.0)
    chunk_shape: Coord | None = None
    shard_shape: Coord | None = None
    kind: Kind | None = None
    encoding: str | None = None

    def __post_init__(self) -> None:
        shape = coord(self.shape, name="shape")
        if min(shape) < 1:
            raise GeometryError(f"shape {shape} has no voxels; give 1 or more on every axis")
        if self.channels is not None and self.channels < 1:
            raise GeometryError(f"channels={self.channels}; give 1 or more, or None for no axis")
        if _kind(self.dtype) not in "buif":
            raise SourceError(f"dtype {self.dtype} cannot be stored; give bool, integer or float")
        if self.kind not in (None, "image", "labels"):
            raise ConfigError(f"kind={self.kind!r}; choose 'image' or 'labels', or leave it out")
        if self.chunk_shape is None:
            shard = self.shard_shape or cast("Coord", tuple(_default_shard(n) for n in shape))
            chunk = cast("Coord", tuple(_inner(s) for s in coord(shard, name="shard_shape")))
        else:
            chunk = coord(self.chunk_shape, name="chunk_shape")
            shard = self.shard_shape or chunk
        shard = coord(shard, name="shard_shape")
        _check_divides(chunk, shard)
        for name, value in (
            ("shape", shape),
            ("dtype", np.dtype(self.dtype).newbyteorder("=")),
            ("start", coord(self.start, name="start")),
            ("chunk_shape", chunk),
            ("shard_shape", shard),
            ("voxel_size_nm", vector_nm(self.voxel_size_nm, "voxel_size_nm")),
            ("origin_nm", vector_nm(self.origin_nm, "origin_nm")),
        ):
            object.__setattr__(self, name, value)
        VoxelScale(self.voxel_size_nm)  # refuses sizes that are not positive

    @property
    def translation_nm(self) -> Vector:
        """Centre of the first voxel, nanometres."""
        return VoxelScale(self.voxel_size_nm, self.origin_nm).to_nm(self.start)

    def summary(self) -> dict[str, Any]:
        """Say what two volumes must share to be the same target."""
        return {
            "shape": self.shape,
            "dtype": np.dtype(self.dtype).name,
            "channels": self.channels,
            "chunk_shape": self.chunk_shape,
            "shard_shape": self.shard_shape,
            "start": self.start,
            "voxel_size_nm": self.voxel_size_nm,
            "origin_nm": self.origin_nm,
        }


def _kind(dtype: npt.DTypeLike) -> str:
    """Give NumPy's letter for the kind of a type; O for what is none."""
    try:
        return np.dtype(dtype).kind
    except TypeError:
        return "O"


def _default_shard(n: int) -> int:
    if n <= _CHUNK:
        return n
    return _SHARD if n > _SHARD else -(-n // 2) * 2


def _inner(shard: int) -> int:
    """Find the largest chunk up to 64 that divides a shard; a tiny one costs more than none."""
    if shard < 1:
        raise GeometryError(f"shard_shape has an extent of {shard}; give 1 or more on every axis")
    best = max(d for d in range(1, min(shard, _CHUNK) + 1) if shard % d == 0)
    return best if best >= min(_CHUNK // 4, shard) else shard


def _check_divides(chunk: Coord, shard: Coord) -> None:
    for axis, c, s in zip(AXES, chunk, shard, strict=True):
        if c < 1 or s < 1 or s % c:
            raise GeometryError(
                f"shards of {s} voxels on axis {axis} are not whole chunks of {c}; choose a "
                f"chunk_shape that divides shard_shape, such as {_inner(max(s, 1))}"
            )


def vector_nm(values: Sequence[float], name: str) -> Vector:
    """Check three lengths, (z, y, x), nanometres."""
    try:
        z, y, x = (float(v) for v in values)
    except (TypeError, ValueError):
        raise GeometryError(
            f"{name} {values!r} is not three numbers (z, y, x); give nanometres, such as (40, 4, 4)"
        ) from None
    return z, y, x
