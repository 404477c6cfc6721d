"""Op and Reduction: how a kernel is applied to a block, as values."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from volkit.errors import ContractError
from volkit.geometry import Block, Box, Coord, coord

Array = NDArray[Any]
Columns = dict[str, Array]
"""Named arrays: what a reduction adds up, and what can be stored without pickle."""


class Spread(Protocol):
    """How an Op's result adds up from what each block contributes once, seams included.

    It gives the same bytes as the Op's kernel: engines choose between them by cost.  Sums are whole
    numbers, so that the order in which contributions meet cannot show.
    """

    @property
    def reach(self) -> Coord:
        """Voxels that a contribution may reach beyond the block's last one."""

    @property
    def everywhere(self) -> "Spread":
        """The same where nothing is left out: reads and covers are products of the axes' own."""

    def reads(self, block: Block) -> Box:
        """Say what a block needs of the inputs; empty where it contributes nothing."""

    def covers(self, block: Block) -> Box:
        """Say to which voxels a block contributes, none before its own; empty where none."""

    def contribute(self, block: Block, *values: Any) -> Array:
        """Compute sums over ``covers``, from arrays that cover ``reads`` and shared values."""

    def finish(self, block: Block, sums: Array, *shared: Any) -> Array:
        """Turn the sum of all contributions to ``block.write`` into the result."""


@dataclass(frozen=True, slots=True)
class Op:
    """A kernel that turns blocks of arrays into blocks of one array.

    Parameters
    ----------
    kernel : callable
        ``kernel(block, *arrays, *shared, **params)``; each array covers ``block.read``; it returns
        an array that covers ``block.read`` or ``block.write``.
    dtype : dtype
        What it returns.
    halo : tuple of int
        Context that it needs on each face, voxels.
    channels : int, optional
        Extent of the leading axis of what it returns; None if there is no such axis.
    params : mapping
        Its options; JSON, since they are the provenance.
    version : int
        To be raised when the kernel's results change.
    needs_gpu : bool
        Run on GPU workers where a cluster has some; results do not depend on it.
    at_once : int
        Blocks that a process may work on at the same time: more than one where the kernel waits its
        turn, as for a network, so that others are read and written meanwhile.
    spread : Spread, optional
        Another way to the same result, in which blocks exchange what reaches over their faces.
    idle : callable, optional
        ``idle(block)``: whether the kernel needs no input there, so that none is read: it gets
        arrays without voxels.

    Raises
    ------
    ContractError
        If the params are no JSON.
    """

    kernel: Callable[..., Array]
    dtype: DTypeLike
    halo: Coord = (0, 0, 0)
    channels: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1
    needs_gpu: bool = False
    at_once: int = 1
    spread: Spread | None = None
    idle: Callable[[Block], bool] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", np.dtype(self.dtype))
        object.__setattr__(self, "halo", coord(self.halo, name="halo"))
        _check_json(self.kernel, self.params)

    def reads(self, block: Block) -> Box:
        """Say what the kernel needs of the inputs; empty where it needs nothing."""
        if self.idle is not None and self.idle(block):
            return Box(block.read.start, block.read.start)
        return block.read

    def out_shape(self, shape: Coord) -> tuple[int, ...]:
        """Give the shape of the result for a box of ``shape``."""
        return shape if self.channels is None else (self.channels, *shape)


@dataclass(frozen=True, slots=True)
class Reduction:
    """A kernel that turns blocks of arrays into tables that add up.

    Parameters
    ----------
    kernel : callable
        ``kernel(block, *arrays, *shared, **params)``; each array covers ``block.read``, or from its
        beginning on what ``reads`` says; it returns Columns.
    combine : callable
        Merges a sequence of Columns; associative and exact, so that the order in which blocks
        meet cannot show.
    finalize : callable, optional
        What the merged Columns mean; may return Columns, which are then stored too.
    halo : tuple of int
        Context that the kernel needs on each face, voxels.
    params : mapping
        Options of the kernel; JSON.
    version : int
        To be raised when the kernel's results change.
    before : bool
        Whether it needs that only where a block begins.  A dask array may have it at the end, too.
    alone : tuple of int
        Numbers of the inputs of which it needs the block itself; a dask array may have more.
    on_demand : bool
        Whether it needs context here and there only: it gets an
        :class:`~volkit.engine.on_demand.OnDemand` in place of each array.

    Raises
    ------
    ContractError
        If the params are no JSON.
    """

    kernel: Callable[..., Columns]
    combine: Callable[[Sequence[Columns]], Columns]
    finalize: Callable[[Columns], Any] | None = None
    halo: Coord = (0, 0, 0)
    params: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1
    before: bool = False
    alone: tuple[int, ...] = ()
    on_demand: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "halo", coord(self.halo, name="halo"))
        _check_json(self.kernel, self.params)

    def reads(self, block: Block, number: int) -> Box:
        """Say what the kernel needs of an input, before it asks for more."""
        if self.on_demand or number in self.alone:
            return block.write
        return Box(block.read.start, block.write.stop) if self.before else block.read


