"""Strips: sums that blocks hand over to each other, as objects of a run's scratch folder.

Each is written whole, by one block, for one block: nothing is ever added into a stored object.
None is waited for until it is on the disk: a kill loses none, and after a power failure whoever
reads a torn one tells by its check sum, and computes the block by itself.
"""

import io
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from volkit.engine.op import Array
from volkit.io.place import Place

_PER_FOLDER = 1024  # blocks, so that no folder holds millions of files
_CHECK = 4  # bytes of a CRC-32 in front
_LONGEST_HEAD = 1024  # bytes of the description of an array


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
        np.lib.format.write_array_header_1_0(buffer, np.lib.format.header_data_from_array_1_0(kept))
        head, voxels = buffer.getvalue(), kept.data.cast("B")
        check = zlib.crc32(voxels, zlib.crc32(head)).to_bytes(_CHECK, "little")
        stored = b"".join((check, head, voxels))  # strips are large: they are copied once
        self.place.objects.put(_key(target, source), stored, lasting=False)
        return len(stored)

    def has(self, target: int, source: int) -> bool:
        """Tell whether sums were left for a block, whole or not."""
        return self.place.objects.modified(_key(target, source)) is not None

    def get(self, target: int, source: int) -> Array | None:
        """Take sums that were left for a block.

        Returns
        -------
        ndarray or None
            None where there are none, or none that are whole; not to be written to.
        """
        found = self.place.objects.get(_key(target, source))
        if found is None:
            return None
        data = memoryview(found)[_CHECK:]
        if zlib.crc32(data).to_bytes(_CHECK, "little") != found[:_CHECK]:
            return None
        head = io.BytesIO(data[:_LONGEST_HEAD])
        np.lib.format.read_magic(head)
        shape, _, dtype = np.lib.format.read_array_header_1_0(head)
        sums: Array = np.frombuffer(data[head.tell() :], dtype).reshape(shape)
        return np.zeros(sums.tolist(), sums.dtype) if sums.ndim == 1 else sums

    def drop(self, target: int, sources: Iterable[int]) -> None:
        """Delete sums that a block has used; none of them need be there."""
        objects = self.place.objects
        for source in sources:
            objects.delete(_key(target, source))

    def clear(self) -> None:
        """Delete everything."""
        self.place.objects.delete_all()


def _key(target: int, source: int) -> str:
    return f"{target // _PER_FOLDER}/{target}-{source}"
