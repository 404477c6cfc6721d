"""Creating volumes: OME-Zarr 0.5, compressed with checksums, metadata last."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import MemoryStore

from volkit.errors import ConfigError, SourceError
from volkit.io.layout import UNSTATED, Layout
from volkit.io.sources import OpenOptions
from volkit.io.uris import local_path, split_query
from volkit.io.zarr.array import ZarrSource
from volkit.io.zarr.ome import write_multiscale
from volkit.io.zarr.source import open_zarr
from volkit.io.zarr.store import check_place, open_store, remove_zarr
from volkit.version import __version__

# Level 1 writes twice as fast as zarr's default for the same ratio; the default has no checksum.
COMPRESSOR = ZstdCodec(level=1, checksum=True)


def create_zarr(
    uri: str,
    layout: Layout,
    options: OpenOptions,
    *,
    overwrite: bool = False,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Write the metadata of a new volume, or accept an equal one that is there.

    The group's metadata is written last: a volume that opens is complete.

    Parameters
    ----------
    uri : str
        Local path or URL of a store that can be written.
    layout : Layout
        What the volume shall be.
    options : OpenOptions
        How to reach the store.
    overwrite : bool
        Remove what is there first, if it is zarr.
    attributes : mapping or None
        JSON to keep under ``attributes["volkit"]``: provenance, a fingerprint.

    Raises
    ------
    SourceError
        If something else is there, or the store cannot be written.
    ConfigError
        If the layout asks for an encoding.
    """
    if layout.encoding is not None:
        raise ConfigError(
            f"{uri} is to be zarr, which has no encoding={layout.encoding!r}; leave it out: volkit "
            "stores zarr as zstd with checksums"
        )
    own = _own_attributes(layout, attributes or {})
    path = local_path(uri)
    if open_store(uri, options).read_only:
        raise SourceError(f"{uri} cannot be written; create volumes locally or in an object store")
    if overwrite and (path is None or path.exists()):
        remove_zarr(uri, options)
    elif _exists(uri, options):
        _check_equal(uri, layout, own, options)
        return
    try:
        if path is not None:
            path.mkdir(parents=True, exist_ok=True)
        _write(uri, layout, own, options)
    except SourceError:
        raise
    except OSError as error:
        raise SourceError(f"{uri} cannot be created: {error}; choose a place to write") from error


def _write(uri: str, layout: Layout, own: dict[str, Any], options: OpenOptions) -> None:
    store = open_store(uri, options)
    model = _model(Path(split_query(uri)[0]).stem, layout, own)
    for key in ("0/zarr.json", "zarr.json"):
        value = sync(model.get(key, default_buffer_prototype()))
        if value is not None:
            sync(store.set(key, value))


def _model(name: str, layout: Layout, own: dict[str, Any]) -> MemoryStore:
    """Make the group and its array in memory, so that their metadata can be stored in order."""
    store = MemoryStore()
    ome = write_multiscale(
        name=name,
        channels=layout.channels is not None,
        voxel_size_nm=layout.voxel_size_nm,
        translation_nm=layout.translation_nm,
        stated=own.get(UNSTATED, True),
    )
    group = zarr.create_group(store=store, attributes={"ome": ome, "volkit": own})
    lead = () if layout.channels is None else (layout.channels,)
    one = () if layout.channels is None else (1,)  # so that a viewer fetches a channel alone
    chunks, shards = (*one, *(layout.chunk_shape or ())), (*lead, *(layout.shard_shape or ()))
    group.create_array(
        name="0",
        shape=(*lead, *layout.shape),
        dtype=np.dtype(layout.dtype),
        chunks=chunks,
        shards=None if layout.chunk_shape == layout.shard_shape else shards,
        compressors=COMPRESSOR,
        fill_value=0,
        dimension_names=["c", "z", "y", "x"][-len(chunks) :],
    )
    return store


def _own_attributes(layout: Layout, attributes: Mapping[str, Any]) -> dict[str, Any]:
    reserved = {"version", "voxel_offset"} & set(attributes)
    if reserved:
        raise ConfigError(f"attributes {sorted(reserved)} are set by volkit; name yours otherwise")
    return {
        "version": __version__,
        "voxel_offset": list(layout.start),
        **({} if layout.kind is None else {"kind": layout.kind}),
        **attributes,
    }


def _exists(uri: str, options: OpenOptions) -> bool:
    """Tell whether a volume is there; what a killed creation left does not count."""
    store = open_store(uri, options)
    if any(sync(store.exists(name)) for name in ("zarr.json", ".zgroup", ".zarray")):
        return True
    if store.supports_listing:
        check_place(uri, options)
    return False


def _check_equal(uri: str, layout: Layout, own: Mapping[str, Any], options: OpenOptions) -> None:
    found = open_zarr(uri, 0, options)
    there, wanted = _summary(found), layout.summary()
    differing = [key for key in wanted if there[key] != wanted[key]]
    if differing:
        raise SourceError(
            f"{uri} exists with "
            + ", ".join(f"{k} {there[k]}" for k in differing)
            + "; asked for "
            + ", ".join(f"{k} {wanted[k]}" for k in differing)
            + ": choose another name, or pass overwrite=True"
        )
    made_by = found.attributes.get("volkit", {}).get("fingerprint")
    if made_by != own.get("fingerprint"):
        raise SourceError(
            f"{uri} exists and was made by computation {made_by}; asked for "
            f"{own.get('fingerprint')}: choose another name, or pass overwrite=True"
        )


def _summary(found: ZarrSource) -> dict[str, Any]:
    size, offset = found.voxel_size_nm, found.voxel_offset
    origin = tuple(
        round(t - o * s, 6) for t, o, s in zip(found.origin_nm, offset, size, strict=True)
    )
    return {
        "shape": found.shape,
        "dtype": found.dtype.name,
        "channels": found.channels,
        "chunk_shape": found.chunk_shape,
        "shard_shape": found.write_shape,
        "start": offset,
        "voxel_size_nm": size,
        "origin_nm": origin,
    }
