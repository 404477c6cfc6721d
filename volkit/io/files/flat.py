"""Flat voxels: those that lie in a file one after another, from some byte on."""

from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from volkit.errors import SourceError
from volkit.io.axes import Array
from volkit.io.files.packed import is_packed, unpacked

_CHEAP_BYTES = 2**20  # in one piece: below this, finding the place costs more than reading


def flat_chunks(shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """Say what is cheap to read of flat voxels: about a MiB of whole rows, then whole planes.

    Parameters
    ----------
    shape : sequence of int
        Stored extents, the last one contiguous.
    itemsize : int
        Bytes of a voxel.

    Examples
    --------
    >>> flat_chunks((500, 2048, 2048), 1), flat_chunks((500, 100, 200), 2)
    ((1, 512, 2048), (26, 100, 200))
    """
    left, chunks = max(1, _CHEAP_BYTES // itemsize), []
    for n in reversed(shape):
        chunks.append(max(1, min(n, left)))
        left = max(1, left // max(n, 1))
    return tuple(reversed(chunks))


def flat_reader(
    uri: str, path: Path, *, dtype: np.dtype[Any], shape: Sequence[int], offset: int
) -> Callable[[tuple[slice, ...]], Array]:
    """Make what reads slices of flat voxels: a plain file is mapped, a packed one decoded.

    Parameters
    ----------
    uri : str
        Which volume, for messages.
    path : Path
        The file.
    dtype : dtype
        Of a stored voxel, in the byte order of the file.
    shape : sequence of int
        Stored extents, the last one contiguous.
    offset : int
        Byte at which the voxels begin.

    Returns
    -------
    callable
        ``(slices) -> ndarray``, the caller's own.

    Raises
    ------
    SourceError
        If a plain file ends before its last voxel; a packed one says so when it is read.
    """
    shape = tuple(shape)
    end = offset + prod(shape) * dtype.itemsize
    if is_packed(path):

        def read_packed(slices: tuple[slice, ...]) -> Array:
            content = unpacked(uri, path)
            _refuse_cut(uri, path, content.size, end, shape=shape, dtype=dtype)
            voxels: Array = content[offset:end].view(dtype).reshape(shape)
            return voxels[slices].copy()

        return read_packed
    _refuse_cut(uri, path, path.stat().st_size, end, shape=shape, dtype=dtype)
    if end == offset:  # nothing can be mapped; that it is empty is said with its axes
        return lambda slices: np.empty(shape, dtype)[slices]
    mapped: Array = np.memmap(path, dtype, mode="r", offset=offset, shape=shape)
    return lambda slices: np.array(mapped[slices])


def _refuse_cut(
    uri: str, path: Path, found: int, expected: int, *, shape: Sequence[int], dtype: np.dtype[Any]
) -> None:
    if found < expected:
        raise SourceError(
            f"{uri}: {path.name} states voxels of {dtype} {tuple(shape)}, which end at byte "
            f"{expected}, but it ends at {found}; it is truncated: copy it again"
        )
