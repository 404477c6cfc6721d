"""Columns on disk: tables of named arrays, written at once and never unpickled."""

import hashlib
import os
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from volkit.engine.op import Columns
from volkit.errors import SourceError


def write_columns(path: Path, columns: Columns) -> None:
    """Write Columns so that the file is there whole or not at all.

    Parameters
    ----------
    path : Path
        Target, ending in ``.npz``.
    columns : dict of ndarray
        What to write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with scratch.open("wb") as file:
            np.savez(file, allow_pickle=False, **columns)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def read_columns(path: Path) -> Columns:
    """Read Columns.

    Raises
    ------
    SourceError
        If the file is absent or damaged (a zip checks every array's CRC).
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise SourceError(
            f"cannot read the table {path} ({error}); delete it and run again to make it anew"
        ) from error


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
    path : str
        Where the table lies.
    sha256 : str
        Its digest.
    """

    path: str
    sha256: str

    def load(self) -> Columns:
        """Read the table, once per process."""
        return _load(self)


@lru_cache(maxsize=8)
def _load(handle: StoredColumns) -> Columns:
    return read_columns(Path(handle.path))
