"""LazyEngine: kernels as dask graphs, one task per block; nothing is computed here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.delayed import delayed

from volkit.engine.exchange_graph import exchange_array
from volkit.engine.on_demand import as_asked
from volkit.engine.op import Array, Columns, Op, Reduction, run_block, run_partial
from volkit.engine.run import load_shared
from volkit.errors import GeometryError
from volkit.geometry import AXES, Box, Coord, Grid
from volkit.io.volume import Volume

_FAN_IN = 16  # partial tables that one task of the tree combines


@dataclass(frozen=True, slots=True)
class LazyEngine:
    """Build dask arrays whose chunks are the grid's blocks.

    Volumes are read inside the task that needs them; dask arrays exchange their halos.
    """

    def map(
        self, op: Op, *inputs: Any, grid: Grid, name: str, shared: tuple[Any, ...] = ()
    ) -> da.Array:
        """Apply an Op to every block.

        Parameters
        ----------
        op : Op
            What to apply.
        *inputs : Volume or dask array
            Arrays of shape ([C,] Z, Y, X); the space of a dask array is the grid's domain.
        grid : Grid
            In which blocks; its halo is replaced by the Op's.
        name : str
            Name of the layer.
        shared : tuple
            Values that every block gets; may be Delayed.

        Returns
        -------
        dask array
            Of ``op.dtype``, shape ``([C,] *grid.domain.shape)``.

        Raises
        ------
        GeometryError
            If the chunks of a dask array are not the grid's blocks, or thinner than the halo.
        """
        if op.spread is not None:
            check_inputs(inputs, grid)
            return exchange_array(op, inputs, grid, name=name, shared=shared)
        out_chunks = grid.chunks if op.channels is None else ((op.channels,), *grid.chunks)
        return _map_blocks(
            _op_task,
            inputs,
            grid.with_halo(op.halo),
            work=op,
            shared=shared,
            name=name,
            chunks=out_chunks,
            dtype=np.dtype(op.dtype),
        )

    def reduce(
        self,
        reduction: Reduction,
        *inputs: Any,
        grid: Grid,
        name: str,
        shared: tuple[Any, ...] = (),
    ) -> Any:
        """Add up a table over all blocks.

        Returns
        -------
        dask Delayed
            Of what ``reduction.finalize`` returns.
        """
        layer = block_tables(reduction, *inputs, grid=grid, name=name, shared=shared)
        combine = delayed(partial(_combined, reduction.combine), pure=True)
        while True:
            layer = [combine(*layer[i : i + _FAN_IN]) for i in range(0, len(layer), _FAN_IN)]
            if len(layer) == 1:
                break
        if reduction.finalize is None:
            return layer[0]
        return delayed(reduction.finalize, pure=True)(*layer)


def block_tables(
    reduction: Reduction, *inputs: Any, grid: Grid, name: str, shared: tuple[Any, ...] = ()
) -> list[Any]:
    """Apply a Reduction to every block, and add nothing up.

    Returns
    -------
    list of dask Delayed
        The table of every block, in C order.
    """
    cells = tuple((1,) * n for n in grid.shape)
    parts = _map_blocks(
        _reduction_task,
        inputs,
        grid.with_halo(reduction.halo),
        work=reduction,
        shared=shared,
        name=name,
        chunks=cells,
        dtype=np.dtype(object),
    )
    # Tables are no lists of Delayed, nor is `shared` of `_map_blocks`: dask optimises such a
    # list at once, so that upstream tasks are fused into it, and run again for others.
    unbox = delayed(_unbox, pure=True)
    return [unbox(x) for x in parts.to_delayed(optimize_graph=False).ravel()]


def _map_blocks(
    task: Any,
    inputs: Sequence[Any],
    grid: Grid,
    *,
    work: Op | Reduction,
    shared: tuple[Any, ...],
    name: str,
    chunks: tuple[tuple[int, ...], ...],
    dtype: np.dtype[Any],
) -> da.Array:
    """Map over blocks: dask arrays come in with their halo, Volumes as handles."""
    check_inputs(inputs, grid)
    arrays = [with_halo(x, grid) for x in inputs if not isinstance(x, Volume)]
    handles = [x if isinstance(x, Volume) else None for x in inputs]
    in_dims = max((x.ndim for x in arrays), default=len(chunks))
    return da.map_blocks(
        task,
        *arrays,
        work=work,
        grid=grid,
        handles=handles,
        **{f"shared_{n}": value for n, value in enumerate(shared)},
        name=f"{name}-{tokenize(task, work, grid, handles, shared, *arrays)}",
        chunks=chunks,
        dtype=dtype,
        meta=np.empty((0,) * len(chunks), dtype),
        drop_axis=[0] if in_dims > len(chunks) else None,
        new_axis=[0] if in_dims < len(chunks) else None,
    )


def check_inputs(inputs: Sequence[Any], grid: Grid) -> None:
    """Refuse inputs whose chunks are not the grid's blocks, or that it reaches over.

    Raises
    ------
    GeometryError
        If one is neither a Volume nor a dask array that fits.
    """
    for value in inputs:
        if isinstance(value, Volume):
            check_inside(grid, value)
        elif not isinstance(value, da.Array) or value.ndim not in (3, 4):
            raise GeometryError(
                f"input is {type(value).__name__} of {getattr(value, 'ndim', '?')} axes; give a "
                "Volume or a dask array with axes ([c,] z, y, x)"
            )
        elif value.chunks[-3:] != grid.chunks or (value.ndim == 4 and len(value.chunks[0]) > 1):
            fitting = (*(-1,) * (value.ndim - 3), *grid.block_shape)
            raise GeometryError(
                f"the array has chunks {_brief(value.chunks)}, the grid's blocks are "
                f"{_brief(grid.chunks)}; rechunk the array to {fitting}, or choose a grid with its "
                "chunks"
            )


def check_inside(grid: Grid, volume: Volume) -> None:
    """Refuse a grid that reaches over a Volume.

    Raises
    ------
    GeometryError
        If the domain is not inside the Volume's.
    """
    if not volume.domain.contains(grid.domain):
        raise GeometryError(
            f"domain {grid.domain} is not inside {volume.uri}, which covers {volume.domain}; "
            "choose a box within it"
        )


def _op_task(
    *arrays: Array,
    work: Op,
    grid: Grid,
    handles: list[Volume | None],
    block_id: tuple[int, ...],
    **shared: Any,
) -> Array:
    block = grid.block(block_id[-3:])  # type: ignore[arg-type]
    values = load_shared(_in_order(shared))
    boxes = [work.reads(block)] * len(handles)
    return run_block(work, block, _inputs(boxes, arrays, handles), values)


def _reduction_task(
    *arrays: Array,
    work: Reduction,
    grid: Grid,
    handles: list[Volume | None],
    block_id: tuple[int, ...],
    **shared: Any,
) -> Array:
    block = grid.block(block_id[-3:])  # type: ignore[arg-type]
    box = np.empty((1, 1, 1), object)
    values = load_shared(_in_order(shared))
    boxes = [work.reads(block, n) for n in range(len(handles))]
    given = as_asked(work, block, _inputs(boxes, arrays, handles), handles)
    box[0, 0, 0] = run_partial(work, block, given, values)
    return box


def _in_order(shared: Mapping[str, Any]) -> list[Any]:
    return [shared[f"shared_{n}"] for n in range(len(shared))]


def _combined(combine: Callable[[Sequence[Columns]], Columns], *tables: Columns) -> Columns:
    return combine(tables)


def _inputs(
    boxes: list[Box], arrays: tuple[Array, ...], handles: list[Volume | None]
) -> list[Array]:
    rest = iter(arrays)
    return [
        next(rest)
        if handle is None
        else (handle.read(box) if box.size else np.zeros((0, 0, 0), handle.dtype))
        for handle, box in zip(handles, boxes, strict=True)
    ]


def _unbox(part: Array) -> Columns:
    return part.item()


def with_halo(array: da.Array, grid: Grid) -> da.Array:
    """Give every chunk of a dask array the halo that the grid's blocks read.

    Raises
    ------
    GeometryError
        If chunks are thinner than the halo.
    """
    if not any(grid.halo):
        return array
    _check_thin(grid.chunks, grid.halo)
    first = array.ndim - 3
    # Where an axis is one block there is nobody to exchange with, and dask refuses a thin one.
    depth = dict.fromkeys(range(first), 0) | {
        first + axis: n if len(grid.chunks[axis]) > 1 else 0 for axis, n in enumerate(grid.halo)
    }
    return da.overlap.overlap(array, depth, boundary="none", allow_rechunk=False)


def _check_thin(chunks: tuple[tuple[int, ...], ...], halo: Coord) -> None:
    for axis, extents, n in zip(AXES, chunks, halo, strict=True):
        if len(extents) > 1 and min(extents) < n:
            raise GeometryError(
                f"blocks of {min(extents)} voxels on axis {axis} are thinner than the halo of {n}; "
                "choose a block_shape that leaves no thin remainder, or store the array and pass "
                "a Volume"
            )


def _brief(chunks: tuple[tuple[int, ...], ...]) -> str:
    return " x ".join(
        f"{c[0]}" if len(c) == 1 else f"{len(c)} of {c[0]} (last {c[-1]})" for c in chunks
    )
