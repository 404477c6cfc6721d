"""Chunks fetched one by one and decoded here: what tensorstore alone would miss or not understand.

Cloud-volume writes local chunks as ``name.gz`` or ``name.br``, which tensorstore takes for missing,
and knows encodings that tensorstore does not.
"""

import importlib
import os
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np

from volkit.errors import MissingExtraError, missing_extra
from volkit.geometry import Box, Coord
from volkit.io.axes import Array
from volkit.io.faults import CorruptPayloadError, brief, patiently
from volkit.io.objects.protocol import Objects, open_objects
from volkit.io.precomputed.codec import channel_axis, decode_chunks, known_here
from volkit.io.precomputed.failures import missing_chunk
from volkit.io.precomputed.info import Info, Scale
from volkit.io.precomputed.packing import PACKED, is_gzip, unpack
from volkit.io.precomputed.shard_files import ShardFiles
from volkit.io.sources import OpenOptions
from volkit.io.uris import local_path

_LOOKED_AT = 64  # names in the folder of a scale
_THREADS = 4  # fetch and unpack chunks of one box; the engine reads several boxes at once
_HOME = "CLOUD_VOLUME_DIR"
# What decoders of many origins raise for bytes that they cannot take.
_DAMAGE = (
    ValueError,
    RuntimeError,
    TypeError,
    IndexError,
    AttributeError,
    OSError,
    EOFError,
    struct.error,
)


def is_packed(folder: Path) -> bool:
    """Tell whether chunks in a folder are stored as compressed files."""
    try:
        with os.scandir(folder) as found:
            return any(Path(f.name).suffix in PACKED for f in islice(found, _LOOKED_AT))
    except (FileNotFoundError, NotADirectoryError):
        return False


