"""Shards of precomputed layers: which chunks lie in one file, and how such a file is written.

A chunk's number interleaves the bits of its index, x first, leaving out bits that the grid does
not need ("compressed Morton code").  Its lowest bits choose the place inside a shard, the next ones
the shard; so a shard is a box of chunks, unless numbers are hashed.
"""

import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, prod
from typing import Any, Literal

import numpy as np

from volkit.errors import GeometryError
from volkit.geometry import Coord
from volkit.io.precomputed.packing import gzip

_TYPE = "neuroglancer_uint64_sharded_v1"
_INDEX_BITS = 9  # chunks of one minishard index: 512 of them take 12 kB


@dataclass(frozen=True, slots=True)
class Sharding:
    """What an info says of the shards of a scale.

    Parameters
    ----------
    preshift_bits, minishard_bits, shard_bits : int
        Bits of a chunk's number, lowest first: within a minishard, its minishard, its shard.
    hash : str
        What is done to the number first; ``identity`` is nothing.
    minishard_index_encoding, data_encoding : {"raw", "gzip"}
        How indices and chunks are stored.
    """

    preshift_bits: int
    minishard_bits: int
    shard_bits: int
    hash: str = "identity"
    minishard_index_encoding: Literal["raw", "gzip"] = "raw"
    data_encoding: Literal["raw", "gzip"] = "raw"

    def to_json(self) -> dict[str, Any]:
        """Give it as it stands in an info."""
        return {"@type": _TYPE, **{name: getattr(self, name) for name in self.__slots__}}

    def chunks(self, grid: Coord) -> Coord | None:
        """Give the box of chunks that a shard holds.

        Parameters
        ----------
        grid : tuple of int
            Number of chunks on each axis, (z, y, x).

        Returns
        -------
        tuple of int or None
            None where a shard holds no box, so that its voxels have no single writer.
        """
        axes = _axes(grid)
        within = self.preshift_bits + self.minishard_bits
        if self.shard_bits == 0:
            return _extent(axes)
        if len(axes) > within + self.shard_bits or self.hash != "identity":
            return None
        return _extent(axes[:within])

    def file(self, number: int) -> str:
        """Give the name of the shard that holds a chunk, by the chunk's number."""
        shard = (number >> (self.preshift_bits + self.minishard_bits)) & (
            (1 << self.shard_bits) - 1
        )
        return f"{shard:0{max(ceil(self.shard_bits / 4), 1)}x}.shard"


def sharding_of(
    shard_shape: Coord, chunk_shape: Coord, shape: Coord, *, compress: bool
) -> Sharding:
    """Choose the bits that make shards of a shape.

    Parameters
    ----------
    shard_shape, chunk_shape, shape : tuple of int
        Extents of a shard, a chunk and the volume, (z, y, x), voxels.
    compress : bool
        Whether chunks are gzipped in the shard.

    Raises
    ------
    GeometryError
        If shards of the format cannot have that shape; it names those that can.
    """
    grid = grid_of(shape, chunk_shape)
    axes = _axes(grid)
    wanted = [
        min((s // c - 1).bit_length(), (n - 1).bit_length())
        for s, c, n in zip(shard_shape, chunk_shape, grid, strict=True)
    ]
    bits = sum(wanted)
    counts = Counter(axes[:bits])
    if [counts[axis] for axis in range(3)] != wanted or not _doubled(
        shard_shape, chunk_shape, grid
    ):
        fitting = [_extent(axes[:n]) for n in range(1, min(len(axes), 9) + 1)]
        shapes = [tuple(a * b for a, b in zip(f, chunk_shape, strict=True)) for f in fitting]
        raise GeometryError(
            f"shards of {shard_shape} with chunks of {chunk_shape}: precomputed doubles a shard "
            f"along x, y and z in turn; choose a shard_shape among {', '.join(map(str, shapes))}, "
            "or the chunk_shape itself"
        )
    within = min(bits, _INDEX_BITS)
    return Sharding(
        within,
        bits - within,
        len(axes) - bits,
        minishard_index_encoding="gzip",
        data_encoding="gzip" if compress else "raw",
    )


def grid_of(shape: Coord, chunk_shape: Coord) -> Coord:
    """Count chunks on each axis."""
    z, y, x = (-(-n // c) for n, c in zip(shape, chunk_shape, strict=True))
    return z, y, x


def chunk_number(index: Coord, grid: Coord) -> int:
    """Give the number of a chunk by its index, both (z, y, x).

    Examples
    --------
    >>> chunk_number((1, 1, 2), (2, 2, 4)), chunk_number((0, 0, 3), (1, 1, 4))
    (14, 3)
    """
    number, taken = 0, [0, 0, 0]
    for place, axis in enumerate(_axes(grid)):
        number |= ((index[axis] >> taken[axis]) & 1) << place
        taken[axis] += 1
    return number


def pack_shard(chunks: Mapping[int, bytes], sharding: Sharding) -> bytes:
    """Make a shard of encoded chunks.

    Parameters
    ----------
    chunks : mapping
        Encoded chunks by their number.
    sharding : Sharding
        Without a hash.

    Returns
    -------
    bytes
        The file: where the index of each minishard lies, the chunks, these indices.
    """
    minishards: dict[int, list[int]] = {n: [] for n in range(1 << sharding.minishard_bits)}
    for number in sorted(chunks):
        place = (number >> sharding.preshift_bits) & ((1 << sharding.minishard_bits) - 1)
        minishards[place].append(number)
    parts: list[bytes] = []
    end, tables = 0, []
    for numbers in minishards.values():
        rows, last, stop = [], 0, 0
        for number in numbers:
            data = _encoded(chunks[number], sharding.data_encoding)
            rows.append((number - last, end - stop, len(data)))
            last, end = number, end + len(data)
            stop = end
            parts.append(data)
        tables.append(rows)
    index = []
    for rows in tables:
        raw = np.array(rows, "<u8").reshape(-1, 3).T.tobytes() if rows else b""
        data = _encoded(raw, sharding.minishard_index_encoding) if rows else b""
        index.append(struct.pack("<QQ", end, end + len(data)))
        parts.append(data)
        end += len(data)
    return b"".join(index + parts)


def _encoded(data: bytes, encoding: str) -> bytes:
    return gzip(data) if encoding == "gzip" else data


def _axes(grid: Coord) -> list[int]:
    """List the axis (0 is z) of each bit of a chunk's number, lowest first."""
    bits = [(n - 1).bit_length() for n in grid]
    return [axis for bit in range(max(bits, default=0)) for axis in (2, 1, 0) if bit < bits[axis]]


def _extent(axes: list[int]) -> Coord:
    counts = Counter(axes)
    return 1 << counts[0], 1 << counts[1], 1 << counts[2]


def _doubled(shard: Coord, chunk: Coord, grid: Coord) -> bool:
    """Tell whether a shard is 1, 2, 4 … chunks on each axis, or all of them."""
    counts = [s // c for s, c in zip(shard, chunk, strict=True)]
    return (
        all(n & (n - 1) == 0 or n >= g for n, g in zip(counts, grid, strict=True))
        and prod(counts) > 0
    )
