"""Tasks of an exchange: what a worker does for a block, before and after its neighbours' strips.

Sums travel as objects of the scratch folder, each written once: whoever finishes a block adds them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from volkit.engine.contributions import run_contribution, run_finish, spread_of
from volkit.engine.map_task import MapTask, content_check
from volkit.engine.op import Array
from volkit.engine.partners import givers, receivers
from volkit.engine.reading import read_metered, write_metered
from volkit.engine.run import load_shared
from volkit.engine.strips import Strips
from volkit.engine.usage import count, metered
from volkit.geometry import Block
from volkit.io.volume import Volume


@dataclass(frozen=True, slots=True)
class ContributeTask:
    """What a worker does for a block: evaluate its windows once, and finish it where it can.

    Parameters
    ----------
    task : MapTask
        What is computed.
    strips : Strips
        Where sums wait.
    """

    task: MapTask
    strips: Strips

    @property
    def needs_gpu(self) -> bool:
        """Whether it is for GPU workers."""
        return self.task.needs_gpu

    @property
    def at_once(self) -> int:
        """Blocks that a process may work on at the same time."""
        return self.task.at_once

    @property
    def inputs(self) -> tuple[Volume, ...]:
        """What it reads."""
        return self.task.inputs

    @property
    def shared(self) -> tuple[Any, ...]:
        """Values that every block gets."""
        return self.task.shared

    def __call__(self, number: int) -> int | None:
        """Evaluate one block; its check sum where it is finished, None where strips lack."""
        block = self.task.grid[number]
        total = self._handed_over(block)
        if not _are_there(self.task, self.strips, block):
            with metered("write"):
                count("bytes_spilled", self.strips.put(number, number, total))
            return None
        if _add_strips(self.task, self.strips, block, total):
            return _finish(self.task, block, total)
        count("blocks_recomputed")
        return self.task(number)

    def _handed_over(self, block: Block) -> Array:
        """Leave what reaches beyond a block for its neighbours, and give what is its own."""
        task, spread = self.task, spread_of(self.task.op)
        sums, covers = self._sums(block), spread.covers(block)
        with metered("write"):
            for other in receivers(spread, task.grid, block):
                part = other.write.intersect(covers)
                strip = sums[(..., *part.relative_to(covers).slices)]
                count("bytes_spilled", self.strips.put(other.number, block.number, strip))
        total = np.zeros((sums.shape[0], *block.write.shape), sums.dtype)
        own = block.write.intersect(covers)
        if own.size:
            total[(..., *own.relative_to(block.write).slices)] = sums[
                (..., *own.relative_to(covers).slices)
            ]
        return total

    def _sums(self, block: Block) -> Array:
        """Add up the windows that begin in a block."""
        task, spread = self.task, spread_of(self.task.op)
        reads = spread.reads(block)
        if reads.size:
            arrays = [read_metered(v, reads, decides=block.write) for v in task.inputs]
        else:  # a block that no window begins in
            arrays = [np.zeros((0, 0, 0), volume.dtype) for volume in task.inputs]
        return run_contribution(task.op, block, arrays, load_shared(task.shared))


@dataclass(frozen=True, slots=True)
class FinishTask:
    """What a worker does for a block whose windows are evaluated: add the strips, and write.

    Parameters
    ----------
    task : MapTask
        What is computed; by which a block is computed whose scratch is lost.
    strips : Strips
        Where sums wait.
    """

    task: MapTask
    strips: Strips

    @property
    def inputs(self) -> tuple[Volume, ...]:
        """What its voxels come from."""
        return self.task.inputs

    @property
    def shared(self) -> tuple[Any, ...]:
        """Values that every block gets."""
        return self.task.shared

    def __call__(self, number: int) -> int:
        """Finish one block; its check sum."""
        block = self.task.grid[number]
        own = self.strips.get(number, number)
        total = None if own is None else own.copy()
        if total is None or not _add_strips(self.task, self.strips, block, total):
            count("blocks_recomputed")
            return self.task(number)
        return _finish(self.task, block, total)


def _are_there(task: MapTask, strips: Strips, block: Block) -> bool:
    """Tell whether all that reaches into a block was left for it."""
    with metered("read"):
        return all(
            strips.has(block.number, giver.number)
            for giver in givers(spread_of(task.op), task.grid, block)
        )


def _add_strips(task: MapTask, strips: Strips, block: Block, total: Array) -> bool:
    """Add the strips for a block to its own sums, one in memory at a time.

    False where one is not whole; the sums are of no use then.
    """
    spread = spread_of(task.op)
    with metered("read"):
        for giver in givers(spread, task.grid, block):
            strip = strips.get(block.number, giver.number)
            if strip is None:
                return False
            part = spread.covers(giver).intersect(block.write)
            total[(..., *part.relative_to(block.write).slices)] += strip
    return True


def _finish(task: MapTask, block: Block, sums: Array) -> int:
    result = run_finish(task.op, block, sums, load_shared(task.shared))
    write_metered(task.target, block.write, result)
    return content_check(result)
