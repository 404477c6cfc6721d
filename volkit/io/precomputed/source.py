"""Neuroglancer precomputed layers as volumes."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from volkit.errors import SourceError
from volkit.geometry import Box, Coord
from volkit.geometry.scale import Vector
from volkit.io.array_source import check_level
from volkit.io.axes import Array
from volkit.io.precomputed.chunk_files import ChunkFiles, is_packed
from volkit.io.precomputed.codec import channel_axis, known_here, view_of
from volkit.io.precomputed.info import Info, Scale
from volkit.io.precomputed.kvstore import KeyValues, key_values
from volkit.io.precomputed.layer import layer_place, read_info
from volkit.io.precomputed.shard_files import ShardFiles
from volkit.io.precomputed.tensorstore_array import StoredArray
from volkit.io.sources import OpenOptions
from volkit.io.uris import local_path


class Reads(Protocol):
    """What reads boxes of a scale, in array coordinates."""

    def read(self, box: Box) -> Array:
        """Read a box."""


class Writes(Protocol):
    """What writes boxes of a scale, in array coordinates."""

    def write(self, box: Box, values: Array) -> None:
        """Write a box of whole stored objects."""


@dataclass(frozen=True, slots=True)
class PrecomputedSource:
    """One scale of a precomputed layer.

    Parameters
    ----------
    uri : str
        Where it lies.
    info : Info
        What the layer says of itself.
    scale : Scale
        Which scale.
    reader : Reads
        Of its voxels.
    writer : Writes or str
        Of its voxels, or why there is none.
    """

    uri: str
    info: Info
    scale: Scale
    reader: Reads
    writer: "Writes | str"

    @property
    def shape(self) -> Coord:
        """Extent, voxels."""
        return self.scale.shape

    @property
    def channels(self) -> int | None:
        """Number of channels; None where there is one, unless it was made here with an axis."""
        return channel_axis(self.info)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel."""
        return self.info.dtype

    @property
    def chunk_shape(self) -> Coord:
        """Extent of a chunk."""
        return self.scale.chunk_shape

    @property
    def write_shape(self) -> Coord:
        """Extent of a shard, or of a chunk where there are no shards."""
        return written_shape(self.scale)

    @property
    def voxel_size_nm(self) -> Vector:
        """Extent of a voxel, nanometres."""
        return self.scale.voxel_size_nm

    @property
    def origin_nm(self) -> Vector:
        """Centre of the first voxel, nanometres; that of voxel (0, 0, 0) of the finest is 0."""
        z, y, x = (
            round(own + (size - finest) / 2 + offset * size, 6)
            for own, size, finest, offset in zip(
                own_origin(self.info),
                self.scale.voxel_size_nm,
                self.info.scales[0].voxel_size_nm,
                self.scale.voxel_offset,
                strict=True,
            )
        )
        return z, y, x

    @property
    def voxel_offset(self) -> Coord:
        """Volume coordinates of the first voxel."""
        return self.scale.voxel_offset

    @property
    def levels(self) -> int:
        """Number of scales."""
        return len(self.info.scales)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The info, with ``scale`` for this scale instead of all of them."""
        stated = {k: v for k, v in self.info.stated.items() if k != "scales"}
        return {**stated, "scale": self.info.stated["scales"][self.scale.place]}

    def identity(self) -> str:
        """Digest what decides the content, without reading it.

        A layer that a job made is known by the fingerprint of its computation, wherever it lies;
        one made here by its place and when it was created; any other by its place, its info, and
        when a local info was written.
        """
        own, said = self.info.own, self.info.stated
        place = local_path(self.uri)
        where = self.uri if place is None else str(place.resolve())
        facts: list[object] = [said["scales"][self.scale.place], said["data_type"]]
        if own.get("fingerprint"):
            facts.append(own["fingerprint"])
        elif own.get("created"):
            facts += [where, own["created"]]
        else:
            facts += [where, said]
            if place is not None and (place / "info").exists():
                facts.append((place / "info").stat().st_mtime_ns)
        text = json.dumps(facts, sort_keys=True)
        return f"precomputed:{hashlib.sha256(text.encode()).hexdigest()}"

    def read(self, box: Box) -> Array:
        """Read a box.

        Raises
        ------
        MissingChunkError
            If a chunk is not stored and ``missing`` is ``error``.
        SourceError
            If a chunk is damaged, or the store keeps failing.
        """
        return self.reader.read(box)

    def write(self, box: Box, values: Array) -> None:
        """Write a box of whole chunks, or shards.

        Raises
        ------
        SourceError
            If the layer is read-only, or the write fails.
        """
        if isinstance(self.writer, str):
            raise SourceError(
                f"{self.uri} is read-only: {self.writer}; write to a layer that volkit created"
            )
        self.writer.write(box, values)


def open_precomputed(uri: str, level: int, options: OpenOptions) -> PrecomputedSource:
    """Open a scale of a Neuroglancer precomputed layer.

    Parameters
    ----------
    uri : str
        ``precomputed://`` before ``gs://bucket/path``, ``s3://bucket/path`` (with ``endpoint`` and
        ``region`` behind a question mark), ``https://host/path``, ``file:///path`` or a local
        path; a local path alone where it holds an ``info``.
    level : int
        0 is the finest.
    options : OpenOptions
        Credentials, patience, and what missing chunks mean.

    Raises
    ------
    SourceError
        If there is no layer, it cannot be understood, or has no such scale.
    MissingExtraError
        If its encoding needs cloud-volume, which is not installed.
    """
    place = layer_place(uri)
    if options.axes is not None:
        raise SourceError(f"{uri} knows its axes; open it without axes={options.axes!r}")
    keys = key_values(place, options)
    info = read_info(place, options)
    check_level(uri, level, len(info.scales))
    scale = info.scales[level]
    return PrecomputedSource(place, info, scale, *_access(keys, info, scale, options))


def written_shape(scale: Scale) -> Coord:
    """Give the extent of a stored object in voxels, as far as it is a box."""
    held = None if scale.sharding is None else scale.sharding.chunks(scale.grid)
    z, y, x = (a * b for a, b in zip(held or (1, 1, 1), scale.chunk_shape, strict=True))
    return z, y, x


def own_origin(info: Info) -> Vector:
    """Give the origin that a layer was made with here; 0 where it was not."""
    z, y, x = (float(v) for v in info.own.get("origin_nm", (0, 0, 0)))
    return z, y, x


def _access(
    keys: KeyValues, info: Info, scale: Scale, options: OpenOptions
) -> tuple[Reads, "Writes | str"]:
    """Choose what reads and what writes a scale."""
    place = keys.uri
    shards = None if scale.sharding is None else ShardFiles(place, info, scale, keys, options)
    if not known_here(info, scale):
        unknown = f"its {info.dtype} voxels as {scale.encoding} are read only"
        return ChunkFiles(place, info, scale, options, shards), unknown
    if shards is None and _packed(place, scale):
        packed = "its chunks are compressed files, which other programs than cloud-volume miss"
        return ChunkFiles(place, info, scale, options, shards), packed
    array = _array(keys, info, scale, options, shards)
    if not keys.writes:
        return array, "it is reached over http"
    if shards is None:
        return array, array
    boxes = shards.sharding.chunks(scale.grid) is not None and shards.sharding.hash == "identity"
    return array, shards if boxes else "its shards hold no boxes, so that no block has its own"


def _array(
    keys: KeyValues, info: Info, scale: Scale, options: OpenOptions, shards: ShardFiles | None
) -> StoredArray:
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": keys.spec,
        "scale_index": scale.place,
        "store_data_equal_to_fill_value": True,
    }
    if keys.remote or options.missing == "error":  # remote absence is made sure of first
        spec["fill_missing_data_reads"] = False
    return StoredArray(
        uri=keys.uri,
        spec=spec,
        context=keys.context,
        view=view_of(info),
        shape=scale.shape,
        chunk_shape=scale.chunk_shape,
        channels=channel_axis(info),
        dtype=info.dtype,
        voxel_offset=scale.voxel_offset,
        remote=keys.remote,
        missing=options.missing,
        patience=options.patience,
        single=shards,
    )


def _packed(place: str, scale: Scale) -> bool:
    path = local_path(place)
    return path is not None and is_packed(path / scale.key)
