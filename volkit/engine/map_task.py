"""The task of a map: what a worker does for a block, and the check sum that it gives back."""

import zlib
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

_BESIDE = 2**24  # bytes of a result that is written beside the next block: few may wait in memory


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
        if result.nbytes <= _BESIDE:
            behind(write)
        else:
            write()
        return content_check(result)


def content_check(values: NDArray[Any]) -> int:
    """Compute the CRC-32 of voxels in C order, as a ledger keeps it; never 0."""
    return zlib.crc32(np.ascontiguousarray(values).data) or 1
