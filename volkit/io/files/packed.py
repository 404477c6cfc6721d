"""Packed files, ``.gz`` and ``.bz2``: they have no random access, so they are decoded whole."""

import bz2
import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from volkit.errors import SourceError
from volkit.io.array_source import file_stamp
from volkit.io.axes import Array
from volkit.io.files.recent import Recent

_OPENERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open}
_DAMAGE = (OSError, EOFError, ValueError, zlib.error)
_MOST_BYTES = 4 * 2**30  # decoded files in one process, all of them together
_PIECE_BYTES = 16 * 2**20
_BLOCK_BYTES = 2**20  # more than a block of bzip2 holds, whose checksum comes at its end
_HELD = Recent(_MOST_BYTES)


def is_packed(path: Path) -> bool:
    """Say whether the suffix is that of a packed file."""
    return path.suffix.lower() in _OPENERS


def open_stream(path: Path) -> Any:
    """Open a file for reading from its beginning, decoded if it is packed."""
    return _OPENERS.get(path.suffix.lower(), open)(path, "rb")


def first_bytes(uri: str, path: Path, count: int) -> bytes:
    """Read the beginning of a file, packed or not.

    Returns
    -------
    bytes
        Fewer than ``count`` where the file ends before.

    Raises
    ------
    SourceError
        If it cannot be read or decoded.
    """
    try:
        with open_stream(path) as stream:
            found: bytes = stream.read(max(count, _BLOCK_BYTES))
            return found[:count]
    except _DAMAGE as error:
        raise _damaged(uri, path, error) from error


def unpacked(uri: str, path: Path) -> Array:
    """Decode a packed file, once in a process while it is in use.

    Returns
    -------
    ndarray of uint8
        All of its bytes; not to be changed.

    Raises
    ------
    SourceError
        If the file is damaged or cut, or larger decoded than 4 GiB.
    """
    return _HELD.get((str(path), file_stamp(path)), lambda: _decode(uri, path))


def _decode(uri: str, path: Path) -> Array:
    found = bytearray()
    try:
        with open_stream(path) as stream:
            while piece := stream.read(_PIECE_BYTES):
                found += piece
                if len(found) > _MOST_BYTES:
                    raise SourceError(
                        f"{uri}: {path.name} is larger than {_MOST_BYTES >> 30} GiB once decoded, "
                        "and a packed file cannot be read in parts; unpack it "
                        f"({'gunzip' if path.suffix.lower() == '.gz' else 'bunzip2'}) and open "
                        "the result"
                    )
    except _DAMAGE as error:
        if isinstance(error, SourceError):
            raise
        raise _damaged(uri, path, error) from error
    return np.frombuffer(found, np.uint8)


def _damaged(uri: str, path: Path, error: Exception) -> SourceError:
    return SourceError(
        f"{uri}: {path.name} cannot be decoded ({error}); it is truncated, damaged or not "
        f"packed as {path.suffix} says: copy it again"
    )
