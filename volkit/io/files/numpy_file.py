"""NumPy files: ``.npy`` mapped into memory, ``em.npz::name`` loaded whole."""

import zipfile
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from volkit.errors import SourceError
from volkit.io.array_source import ArraySource, check_level, file_stamp
from volkit.io.axes import Array
from volkit.io.files.flat import flat_chunks
from volkit.io.sources import OpenOptions
from volkit.io.uris import local_path


def open_numpy(uri: str, level: int, options: OpenOptions) -> ArraySource:
    """Open an array of a NumPy file; pickled objects are refused.

    An archive cannot be read in parts, so its array is kept in memory.

    Raises
    ------
    SourceError
        If the file is damaged, or the array is not named, not there or not numeric.
    """
    check_level(uri, level)
    path, name = local_path(uri) or Path(uri), uri.partition("::")[2]
    try:
        array = _member(uri, path, name) if path.suffix == ".npz" else _mapped(uri, path, name)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(
            f"{uri}: {path.name} cannot be read as an array of numbers ({error}); it may be "
            "truncated, or hold pickled objects, which volkit does not load"
        ) from error
    chunks = flat_chunks(array.shape, array.dtype.itemsize)
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        chunks = flat_chunks(array.shape[::-1], array.dtype.itemsize)[::-1]
    return ArraySource.understand(
        uri,
        SimpleNamespace(shape=array.shape, dtype=array.dtype, chunks=chunks),
        lambda slices: array[slices].copy(),
        stamp=f"{file_stamp(path)}::{name}",
        options=options,
    )


def _mapped(uri: str, path: Path, name: str) -> Array:
    if name:
        raise SourceError(f"{uri}: a .npy file holds one array without a name; leave out ::{name}")
    mapped: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped


def _member(uri: str, path: Path, name: str) -> Array:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        if name not in archive.files:
            given = f"there is no array {name!r} in it" if name else "name an array in it"
            found = ", ".join(f"{path}::{n}" for n in archive.files) or "none"
            raise SourceError(f"{uri}: {given}; there are: {found}")
        array: Any = archive[name]
        return array
