"""Zarr: versions 2 and 3, sharded or not, alone or as levels of an OME-Zarr multiscale."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr
import zarr.errors
from zarr.codecs import ShardingCodec

from volkit.errors import SourceError
from volkit.geometry import Box, Coord, coord
from volkit.geometry.scale import Vector
from volkit.io.array_source import check_level, ordered_size, stated_axes, voxel_dtype
from volkit.io.axes import Array, AxisOrder
from volkit.io.sources import OpenOptions
from volkit.io.uris import local_path
from volkit.io.zarr.damage import DAMAGE, find_damage, find_missing
from volkit.io.zarr.ome import Level, multiscale, read_levels
from volkit.io.zarr.store import Watch, open_store, watching

# Empty chunks are stored, so that one that is not there means not done.
_CONFIG: Any = {"write_empty_chunks": True}
_INDEX_CODECS = {"bytes": 0, "crc32c": 4}  # what each adds to the size of a shard's index


@dataclass(frozen=True)
class ZarrSource:
    """One zarr array, understood as a volume.

    Parameters
    ----------
    uri : str
        Where it lies.
    array : zarr.Array
        The stored voxels.
    order : AxisOrder
        How its axes map to (c) z y x.
    voxel_size_nm, origin_nm : tuple of float
        Extent of a voxel and centre of the first one, (z, y, x).
    voxel_offset : tuple of int
        Volume coordinates of the first voxel.
    levels : int
        Number of levels of its multiscale.
    attributes : mapping
        Of the group, or of the array where there is no group.
    missing : {"error", "zero"}
        What a chunk that is not stored means.
    """

    uri: str
    array: "zarr.Array[Any]"
    order: AxisOrder
    voxel_size_nm: Vector
    origin_nm: Vector
    voxel_offset: Coord
    levels: int
    attributes: Mapping[str, Any]
    missing: str

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
        return np.dtype(self.array.dtype).newbyteorder("=")

    @property
    def chunk_shape(self) -> Coord:
        """Extent of a chunk, or of an inner chunk of a shard."""
        return self.order.pick(self.array.chunks)

    @property
    def write_shape(self) -> Coord:
        """Extent of a shard, or of a chunk where there are no shards."""
        return self.order.pick(self.array.shards or self.array.chunks)

    def identity(self) -> str:
        """Digest what decides the content, without reading it.

        A volume that a job made is known by the fingerprint of its computation, wherever it lies;
        any other by its place, its metadata, and when these were written.
        """
        own = self.attributes.get("volkit", {}).get("fingerprint")
        facts: list[object] = [own, self.array.path, self.array.metadata.to_dict()]
        if own is None:
            path = local_path(self.uri)
            facts += [str(path.resolve()) if path else self.uri, _stamps(path, self.array.path)]
        text = json.dumps(facts, sort_keys=True, default=str)
        return f"zarr:{hashlib.sha256(text.encode()).hexdigest()}"

    def read(self, box: Box) -> Array:
        """Read a box.

        Raises
        ------
        MissingChunkError
            If a chunk is not stored and ``missing`` is ``error``.
        SourceError
            If a chunk is damaged, or cannot be fetched.
        """
        stored = self.order.stored(box)
        try:
            with watching(self._watch(blind=False)) as watch:
                values = np.asarray(self.array[stored])
        except DAMAGE as error:
            raise find_damage(self, box, error) from error
        if self.missing == "error":
            find_missing(self, box, watch)
        return self.order.read_axes(values)

    def write(self, box: Box, values: Array) -> None:
        """Write a box of whole stored objects.

        Raises
        ------
        SourceError
            If the store is read-only, or a write fails, as on a full disk.
        """
        if self.array.read_only:
            raise SourceError(f"{self.uri} is read-only; write to a local path or an object store")
        try:
            with watching(self._watch(blind=True)):
                self.array[self.order.stored(box)] = self.order.write_axes(values)
        except OSError as error:
            raise SourceError(
                f"{self.uri}: writing voxels {box.shift(self.voxel_offset)} failed: {error}; "
                "what was written before is kept: make room or mend the store, and run again"
            ) from error

    def _watch(self, *, blind: bool) -> Watch:
        n, first = self._shard_index
        return Watch(self._prefix, index_bytes=n, index_first=first, blind=blind)

    @cached_property
    def _prefix(self) -> str:
        return f"{self.array.path}/" if self.array.path else ""

    @cached_property
    def _shard_index(self) -> tuple[int, bool]:
        """Size of a shard's index in bytes, 0 where it is not understood, and its place."""
        codecs: tuple[Any, ...] = getattr(self.array.metadata, "codecs", ())
        if len(codecs) != 1 or not isinstance(codecs[0], ShardingCodec):
            return 0, False
        names = [codec.to_dict()["name"] for codec in codecs[0].index_codecs]
        if not set(names) <= set(_INDEX_CODECS):
            return 0, False
        outer = cast("tuple[int, ...]", self.array.shards)
        inner = prod(s // c for s, c in zip(outer, self.array.chunks, strict=True))
        extra = sum(_INDEX_CODECS[cast("str", name)] for name in names)
        return 16 * inner + extra, codecs[0].index_location.value == "start"


def open_zarr(uri: str, level: int, options: OpenOptions) -> ZarrSource:
    """Open a zarr array, or a level of a multiscale.

    Raises
    ------
    SourceError
        If there is no zarr, its axes are not those of a volume, or it has no such level.
    """
    node = _open_node(uri)
    attributes = dict(node.attrs)
    if isinstance(node, zarr.Array):
        return _plain(uri, node, attributes, level, options)
    image = multiscale(attributes)
    if image is None:
        inside = sorted(key for key, _ in node.members()) if node.store.supports_listing else []
        raise SourceError(
            f"{uri} is a zarr group without multiscales; name what is inside it: "
            f"{', '.join(f'{uri}/{key}' for key in inside) or 'it is empty'}"
        )
    levels = read_levels(image, uri=uri)
    check_level(uri, level, len(levels))
    return _of_level(uri, node, levels, level, options)


def _open_node(uri: str) -> Any:
    with _understanding(uri):
        store = open_store(uri)
        return zarr.open(store=store, mode="r" if store.read_only else "r+")


@contextmanager
def _understanding(uri: str) -> Iterator[None]:
    """Say which volume it is whose metadata is missing or damaged."""
    try:
        yield
    except (FileNotFoundError, zarr.errors.NodeNotFoundError) as error:
        raise SourceError(f"{uri} holds no zarr array or group; check the path") from error
    except (ValueError, TypeError, OSError) as error:
        raise SourceError(
            f"{uri}: its zarr metadata cannot be read ({error}); restore it, or write it again"
        ) from error


def _of_level(
    uri: str, group: Any, levels: tuple[Level, ...], level: int, options: OpenOptions
) -> ZarrSource:
    this = levels[level]
    try:
        with _understanding(uri):
            array = group[this.path]
    except KeyError:
        raise SourceError(
            f"{uri}: its metadata lists level {level} at {this.path!r}, which is not there; "
            "restore the array, or choose another level"
        ) from None
    stated_axes(uri, this.axes, options)
    voxel_dtype(uri, array.dtype)
    attributes = dict(group.attrs)
    own = dict(array.attrs).get("volkit") or (attributes.get("volkit", {}) if level == 0 else {})
    order = AxisOrder.understand(
        this.axes, array.shape, uri=uri, keep_channel="volkit" in attributes
    )
    return ZarrSource(
        uri=uri,
        array=array.with_config(_CONFIG),
        order=order,
        voxel_size_nm=order.pick(this.scale_nm),
        origin_nm=order.pick(this.translation_nm),
        voxel_offset=_offset(own),
        levels=len(levels),
        attributes=attributes,
        missing=options.missing,
    )


def _plain(
    uri: str, array: Any, attributes: dict[str, Any], level: int, options: OpenOptions
) -> ZarrSource:
    """Understand an array alone; it may be one level of a multiscale in the folder above."""
    above = _level_above(uri)
    if above is not None:
        return open_zarr(above[0], above[1], options)
    check_level(uri, level, 1)
    said = (
        getattr(array.metadata, "dimension_names", None)
        or attributes.get("_ARRAY_DIMENSIONS")
        or attributes.get("axes")
    )
    voxel_dtype(uri, array.dtype)
    order = AxisOrder.understand(stated_axes(uri, said, options), array.shape, uri=uri)
    return ZarrSource(
        uri=uri,
        array=array.with_config(_CONFIG),
        order=order,
        voxel_size_nm=ordered_size(uri, attributes, order),
        origin_nm=(0.0, 0.0, 0.0),
        voxel_offset=_offset(attributes.get("volkit", {})),
        levels=1,
        attributes=attributes,
        missing=options.missing,
    )


def _level_above(uri: str) -> tuple[str, int] | None:
    """Find the multiscale, and the level of it, that a local array belongs to."""
    path = local_path(uri)
    if path is None or not any((path.parent / f).exists() for f in ("zarr.json", ".zgroup")):
        return None
    image = multiscale(dict(_open_node(str(path.parent)).attrs))
    paths = [x.path for x in read_levels(image, uri=uri)] if image else []
    return (str(path.parent), paths.index(path.name)) if path.name in paths else None


def _offset(own: Mapping[str, Any]) -> Coord:
    return coord(own.get("voxel_offset", (0, 0, 0)), name="voxel_offset")


def _stamps(path: Path | None, inside: str) -> list[int]:
    if path is None:
        return []
    files = [p / f for p in (path, path / inside) for f in ("zarr.json", ".zarray", ".zattrs")]
    return [f.stat().st_mtime_ns for f in files if f.exists()]
