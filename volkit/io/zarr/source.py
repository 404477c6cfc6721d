"""Opening zarr: versions 2 and 3, sharded or not, alone or as levels of an OME-Zarr multiscale."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import zarr
import zarr.errors
from zarr.core.sync import sync

from volkit.errors import SourceError
from volkit.geometry import Coord, coord
from volkit.io.array_source import check_level, ordered_size, stated_axes, voxel_dtype
from volkit.io.axes import AxisOrder
from volkit.io.sources import OpenOptions
from volkit.io.uris import local_path
from volkit.io.zarr.array import ZarrSource
from volkit.io.zarr.ome import Level, multiscale, read_levels
from volkit.io.zarr.store import open_store

__all__ = ["ZarrSource", "open_zarr"]

# Empty chunks are stored, so that one that is not there means not done.
_CONFIG: Any = {"write_empty_chunks": True}


def open_zarr(uri: str, level: int, options: OpenOptions) -> ZarrSource:
    """Open a zarr array, or a level of a multiscale.

    Raises
    ------
    SourceError
        If there is no zarr, its axes are not those of a volume, it has no such level, or a name
        inside it stands behind ``::``, as in other files.
    """
    if "::" in uri:
        raise SourceError(
            f"{uri}: what is inside a zarr has a slash before it; open {uri.replace('::', '/')}"
        )
    node = _open_node(uri, options)
    attributes = dict(node.attrs)
    if isinstance(node, zarr.Array):
        return _plain(uri, node, attributes, level, options)
    image = multiscale(attributes)
    if image is None:
        inside = sorted(key for key, _ in node.members()) if node.store.supports_listing else []
        raise SourceError(
            f"{uri} is a zarr group without multiscales; name what is inside it: "
            f"{', '.join(f'{uri}/{key}' for key in inside) or 'it is empty'}"
        )
    levels = read_levels(image, uri=uri)
    check_level(uri, level, len(levels))
    return _of_level(uri, node, levels, level, options)


def _open_node(uri: str, options: OpenOptions) -> Any:
    with _understanding(uri):
        store = open_store(uri, options)
        # Otherwise zarr asks for the names of both, which costs where they are far away.
        version: Any = 3 if sync(store.exists("zarr.json")) else 2
        return zarr.open(store=store, mode="r" if store.read_only else "r+", zarr_format=version)


@contextmanager
def _understanding(uri: str) -> Iterator[None]:
    """Say which volume it is whose metadata is missing or damaged."""
    try:
        yield
    except (FileNotFoundError, zarr.errors.NodeNotFoundError) as error:
        raise SourceError(f"{uri} holds no zarr array or group; check the path") from error
    except SourceError:
        raise
    except (ValueError, TypeError, OSError) as error:
        raise SourceError(
            f"{uri}: its zarr metadata cannot be read ({error}); restore it, or write it again"
        ) from error


def _of_level(
    uri: str, group: Any, levels: tuple[Level, ...], level: int, options: OpenOptions
) -> ZarrSource:
    this = levels[level]
    try:
        with _understanding(uri):
            array = group[this.path]
    except KeyError:
        raise SourceError(
            f"{uri}: its metadata lists level {level} at {this.path!r}, which is not there; "
            "restore the array, or choose another level"
        ) from None
    stated_axes(uri, this.axes, options)
    voxel_dtype(uri, array.dtype)
    attributes = dict(group.attrs)
    own = dict(array.attrs).get("volkit") or (attributes.get("volkit", {}) if level == 0 else {})
    order = AxisOrder.understand(
        this.axes, array.shape, uri=uri, keep_channel="volkit" in attributes
    )
    return ZarrSource(
        uri=uri,
        array=array.with_config(_CONFIG),
        order=order,
        voxel_size_nm=order.pick(this.scale_nm),
        origin_nm=order.pick(this.translation_nm),
        voxel_offset=_offset(own),
        levels=len(levels),
        attributes=attributes,
        options=options,
    )


def _plain(
    uri: str, array: Any, attributes: dict[str, Any], level: int, options: OpenOptions
) -> ZarrSource:
    """Understand an array alone; it may be one level of a multiscale in the folder above."""
    above = _level_above(uri, options)
    if above is not None:
        return open_zarr(above[0], above[1], options)
    check_level(uri, level, 1)
    said = (
        getattr(array.metadata, "dimension_names", None)
        or attributes.get("_ARRAY_DIMENSIONS")
        or attributes.get("axes")
    )
    voxel_dtype(uri, array.dtype)
    order = AxisOrder.understand(stated_axes(uri, said, options), array.shape, uri=uri)
    return ZarrSource(
        uri=uri,
        array=array.with_config(_CONFIG),
        order=order,
        voxel_size_nm=ordered_size(uri, attributes, order),
        origin_nm=(0.0, 0.0, 0.0),
        voxel_offset=_offset(attributes.get("volkit", {})),
        levels=1,
        attributes=attributes,
        options=options,
    )


def _level_above(uri: str, options: OpenOptions) -> tuple[str, int] | None:
    """Find the multiscale, and the level of it, that a local array belongs to."""
    path = local_path(uri)
    if path is None or not any((path.parent / f).exists() for f in ("zarr.json", ".zgroup")):
        return None
    image = multiscale(dict(_open_node(str(path.parent), options).attrs))
    paths = [x.path for x in read_levels(image, uri=uri)] if image else []
    return (str(path.parent), paths.index(path.name)) if path.name in paths else None


def _offset(own: Mapping[str, Any]) -> Coord:
    return coord(own.get("voxel_offset", (0, 0, 0)), name="voxel_offset")
