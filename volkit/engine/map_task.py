"""The task of a map: what a worker does for a block, and the check sum that it gives back."""

import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.behind import behind
from volkit.engine.op import Op, run_block
from volkit.engine.reading import read_metered, write_metered
from volkit.engine.run import load_shared
from volkit.geometry import Grid
from volkit.io.volume import Volume

_BESIDE = 2**24  # bytes of results that wait, in a process, to be written beside the next blocks


@dataclass(frozen=True, slots=True)
class MapTask:
    """What a worker does for a block: read, apply, write; small ones while the next is read."""

    op: Op
    grid: Grid
    inputs: tuple[Volume, ...]
    shared: tuple[Any, ...]
    target: Volume

    @property
    def needs_gpu(self) -> bool:
        """Whether it is for GPU workers."""
        return self.op.needs_gpu

    @property
    def at_once(self) -> int:
        """Blocks that a process may work on at the same time."""
        return self.op.at_once

    def __call__(self, number: int) -> int:
        """Compute and write one block; its check sum."""
        block = self.grid[number]
        reads = self.op.reads(block)
        arrays = [read_metered(v, reads, decides=block.write) for v in self.inputs]
        result = run_block(self.op, block, arrays, load_shared(self.shared))
        write = partial(write_metered, self.target, block.write, result)
        if _room.take(result.nbytes):
            behind(partial(_written, write, result.nbytes))
        else:
            write()
        return content_check(result)


def content_check(values: NDArray[Any]) -> int:
    """Compute the CRC-32 of voxels in C order, as a ledger keeps it; never 0."""
    return zlib.crc32(np.ascontiguousarray(values).data) or 1


class _Room:
    """For results that wait in this process, of all batches: a batch may begin while others end.

    Where there is none a block writes by itself, so that memory does not depend on how the disk
    keeps up: the more blocks, the likelier it falls behind.
    """

    def __init__(self) -> None:
        self._lock, self._taken = threading.Lock(), 0

    def take(self, size: int) -> bool:
        """Take room for some bytes, if there is."""
        with self._lock:
            fits = self._taken + size <= _BESIDE
            self._taken += size if fits else 0
        return fits

    def give(self, size: int) -> None:
        """Give it back."""
        with self._lock:
            self._taken -= size


_room = _Room()


def _written(write: Callable[[], object], size: int) -> None:
    try:
        write()
    finally:
        _room.give(size)
