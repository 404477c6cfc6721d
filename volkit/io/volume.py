"""Volumes: handles of stored voxels, which travel between processes while the voxels stay."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from volkit.errors import GeometryError
from volkit.geometry import Box, Coord, VoxelScale
from volkit.geometry.scale import Vector
from volkit.io.axes import Array
from volkit.io.memory import open_array
from volkit.io.registry import opened
from volkit.io.sources import OpenOptions, Source
from volkit.io.stated_scale import stated_scale
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
        How to understand a source that does not say everything itself, and how to reach it.
    region : Box or None
        The part of the stored volume that this handle stands for, volume coordinates; None is all.

    Examples
    --------
    >>> from volkit.io import open_volume
    >>> volume = open_volume(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    >>> volume.shape, str(volume.domain), volume.read(Box((1, 0, 0), (2, 1, 2))).tolist()
    ((2, 3, 4), '[0:2, 0:3, 0:4]', [[[12, 13]]])
    """

    uri: str
    level: int = 0
    options: OpenOptions = field(default_factory=OpenOptions)
    region: Box | None = None
    _array: Array | None = field(default=None, repr=False, compare=False)

    @property
    def _source(self) -> Source:
        if self._array is not None:
            return open_array(self.uri, self._array, self.options)
        return opened(self.uri, self.level, self.options)

    @property
    def shape(self) -> Coord:
        """Extent, (z, y, x), voxels."""
        return self._source.shape if self.region is None else self.region.shape

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
        if self.region is not None:
            return self.region
        source = self._source
        return Box.from_shape(source.shape, source.voxel_offset)

    @property
    def voxel_size_nm(self) -> Vector:
        """Extent of a voxel, (z, y, x), nanometres."""
        return self.scale.voxel_size_nm

    @property
    def origin_nm(self) -> Vector:
        """Centre of voxel (0, 0, 0) of the volume coordinates, (z, y, x), nanometres."""
        return self.scale.origin_nm

    @property
    def scale(self) -> VoxelScale:
        """Where its voxels lie in physical space."""
        source, stated = self._source, self.options.voxel_size_nm
        known = stated is None or self.level == 0
        finest = source if known else replace(self, level=0, region=None)._source
        return stated_scale(source, finest, stated)

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
        """Write a box; what was there before is replaced, zeros included.

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

    def at_level(self, level: int) -> "Volume":
        """Give the same volume at another level; a cutout covers the same tissue there.

        Raises
        ------
        SourceError
            If there is no such level.
        GeometryError
            If the cutout holds no voxel of that level.
        """
        from volkit.io.cutout import same_tissue

        whole = replace(self, level=level, region=None)
        if self.region is None:
            whole._source.shape  # noqa: B018 (refuses a level that is not there)
            return whole
        return replace(whole, region=same_tissue(replace(self, region=None), self.region, whole))

    def cutout(
        self,
        box: Box | None = None,
        *,
        center_um: Vector | None = None,
        size_um: Vector | None = None,
        start_nm: Vector | None = None,
        stop_nm: Vector | None = None,
        level_0: Box | None = None,
    ) -> "Volume":
        """Give a part of the volume, lazily and in the same coordinates.

        Exactly one way of saying which part is given.  A physical range takes the voxels whose
        centres lie in it, so that ranges which touch share no voxel and leave none out, at every
        level.

        Parameters
        ----------
        box : Box or None
            Voxels of this level, volume coordinates.
        center_um, size_um : tuple of float or None
            Centre and extent, (z, y, x), micrometres.
        start_nm, stop_nm : tuple of float or None
            Corners, (z, y, x), nanometres.
        level_0 : Box or None
            Voxels of level 0, whatever the level of this handle.

        Returns
        -------
        Volume
            Whose ``domain`` is the part.

        Raises
        ------
        GeometryError
            If the part is empty at this level, or reaches over the volume.
        ConfigError
            If it is said in no way, or in several.

        Examples
        --------
        >>> from volkit.io import open_volume
        >>> volume = open_volume(np.zeros((8, 64, 64), np.uint8), voxel_size_nm=(40, 4, 4))
        >>> part = volume.cutout(center_um=(0.14, 0.126, 0.126), size_um=(0.08, 0.04, 0.04))
        >>> str(part.domain), part.read().shape
        ('[3:5, 27:37, 27:37]', (2, 10, 10))
        """
        from volkit.io.cutout import Part, find_box

        part = Part(box, center_um, size_um, start_nm, stop_nm, level_0)
        found = find_box(self, part)
        self._inside(self._source, found)
        return replace(self, region=found)

    def _repr_html_(self) -> str:
        """Show it in a notebook, with a picture of its coarsest level where that is cheap."""
        from volkit.io.shown_volume import shown_volume

        return shown_volume(self)

    def __dask_tokenize__(self) -> str:
        return self.identity if self.region is None else f"{self.identity}|{self.region}"

    def _inside(self, source: Source, box: Box | None) -> Box:
        domain = self.domain
        box = domain if box is None else box
        if not domain.contains(box):
            part = "" if self.region is None else "the cutout of "
            raise GeometryError(
                f"box {box} is outside {part}{self.uri}, which covers {domain}; choose a box "
                "within it"
            )
        return box.relative_to(Box.from_shape(source.shape, source.voxel_offset))
