"""Local zarr through tensorstore, which codes several chunks at once without Python."""

import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore

from volkit.io.axes import Array

_DRIVERS = {2: "zarr", 3: "zarr3"}
_LARGE = 2**22  # bytes: from here on NumPy asks for large pages, tensorstore for small ones
_FAILURES = (ValueError, RuntimeError, OSError, KeyError, NotImplementedError)

_inherited: list[int] = []  # not empty in a process that was forked


@dataclass(frozen=True, slots=True)
class FastArray:
    """Reads and writes boxes of one array, or says that it cannot.

    Parameters
    ----------
    array : tensorstore.TensorStore
        The stored voxels.
    writes : bool
        Whether it may write.
    """

    array: Any = field(repr=False)
    writes: bool

    def read(self, stored: tuple[slice, ...]) -> Array | None:
        """Read a box in its stored order.

        Parameters
        ----------
        stored : tuple of slice
            One for each stored axis.

        Returns
        -------
        ndarray or None
            None where a chunk is missing or damaged; which one, a slower reader finds out.
        """
        if _inherited:
            return None
        try:
            return _read(self.array[stored])
        except _FAILURES:
            return None

    def write(self, stored: tuple[slice, ...], values: Array) -> bool:
        """Write a box of whole stored objects, each beside its name and then renamed.

        Parameters
        ----------
        stored : tuple of slice
            One for each stored axis.
        values : ndarray
            In stored order.

        Returns
        -------
        bool
            False where it failed; a slower writer then succeeds, or says why not.
        """
        if _inherited or not self.writes:
            return False
        try:
            self.array[stored].write(values).result()
        except _FAILURES:
            return False
        return True


def fast_array(folder: Path, version: int, *, zeros: bool) -> FastArray | None:
    """Open a local array, where tensorstore knows its codecs.

    Parameters
    ----------
    folder : Path
        Of the array.
    version : int
        Of its zarr format; only arrays of version 3 are written.
    zeros : bool
        Whether a chunk that is not stored holds the fill value, or is an error.

    Returns
    -------
    FastArray or None
        None where tensorstore does not understand the array.
    """
    if _inherited:
        return None
    spec = {
        "driver": _DRIVERS[version],
        "kvstore": {"driver": "file", "path": f"{folder.resolve()}/"},
        "fill_missing_data_reads": zeros,
        "store_data_equal_to_fill_value": True,
        "recheck_cached_data": True,
    }
    try:
        found = tensorstore.open(spec, open=True, context=_context()).result()
    except _FAILURES:
        return None
    return FastArray(found, writes=version == 3)


def _read(part: Any) -> Array:
    """Read a part in C order; where it is large, into memory of NumPy's."""
    dtype = part.dtype.numpy_dtype
    if part.size * dtype.itemsize < _LARGE:
        return np.asarray(part.read(order="C").result())
    values: Array = np.empty(part.shape, dtype)
    own = tensorstore.array(values, context=_context(), copy=False, write=True)
    own.write(part).result()
    return values


@cache
def _context() -> Any:
    """Keep no chunk, for another process may write one at any time, and lock nothing.

    Without locks each draft has a name of its own and is renamed; stored objects have one writer
    anyway, and some network file systems have no locks.
    """
    return tensorstore.Context(
        {
            "cache_pool": {"total_bytes_limit": 0},
            "file_io_locking": {"mode": "none"},
            "file_io_sync": False,
        }
    )


if hasattr(os, "register_at_fork"):
    # tensorstore ends a forked process that uses what its parent had begun to use.
    os.register_at_fork(after_in_child=lambda: _inherited.append(os.getpid()))
