"""Strips: sums that blocks hand over to each other, as objects of a run's scratch folder.

Each is written whole, by one block, for one block: nothing is ever added into a stored object.
"""

import io
import zlib
from dataclasses import dataclass

import numpy as np

from volkit.engine.op import Array
from volkit.io.place import Place

_PER_FOLDER = 1024  # blocks, so that no folder holds millions of files
_CHECK = 4  # bytes of a CRC-32 in front


@dataclass(frozen=True, slots=True)
class Strips:
    """Where sums wait for the block that needs them.

    Parameters
    ----------
    place : Place
        The scratch folder of a stage.
    """

    place: Place

    def put(self, target: int, source: int, sums: Array) -> int:
        """Leave sums for a block.

        Parameters
        ----------
        target : int
            Number of the block that they are for.
        source : int
            Number of the block that computed them; the same for what it keeps for itself.
        sums : ndarray
            Over the voxels of the target that the source covers.

        Returns
        -------
        int
            Bytes that were stored.
        """
        # Where windows were skipped there are no sums: their shape is enough, a row of numbers.
        kept = np.ascontiguousarray(sums) if sums.any() else np.array(sums.shape, sums.dtype)
        buffer = io.BytesIO()
        np.save(buffer, kept, allow_pickle=False)
        data = buffer.getvalue()
        check = zlib.crc32(data).to_bytes(_CHECK, "little")
        self.place.objects.put(_key(target, source), check + data)
        return _CHECK + len(data)

    def get(self, target: int, source: int) -> Array | None:
        """Take sums that were left for a block.

        Returns
        -------
        ndarray or None
            None where there are none, or none that are whole.
        """
        found = self.place.objects.get(_key(target, source))
        if found is None:
            return None
        check, data = found[:_CHECK], found[_CHECK:]
        if zlib.crc32(data).to_bytes(_CHECK, "little") != check:
            return None
        sums: Array = np.load(io.BytesIO(data), allow_pickle=False)
        return np.zeros(sums.tolist(), sums.dtype) if sums.ndim == 1 else sums

    def clear(self) -> None:
        """Delete everything."""
        self.place.objects.delete_all()


def _key(target: int, source: int) -> str:
    return f"{target // _PER_FOLDER}/{target}-{source}"
