"""Arrays in memory, seen as volumes."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from volkit.errors import SourceError
from volkit.geometry import Box, Coord
from volkit.geometry.scale import Vector
from volkit.io.axes import Array, AxisOrder


@dataclass(frozen=True, slots=True)
class MemorySource:
    """A NumPy array.

    Parameters
    ----------
    uri : str
        Name of the array: ``array://`` and a digest of its content.
    array : ndarray
        Voxels, in stored order.
    order : AxisOrder
        How its axes map to (c) z y x.
    """

    uri: str
    array: Array
    order: AxisOrder
    voxel_size_nm: Vector = (1.0, 1.0, 1.0)
    origin_nm: Vector = (0.0, 0.0, 0.0)
    voxel_offset: Coord = (0, 0, 0)
    levels: int = 1

    @property
    def shape(self) -> Coord:
        """Extent, voxels."""
        return self.order.spatial

    @property
    def channels(self) -> int | None:
        """Number of channels, if there is such an axis."""
        return self.order.channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel."""
        return self.array.dtype.newbyteorder("=")

    @property
    def chunk_shape(self) -> Coord:
        """One voxel: any box is cheap."""
        return 1, 1, 1

    @property
    def write_shape(self) -> Coord:
        """One voxel."""
        return 1, 1, 1

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Nothing."""
        return {}

    def identity(self) -> str:
        """Give the digest of the content."""
        return self.uri

    def read(self, box: Box) -> Array:
        """Copy a box."""
        values = self.order.read_axes(self.array[self.order.stored(box)])
        return values.copy() if np.shares_memory(values, self.array) else values

    def write(self, box: Box, values: Array) -> None:
        """Refuse: a handle of an array holds its content for good."""
        raise SourceError(
            f"{self.uri} is an array in memory and read-only; create_volume a zarr to write to "
            "(memory://name.zarr keeps it in memory)"
        )


def array_uri(array: Array) -> str:
    """Name an array by a digest of its type, shape and content."""
    if array.dtype.kind not in "buif":
        raise SourceError(f"the array holds {array.dtype}; a volume holds bool, integers or floats")
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    for plane in array if array.ndim else ():
        digest.update(np.ascontiguousarray(plane).data)
    return f"array://{digest.hexdigest()[:32]}"