@dataclass(frozen=True)
class ChunkFiles:
    """The chunks of a scale, fetched and decoded one by one.

    Parameters
    ----------
    uri : str
        Of the layer.
    info, scale : Info, Scale
        What it says of itself.
    options : OpenOptions
        How it is reached, and what missing chunks mean.
    shards : ShardFiles or None
        Where chunks lie in shards.

    Raises
    ------
    MissingExtraError
        If the encoding needs cloud-volume, which is not installed.
    """

    uri: str
    info: Info
    scale: Scale
    options: OpenOptions = field(repr=False)
    shards: ShardFiles | None = field(repr=False)

    def __post_init__(self) -> None:
        if not known_here(self.info, self.scale):
            _cloud_codecs()

    def read(self, box: Box) -> Array:
        """Read a box.

        Raises
        ------
        MissingChunkError
            If a chunk is not stored and ``missing`` is ``error``.
        SourceError
            If a chunk is damaged, or the store keeps failing.
        """
        if known_here(self.info, self.scale):
            found = {index: data for index, _, data in self._chunks(box)}
            try:
                return decode_chunks(self.info, self.scale, box, found)
            except ValueError:
                for index, piece, data in self._chunks(box):
                    self._decoded(index, piece, data)
                raise
        axis = channel_axis(self.info)
        values = np.zeros((self.info.channels, *box.shape), self.info.dtype)
        for index, piece, data in self._chunks(box):
            values[(..., *piece.relative_to(box).slices)] = self._decoded(index, piece, data)
        return values if axis is not None else values[0]

    def _chunks(self, box: Box) -> Iterator[tuple[Coord, Box, bytes]]:
        """Iterate the chunks of a box that are stored: index, the part that is wanted, bytes."""
        indices: list[Coord] = [(z, y, x) for z, y, x in product(*self._ranges(box))]
        with ThreadPoolExecutor(min(len(indices), _THREADS)) as pool:
            found = pool.map(self._fetch, indices)
            for index, data in zip(indices, found, strict=True):
                if data is not None:
                    yield index, self._held(index).intersect(box), data
                elif self.options.missing == "error":
                    raise missing_chunk(self.uri, self._where(index))

    def _ranges(self, box: Box) -> list[range]:
        steps = zip(box.start, box.stop, self.scale.chunk_shape, strict=True)
        return [range(a // n, -(-b // n)) for a, b, n in steps]

    def _held(self, index: Coord) -> Box:
        """Give the voxels of a chunk, array coordinates."""
        corner = tuple(i * n for i, n in zip(index, self.scale.chunk_shape, strict=True))
        whole = Box.from_shape(self.scale.shape)
        return Box.from_shape(self.scale.chunk_shape, corner).intersect(whole)

    def _where(self, index: Coord) -> str:
        held = self._held(index).shift(self.scale.voxel_offset)
        return f"chunk {index} (z, y, x), voxels {held}"

    def _fetch(self, index: Coord) -> bytes | None:
        """Fetch an encoded chunk, unpacked."""
        what = f"{self.uri}: reading {self._where(index)}"
        shards = self.shards
        if shards is not None:
            return patiently(
                lambda left: _or_raised(shards.fetched([index], left)[0]),
                patience=self.options.patience,
                what=what,
            )
        key = self.scale.chunk_key(index)
        for suffix in ("", *PACKED) if self._local else ("",):
            data = self._objects.get(key + suffix)
            if data is not None:
                return self._unpacked(index, data, suffix)
        return None

    def _unpacked(self, index: Coord, data: bytes, suffix: str) -> bytes:
        if not suffix and not known_here(self.info, self.scale) and is_gzip(data):
            suffix = ".gz"  # which not every store undoes
        try:
            plain = unpack(data, suffix) if suffix else data
        except ValueError as error:
            raise self._damaged(index, error) from error
        if not plain:
            raise self._damaged(index, ValueError("it is empty"))
        return plain

    def _decoded(self, index: Coord, piece: Box, data: bytes) -> Array:
        """Decode the wanted part of a chunk, axes (c, z, y, x) where cloud-volume decodes."""
        if known_here(self.info, self.scale):
            try:
                return decode_chunks(self.info, self.scale, piece, {index: data})
            except ValueError as error:
                raise self._damaged(index, error) from error
        held = self._held(index)
        said = self.info.stated["scales"][self.scale.place]
        try:
            whole = _cloud_codecs().decode(
                data,
                self.scale.encoding,
                shape=(*reversed(held.shape), self.info.channels),
                dtype=self.info.dtype,
                block_size=said.get("compressed_segmentation_block_size"),
            )
            turned = np.asarray(whole).T.reshape(self.info.channels, *held.shape)
        except ImportError as error:
            raise MissingExtraError(
                f"{self.uri} is stored as {self.scale.encoding}: {error}"
            ) from error
        except _DAMAGE as error:
            raise self._damaged(index, error) from error
        part: Array = turned[(..., *piece.relative_to(held).slices)]
        return part

    def _damaged(self, index: Coord, error: Exception) -> CorruptPayloadError:
        return CorruptPayloadError(
            f"{self.uri}: {self._where(index)}, is damaged: {brief(error)}; restore it from a "
            "copy, or write it again"
        )

    @cached_property
    def _objects(self) -> Objects:
        return open_objects(self.uri, self.options)

    @cached_property
    def _local(self) -> bool:
        return local_path(self.uri) is not None


def _or_raised(found: bytes | Exception | None) -> bytes | None:
    if isinstance(found, Exception):
        raise found
    return found


@cache
def _cloud_codecs() -> Any:
    """Import the codecs of cloud-volume, keeping it from making a folder in the user's home."""
    spared = _HOME not in os.environ and not (Path.home() / ".cloudvolume").exists()
    if spared:
        os.environ[_HOME] = str(Path.home())
    try:
        return importlib.import_module("cloudvolume.chunks")
    except ImportError as error:
        raise missing_extra("cloud-volume", "precomputed") from error
    finally:
        if spared:
            del os.environ[_HOME]
