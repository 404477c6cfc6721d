"""N5 arrays and multiscale groups, read-only: axes are x, y, z (, c) there."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorstore as ts

from volkit.errors import SourceError
from volkit.geometry import Box, Coord
from volkit.geometry.scale import Vector
from volkit.io.array_source import check_level, stated_axes, voxel_dtype
from volkit.io.axes import Array, AxisOrder
from volkit.io.objects.protocol import open_objects
from volkit.io.precomputed.kvstore import key_values
from volkit.io.precomputed.n5_levels import N5Level, find_levels
from volkit.io.precomputed.tensorstore_array import StoredArray
from volkit.io.sources import OpenOptions
from volkit.io.uris import local_path

_DEFAULT = {3: "xyz", 4: "xyzc", 5: "xyczt"}  # as ImageJ and n5-viewer write them


@dataclass(frozen=True, slots=True)
class N5Source:
    """One N5 array.

    Parameters
    ----------
    uri : str
        What was opened.
    level : N5Level
        Which array, and how large its voxels are.
    levels : int
        Number of levels of its group.
    order : AxisOrder
        How its axes map to (c) z y x.
    chunk_shape : tuple of int
        Extent of a chunk, (z, y, x), voxels.
    reader : StoredArray
        Of its voxels.
    """

    uri: str
    level: N5Level
    levels: int
    order: AxisOrder
    chunk_shape: Coord
    reader: StoredArray
    voxel_offset: Coord = (0, 0, 0)

    @property
    def shape(self) -> Coord:
        """Extent, voxels."""
        return self.order.spatial

    @property
    def channels(self) -> int | None:
        """Number of channels, if there is such an axis."""
        return self.order.channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel."""
        return self.reader.dtype

    @property
    def write_shape(self) -> Coord:
        """Extent of a chunk; it is never written."""
        return self.chunk_shape

    @property
    def voxel_size_nm(self) -> Vector:
        """Extent of a voxel, nanometres."""
        return self.level.voxel_size_nm

    @property
    def origin_nm(self) -> Vector:
        """Centre of the first voxel, nanometres."""
        return self.level.origin_nm

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Those of the array."""
        return self.level.attributes

    def identity(self) -> str:
        """Digest its place, its attributes, and when local ones were written."""
        facts: list[object] = [self.level.path, self.level.attributes]
        path = local_path(self.uri)
        facts.append(self.uri if path is None else str(path.resolve()))
        if path is not None:
            facts.append((path / self.level.path / "attributes.json").stat().st_mtime_ns)
        text = json.dumps(facts, sort_keys=True)
        return f"n5:{hashlib.sha256(text.encode()).hexdigest()}"

    def read(self, box: Box) -> Array:
        """Read a box.

        Raises
        ------
        MissingChunkError
            If a chunk is not stored and ``missing`` is ``error``.
        SourceError
            If a chunk is damaged, or the store keeps failing.
        """
        return self.reader.read(box)

    def write(self, box: Box, values: Array) -> None:
        """Refuse: volumes are written as zarr or precomputed."""
        raise SourceError(
            f"{self.uri} is read-only, {values.shape} were to be written at {box}; volkit writes "
            "zarr and precomputed: create_volume one"
        )


def open_n5(uri: str, level: int, options: OpenOptions) -> N5Source:
    """Open an N5 array, or a level of a group.

    Parameters
    ----------
    uri : str
        Folder of an array, or of a group with levels ``s0``, ``s1`` …: a local path, or a URL of
        ``s3``, ``gs``, ``http`` or ``https`` with a part that ends in ``.n5``.
    level : int
        0 is the finest.
    options : OpenOptions
        Credentials, patience, axes (``xyz`` by default), and what missing chunks mean.  N5
        writers leave empty chunks out: pass ``missing="zero"`` where that is so.

    Raises
    ------
    SourceError
        If there is no N5, its axes are not those of a volume, or it has no such level.
    """
    levels = find_levels(open_objects(uri, options))
    check_level(uri, level, len(levels))
    this = levels[level]
    dimensions, blocks = _extents(uri, this.attributes)
    names = stated_axes(uri, this.attributes.get("axes"), options) or _DEFAULT.get(len(dimensions))
    order = AxisOrder.understand(names, dimensions, uri=uri)
    dtype = voxel_dtype(uri, str(this.attributes.get("dataType")))
    keys = key_values(uri, options)
    spec: dict[str, Any] = {
        "driver": "n5",
        "kvstore": {**keys.spec, "path": keys.inside(this.path)["path"]}
        if this.path
        else keys.spec,
    }
    if keys.remote or options.missing == "error":
        spec["fill_missing_data_reads"] = False
    reader = StoredArray(
        uri=uri,
        spec=spec,
        context=keys.context,
        view=_view(order),
        shape=order.spatial,
        chunk_shape=order.pick(blocks),
        channels=order.channels,
        dtype=dtype,
        voxel_offset=(0, 0, 0),
        remote=keys.remote,
        missing=options.missing,
        patience=options.patience,
    )
    return N5Source(uri, this, len(levels), order, order.pick(blocks), reader)


def _extents(uri: str, said: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    try:
        dimensions = tuple(int(n) for n in said["dimensions"])
        blocks = tuple(int(n) for n in said["blockSize"])
        good = len(blocks) == len(dimensions) and min(blocks) > 0
        np.dtype(said["dataType"])
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"{uri}: its N5 attributes are not understood ({error!r}); it needs dimensions, "
            "blockSize and dataType"
        ) from error
    if not good:
        raise SourceError(
            f"{uri}: blockSize {blocks} does not fit dimensions {dimensions}; mend its attributes"
        )
    return dimensions, blocks


def _view(order: AxisOrder) -> Callable[[Any], Any]:
    """Give what turns a TensorStore of stored axes into ([c,] z, y, x)."""
    kept = "czyx" if order.has_channels else "zyx"
    turns = [order.names.index(axis) for axis in kept]
    dropped = [i for i, axis in enumerate(order.names) if axis not in kept]

    def view(store: Any) -> Any:
        whole = store[ts.d[dropped][0]] if dropped else store
        left = [i for i in range(len(order.names)) if i not in dropped]
        return whole[ts.d[[left.index(i) for i in turns]].transpose[:]]

    return view
