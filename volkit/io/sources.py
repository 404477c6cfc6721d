"""Sources: what a kind of storage must offer, and which kind a URI names."""

import importlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from volkit.errors import ConfigError, SourceError, missing_extra
from volkit.geometry import Box, Coord
from volkit.geometry.scale import Vector

Array = npt.NDArray[Any]


class Source(Protocol):
    """One level of a stored volume, in array coordinates: its first voxel is (0, 0, 0).

    A source may be used from several threads at once.  It converts its own axis order and units:
    everything here is (z, y, x) and nanometres.
    """

    @property
    def shape(self) -> Coord:
        """Extent, voxels."""

    @property
    def channels(self) -> int | None:
        """Number of channels; None where there is no channel axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel."""

    @property
    def chunk_shape(self) -> Coord:
        """The smallest box that is cheap to read."""

    @property
    def write_shape(self) -> Coord:
        """The box of one stored object: writes are multiples of it."""

    @property
    def voxel_size_nm(self) -> Vector:
        """Extent of a voxel, nanometres."""

    @property
    def origin_nm(self) -> Vector:
        """Centre of the first voxel, nanometres."""

    @property
    def voxel_offset(self) -> Coord:
        """Volume coordinates of the first voxel."""

    @property
    def levels(self) -> int:
        """Number of levels; 0 is the finest."""

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What the volume says of itself, as JSON."""

    def identity(self) -> str:
        """Tell the content apart from any other, without reading it."""

    def read(self, box: Box) -> Array:
        """Read a box: (Z, Y, X), or (C, Z, Y, X) where there are channels."""

    def write(self, box: Box, values: Array) -> None:
        """Write a box that is aligned with ``write_shape``; SourceError where read-only."""


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """How to understand a source that does not say everything itself.

    Parameters
    ----------
    axes : str or None
        Order of the stored axes, such as ``"xyz"``, for a source that says nothing about it.
    voxel_size_nm : tuple of float or None
        Extent of a voxel, (z, y, x), nanometres, instead of what the source says.
    missing : {"error", "zero"}
        Whether a chunk that is not stored is an error, or holds the fill value (zero mostly).

    Raises
    ------
    ConfigError
        If ``missing`` is another word.
    """

    axes: str | None = None
    voxel_size_nm: Vector | None = None
    missing: Literal["error", "zero"] = "error"

    def __post_init__(self) -> None:
        if self.missing not in ("error", "zero"):
            raise ConfigError(f"missing={self.missing!r}; choose 'error' or 'zero'")


Opener = Callable[[str, int, OpenOptions], Source]

_BUILTIN = {
    ".zarr": "volkit.io.zarr.source:open_zarr",
    ".h5": "volkit.io.files.hdf5:open_hdf5",
    ".hdf5": "volkit.io.files.hdf5:open_hdf5",
    ".hdf": "volkit.io.files.hdf5:open_hdf5",
    ".npy": "volkit.io.files.numpy_file:open_numpy",
    ".npz": "volkit.io.files.numpy_file:open_numpy",
    ".tif": "volkit.io.files.image_stack:open_stack",
    ".tiff": "volkit.io.files.image_stack:open_stack",
}
_ZARR_FILES = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
_GROUP = "volkit.sources"
_OPEN_AT_ONCE = 256  # sources kept in a process; they hold metadata, hardly memory


def opened(uri: str, level: int, options: OpenOptions) -> Source:
    """Open a source, once in a process; a local file that was replaced is opened again.

    Raises
    ------
    SourceError
        If there is nothing that can be understood.
    """
    return _opened(uri, level, options, _stamp(uri))


def forget_opened() -> None:
    """Open everything anew from here on."""
    _opened.cache_clear()


def find_opener(uri: str) -> Opener:
    """Find what opens a URI, by its scheme, its suffix, or what lies in its folder.

    Third parties add an entry point in the group ``volkit.sources``.  Its name is a scheme
    (``boss``) or a suffix (``.mrc``), its object a callable ``(uri, level) -> Source``.

    Parameters
    ----------
    uri : str
        ``scheme://…`` or a local path, with ``::name`` for a dataset inside a file.

    Returns
    -------
    callable
        ``(uri, level, options) -> Source``.

    Raises
    ------
    SourceError
        If the scheme or the suffix is not known, or nothing is at a local path.
    MissingExtraError
        If the scheme needs a package that is not installed.
    """
    scheme, place = split_scheme(uri)
    if scheme not in ("", "file"):
        return _scheme_opener(uri, scheme)
    path = Path(place.partition("::")[0])
    if "*" not in path.name and not path.exists():
        parents = [p for p in path.parents if p.suffix == ".zarr" and p.exists()]
        inside = f", but {parents[-1]} does: is the name inside it right?" if parents else ""
        raise SourceError(f"{uri}: {path} does not exist{inside or '; check the path'}")
    return _plugin(path.suffix.lower()) or _load(_path_target(uri, path))


def split_scheme(uri: str) -> tuple[str, str]:
    """Split a URI into its scheme and the rest.

    Examples
    --------
    >>> split_scheme("s3://bucket/em.zarr"), split_scheme("em.h5::raw")
    (('s3', 'bucket/em.zarr'), ('', 'em.h5::raw'))
    """
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", uri)
    return (found[1].lower(), uri[found.end() :]) if found else ("", uri)


def local_path(uri: str) -> Path | None:
    """Find the local path of a URI; None where it is not local."""
    scheme, place = split_scheme(uri)
    return Path(place.partition("::")[0]) if scheme in ("", "file") else None


def _path_target(uri: str, path: Path) -> str:
    if path.is_dir() and (path.suffix == ".zarr" or any((path / f).exists() for f in _ZARR_FILES)):
        return _BUILTIN[".zarr"]
    if path.suffix.lower() in _BUILTIN and path.suffix != ".zarr":
        return _BUILTIN[path.suffix.lower()]
    if path.is_dir():
        return _BUILTIN[".tif"]
    raise SourceError(
        f"{uri}: suffix {path.suffix!r} is not known; known are "
        f"{', '.join(sorted({*_BUILTIN, *(n for n in _plugins() if n.startswith('.'))}))}, "
        "and folders of TIFF planes"
    )


def _scheme_opener(uri: str, scheme: str) -> Opener:
    plugin = _plugin(scheme)
    if plugin is not None:
        return plugin
    if scheme == "array":
        raise SourceError(f"{uri} names an array in memory; open the array itself")
    import fsspec

    if scheme not in fsspec.available_protocols():
        own = sorted(n for n in _plugins() if not n.startswith("."))
        raise SourceError(
            f"{uri}: scheme {scheme!r} is not known; known are file, {', '.join(own)}, and those "
            "of fsspec for zarr (memory, http, https, s3, gs, …)"
        )
    try:
        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        raise missing_extra(f"fsspec[{scheme}]", "cloud") from error
    suffix = Path(uri.partition("::")[0]).suffix.lower()
    if suffix in _BUILTIN and suffix != ".zarr":
        raise SourceError(
            f"{uri}: {suffix} is read from local paths only; copy the file, or use zarr"
        )
    return _load(_BUILTIN[".zarr"])


def _load(target: str) -> Opener:
    module, _, name = target.partition(":")
    opener: Opener = getattr(importlib.import_module(module), name)
    return opener


@cache
def _plugins() -> Mapping[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=_GROUP)}


def _plugin(name: str) -> Opener | None:
    point = _plugins().get(name)
    if point is None:
        return None

    def open_plugin(uri: str, level: int, options: OpenOptions) -> Source:
        if options.axes is not None:
            raise SourceError(f"{uri} knows its axes; open it without axes={options.axes!r}")
        source: Source = point.load()(uri, level)
        return source

    return open_plugin


@lru_cache(maxsize=_OPEN_AT_ONCE)
def _opened(uri: str, level: int, options: OpenOptions, stamp: tuple[int, ...]) -> Source:
    """Open a source once in a process; ``stamp`` makes a file that was replaced a new one."""
    del stamp
    return find_opener(uri)(uri, level, options)


def _stamp(uri: str) -> tuple[int, ...]:
    for place in _stamped(uri):
        try:
            found = os.stat(place)  # noqa: PTH116 (each property of a Volume comes here)
        except (FileNotFoundError, NotADirectoryError):
            continue
        return found.st_mtime_ns, found.st_size, found.st_ino
    return ()


@lru_cache(maxsize=_OPEN_AT_ONCE)
def _stamped(uri: str) -> tuple[str, ...]:
    """List the files whose times tell whether a source is still the one that was opened."""
    path = local_path(uri)
    return () if path is None else (str(path / "zarr.json"), str(path))
