"""Columns on disk: tables of named arrays, written at once and never unpickled."""

import glob
import hashlib
import math
import os
import re
import uuid
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from volkit.engine.op import Columns
from volkit.errors import SourceError
from volkit.io.place import Place

_SMALL_BYTES = 2**20
_HEADER = re.compile(  # what NumPy writes of plain numbers in C order, version 1.0
    rb"\x93NUMPY\x01\x00..\{'descr': '([<|][biuf]\d+)', 'fortran_order': False, "
    rb"'shape': \(([\d, ]*)\), \} *\n",
    re.DOTALL,
)


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


def read_columns(place: Place, *, begin: tuple[str, ...] = ("",)) -> Columns:
    """Read Columns.

    Parameters
    ----------
    place : Place
        Where they lie.
    begin : tuple of str
        With what the names of those begin that are wanted.

    Raises
    ------
    SourceError
        If the file is absent or damaged (a zip checks every array's CRC).
    """
    try:
        with _opened(place) as stream, zipfile.ZipFile(stream) as archive:
            members = [m for m in archive.infolist() if m.filename.startswith(begin)]
            return {m.filename.removesuffix(".npy"): _column(archive, m) for m in members}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise SourceError(
            f"cannot read the table {place} ({error}); delete it and run again to make it anew"
        ) from error


def _column(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """Read a column; small ones, of which there are thousands, without the detours of NumPy."""
    if member.file_size > _SMALL_BYTES:
        with archive.open(member) as stream:
            return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
    data = archive.read(member)
    begin = 10 + int.from_bytes(data[8:10], "little")
    header = _HEADER.fullmatch(data, 0, begin)
    if header is not None:
        dtype = np.dtype(header[1].decode())
        shape = tuple(int(n) for n in header[2].split(b",") if n.strip())
        if len(data) - begin == math.prod(shape) * dtype.itemsize:
            # A bytearray, since what is read may be written to.
            return np.ndarray(shape, dtype, bytearray(memoryview(data)[begin:]))
    return np.asarray(np.lib.format.read_array(BytesIO(data), allow_pickle=False))


def remove_drafts_beside(path: Path) -> None:
    """Remove what killed writers of a table left beside it; nobody may be writing it.

    Parameters
    ----------
    path : Path
        Of the table.
    """
    for draft in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        draft.unlink(missing_ok=True)


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
