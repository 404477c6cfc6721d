"""Volumes: handles of stored voxels, which travel between processes while the voxels stay."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np

from volkit.errors import GeometryError
from volkit.geometry import Box, Coord, VoxelScale
from volkit.geometry.scale import Vector
from volkit.io.array_source import check_level
from volkit.io.axes import Array
from volkit.io.layout import Layout, LayoutOptions, vector_nm
from volkit.io.memory import array_uri, open_array
from volkit.io.sources import OpenOptions, Source, forget_opened, local_path, opened
from volkit.io.writes import check_write

if TYPE_CHECKING:
    import dask.array as da
    import xarray as xr


@dataclass(frozen=True, slots=True)
class Volume:
    """A handle of a stored volume.

    It holds no voxels and no open file: it is opened where it is used, once in a process.  Arrays
    have axes (z, y, x), or (c, z, y, x) where ``channels`` is not None.

    Parameters
    ----------
    uri : str
        What ``open_volume`` takes.
    level : int
        0 is the finest.
    options : OpenOptions
        How to understand a source that does not say everything itself.

    Examples
    --------
    >>> volume = open_volume(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    >>> volume.shape, str(volume.domain), volume.read(Box((1, 0, 0), (2, 1, 2))).tolist()
    ((2, 3, 4), '[0:2, 0:3, 0:4]', [[[12, 13]]])
    """

    uri: str
    level: int = 0
    options: OpenOptions = field(default_factory=OpenOptions)
    _array: Array | None = field(default=None, repr=False, compare=False)

    @property
    def _source(self) -> Source:
        if self._array is not None:
            return open_array(self.uri, self._array, self.options)
        return opened(self.uri, self.level, self.options)

    @property
    def shape(self) -> Coord:
        """Extent, (z, y, x), voxels."""
        return self._source.shape

    @property
    def channels(self) -> int | None:
        """Number of channels; None where there is no channel axis."""
        return self._source.channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel."""
        return self._source.dtype

    @property
    def domain(self) -> Box:
        """The voxels it holds, in volume coordinates."""
        source = self._source
        return Box.from_shape(source.shape, source.voxel_offset)

    @property
    def voxel_size_nm(self) -> Vector:
        """Extent of a voxel, (z, y, x), nanometres."""
        return self.options.voxel_size_nm or self._source.voxel_size_nm

    @property
    def origin_nm(self) -> Vector:
        """Centre of voxel (0, 0, 0) of the volume coordinates, (z, y, x), nanometres."""
        source = self._source
        z, y, x = (
            round(t - o * s, 6)
            for t, o, s in zip(
                source.origin_nm, source.voxel_offset, self.voxel_size_nm, strict=True
            )
        )
        return z, y, x

    @property
    def scale(self) -> VoxelScale:
        """Where its voxels lie in physical space."""
        return VoxelScale(self.voxel_size_nm, self.origin_nm)

    @property
    def levels(self) -> int:
        """Number of levels that the URI holds."""
        return self._source.levels

    @property
    def chunk_shape(self) -> Coord:
        """The smallest box that is cheap to read."""
        return self._source.chunk_shape

    @property
    def write_shape(self) -> Coord:
        """The box of one stored object, a shard or a chunk: each has one writer at a time."""
        return self._source.write_shape

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What the volume says of itself; ``["volkit"]`` is the provenance of one made here."""
        return self._source.attributes

    @property
    def identity(self) -> str:
        """Digest that changes when the content does, as far as can be told without reading it."""
        size = self.options.voxel_size_nm
        parts = (self._source.identity(), self.level, self.options.axes, size)
        return "|".join(str(part) for part in parts if part is not None)

    def read(self, box: Box | None = None) -> Array:
        """Read a box.

        Parameters
        ----------
        box : Box or None
            In volume coordinates; None for all.

        Returns
        -------
        ndarray, shape (Z, Y, X) or (C, Z, Y, X)
            Contiguous, the caller's own.

        Raises
        ------
        GeometryError
            If the box reaches over the domain.
        MissingChunkError
            If a chunk of it is not stored, unless opened with ``missing="zero"``.
        SourceError
            If the store fails, or a chunk is damaged.
        """
        source = self._source
        return source.read(self._inside(source, box))

    def write(self, box: Box, values: Array) -> None:
        """Write a box.

        Parameters
        ----------
        box : Box
            In volume coordinates; whole multiples of ``write_shape``, but at the volume's end.
        values : ndarray, shape (Z, Y, X) or (C, Z, Y, X)
            Of the volume's own type.

        Raises
        ------
        GeometryError
            If the box is outside the domain or would share a stored object with another writer,
            or ``values`` has another shape.
        ContractError
            If ``values`` has another type.
        SourceError
            If the volume is read-only or the write fails, as on a full disk.
        """
        source = self._source
        inside = self._inside(source, box)
        check_write(self.uri, source, inside, values)
        source.write(inside, values)

    def to_dask(self, block_shape: Coord | None = None) -> "da.Array":
        """Make a lazy dask array with one task per block; the graph holds handles, no voxels.

        Parameters
        ----------
        block_shape : tuple of int or None
            Extent of a block; None takes whole stored objects, about 128³ voxels.
        """
        from volkit.io.lazy import dask_array

        return dask_array(self, block_shape)

    def to_xarray(self, block_shape: Coord | None = None) -> "xr.DataArray":
        """Make a lazy DataArray with dims ([c,] z, y, x) and coordinates in nanometres."""
        from volkit.io.lazy import data_array

        return data_array(self, block_shape)

    def __dask_tokenize__(self) -> str:
        return self.identity

    def _inside(self, source: Source, box: Box | None) -> Box:
        domain = Box.from_shape(source.shape, source.voxel_offset)
        box = domain if box is None else box
        if not domain.contains(box):
            raise GeometryError(
                f"box {box} is outside {self.uri}, which covers {domain}; choose a box within it"
            )
        return box.relative_to(domain)


def open_volume(
    source: "str | Path | Array | Volume",
    *,
    level: int = 0,
    axes: str | None = None,
    voxel_size_nm: Vector | None = None,
    missing: Literal["error", "zero"] = "error",
) -> Volume:
    """Open a volume.

    Parameters
    ----------
    source : str, Path, ndarray or Volume
        ``em.zarr``, ``s3://bucket/em.zarr``, ``em.h5::raw``, ``em.npz::raw``, ``stack.tif``, a
        folder of TIFF planes, ``specimen://…``, an array (which must not change afterwards); a
        Volume is given back.
    level : int
        0 is the finest.
    axes : str or None
        Stored order, such as ``"xyz"``, of a source that says nothing about it.
    voxel_size_nm : tuple of float or None
        Extent of a voxel, (z, y, x), nanometres, instead of what the source says.
    missing : {"error", "zero"}
        Whether a chunk that is not stored is an error, or holds the fill value.

    Raises
    ------
    SourceError
        If there is no volume that can be understood.
    """
    if isinstance(source, Volume):
        return source
    size = None if voxel_size_nm is None else vector_nm(voxel_size_nm, "voxel_size_nm")
    options = OpenOptions(axes, None if size is None else VoxelScale(size).voxel_size_nm, missing)
    if isinstance(source, np.ndarray):
        check_level("an array", level)
        held = source.view()
        held.flags.writeable = False
        volume = Volume(array_uri(held), level, options, held)
    else:
        volume = Volume(os.fspath(source), level, options)
    volume._source.shape  # noqa: B018 (opens it, so that what is wrong shows here)
    return volume


def create_volume(
    uri: str | Path,
    *,
    overwrite: bool = False,
    attributes: Mapping[str, Any] | None = None,
    **layout: Unpack[LayoutOptions],
) -> Volume:
    """Create a volume: OME-Zarr 0.5 whose chunks carry checksums, and are stored when empty too.

    An equal volume that is there is opened.

    Parameters
    ----------
    uri : str or Path
        Local path, or URL of a store that can be written.
    overwrite : bool
        Remove a zarr that is there first.
    attributes : mapping or None
        JSON to keep under ``attributes["volkit"]``, as provenance.
    **layout
        ``shape`` and ``dtype``, and as wanted ``channels``, ``voxel_size_nm``, ``start`` (volume
        coordinates of the first voxel), ``origin_nm`` (of voxel (0, 0, 0)), ``chunk_shape``
        (unit of compression) and ``shard_shape`` (unit of writing); see ``Layout``.

    Returns
    -------
    Volume

    Raises
    ------
    GeometryError
        If shapes do not fit together.
    SourceError
        If another volume is there, or the place cannot be written.
    """
    from volkit.io.zarr.create import create_zarr  # a reader needs no zarr

    uri = os.fspath(uri)
    create_zarr(uri, Layout(**layout), overwrite=overwrite, attributes=attributes)
    if local_path(uri) is None:
        forget_opened()  # a remote store has no times by which to know an old handle
    return Volume(uri)
