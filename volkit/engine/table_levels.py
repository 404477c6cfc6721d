"""Levels of tables: every table is made of some tables of levels before it, whatever the engine.

A reduction ends in one table that somebody has to hold, and a cascade follows the boxes of a grid.
Levels go wherever they are told to: which tables a table is made of is a function of its number,
so that rows can meet by what they hold, and no table is larger than what meets in it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import dask.array as da
from dask.delayed import delayed

from volkit.engine.base import Engine
from volkit.engine.cascade_eager import ListedShards, tables_at_once
from volkit.engine.cascade_graph import map_tables
from volkit.engine.lazy import block_tables
from volkit.engine.op import Columns, Op, Reduction
from volkit.geometry import Grid

Work = Callable[..., Columns]
"""``work(number, *groups)``: a table, from its number and an iterable of tables of each group."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A group of tables that a table is made of.

    Parameters
    ----------
    tables : object
        A level, as ``TableLevels`` gives it.
    numbers : callable
        ``numbers(n)``: which of its tables, for table ``n``.
    """

    tables: Any
    numbers: Callable[[int], Iterable[int]]


class TableLevels(Protocol):
    """What makes levels of tables."""

    def blocks(self, reduction: Reduction, *inputs: Any, grid: Grid) -> Any:
        """Make the lowest level: a table for every block."""

    def level(self, key: str, work: Work, count: int, *drawn: Drawn) -> Any:
        """Make a level of ``count`` tables; its key names it among the others."""

    def map(self, op: Op, labels: Any, work: Work, *drawn: Drawn, grid: Grid, name: str) -> Any:
        """Make a table for every block, and apply an Op whose kernel gets ``Shards`` of them."""


@dataclass(frozen=True, slots=True)
class GraphLevels:
    """Levels in a dask graph: a task for every table.

    Parameters
    ----------
    name : str
        Of the layers.
    """

    name: str

    def blocks(self, reduction: Reduction, *inputs: Any, grid: Grid) -> list[Any]:
        """Make the lowest level: a table for every block."""
        return block_tables(reduction, *inputs, grid=grid, name=self.name)

    def level(self, key: str, work: Work, count: int, *drawn: Drawn) -> list[Any]:
        """Make a level of tables."""
        task, made = delayed(_made, pure=True), []
        for number in range(count):
            groups = [[group.tables[n] for n in group.numbers(number)] for group in drawn]
            # In a row, since dask optimises lists of Delayed at once, and runs their tasks again.
            tables = [table for group in groups for table in group]
            made.append(task(work, number, [len(group) for group in groups], *tables))
        return made

    def map(
        self, op: Op, labels: Any, work: Work, *drawn: Drawn, grid: Grid, name: str
    ) -> da.Array:
        """Make a table for every block, and apply an Op."""
        tables = self.level("last", work, len(grid), *drawn)
        return map_tables(op, labels, tables, grid=grid, name=name)


def _made(work: Work, number: int, lengths: Sequence[int], *tables: Columns) -> Columns:
    groups, begin = [], 0
    for length in lengths:
        groups.append(tables[begin : begin + length])
        begin += length
    return work(number, *groups)


@dataclass(frozen=True, slots=True)
class EagerLevels:
    """Levels in any other engine: made in this process, at once; or not at all by one that plans.

    Parameters
    ----------
    engine : Engine
        Whose ``reduce`` gives Columns, or None where it only plans.
    name : str
        Of the stage.
    """

    engine: Engine
    name: str

    def blocks(self, reduction: Reduction, *inputs: Any, grid: Grid) -> list[Columns] | None:
        """Make the lowest level: a table for every block."""
        return tables_at_once(self.engine, reduction, *inputs, grid=grid, name=self.name)

    def level(self, key: str, work: Work, count: int, *drawn: Drawn) -> list[Columns] | None:
        """Make a level of tables."""
        if any(group.tables is None for group in drawn):
            return None
        return [
            work(n, *([group.tables[k] for k in group.numbers(n)] for group in drawn))
            for n in range(count)
        ]

    def map(self, op: Op, labels: Any, work: Work, *drawn: Drawn, grid: Grid, name: str) -> Any:
        """Make a table for every block, and apply an Op."""
        tables = self.level("last", work, len(grid), *drawn)
        shards = None if tables is None else ListedShards(tuple(tables))
        return self.engine.map(op, labels, grid=grid, name=name, shared=(shards,))
