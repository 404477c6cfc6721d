"""Adding coarser scales to a precomputed layer."""

import json
from typing import cast

from volkit.errors import ConfigError, SourceError
from volkit.geometry import Coord, coord
from volkit.geometry.scale import Vector
from volkit.io.objects.protocol import open_objects
from volkit.io.precomputed.info import Info, parse_info
from volkit.io.precomputed.layer import layer_place, read_info
from volkit.io.precomputed.new_scale import NewScale
from volkit.io.precomputed.source import written_shape
from volkit.io.registry import forget_opened
from volkit.io.sources import OpenOptions


def add_scale(uri: str, factor: Coord, options: OpenOptions) -> int:
    """Add a coarser scale to a layer; its voxels are to be written then.

    It covers every voxel of the finest scale, on a grid that is counted from volume coordinate 0:
    its first voxel is ``floor(start / factor)``.  Chunks, shards and encoding are those of the
    finest scale.  One program at a time may change the info of a layer.

    Parameters
    ----------
    uri : str
        Of the layer.
    factor : tuple of int
        Voxels of the finest scale in one voxel of the new one, (z, y, x).
    options : OpenOptions
        How to reach the layer.

    Returns
    -------
    int
        Level of the new scale; of an equal one, where that is there already.

    Raises
    ------
    ConfigError
        If the factor makes nothing coarser.
    SourceError
        If there is another scale with such voxels, or the info cannot be written.
    """
    factor = coord(factor, name="factor")
    if min(factor) < 1 or max(factor) == 1:
        raise ConfigError(f"factor {factor}; give 1 or more on each axis, and 2 or more on one")
    place = layer_place(uri)
    info = read_info(place, options)
    new = _coarser(info, factor)
    level = _find(uri, info, new)
    if level is not None:
        return level
    keys = {scale.key for scale in info.scales}
    key = next(k for k in (new.key, *(f"{new.key}_{n}" for n in range(len(keys)))) if k not in keys)
    stated = {**info.stated, "scales": [*info.stated["scales"], new.to_json(key)]}
    data = json.dumps(stated, indent=1).encode()
    level = next(i for i, s in enumerate(parse_info(data, uri=uri).scales) if s.key == key)
    open_objects(place, options).put("info", data)
    forget_opened()  # sources that are open here know the old number of levels
    return level


def _coarser(info: Info, factor: Coord) -> NewScale:
    finest = info.scales[0]
    start = [o // f for o, f in zip(finest.voxel_offset, factor, strict=True)]
    stop = [
        -(-(o + n) // f) for o, n, f in zip(finest.voxel_offset, finest.shape, factor, strict=True)
    ]
    shape = tuple(b - a for a, b in zip(start, stop, strict=True))
    size = tuple(v * f for v, f in zip(finest.voxel_size_nm, factor, strict=True))
    return NewScale(
        cast("Coord", shape),
        cast("Coord", tuple(start)),
        cast("Vector", size),
        finest.chunk_shape,
        written_shape(finest),
        finest.encoding,
    )


def _find(uri: str, info: Info, new: NewScale) -> int | None:
    """Find the level that has the voxel size of a new scale; it must be equal to it."""
    for level, scale in enumerate(info.scales):
        if scale.voxel_size_nm == new.voxel_size_nm:
            if (scale.shape, scale.voxel_offset) != (new.shape, new.voxel_offset):
                raise SourceError(
                    f"{uri} has a scale of {new.voxel_size_nm} nm at {scale.voxel_offset} with "
                    f"{scale.shape} voxels; asked for {new.voxel_offset} with {new.shape}: use "
                    "that one, or write to another layer"
                )
            return level
    return None
