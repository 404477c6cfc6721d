"""Chunks encoded and decoded by tensorstore, in memory: for shards and packed chunks."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import tensorstore as ts

from volkit.geometry import Box, Coord
from volkit.io.axes import Array
from volkit.io.precomputed.info import Info, Scale
from volkit.io.precomputed.new_scale import TYPES

_ENCODINGS = ("raw", "jpeg", "png", "compressed_segmentation")


def known_here(info: Info, scale: Scale) -> bool:
    """Tell whether tensorstore knows the encoding and the type of a scale."""
    return scale.encoding in _ENCODINGS and info.dtype.name in TYPES


def channel_axis(info: Info) -> int | None:
    """Give the number of channels; None where a volume of the layer has no axis for them."""
    keep = info.channels > 1 or info.own.get("channel_axis", False)
    return info.channels if keep else None


def view_of(info: Info) -> Callable[[Any], Any]:
    """Give what turns a TensorStore (x, y, z, channel) into ([c,] z, y, x), first voxel at 0."""
    axis = channel_axis(info)

    def view(store: Any) -> Any:
        turned = store.T if axis is not None else store.T[0]
        return turned[ts.d[:].translate_to[0]]

    return view


def encode_chunks(info: Info, scale: Scale, box: Box, values: Array) -> dict[Coord, bytes]:
    """Encode a box of whole chunks.

    Parameters
    ----------
    info, scale : Info, Scale
        How.
    box : Box
        Array coordinates.
    values : ndarray
        Its voxels, axes ([c,] z, y, x).

    Returns
    -------
    dict
        Bytes of each chunk by its index, (z, y, x).
    """
    keys, store = _in_memory(info, scale, {})
    store[(..., *box.slices)].write(values).result()
    steps = zip(box.start, box.stop, scale.chunk_shape, strict=True)
    spans = [range(a // n, -(-b // n)) for a, b, n in steps]
    every = [(z, y, x) for z in spans[0] for y in spans[1] for x in spans[2]]
    return {index: keys[scale.chunk_key(index)] for index in every}


def decode_chunks(info: Info, scale: Scale, box: Box, chunks: Mapping[Coord, bytes]) -> Array:
    """Decode the chunks of a box; those that are not given are zero.

    Parameters
    ----------
    info, scale : Info, Scale
        How.
    box : Box
        Array coordinates.
    chunks : mapping
        Bytes of each chunk by its index, (z, y, x).

    Returns
    -------
    ndarray
        Axes ([c,] z, y, x).

    Raises
    ------
    ValueError
        If a chunk is damaged.
    """
    _, store = _in_memory(info, scale, chunks)
    values: Array = store[(..., *box.slices)].read(order="C").result()
    return values


def _in_memory(info: Info, scale: Scale, chunks: Mapping[Coord, bytes]) -> tuple[Any, Any]:
    """Make a layer of its own in memory, of one scale without shards."""
    context = ts.Context()
    said: Mapping[str, Any] = info.stated["scales"][scale.place]
    alone = {k: v for k, v in said.items() if k != "sharding"}
    memory = {"driver": "memory"}
    keys = ts.KvStore.open(memory, context=context).result()
    keys["info"] = json.dumps({**info.stated, "scales": [alone]}).encode()
    for index, data in chunks.items():
        keys[scale.chunk_key(index)] = data
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": memory,
        "store_data_equal_to_fill_value": True,
    }
    store = ts.open(spec, context=context, open=True).result()
    return keys, view_of(info)(store)
