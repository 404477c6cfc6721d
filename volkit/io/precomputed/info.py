"""The info of a precomputed layer: what it says, checked, in (z, y, x)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from volkit.errors import SourceError
from volkit.geometry import Coord
from volkit.geometry.scale import Vector
from volkit.io.faults import CorruptPayloadError
from volkit.io.precomputed.shards import Sharding, grid_of

_VOLUME = "neuroglancer_multiscale_volume"
_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
_MOST_BITS = 64
DTYPES = (*_TYPES, "float32", "float64", "bool")


@dataclass(frozen=True, slots=True)
class Scale:
    """One scale.

    Parameters
    ----------
    place : int
        Among the scales of the info.
    key : str
        Folder of its chunks.
    shape, voxel_offset, chunk_shape : tuple of int
        Extent, volume coordinates of the first voxel, extent of a chunk; (z, y, x), voxels.
    voxel_size_nm : tuple of float
        Extent of a voxel, (z, y, x), nanometres.
    encoding : str
        Of a chunk.
    sharding : Sharding or None
        How chunks lie in files; None where each has its own.
    """

    place: int
    key: str
    shape: Coord
    voxel_offset: Coord
    chunk_shape: Coord
    voxel_size_nm: Vector
    encoding: str
    sharding: Sharding | None

    @property
    def grid(self) -> Coord:
        """Number of chunks on each axis."""
        return grid_of(self.shape, self.chunk_shape)

    def chunk_key(self, index: Coord) -> str:
        """Give the key of a chunk that has its own object."""
        spans = []
        for i, n, extent, offset in zip(
            index, self.chunk_shape, self.shape, self.voxel_offset, strict=True
        ):
            spans.append(f"{i * n + offset}-{min((i + 1) * n, extent) + offset}")
        return f"{self.key}/{'_'.join(reversed(spans))}"


@dataclass(frozen=True, slots=True)
class Info:
    """What a layer says of itself.

    Parameters
    ----------
    scales : tuple of Scale
        Finest first.
    dtype : dtype
        Of a voxel.
    channels : int
        1 or more.
    stated : mapping
        All of it, as JSON.
    """

    scales: tuple[Scale, ...]
    dtype: np.dtype[Any]
    channels: int
    stated: Mapping[str, Any]

    @property
    def own(self) -> Mapping[str, Any]:
        """What volkit wrote beside what the format asks for."""
        found = self.stated.get("volkit")
        return found if isinstance(found, Mapping) else {}


def parse_info(data: bytes, *, uri: str) -> Info:
    """Understand an info.

    Parameters
    ----------
    data : bytes
        Of the file.
    uri : str
        Which layer, for messages.

    Raises
    ------
    SourceError
        If it is no JSON, of something else than a volume, or says something impossible.
    """
    try:
        stated = json.loads(data)
    except ValueError as error:
        raise CorruptPayloadError(
            f"{uri}: its info is no JSON ({error}; it begins {data[:40]!r}); check the address, or "
            "restore the file"
        ) from error
    if not isinstance(stated, dict) or stated.get("@type", _VOLUME) != _VOLUME:
        found = stated.get("@type") if isinstance(stated, dict) else type(stated).__name__
        raise SourceError(f"{uri} holds {found!r}, not a volume; name the layer that it belongs to")
    dtype = _one(stated, "data_type", uri, lambda v: str(v).lower())
    if dtype not in DTYPES:
        raise SourceError(f"{uri}: its data_type is {dtype!r}; known are {', '.join(DTYPES)}")
    channels = _one(stated, "num_channels", uri, int)
    scales = _one(stated, "scales", uri, list)
    if not scales or channels < 1:
        raise SourceError(
            f"{uri}: its info has {len(scales)} scales and {channels} channels; it needs one of "
            "each at least"
        )
    parsed = [_scale(i, s, f"{uri}: scale {i} of its info", uri) for i, s in enumerate(scales)]
    parsed.sort(key=lambda s: float(np.prod(s.voxel_size_nm)))
    return Info(tuple(parsed), np.dtype(dtype), channels, stated)


def _scale(place: int, said: Any, what: str, uri: str) -> Scale:
    if not isinstance(said, Mapping):
        raise SourceError(f"{what} is {said!r}; expected an object: mend it")
    chunks = said.get("chunk_sizes")
    first = chunks[0] if isinstance(chunks, Sequence) and chunks else chunks
    return Scale(
        place=place,
        key=_one(said, "key", uri, str),
        shape=_voxels(said.get("size"), f"{what}: size", least=1),
        voxel_offset=_voxels(said.get("voxel_offset") or (0, 0, 0), f"{what}: voxel_offset"),
        chunk_shape=_voxels(first, f"{what}: chunk_sizes", least=1),
        voxel_size_nm=_lengths(said.get("resolution"), f"{what}: resolution"),
        encoding=_one(said, "encoding", uri, str),
        sharding=_sharding(said.get("sharding"), what),
    )


def _sharding(said: Any, what: str) -> Sharding | None:
    if said is None:
        return None
    try:
        found = Sharding(
            int(said["preshift_bits"]),
            int(said["minishard_bits"]),
            int(said["shard_bits"]),
            str(said["hash"]),
            said.get("minishard_index_encoding", "raw"),
            said.get("data_encoding", "raw"),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SourceError(f"{what}: sharding {said!r} is not understood; mend it") from error
    bits = (found.preshift_bits, found.minishard_bits, found.shard_bits)
    words = (found.minishard_index_encoding, found.data_encoding)
    if (
        min(bits) < 0
        or max(bits[0], sum(bits[1:])) > _MOST_BITS
        or found.hash not in ("identity", "murmurhash3_x86_128")
        or not set(words) <= {"raw", "gzip"}
    ):
        raise SourceError(f"{what}: sharding {said!r} is not of the format; mend it")
    return found


def _voxels(xyz: Any, what: str, *, least: int | None = None) -> Coord:
    try:
        x, y, z = (int(v) for v in xyz)
        exact = [x, y, z] == list(xyz)
    except (TypeError, ValueError, OverflowError):
        exact = False
    if not exact or (least is not None and min(x, y, z) < least):
        more = "" if least is None else f" of {least} or more"
        raise SourceError(
            f"{what} is {xyz!r}; expected three whole numbers{more}, x, y and z: mend it"
        )
    return z, y, x


def _lengths(xyz: Any, what: str) -> Vector:
    try:
        x, y, z = (float(v) for v in xyz)
        good = all(0 < v < float("inf") for v in (x, y, z))
    except (TypeError, ValueError):
        good = False
    if not good:
        raise SourceError(
            f"{what} is {xyz!r}; expected three positive lengths, x, y and z, in nm: mend it"
        )
    return z, y, x


def _one(said: Mapping[str, Any], name: str, uri: str, kind: Any) -> Any:
    try:
        return kind(said[name])
    except (KeyError, TypeError, ValueError):
        raise SourceError(
            f"{uri}: its info has {name} {said.get(name)!r}, which is not understood; mend it"
        ) from None
