"""Cascades in any other engine: tables of blocks as it gives them, risen in this process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from volkit.engine.base import Engine
from volkit.engine.cascade import Boxes, Cascade, Sink
from volkit.engine.op import Array, Columns, Op, Reduction
from volkit.geometry import Block, Grid


@dataclass(frozen=True, slots=True)
class ListedShards:
    """Lookup tables of all blocks, at hand.

    Parameters
    ----------
    tables : tuple of dict of ndarray
        By the number of the block.
    """

    tables: tuple[Columns, ...]

    def of(self, number: int) -> Columns:
        """Give the table of a block."""
        return self.tables[number]


@dataclass(frozen=True, slots=True)
class EagerCascade:
    """A cascade that has risen in this process.

    Parameters
    ----------
    engine : Engine
        Where blocks are worked on.
    boxes : Boxes
        Of the cascade.
    kept : tuple of list of dict of ndarray, or None
        For every level, what each box keeps; None in an engine that computes nothing.
    """

    engine: Engine
    boxes: Boxes
    kept: tuple[list[Columns], ...] | None

    def map(self, op: Op, labels: Any, *, sink: Sink, name: str) -> Any:
        """Let lookup tables sink to the blocks, and apply an Op that reads them.

        Parameters
        ----------
        op : Op
            Its kernel gets the block, its labels, and ``Shards``.
        labels : array, shape (Z, Y, X)
            As the engine takes it.
        sink : callable
            What becomes of the ids of a box.
        name : str
            Of the result.

        Returns
        -------
        array
            As the engine gives it.
        """
        shards = None if self.kept is None else ListedShards(self._sunk(self.kept, sink))
        return self.engine.map(op, labels, grid=self.boxes.grid, name=name, shared=(shards,))

    def _sunk(self, kept: tuple[list[Columns], ...], sink: Sink) -> tuple[Columns, ...]:
        above: list[Columns] = []
        for level in reversed(range(len(kept))):
            above = [
                sink(own, above[self.boxes.above(level, n)] if above else None)
                for n, own in enumerate(kept[level])
            ]
        return tuple(above)


def cascade_at_once(
    engine: Engine, cascade: Cascade, *inputs: Any, grid: Grid, name: str
) -> EagerCascade:
    """Let a cascade rise in an engine that gives tables at once, or computes nothing.

    Parameters
    ----------
    engine : Engine
        Whose ``reduce`` gives Columns, or None where it only plans.
    cascade : Cascade
        What to do.
    *inputs : array
        As the engine takes them.
    grid : Grid
        In which blocks.
    name : str
        Of the stage.

    Returns
    -------
    EagerCascade
    """
    boxes = Boxes(grid.with_halo(cascade.halo))
    tables = tables_at_once(engine, cascade.reduction, *inputs, grid=grid, name=name)
    kept = None if tables is None else _risen(cascade, boxes, tables)
    return EagerCascade(engine, boxes, kept)


def tables_at_once(
    engine: Engine, reduction: Reduction, *inputs: Any, grid: Grid, name: str
) -> list[Columns] | None:
    """Apply a Reduction to every block, and add nothing up.

    Parameters
    ----------
    engine : Engine
        Whose ``reduce`` gives Columns, or None where it only plans.
    reduction : Reduction
        What to apply.
    *inputs : array
        As the engine takes them.
    grid : Grid
        In which blocks.
    name : str
        Of the stage.

    Returns
    -------
    list of dict of ndarray, or None
        The table of every block, in C order.
    """
    kernel = partial(_numbered, reduction.kernel)
    gather = replace(reduction, kernel=kernel, combine=_together, finalize=None)
    tables = engine.reduce(gather, *inputs, grid=grid, name=name)
    if tables is None:
        return None
    own: list[Columns] = [{} for _ in range(len(grid))]
    for key, column in tables.items():
        number, _, column_name = key.partition(".")
        own[int(number)][column_name] = column
    return own


def _risen(cascade: Cascade, boxes: Boxes, tables: list[Columns]) -> tuple[list[Columns], ...]:
    """Work off the levels of the tree; give what boxes keep."""
    levels = []
    for level, cubes in enumerate(boxes.levels):
        both = []
        for number in range(len(cubes)):
            box = boxes.box(level, number)
            below = [number] if level == 0 else boxes.below(level, number)
            spans = [boxes.box(max(level - 1, 0), n) for n in below]
            parts = [
                boxes.still_open(tables[n], span, box) for n, span in zip(below, spans, strict=True)
            ]
            both.append(cascade.rise(parts))
        tables = [up for up, _ in both]
        levels.append([kept for _, kept in both])
    return tuple(levels)


def _numbered(
    kernel: Callable[..., Columns], block: Block, *arrays: Array, **params: Any
) -> Columns:
    return {f"{block.number}.{k}": v for k, v in kernel(block, *arrays, **params).items()}


def _together(tables: Sequence[Columns]) -> Columns:
    return {name: column for table in tables for name, column in table.items()}