def run_block(
    op: Op, block: Block, arrays: Sequence[Array], shared: Sequence[object] = ()
) -> Array:
    """Apply an Op to a block: the only caller of its kernel.

    Parameters
    ----------
    op : Op
        What to apply.
    block : Block
        Where.
    arrays : sequence of ndarray
        The inputs, each covering ``block.read``.
    shared : sequence
        Values that every block gets.

    Returns
    -------
    ndarray
        What the kernel says about ``block.write``.

    Raises
    ------
    ContractError
        If shape or dtype differ from what the Op declares.
    """
    try:
        result = np.asarray(op.kernel(block, *arrays, *shared, **op.params))
        check_result(op, block, result)
    except Exception as error:
        add_note(error, op.kernel, block)
        raise
    core = op.out_shape(block.write.shape)
    return result if result.shape == core else result[(..., *block.crop)]


def check_result(op: Op, block: Block, result: Array) -> None:
    """Compare a result with what its Op declares.

    Raises
    ------
    ContractError
        If shape or dtype differ.
    """
    whole, core = op.out_shape(block.read.shape), op.out_shape(block.write.shape)
    if result.dtype != op.dtype or result.shape not in (whole, core):
        raise ContractError(
            f"{kernel_name(op.kernel)} returned {result.dtype} {result.shape} for {block}; "
            f"its Op declares {op.dtype} {core}"
            + (f", or {whole} with the halo" if whole != core else "")
        )


def run_partial(
    reduction: Reduction, block: Block, arrays: Sequence[Any], shared: Sequence[object] = ()
) -> Columns:
    """Apply a Reduction's kernel to a block.

    Parameters
    ----------
    reduction : Reduction
        What to apply.
    block : Block
        Where.
    arrays : sequence of ndarray or OnDemand
        The inputs, each as the reduction asks for it.
    shared : sequence
        Values that every block gets.

    Returns
    -------
    dict of ndarray

    Raises
    ------
    ContractError
        If the kernel does not return Columns.
    """
    try:
        result = reduction.kernel(block, *arrays, *shared, **reduction.params)
        if not is_columns(result):
            raise ContractError(
                f"{kernel_name(reduction.kernel)} returned {type(result).__name__} for {block}; "
                "a Reduction's kernel returns a dict of arrays"
            )
    except Exception as error:
        add_note(error, reduction.kernel, block)
        raise
    return result


def is_columns(value: object) -> bool:
    """Tell whether a value is a dict of arrays that can be stored without pickle."""
    return isinstance(value, dict) and all(
        isinstance(k, str) and isinstance(v, np.ndarray) and not v.dtype.hasobject
        for k, v in value.items()
    )


def kernel_name(kernel: Callable[..., object]) -> str:
    """Give the name of a kernel, for messages."""
    function = getattr(kernel, "func", kernel)
    return getattr(function, "__qualname__", repr(function))


def add_note(error: BaseException, kernel: Callable[..., object], block: Block) -> None:
    """Add the position of a block to an error, as a note that survives distributed."""
    error.add_note(f"volkit: in {kernel_name(kernel)} on {block}")


def _check_json(kernel: Callable[..., object], params: Mapping[str, Any]) -> None:
    try:
        json.dumps(dict(params), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ContractError(
            f"params of {kernel_name(kernel)} are not JSON ({error}); they are recorded as "
            "provenance: pass plain numbers, strings, lists and dicts, and all else as shared"
        ) from None
