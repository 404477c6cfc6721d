"""Zarr chunks that are missing or damaged: finding out which one, once something is wrong."""

import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from volkit.errors import MissingChunkError, SourceError
from volkit.geometry import Box, Coord
from volkit.io.axes import Array
from volkit.io.faults import (
    CorruptPayloadError,
    Fault,
    Patience,
    brief,
    classify,
    patiently,
)
from volkit.io.uris import local_path
from volkit.io.zarr.store import Watch

if TYPE_CHECKING:
    from volkit.io.zarr.array import ZarrSource

# What codecs and stores raise for bytes that they cannot take; they share no base class.
DAMAGE = (OSError, RuntimeError, ValueError, TypeError, KeyError, zlib.error)

_AT_A_TIME = 8  # chunks of a remote store
_AT_ONCE: dict[str, Any] = {"first_wait_seconds": 0.001, "most_wait_seconds": 0.001}

_ABSENT = np.uint64(2**64 - 1)  # offset of an inner chunk that its shard does not hold


def find_missing(source: "ZarrSource", box: Box, watch: Watch) -> None:
    """Refuse a box of which a chunk, or an inner chunk of a shard, is not stored.

    Parameters
    ----------
    source : ZarrSource
        What was read.
    box : Box
        The box that was read, array coordinates.
    watch : Watch
        What the store answered meanwhile.

    Raises
    ------
    MissingChunkError
        Naming the first such chunk and the voxels that it should hold.
    """
    array = source.array
    outer = array.shards or array.chunks
    absent: list[tuple[int, ...]] = [  # first voxels of missing chunks, stored order
        tuple(i * n for i, n in zip(_index(source, key), outer, strict=True))
        for key in watch.missing
    ]
    extent = outer
    if not absent and watch.indices:
        extent = array.chunks
        for key, raw in watch.indices.items():
            corner = [i * n for i, n in zip(_index(source, key), outer, strict=True)]
            absent += _absent_inside(source, raw, corner, box)
    if absent:
        absent.sort()
        raise _missing(source, absent[0], extent, len(absent), box)


def _absent_inside(
    source: "ZarrSource", raw: bytes, corner: list[int], box: Box
) -> list[tuple[int, ...]]:
    """List the first voxels of inner chunks that a shard's index lacks and the box needs."""
    array = source.array
    counts = [s // c for s, c in zip(array.shards or (), array.chunks, strict=True)]
    index = np.frombuffer(raw, "<u8", count=2 * int(np.prod(counts))).reshape(*counts, 2)
    if not (index[..., 0] == _ABSENT).any():
        return []
    inner = np.array(array.chunks)
    starts = np.argwhere(index[..., 0] == _ABSENT) * inner + np.array(corner)
    wanted = source.order.stored(box)
    lower, upper = np.array([s.start for s in wanted]), np.array([s.stop for s in wanted])
    needed = ((starts < upper) & (starts + inner > lower)).all(axis=1)
    return [tuple(map(int, start)) for start in starts[needed]]


def _missing(
    source: "ZarrSource", start: tuple[int, ...], extent: tuple[int, ...], n: int, box: Box
) -> MissingChunkError:
    chunk = tuple(a // b for a, b in zip(start, extent, strict=True))
    held = _box(source, source.order.pick(start), source.order.pick(extent))
    many = f" and {n - 1} more are" if n > 1 else " is"
    advice = (
        "volkit stores every chunk, so this one is not done or was lost: run its job again"
        if "volkit" in source.attributes
        else "zarr leaves out empty chunks by default; if that is so here, open the volume with "
        "missing='zero' (in a workflow: input.missing=zero)"
    )
    return MissingChunkError(
        f"{source.uri}: chunk {chunk} of array {source.array.path or '/'!r}, voxels {held},"
        f"{many} not stored; box {box.shift(source.voxel_offset)} needs it. {advice}"
    )


def read_by_chunks(source: "ZarrSource", box: Box) -> Array:
    """Read a box whose reading failed chunk by chunk, each three times where it is damaged.

    What a network garbled is mended by that; what is stored damaged is named.

    Parameters
    ----------
    source : ZarrSource
        What is read.
    box : Box
        Array coordinates.

    Returns
    -------
    ndarray
        In stored order.

    Raises
    ------
    SourceError
        If a chunk stays damaged, or cannot be fetched.
    """
    extent = source.chunk_shape
    ranges = [
        range(a // n, -(-b // n)) for a, b, n in zip(box.start, box.stop, extent, strict=True)
    ]
    slices = source.order.stored(box)
    first = [s.start for s in slices]
    whole = np.empty([s.stop - s.start for s in slices], source.dtype)
    local = local_path(source.uri) is not None
    patience = replace(source.options.patience, **(_AT_ONCE if local else {}))

    def fill(index: tuple[int, ...]) -> None:
        part = _chunk_box(source, index).intersect(box)
        held = source.order.stored(part)
        at = tuple(slice(s.start - a, s.stop - a) for s, a in zip(held, first, strict=True))
        whole[at] = _read_chunk(source, index, part, patience)

    context = copy_context()
    with ThreadPoolExecutor(1 if local else _AT_A_TIME) as pool:
        for _ in pool.map(lambda index: context.copy().run(fill, index), product(*ranges)):
            pass
    return whole


def _read_chunk(
    source: "ZarrSource", index: tuple[int, ...], part: Box, patience: Patience
) -> Array:
    held = _chunk_box(source, index).shift(source.voxel_offset)
    local = local_path(source.uri) is not None
    name = (
        f"{source.uri}: chunk {index} (z, y, x) of array {source.array.path or '/'!r}, voxels "
        f"{held}"
    )

    def read(_: float) -> Array:
        try:
            return source.read_once(part)
        except SourceError:
            raise
        except DAMAGE as error:
            if classify(error) is Fault.TRANSIENT:
                raise
            raise CorruptPayloadError(brief(error)) from error

    def read_twice(left: float) -> Array:
        """Read again at once: a network may garble two requests in a row."""
        try:
            return read(left)
        except CorruptPayloadError:
            return read(left)

    try:
        call = read if local else read_twice
        return patiently(call, patience=patience, what=f"reading {name}")
    except CorruptPayloadError as error:
        raise SourceError(
            f"{name}, cannot be read: {error}; restore it from a copy, or compute its block again"
        ) from error


def _chunk_box(source: "ZarrSource", index: tuple[int, ...]) -> Box:
    extent = source.chunk_shape
    corner = cast("Coord", tuple(i * n for i, n in zip(index, extent, strict=True)))
    return Box.from_shape(extent, corner).intersect(Box.from_shape(source.shape))


def _box(source: "ZarrSource", corner: tuple[int, ...], extent: Coord) -> Box:
    """Give a chunk's voxels in volume coordinates."""
    whole = Box.from_shape(source.shape)
    return Box.from_shape(extent, corner).intersect(whole).shift(source.voxel_offset)


def _index(source: "ZarrSource", key: str) -> list[int]:
    """Read the index of a stored object from its key, such as ``0/c/1/2/3`` or ``1.2.3``."""
    numbers = re.findall(r"\d+", key[len(source.array.path) :])
    return [int(n) for n in numbers[-source.array.ndim :]]
