"""Levels of tables in a job: every table in the run's folder, level by level, resumed."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from volkit.engine.fingerprint import Facts, facts, fingerprint, kernel_identity
from volkit.engine.job import JobEngine
from volkit.engine.op import Columns, Op, Reduction
from volkit.engine.replay import ReplayEngine
from volkit.engine.stored_inputs import stored_volumes
from volkit.engine.table_levels import Drawn, Work
from volkit.engine.tree import LevelTask, PartialTask, read_part, work_level, write_part
from volkit.geometry import Box, Grid
from volkit.io.place import Place
from volkit.io.volume import Volume


@dataclass(frozen=True, slots=True)
class StoredLevel:
    """A level that was made.

    Parameters
    ----------
    task : callable
        What made it, and where its tables lie.
    facts : dict
        The same, for fingerprints.
    """

    task: LevelTask
    facts: Facts


@dataclass(frozen=True, slots=True)
class TableTask:
    """What a worker does for a table: read those that it is made of, one by one, and store it."""

    work: Work
    drawn: tuple[Drawn, ...]
    folder: Place

    def __call__(self, number: int) -> None:
        """Make and store one table."""
        write_part(self.folder, number, self.table(number))

    def table(self, number: int) -> Columns:
        """Make one table."""
        groups = [
            map(partial(read_part, group.tables.task), group.numbers(number))
            for group in self.drawn
        ]
        return self.work(number, *groups)


@dataclass(frozen=True, slots=True)
class MadeShards:
    """Lookup tables, one for each block, made of what lies in the folder of a run.

    Parameters
    ----------
    task : TableTask
        What makes them.
    facts : mapping
        What they are made of.
    """

    task: TableTask
    facts: Mapping[str, Any]

    def of(self, number: int) -> Columns:
        """Make the table of a block."""
        return self.task.table(number)


@dataclass(frozen=True, slots=True)
class StoredLevels:
    """Levels in the folder of a run, under ``root/name.parts``.

    Parameters
    ----------
    engine : JobEngine or ReplayEngine
        Of the run; the latter takes tables as they are.
    name : str
        Of the stage.
    """

    engine: JobEngine | ReplayEngine
    name: str

    def blocks(self, reduction: Reduction, *inputs: Any, grid: Grid) -> StoredLevel:
        """Make the lowest level: a table for every block."""
        grid = grid.with_halo(reduction.halo)
        volumes = stored_volumes(inputs, grid)
        cells = Grid(Box.from_shape(grid.shape), (1, 1, 1))
        task = PartialTask(reduction, grid, cells, volumes, (), self._folder(0))
        made = StoredLevel(task, {**facts(reduction, volumes, grid), "level": 0})
        self._work(made, cells, 0, voxels=grid.domain.size)
        return made

    def level(self, key: str, work: Work, count: int, *drawn: Drawn) -> StoredLevel:
        """Make a level of tables."""
        task = TableTask(work, drawn, self._folder(key))
        made = StoredLevel(task, self._facts(key, work, drawn))
        self._work(made, Grid(Box.from_shape((count, 1, 1)), (1, 1, 1)), key)
        return made

    def map(self, op: Op, labels: Any, work: Work, *drawn: Drawn, grid: Grid, name: str) -> Volume:
        """Make a table for every block, and apply an Op."""
        what = self._facts("last", work, drawn)
        task = TableTask(work, drawn, self._folder("last"))
        shards = MadeShards(task, {"shards": fingerprint(what)})
        return self.engine.map(op, labels, grid=grid, name=name, shared=(shards,))

    def _facts(self, key: str, work: Work, drawn: tuple[Drawn, ...]) -> Facts:
        return {
            # Of inputs and place it says what the lowest level says.
            **drawn[0].tables.facts,
            "level": key,
            "work": kernel_identity(work),
            "of": [fingerprint(group.tables.facts) for group in drawn],
            "numbers": [kernel_identity(group.numbers) for group in drawn],
        }

    def _folder(self, key: int | str) -> Place:
        root = self.engine.place if isinstance(self.engine, JobEngine) else self.engine.root
        return root.inside(f"{self.name}.parts").inside(str(key))

    def _work(self, made: StoredLevel, cells: Grid, key: int | str, *, voxels: int = 0) -> None:
        if isinstance(self.engine, JobEngine):
            what = {name: value for name, value in made.facts.items() if name != "level"}
            run = self.engine.run
            work_level(run, made.task, cells, what, level=key, name=self.name, voxels=voxels)
