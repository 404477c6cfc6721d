"""One stored zarr array, read and written as a volume."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, cast

import numpy as np
import zarr
from zarr.codecs import ShardingCodec

from volkit.errors import SourceError
from volkit.geometry import Box, Coord
from volkit.geometry.scale import Vector
from volkit.io.axes import Array, AxisOrder
from volkit.io.faults import CorruptPayloadError, patiently
from volkit.io.objects.protocol import open_objects
from volkit.io.sources import OpenOptions
from volkit.io.uris import local_path
from volkit.io.zarr.damage import DAMAGE, find_missing, read_by_chunks
from volkit.io.zarr.fast import FastArray, fast_array
from volkit.io.zarr.remote import box_begun
from volkit.io.zarr.store import Watch, watching

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
    options : OpenOptions
        What a chunk that is not stored means, and how the store is reached.
    """

    uri: str
    array: "zarr.Array[Any]"
    order: AxisOrder
    voxel_size_nm: Vector
    origin_nm: Vector
    voxel_offset: Coord
    levels: int
    attributes: Mapping[str, Any]
    options: OpenOptions

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
        any other by its place, and by the array's metadata and when they were written.  Levels
        that are added to its group leave it as it is.
        """
        own = self.attributes.get("volkit", {}).get("fingerprint")
        facts: list[object] = [own, self.array.path, self.array.metadata.to_dict()]
        if own is None:
            path = local_path(self.uri)
            facts += [str(path.resolve()) if path else self.uri, self._stamps()]
            facts += [self.voxel_size_nm, self.origin_nm, self.voxel_offset]
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
        values = None if self._fast is None else self._fast.read(stored)
        if values is None:  # which of them is wrong, zarr's own reader tells
            with _timed():
                values = self._read(box)
        return self.order.read_axes(values)

    def read_once(self, box: Box) -> Array:
        """Read a box in its stored order, without a second look where it is damaged.

        Raises
        ------
        MissingChunkError
            If a chunk is not stored and ``missing`` is ``error``.
        Exception
            Whatever a codec makes of damaged bytes.
        """
        with watching(self._watch(blind=False)) as watch:
            values = np.asarray(self.array[self.order.stored(box)])
        if self.options.missing == "error":
            find_missing(self, box, watch)
        return values

    def write(self, box: Box, values: Array) -> None:
        """Write a box of whole stored objects.

        Raises
        ------
        SourceError
            If the store is read-only, or a write fails, as on a full disk.
        """
        if self.array.read_only:
            raise SourceError(f"{self.uri} is read-only; write to a local path or an object store")
        stored, ordered = self.order.stored(box), self.order.write_axes(values)
        if self._fast is not None and self._fast.write(stored, ordered):
            return
        what = f"{self.uri}: writing voxels {box.shift(self.voxel_offset)}"

        def write(_: float) -> None:
            with watching(self._watch(blind=True)):
                self.array[stored] = ordered

        try:
            with _timed():
                patiently(write, patience=self.options.patience, what=what)
        except SourceError:
            raise
        except OSError as error:
            raise SourceError(
                f"{what} failed: {error}; what was written before is kept: make room or mend the "
                "store, and run again"
            ) from error

    def _read(self, box: Box) -> Array:
        try:
            return self.read_once(box)
        except DAMAGE as error:
            if isinstance(error, SourceError) and not isinstance(error, CorruptPayloadError):
                raise
            return read_by_chunks(self, box)

    @cached_property
    def _fast(self) -> FastArray | None:
        path = local_path(self.uri)
        if path is None:
            return None
        return fast_array(
            path / self.array.path,
            self.array.metadata.zarr_format,
            zeros=self.options.missing == "zero",
        )

    def _stamps(self) -> list[str | None]:
        """Tell when the array's metadata were written, as far as the store knows."""
        names = ("zarr.json",) if self.array.metadata.zarr_format == 3 else (".zarray", ".zattrs")
        objects = open_objects(self.uri, self.options)
        return [objects.modified(f"{self._prefix}{name}") for name in names]

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


@contextmanager
def _timed() -> Iterator[None]:
    """Let the deadline of all requests that follow begin now."""
    token = box_begun.set(time.monotonic())
    try:
        yield
    finally:
        box_begun.reset(token)
