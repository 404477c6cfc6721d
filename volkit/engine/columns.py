"""Columns on disk: tables of named arrays, written at once and never unpickled."""

import hashlib
import os
import uuid
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from volkit.engine.op import Columns
from volkit.errors import SourceError
from volkit.io.place import Place


def write_columns(place: Place, columns: Columns, *, lasting: bool = True) -> None:
    """Write Columns so that the file is there whole or not at all.

    Parameters
    ----------
    place : Place
        Target, ending in ``.npz``.
    columns : dict of ndarray
        What to write.
    lasting : bool
        Wait until it is on the disk.  Without, a power failure may leave a torn file, which its
        check sums tell: for what is made again then.
    """
    path = place.local
    if path is not None:
        _write_file(path, columns, lasting=lasting)
        return
    buffer = BytesIO()
    np.savez(buffer, allow_pickle=False, **columns)
    place.above.objects.put(place.name, buffer.getvalue())


def read_columns(place: Place) -> Columns:
    """Read Columns.

    Raises
    ------
    SourceError
        If the file is absent or damaged (a zip checks every array's CRC).
    """
    try:
        with _opened(place) as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise SourceError(
            f"cannot read the table {place} ({error}); delete it and run again to make it anew"
        ) from error


def _write_file(path: Path, columns: Columns, *, lasting: bool) -> None:
    """Write to a file beside and rename it: a large table needs no second copy in memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Threads, and machines that share a folder, may make the same table at the same time.
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with scratch.open("wb") as file:
            np.savez(file, allow_pickle=False, **columns)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _opened(place: Place) -> BinaryIO:
    path = place.local
    if path is not None:
        return path.open("rb")
    data = place.above.objects.get(place.name)
    if data is None:
        raise FileNotFoundError(f"{place} is not there")
    return BytesIO(data)


def digest(columns: Columns) -> str:
    """Compute a sha256 of names, types, shapes and bytes."""
    state = hashlib.sha256()
    for name in sorted(columns):
        array = np.ascontiguousarray(columns[name])
        state.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        state.update(array.data if array.size else b"")
    return state.hexdigest()


@dataclass(frozen=True, slots=True)
class StoredColumns:
    """A handle of Columns: it travels to the workers, the table does not.

    Parameters
    ----------
    place : Place
        Where the table lies.
    sha256 : str
        Its digest.
    """

    place: Place
    sha256: str

    def load(self) -> Columns:
        """Read the table, once per process."""
        return _load(self)


@lru_cache(maxsize=8)
def _load(handle: StoredColumns) -> Columns:
    return read_columns(handle.place)
