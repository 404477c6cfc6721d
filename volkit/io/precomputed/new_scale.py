"""What an info says of a new scale: its key, encoding and shards, checked against the format."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from volkit.errors import SourceError
from volkit.geometry import Coord
from volkit.geometry.scale import Vector
from volkit.io.precomputed.shards import Sharding, sharding_of

_BLOCK = [8, 8, 8]  # of compressed segmentation, as every writer has it
_JPEG_QUALITY = 85  # of 100; about what EM is published with

# Types that tensorstore, cloud-volume and Neuroglancer all take.
TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "float32")
_INSTEAD = {"bool": "uint8", "int64": "uint64", "float64": "float32", "float16": "float32"}
_FITTING: Mapping[str, tuple[tuple[str, ...], tuple[int, ...] | None]] = {
    "raw": (TYPES, None),
    "jpeg": (("uint8",), (1, 3)),
    "png": (("uint8", "uint16"), (1, 2, 3, 4)),
    "compressed_segmentation": (("uint32", "uint64"), None),
}


@dataclass(frozen=True, slots=True)
class NewScale:
    """A scale that is to be.

    Parameters
    ----------
    shape, voxel_offset : tuple of int
        Extent, and volume coordinates of the first voxel; (z, y, x), voxels.
    voxel_size_nm : tuple of float
        Extent of a voxel, (z, y, x), nanometres.
    chunk_shape, shard_shape : tuple of int
        Extents, (z, y, x), voxels; equal where there are no shards.
    encoding : str
        Of a chunk.
    """

    shape: Coord
    voxel_offset: Coord
    voxel_size_nm: Vector
    chunk_shape: Coord
    shard_shape: Coord
    encoding: str

    @property
    def key(self) -> str:
        """Name of its folder, as most writers choose it."""
        return "_".join(_plain(v) for v in reversed(self.voxel_size_nm))

    @property
    def sharding(self) -> Sharding | None:
        """Its shards.

        Raises
        ------
        GeometryError
            If the format has no such shards.
        """
        if self.shard_shape == self.chunk_shape:
            return None
        return sharding_of(
            self.shard_shape,
            self.chunk_shape,
            self.shape,
            compress=self.encoding in ("raw", "compressed_segmentation"),
        )

    def to_json(self, key: str) -> dict[str, Any]:
        """Give the entry of the info; axes are x, y, z there."""
        said: dict[str, Any] = {
            "key": key,
            "size": _xyz(self.shape),
            "resolution": [int(v) if v == int(v) else v for v in _xyz(self.voxel_size_nm)],
            "voxel_offset": _xyz(self.voxel_offset),
            "chunk_sizes": [_xyz(self.chunk_shape)],
            "encoding": self.encoding,
        }
        if self.encoding == "compressed_segmentation":
            said["compressed_segmentation_block_size"] = _BLOCK
        if self.encoding == "jpeg":
            said["jpeg_quality"] = _JPEG_QUALITY
        sharding = self.sharding
        return said if sharding is None else {**said, "sharding": sharding.to_json()}


def fitting_encoding(
    uri: str, encoding: str | None, dtype: np.dtype[Any], channels: int, *, labels: bool
) -> str:
    """Choose an encoding, or check the one that is asked for.

    Returns
    -------
    str
        Labels of uint32 and uint64 are compressed segmentation by default, all else is raw.

    Raises
    ------
    SourceError
        If the format cannot hold the type, or the encoding cannot.
    """
    name = dtype.name
    if name not in TYPES:
        instead = f": convert to {_INSTEAD[name]}" if name in _INSTEAD else ""
        raise SourceError(
            f"{uri} cannot hold {name}; precomputed holds {', '.join(TYPES)}{instead}, or create a "
            "zarr"
        )
    if encoding is None:
        return "compressed_segmentation" if labels and name in ("uint32", "uint64") else "raw"
    if encoding not in _FITTING:
        raise SourceError(
            f"{uri}: encoding={encoding!r} is not written here; choose {', '.join(_FITTING)}"
        )
    types, counts = _FITTING[encoding]
    if name not in types or (counts is not None and channels not in counts):
        many = "" if counts is None else f" with {' or '.join(map(str, counts))} channels"
        raise SourceError(
            f"{uri}: encoding={encoding!r} holds {', '.join(types)}{many}, not {name} with "
            f"{channels}; leave the encoding out"
        )
    return encoding


def _xyz(zyx: tuple[Any, Any, Any]) -> list[Any]:
    return list(reversed(zyx))


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
