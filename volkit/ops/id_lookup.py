"""Lookup tables of ids that may stand anywhere, which no machine holds as a whole.

What blocks say of an id meets by key, round by round; there it is decided, and told back the same
way.  A table holds about as many ids as a block::

    labels ─► ids of each block ─► rounds ─► all of an id ─► its new name
       └──► renamed ◄── names of a block's own ids ◄── rounds ◄───┘
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from volkit.engine.base import Engine
from volkit.engine.job import JobEngine
from volkit.engine.lazy import LazyEngine
from volkit.engine.op import Columns, Op, Reduction
from volkit.engine.replay import ReplayEngine
from volkit.engine.rounds import Rounds
from volkit.engine.table_levels import Drawn, EagerLevels, GraphLevels, TableLevels
from volkit.engine.table_levels_job import StoredLevels
from volkit.geometry import Grid
from volkit.kernels.id_keys import mixed_keys, ordered_keys, samples_of
from volkit.kernels.met_ids import begun, counted, gathered, numbered, told, without_small
from volkit.ops.sharded_lookup import rename_shard

Tables = Iterable[Columns]


@dataclass(frozen=True, slots=True)
class MetIds:
    """Ids of blocks that have met.

    Parameters
    ----------
    levels : TableLevels
        What makes tables.
    grid : Grid
        The blocks.
    tables : tuple
        Those of the blocks, and those that each round left.
    """

    levels: TableLevels
    grid: Grid
    tables: tuple[Any, ...]

    @property
    def rounds(self) -> Rounds:
        """How they met."""
        return Rounds(len(self.grid))

    def without_small(self, smallest: int) -> Any:
        """Turn ids of fewer voxels into background; give the level of that."""
        work = partial(_without_small, smallest=smallest)
        return self.levels.level("names", work, self.rounds.keys, Drawn(self.tables[-1], _own))

    def numbered(self) -> Any:
        """Give ids numbers from 1, if they met in their order; give the level of that."""
        fan, sizes = self.rounds.fan, [self.rounds.keys]
        counts: list[Any] = []
        below = self.tables[-1]
        while sizes[-1] > 1:
            parts = Drawn(below, partial(_cell, fan, sizes[-1]))
            sizes.append(-(-sizes[-1] // fan))
            key = f"counts-{len(counts)}"
            below = self.levels.level(key, _counted, sizes[-1], parts)
            counts.append(below)
        begins: tuple[Drawn, ...] = ()
        work = partial(_begun, fan)
        for n, count in reversed(list(enumerate(counts))):
            own = Drawn(count, _own)
            made = self.levels.level(f"begins-{n}", work, sizes[n + 1], own, *begins)
            begins = (Drawn(made, partial(_holder, fan)),)
        own = Drawn(self.tables[-1], _own)
        return self.levels.level("names", partial(_numbered, fan), sizes[0], own, *begins)

    def rename(self, names: Any, labels: Any, *, name: str) -> Any:
        """Replace labels by what became of their ids.

        Parameters
        ----------
        names : object
            The level that says it.
        labels : Volume or dask array of int, shape (Z, Y, X)
            Those that have met; ids that nothing is said of stay.
        name : str
            Of the result in a job.

        Returns
        -------
        Volume or dask array of uint64, shape (Z, Y, X)
        """
        rounds = self.rounds
        for n in range(rounds.count - 1, 0, -1):
            own, above = Drawn(self.tables[n], _own), Drawn(names, partial(rounds.above, n))
            names = self.levels.level(f"told-{n}", _told, rounds.tables(n), own, above)
        above = Drawn(names, partial(rounds.above, 0) if rounds.count else _own)
        op, own = Op(rename_shard, dtype=np.uint64), Drawn(self.tables[0], _own)
        return self.levels.map(op, labels, _told, own, above, grid=self.grid, name=name)


def meet(
    engine: Engine,
    kernel: Callable[..., Columns],
    labels: Any,
    *,
    ordered: bool,
    grid: Grid,
    name: str,
) -> MetIds:
    """Let the rows of every id meet.

    Parameters
    ----------
    engine : Engine
        Where.
    kernel : callable
        ``kernel(block, labels)``: ``id`` (uint64, sorted, each once), and ``voxels`` where wanted.
    labels : Volume or dask array of int, shape (Z, Y, X)
        Any ids.
    ordered : bool
        Whether the tables that are left are in the order of the ids.
    grid : Grid
        The blocks.
    name : str
        Of the stage.

    Returns
    -------
    MetIds
    """
    grid, rounds = grid.with_halo((0, 0, 0)), Rounds(len(grid))
    levels = _levels(engine, name)
    tables = [levels.blocks(Reduction(kernel, _alone), labels, grid=grid)]
    samples: tuple[Drawn, ...] = ()
    if ordered and rounds.count:
        found, size = tables[0], len(grid)
        for n in range(rounds.count):
            parts = Drawn(found, partial(_cell, rounds.fan, size))
            size = -(-size // rounds.fan)
            found = levels.level(f"samples-{n}", _samples, size, parts)
        samples = (Drawn(found, _first),)
    for n in range(1, rounds.count + 1):
        below = Drawn(tables[-1], partial(rounds.below, n))
        work = partial(_round, len(grid), n)
        tables.append(levels.level(f"round-{n}", work, rounds.tables(n), below, *samples))
    return MetIds(levels, grid, tuple(tables))


def _levels(engine: Engine, name: str) -> TableLevels:
    if isinstance(engine, LazyEngine):
        return GraphLevels(name)
    if isinstance(engine, JobEngine | ReplayEngine):
        return StoredLevels(engine, name)
    return EagerLevels(engine, name)


def _own(number: int) -> tuple[int]:
    return (number,)


def _first(number: int) -> tuple[int]:
    return (0,)


def _cell(fan: int, total: int, number: int) -> range:
    return range(number * fan, min((number + 1) * fan, total))


def _holder(fan: int, number: int) -> tuple[int]:
    return (number // fan,)


def _alone(tables: Any) -> Columns:
    """Leave the table of a block as it is: nothing is added up before tables meet."""
    (table,) = tables
    return dict(table)


def _samples(number: int, tables: Tables) -> Columns:
    return samples_of(tables)


def _round(blocks: int, n: int, number: int, tables: Tables, samples: Tables = ()) -> Columns:
    rounds = Rounds(blocks)
    keys = partial(mixed_keys, keys=rounds.keys)
    for sample in samples:
        keys = partial(ordered_keys, samples=sample["id"], keys=rounds.keys)
    return gathered(tables, lambda ids: rounds.mine(n, number, keys(ids)))


def _without_small(number: int, own: Tables, *, smallest: int) -> Columns:
    (sizes,) = own
    return without_small(sizes, smallest)


def _counted(number: int, tables: Tables) -> Columns:
    return counted(tables)


def _begun(fan: int, number: int, own: Tables, above: Tables = ()) -> Columns:
    (counts,) = own
    return begun(counts, _begin(fan, number, above))


def _numbered(fan: int, number: int, own: Tables, above: Tables = ()) -> Columns:
    (ids,) = own
    return numbered(ids, _begin(fan, number, above))


def _begin(fan: int, number: int, above: Tables) -> int:
    return sum(int(table["begin"][number % fan]) for table in above)


def _told(number: int, own: Tables, above: Tables) -> Columns:
    (ids,) = own
    return told(ids, above)
