"""Opening and creating volumes, whatever their storage."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from volkit.errors import ConfigError, SourceError
from volkit.geometry import VoxelScale
from volkit.io.array_source import check_level
from volkit.io.axes import Array
from volkit.io.layout import UNSTATED, Layout, LayoutOptions, vector_nm
from volkit.io.memory import array_uri
from volkit.io.registry import find_creator, forget_opened
from volkit.io.sources import OpenArguments, OpenOptions
from volkit.io.uris import join_query, local_path, split_query
from volkit.io.volume import Volume

_LEVEL_BEHIND = re.compile(r"(bossdb://[^/]+/[^/]+/[^/]+)/([0-9])")  # as intern writes levels


def open_volume(
    source: "str | Path | Array | Volume",
    *,
    level: int | None = None,
    **options: Unpack[OpenArguments],
) -> Volume:
    """Open a volume.

    Parameters
    ----------
    source : str, Path, ndarray or Volume
        ``em.zarr``, ``s3://bucket/em.zarr``, ``bossdb://collection/experiment/channel``,
        ``precomputed://gs://bucket/layer``, ``em.h5::raw``, ``em.mrc``, ``stack.tif``, a folder of
        planes, an array (which must not change afterwards) and more; a Volume is given back.
    level : int or None
        0 is the finest, and taken by default; a URL may state it as ``?level=2`` instead.
    **options
        ``axes``, ``voxel_size_nm``, ``missing``, ``credentials``, ``patience`` and ``cache``; see
        ``OpenOptions``.

    Raises
    ------
    SourceError
        If there is no volume that can be understood.
    ConfigError
        If an option is not understood.
    """
    if isinstance(source, Volume):
        return source
    size = options.get("voxel_size_nm")
    if size is not None:
        checked = VoxelScale(vector_nm(size, "voxel_size_nm")).voxel_size_nm
        options = {**options, "voxel_size_nm": checked}
    _check_names(options, OpenArguments)
    how = OpenOptions(**options)
    if isinstance(source, np.ndarray):
        check_level("an array", level or 0)
        held = source.view()
        held.flags.writeable = False
        volume = Volume(array_uri(held), 0, how, _array=held)
    elif not isinstance(source, str | os.PathLike):
        raise SourceError(
            f"open_volume was given {type(source)}, expected a path, a URL or a NumPy array; dask "
            "arrays and DataArrays go to operations as they are"
        )
    else:
        volume = Volume(*_stated_level(os.fspath(source), level), how)
    volume._source.shape  # noqa: B018 (opens it, so that what is wrong shows here)
    return volume


def _check_names(given: Mapping[str, Any], known: type) -> None:
    """Refuse options that nothing knows, such as misspelt ones."""
    unknown = sorted(set(given) - set(known.__annotations__))
    if unknown:
        raise ConfigError(
            f"{', '.join(unknown)} is no option here; known are "
            f"{', '.join(sorted(known.__annotations__))}"
        )


def _stated_level(uri: str, level: int | None) -> tuple[str, int]:
    """Take the level out of a URL, so that equal volumes have equal handles."""
    if not isinstance(level, int | None):
        raise ConfigError(f"level={level!r}; give a whole number, 0 is the finest")
    place, query = split_query(uri)
    stated = query.pop("level", None)
    behind = _LEVEL_BEHIND.fullmatch(place)
    if behind and stated in (None, behind[2]):
        place, stated = behind[1], behind[2]
    if stated is None:
        return uri, level or 0
    if not stated.isdigit() or level not in (None, int(stated)):
        raise SourceError(
            f"{uri} states level {stated!r}"
            + ("" if level is None else f", asked for {level}")
            + "; give one number, 0 is the finest"
        )
    return join_query(place, query), int(stated)


def create_volume(
    uri: str | Path,
    *,
    overwrite: bool = False,
    attributes: Mapping[str, Any] | None = None,
    options: OpenOptions | None = None,
    **layout: Unpack[LayoutOptions],
) -> Volume:
    """Create a volume: OME-Zarr 0.5 whose chunks carry checksums, and are stored when empty too.

    ``precomputed://…`` makes a Neuroglancer layer instead, ``bossdb://…`` a channel.  An equal
    volume that is there is opened.

    Parameters
    ----------
    uri : str or Path
        Local path, or URL of a store that can be written.
    overwrite : bool
        Remove a zarr that is there first.
    attributes : mapping or None
        JSON to keep under ``attributes["volkit"]``, as provenance.
    options : OpenOptions or None
        How to reach the store: credentials, patience.
    **layout
        ``shape`` and ``dtype``, and as wanted ``channels``, ``voxel_size_nm``, ``start`` (volume
        coordinates of the first voxel), ``origin_nm`` (of voxel (0, 0, 0)), ``chunk_shape``
        (unit of compression) and ``shard_shape`` (unit of writing); see ``Layout``.  Without
        ``voxel_size_nm``, or with None, the volume says that its voxels have no size.

    Returns
    -------
    Volume

    Raises
    ------
    GeometryError
        If shapes do not fit together.
    SourceError
        If another volume is there, or the place cannot be written.
    """
    uri = os.fspath(uri)
    how = OpenOptions() if options is None else options
    create = find_creator(uri)
    _check_names(layout, LayoutOptions)
    given = dict(attributes or {})
    sized: Any = {key: v for key, v in layout.items() if key != "voxel_size_nm" or v is not None}
    if "voxel_size_nm" not in sized:
        given[UNSTATED] = False
    create(uri, Layout(**sized), how, overwrite=overwrite, attributes=given)
    if local_path(uri) is None:
        forget_opened()  # a remote store has no times by which to know an old handle
    return Volume(uri, 0, how)
