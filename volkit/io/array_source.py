"""Read-only sources that are one array: in a file, or in memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import numpy as np

from volkit.errors import SourceError
from volkit.geometry import Box, Coord
from volkit.geometry.scale import Vector
from volkit.io.axes import Array, AxisOrder
from volkit.io.sources import OpenOptions
from volkit.io.units import stated_voxel_size


@dataclass(frozen=True, slots=True)
class ArraySource:
    """One stored array that is read by slices.

    Parameters
    ----------
    uri : str
        Where it lies.
    order : AxisOrder
        How its axes map to (c) z y x.
    dtype : dtype
        Of a voxel.
    chunks : tuple of int
        What is cheap to read, in stored order.
    voxel_size_nm : tuple of float
        Extent of a voxel, (z, y, x).
    attributes : mapping
        What the file says of it.
    stamp : str
        Tells this content from another.
    fetch : callable
        ``fetch(slices) -> ndarray``, both in stored order; safe in threads.
    """

    uri: str
    order: AxisOrder
    dtype: np.dtype[Any]
    chunks: tuple[int, ...]
    voxel_size_nm: Vector
    attributes: Mapping[str, Any]
    stamp: str
    fetch: Callable[[tuple[slice, ...]], Array]
    origin_nm: Vector = (0.0, 0.0, 0.0)
    voxel_offset: Coord = (0, 0, 0)
    levels: int = 1

    @classmethod
    def understand(
        cls,
        uri: str,
        stored: Any,
        fetch: Callable[[tuple[slice, ...]], Array],
        *,
        stamp: str,
        options: OpenOptions,
        attributes: Mapping[str, Any] | None = None,
        keep_channel: bool = False,
    ) -> Self:
        """Check what is known of an array.

        Parameters
        ----------
        uri : str
            Where it lies.
        stored : object
            Anything with ``shape``, ``dtype``, and perhaps ``chunks``.
        fetch : callable
            Reads slices of it.
        stamp : str
            Tells its content from another.
        options : OpenOptions
            What the caller knows of it.
        attributes : mapping or None
            What the file says of it: ``axes``, a voxel size, anything else.
        keep_channel : bool
            Keep a channel axis of one channel.

        Raises
        ------
        SourceError
            If type, axes, voxel size or options do not fit.
        """
        attributes = attributes or {}
        order = AxisOrder.understand(
            stated_axes(uri, attributes.get("axes"), options),
            stored.shape,
            uri=uri,
            keep_channel=keep_channel,
        )
        return cls(
            uri=uri,
            order=order,
            dtype=voxel_dtype(uri, stored.dtype),
            chunks=getattr(stored, "chunks", None) or (1,) * len(stored.shape),
            voxel_size_nm=ordered_size(uri, attributes, order),
            attributes=attributes,
            stamp=stamp,
            fetch=fetch,
        )

    @property
    def shape(self) -> Coord:
        """Extent, voxels."""
        return self.order.spatial

    @property
    def channels(self) -> int | None:
        """Number of channels, if there is such an axis."""
        return self.order.channels

    @property
    def chunk_shape(self) -> Coord:
        """What is cheap to read."""
        return self.order.pick(self.chunks)

    @property
    def write_shape(self) -> Coord:
        """The same; it is never written."""
        return self.order.pick(self.chunks)

    def identity(self) -> str:
        """Give the stamp of the content."""
        return self.stamp

    def read(self, box: Box) -> Array:
        """Read a box.

        Raises
        ------
        SourceError
            If the file is damaged.
        """
        return self.order.read_axes(np.asarray(self.fetch(self.order.stored(box))))

    def write(self, box: Box, values: Array) -> None:
        """Refuse: arrays and files of this kind are only read."""
        raise SourceError(
            f"{self.uri} is read-only, {values.shape} were to be written at {box}; "
            "create_volume a zarr to write to (memory://name.zarr stays in memory)"
        )


def stated_axes(uri: str, said: Any, options: OpenOptions) -> Sequence[str] | None:
    """Choose between the axes that a source states and those that its reader does.

    Raises
    ------
    SourceError
        If both do, and differ.
    """
    if said is None:
        return options.axes
    if options.axes is not None and list(said) != list(options.axes):
        raise SourceError(
            f"{uri} says that its axes are {', '.join(map(str, said))}; open it without "
            f"axes={options.axes!r}, or correct what it says"
        )
    names: Sequence[str] = said
    return names


def ordered_size(uri: str, attributes: Mapping[str, Any], order: AxisOrder) -> Vector:
    """Bring the voxel size that attributes state into (z, y, x); 1 nm where they do not."""
    size = stated_voxel_size(attributes, 3, uri=uri) or (1.0, 1.0, 1.0)
    spatial = [axis for axis in order.names if axis in "zyx"]
    return cast("Vector", tuple(size[spatial.index(axis)] for axis in "zyx"))


def voxel_dtype(uri: str, dtype: Any) -> np.dtype[Any]:
    """Check that a type can be a voxel's, and give it in native byte order.

    Raises
    ------
    SourceError
        If it is none of bool, integer and float.
    """
    found = np.dtype(dtype)
    if found.kind not in "buif":
        raise SourceError(f"{uri} holds {found}; a volume holds bool, integers or floats")
    return found.newbyteorder("=")


def check_level(uri: str, level: int, levels: int = 1) -> None:
    """Refuse a level that is not there.

    Raises
    ------
    SourceError
        If ``level`` is not among 0 to ``levels - 1``.
    """
    if not 0 <= level < levels:
        there = f"0 to {levels - 1}, 0 the finest" if levels > 1 else "level 0 only"
        raise SourceError(f"{uri} has no level {level}; it has {there}")


def file_stamp(*paths: Path) -> str:
    """Tell the content of files by their times and sizes."""
    found = [path.stat() for path in paths]
    return "file:" + ",".join(f"{s.st_mtime_ns}-{s.st_size}" for s in found)
