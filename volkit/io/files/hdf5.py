"""HDF5: datasets of a file, ``em.h5::group/dataset``, read chunk by chunk."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np

from volkit.errors import MissingChunkError, SourceError
from volkit.io.array_source import ArraySource, check_level, file_stamp
from volkit.io.axes import Array
from volkit.io.files.flat import flat_chunks
from volkit.io.files.hdf5_filters import check_filters, missing_part
from volkit.io.sources import OpenOptions
from volkit.io.uris import local_path

_ZERO = (
    "If it stands for zeros, open the volume with missing='zero' (in a workflow: "
    "input.missing=zero)"
)


def open_hdf5(uri: str, level: int, options: OpenOptions) -> ArraySource:
    """Open a dataset.

    Its attributes, and those of the groups around it, may state ``axes`` and a voxel size.  What
    is cheap to read is a stored chunk, or about a MiB of rows where voxels lie in one piece.  The
    file is opened for every box: h5py keeps no handle that a fork or a writer would trip over.

    Raises
    ------
    SourceError
        If the file is damaged, the dataset is not named or not there, or its compression needs a
        filter that is not installed.
    """
    check_level(uri, level)
    path, name = local_path(uri) or Path(uri), uri.partition("::")[2].strip("/")
    with _file(uri, path) as file:
        found = _dataset(uri, file, name)
        check_filters(uri, found)
        shape, dtype = found.shape or (), found.dtype
        chunks = found.chunks or flat_chunks(shape, dtype.itemsize)
        return ArraySource.understand(
            uri,
            SimpleNamespace(shape=shape, dtype=dtype, chunks=chunks),
            lambda slices: _fetch(uri, path, name, slices, options.missing),
            stamp=f"{file_stamp(path)}::{name}",
            options=options,
            attributes=_attributes(found),
        )


def _file(uri: str, path: Path) -> Any:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise SourceError(
            f"{uri}: {path.name} cannot be opened as HDF5 ({error}); it may be truncated: copy it "
            "again"
        ) from error


def _dataset(uri: str, file: Any, name: str) -> Any:
    names: list[str] = []
    file.visititems(lambda n, node: names.append(n) if isinstance(node, h5py.Dataset) else None)
    if name not in names:
        given = f"there is no dataset {name!r} in it" if name else "name a dataset in it"
        found = ", ".join(f"{uri.partition('::')[0]}::{n}" for n in names) or "none"
        raise SourceError(f"{uri}: {given}; there are: {found}")
    return file[name]


def _fetch(uri: str, path: Path, name: str, slices: tuple[slice, ...], missing: str) -> Array:
    with _file(uri, path) as file:
        dataset = file[name]
        if missing == "error":
            _check_stored(uri, path, dataset, slices)
        try:
            return np.asarray(dataset[slices])
        except OSError as error:
            raise SourceError(
                f"{uri}: reading {_text(slices)} (stored order) failed: {error}; the file is "
                "damaged: restore it from a copy"
            ) from error


def _check_stored(uri: str, path: Path, dataset: Any, slices: tuple[slice, ...]) -> None:
    """Refuse voxels that were never written, which HDF5 would fill with zeros."""
    if not dataset.chunks:
        gap = missing_part(path, dataset)
        if gap is not None:
            raise MissingChunkError(f"{uri}: {gap}. {_ZERO}")
        return
    ranges = [
        range(s.start // n * n, s.stop, n) for s, n in zip(slices, dataset.chunks, strict=True)
    ]
    for corner in product(*ranges):
        if dataset.id.get_chunk_info_by_coord(corner).byte_offset is None:
            index = tuple(a // n for a, n in zip(corner, dataset.chunks, strict=True))
            raise MissingChunkError(
                f"{uri}: chunk {index} (stored order) is not stored; box {_text(slices)} needs it. "
                f"{_ZERO}"
            )


def _attributes(dataset: Any) -> Mapping[str, Any]:
    """Collect attributes from the file's root down to the dataset; the nearest one holds."""
    found: dict[str, Any] = {}
    nodes = [dataset]
    while nodes[-1].name != "/":
        nodes.append(nodes[-1].parent)
    for node in reversed(nodes):
        found |= {key: _plain(value) for key, value in node.attrs.items()}
    return found


def _plain(value: Any) -> Any:
    """Bring an attribute into JSON's types."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, np.ndarray | np.generic):
        plain = value.tolist()
        return [_plain(v) for v in plain] if isinstance(plain, list) else _plain(plain)
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _text(slices: tuple[slice, ...]) -> str:
    return "[" + ", ".join(f"{s.start}:{s.stop}" for s in slices) + "]"
