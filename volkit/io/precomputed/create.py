"""Creating precomputed layers: one scale, its info written last."""

import json
import uuid
from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np

from volkit.errors import ConfigError, SourceError
from volkit.io.layout import Layout
from volkit.io.objects.protocol import Objects, open_objects
from volkit.io.precomputed.info import Info, parse_info
from volkit.io.precomputed.kvstore import key_values
from volkit.io.precomputed.layer import layer_place, read_info
from volkit.io.precomputed.new_scale import NewScale, fitting_encoding
from volkit.io.sources import OpenOptions
from volkit.version import __version__

_KINDS = {"image": "image", "labels": "segmentation"}
_RESERVED = {"version", "created", "pyramid", "origin_nm", "channel_axis"}


def create_precomputed(
    uri: str,
    layout: Layout,
    options: OpenOptions,
    *,
    overwrite: bool = False,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Write the info of a new layer, or accept an equal one that is there.

    Chunks are ``raw``, ``compressed_segmentation``, ``png`` or ``jpeg``, of which the last loses
    detail.  They lie in shards where the layout has shards, gzipped if raw; else each has a file
    or object of its own, which is not compressed further, for that is what every program reads.

    Parameters
    ----------
    uri : str
        ``precomputed://`` before a local path, ``s3://bucket/path`` or ``gs://bucket/path``.
    layout : Layout
        What the volume shall be; ``kind`` and ``encoding`` are the format's, too.
    options : OpenOptions
        How to reach the store.
    overwrite : bool
        Remove the layer that is there first, with all that lies in its folder.
    attributes : mapping or None
        JSON to keep under ``attributes["volkit"]``: provenance, a fingerprint.

    Raises
    ------
    SourceError
        If something else is there, the place cannot be written, or the format cannot hold it.
    GeometryError
        If the format has no such shards.
    """
    place = layer_place(uri)
    if not key_values(place, options).writes:
        raise SourceError(f"{uri} cannot be written; create layers locally, or in s3:// or gs://")
    stated = _info(uri, layout, attributes or {})
    wanted = parse_info(json.dumps(stated).encode(), uri=uri)
    objects = open_objects(place, options)
    if objects.get("info") is not None:
        found = read_info(place, options)  # refuses to overwrite what is not understood
        if not overwrite:
            _check_equal(uri, found, wanted)
            return
        objects.delete("info")  # first: what is half removed must not open
        objects.delete_all()
    else:
        _check_empty(uri, objects)
    objects.put("provenance", _json(_provenance(attributes or {})))
    objects.put("info", _json(stated))


def _info(uri: str, layout: Layout, attributes: Mapping[str, Any]) -> dict[str, Any]:
    dtype = np.dtype(layout.dtype)
    channels = layout.channels or 1
    kind = layout.kind or ("labels" if dtype.name in ("uint32", "uint64") else "image")
    encoding = fitting_encoding(uri, layout.encoding, dtype, channels, labels=kind == "labels")
    chunk, shard = layout.chunk_shape, layout.shard_shape
    if chunk is None or shard is None:
        raise ConfigError(f"{uri}: a layout without chunks; give chunk_shape")
    scale = NewScale(layout.shape, layout.start, layout.voxel_size_nm, chunk, shard, encoding)
    taken = _RESERVED & set(attributes)
    if taken:
        raise ConfigError(f"attributes {sorted(taken)} are set by volkit; name yours otherwise")
    own = {
        "version": __version__,
        "created": uuid.uuid4().hex,  # tells it from another that lay there before
        "origin_nm": list(layout.origin_nm),
        "channel_axis": layout.channels is not None,
        **attributes,
    }
    return {
        "@type": "neuroglancer_multiscale_volume",
        "type": _KINDS[kind],
        "data_type": dtype.name,
        "num_channels": channels,
        "scales": [scale.to_json(scale.key)],
        "volkit": own,
    }


def _provenance(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Say who made the layer, in the file that cloud-volume and its like read."""
    return {
        "description": "",
        "owners": [],
        "processing": [{"by": f"volkit {__version__}", "method": dict(attributes)}],
        "sources": [],
    }


def _check_empty(uri: str, objects: Objects) -> None:
    """Refuse a folder of other things; what a killed creation left does not count."""
    there = [key for key in islice(objects.keys(), 2) if key != "provenance"]
    if there:
        raise SourceError(
            f"{uri} exists and is not a precomputed layer: it holds {there[0]}; choose another "
            "name, or remove it"
        )


def _check_equal(uri: str, found: Info, wanted: Info) -> None:
    there, asked = _summary(found), _summary(wanted)
    differing = [key for key in asked if there[key] != asked[key]]
    if differing:
        raise SourceError(
            f"{uri} exists with "
            + ", ".join(f"{k} {there[k]}" for k in differing)
            + "; asked for "
            + ", ".join(f"{k} {asked[k]}" for k in differing)
            + ": choose another name, or pass overwrite=True"
        )
    made_by, by = found.own.get("fingerprint"), wanted.own.get("fingerprint")
    if made_by != by:
        raise SourceError(
            f"{uri} exists and was made by computation {made_by}; asked for {by}: choose another "
            "name, or pass overwrite=True"
        )


def _summary(info: Info) -> dict[str, Any]:
    scale = info.scales[0]
    return {
        "shape": scale.shape,
        "dtype": info.dtype.name,
        "kind": info.stated.get("type"),
        "encoding": scale.encoding,
        "channels": info.channels,
        "channel axis": bool(info.own.get("channel_axis", info.channels > 1)),
        "chunk_shape": scale.chunk_shape,
        "chunks per shard": None if scale.sharding is None else scale.sharding.chunks(scale.grid),
        "start": scale.voxel_offset,
        "voxel_size_nm": scale.voxel_size_nm,
        "origin_nm": tuple(info.own.get("origin_nm", (0, 0, 0))),
    }


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()
