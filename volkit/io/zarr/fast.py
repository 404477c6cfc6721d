"""Reading local zarr through tensorstore, which decodes several chunks at once without Python."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore

from volkit.io.axes import Array

_DRIVERS = {2: "zarr", 3: "zarr3"}


@dataclass(frozen=True, slots=True)
class FastReader:
    """Reads boxes of one array, or says that it cannot.

    Parameters
    ----------
    array : tensorstore.TensorStore
        The stored voxels.
    """

    array: Any = field(repr=False)

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
        try:
            values: Array = np.asarray(self.array[stored].read(order="C").result())
        except (ValueError, RuntimeError, OSError):
            return None
        return values


def fast_reader(folder: Path, version: int, *, zeros: bool) -> FastReader | None:
    """Open a local array for fast reading, where its codecs allow that.

    Parameters
    ----------
    folder : Path
        Of the array.
    version : int
        Of its zarr format.
    zeros : bool
        Whether a chunk that is not stored holds the fill value, or is an error.

    Returns
    -------
    FastReader or None
        None where tensorstore does not understand the array.
    """
    spec = {
        "driver": _DRIVERS[version],
        "kvstore": {"driver": "file", "path": f"{folder.resolve()}/"},
        "fill_missing_data_reads": zeros,
        "recheck_cached_data": True,
        "recheck_cached_metadata": "open",
    }
    try:
        return FastReader(tensorstore.open(spec, open=True, read=True, context=_context()).result())
    except (ValueError, RuntimeError, OSError, KeyError):
        return None


@cache
def _context() -> Any:
    """Keep no chunk: another process may write one at any time."""
    return tensorstore.Context({"cache_pool": {"total_bytes_limit": 0}})
