"""An engine for benches: blocks in turn, in this process, from array to array."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.op import Op, Reduction, run_block, run_partial
from volkit.geometry import Box, Grid
from volkit.io.volume import Volume


@dataclass(frozen=True, slots=True)
class InMemory:
    """Blockwise work without a store or a graph of tasks: what the kernels themselves cost."""

    def map(
        self, op: Op, *inputs: Any, grid: Grid, name: str, shared: tuple[Any, ...] = ()
    ) -> NDArray[Any]:
        """Apply an Op to every block; an array over the grid's domain."""
        out = np.empty(op.out_shape(grid.domain.shape), op.dtype)
        for block in grid.with_halo(op.halo):
            arrays = [_read(values, op.reads(block), grid.domain) for values in inputs]
            place = block.write.relative_to(grid.domain).slices
            out[(..., *place)] = run_block(op, block, arrays, shared)
        return out

    def reduce(
        self,
        reduction: Reduction,
        *inputs: Any,
        grid: Grid,
        name: str,
        shared: tuple[Any, ...] = (),
    ) -> Any:
        """Add up a table over all blocks."""
        tables = [
            run_partial(
                reduction,
                block,
                [_read(x, reduction.reads(block, n), grid.domain) for n, x in enumerate(inputs)],
                shared,
            )
            for block in grid.with_halo(reduction.halo)
        ]
        total = reduction.combine(tables)
        return total if reduction.finalize is None else reduction.finalize(total)


def _read(values: Any, box: Box, domain: Box) -> NDArray[Any]:
    if isinstance(values, Volume):
        return values.read(box)
    part: NDArray[Any] = values[(..., *box.relative_to(domain).slices)]
    return part  # kernels copy what they need in one piece
