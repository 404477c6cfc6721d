"""PlanEngine: an engine that computes nothing and writes down what another one would do.

A pipeline is composed once, for the engines that compute; given to this one, it plans itself.
"""

from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import dask.array as da
import numpy as np

from volkit.engine.op import Op, Reduction, Spread
from volkit.geometry import Grid
from volkit.geometry.over_blocks import over_blocks, voxels_read
from volkit.pipelines.plan import StagePlan, block_read_shape

_SUM_BYTES = 4  # of one voxel that is handed over; 8 where answers have no bounds
_TABLE_BYTES = 0  # tables are small beside volumes, and not known before


@dataclass(frozen=True, slots=True)
class PlanEngine:
    """Record the stages of a pipeline.

    Parameters
    ----------
    work_bytes : dict of str to float
        What the kernel of a stage needs beside its inputs and its result, bytes for every voxel
        that a block reads.
    process_bytes : int
        What a worker needs before it has done anything.
    """

    work_bytes: dict[str, float]
    process_bytes: int
    stages: list[StagePlan] = field(default_factory=list)

    def map(self, op: Op, *inputs: Any, grid: Grid, name: str, shared: tuple[Any, ...] = ()) -> Any:
        """Record an Op.

        Returns
        -------
        dask array
            Of the right shape, dtype and chunks; its zeros are never computed.
        """
        grid = grid.with_halo(op.halo)
        item = np.dtype(op.dtype).itemsize * (op.channels or 1)
        reads = [voxels_read(grid)] * len(inputs)
        self._record(name, inputs, grid, item, reads, at_once=op.at_once)
        self.stages[-1] = replace(self.stages[-1], needs_gpu=op.needs_gpu)
        if op.spread is not None:
            spread, channels = op.spread.everywhere, op.channels or 1
            self.stages[-1] = exchanging(self.stages[-1], spread, grid, channels)
        lead = () if op.channels is None else (op.channels,)
        return da.zeros(
            (*lead, *grid.domain.shape),
            chunks=(*((c,) for c in lead), *grid.chunks),
            dtype=op.dtype,
        )

    def reduce(
        self,
        reduction: Reduction,
        *inputs: Any,
        grid: Grid,
        name: str,
        shared: tuple[Any, ...] = (),
    ) -> Any:
        """Record a Reduction; its value is not known, and None."""
        if all(stage.name != name for stage in self.stages):  # asked for again, it is there
            grid = grid.with_halo(reduction.halo)
            reads = [
                over_blocks(grid, lambda block, n=n: reduction.reads(block, n).size)  # type: ignore[misc]
                for n in range(len(inputs))
            ]
            self._record(name, inputs, grid, _TABLE_BYTES, reads)

    def _record(
        self,
        name: str,
        inputs: tuple[Any, ...],
        grid: Grid,
        out_bytes: int,
        reads: list[int],
        *,
        at_once: int = 1,
    ) -> None:
        each = [_item_bytes(value) for value in inputs]
        in_bytes = sum(each)
        seen = prod(block_read_shape(grid))
        written = prod(min(b, n) for b, n in zip(grid.block_shape, grid.domain.shape, strict=True))
        memory = (in_bytes + self.work_bytes.get(name, 0.0)) * seen + 2 * out_bytes * written
        self.stages.append(
            StagePlan(
                name=name,
                blocks=len(grid),
                voxels=grid.domain.size,
                voxels_read=max(reads, default=voxels_read(grid)),
                bytes_read=sum(a * b for a, b in zip(reads, each, strict=True)),
                bytes_written=grid.domain.size * out_bytes,
                # Twice the result: the kernel's, and the store's compressed copy at its worst.
                memory_bytes=self.process_bytes + at_once * int(memory),
            )
        )


def exchanging(stage: StagePlan, spread: Spread, grid: Grid, channels: int) -> StagePlan:
    """Plan a stage whose blocks exchange what reaches over their faces.

    Parameters
    ----------
    stage : StagePlan
        As it is without.
    spread : Spread
        How.
    grid : Grid
        The blocks.
    channels : int
        Of what it computes.

    Returns
    -------
    StagePlan
    """
    read = over_blocks(grid, lambda block: spread.reads(block).size)
    covered = over_blocks(grid, lambda block: spread.covers(block).size)
    own = over_blocks(grid, lambda block: spread.covers(block).intersect(block.write).size)
    return replace(
        stage,
        voxels_read=read,
        bytes_read=stage.bytes_read // stage.voxels_read * read,
        bytes_spilled=(covered - own) * channels * _SUM_BYTES,
    )


def _item_bytes(array: Any) -> int:
    """Count the bytes of one voxel with all its channels; Volume or dask array."""
    channels = array.channels if hasattr(array, "channels") else _lead(array)
    return int(np.dtype(array.dtype).itemsize * (channels or 1))


def _lead(array: Any) -> int:
    return int(prod(array.shape[:-3]))
