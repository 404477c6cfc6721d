"""Cascades in a job: a table for every box in the run's folder, level by level, resumed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from volkit.engine.cascade import Boxes, Cascade, Sink
from volkit.engine.columns import read_columns, write_columns
from volkit.engine.fingerprint import Facts, facts, fingerprint, kernel_identity
from volkit.engine.job import JobEngine
from volkit.engine.lazy import check_inside
from volkit.engine.op import Columns, Op, run_partial
from volkit.engine.reading import read_metered
from volkit.engine.replay import ReplayEngine
from volkit.engine.run import Run
from volkit.engine.tree import part_place, work_level
from volkit.errors import GeometryError
from volkit.geometry import Grid
from volkit.io.place import Place
from volkit.io.volume import Volume


@dataclass(frozen=True, slots=True)
class RiseTask:
    """What a worker does for a box: merge the tables of its parts, pass on, keep."""

    cascade: Cascade
    boxes: Boxes
    inputs: tuple[Volume, ...]
    parts: Place
    level: int

    @property
    def folder(self) -> Place:
        """Where the tables of the level lie."""
        return self.parts.inside(str(self.level))

    def __call__(self, number: int) -> None:
        """Compute and store the table of one box."""
        box = self.boxes.box(self.level, number)
        if self.level == 0:
            block = self.boxes.grid[number]
            arrays = [read_metered(v, block.read, decides=block.write) for v in self.inputs]
            table = run_partial(self.cascade.reduction, block, arrays)
            tables = [self.boxes.still_open(table, box, box)]
        else:
            below = self.parts.inside(str(self.level - 1))
            tables = []
            for n in self.boxes.below(self.level, number):
                up, _ = read_box(below, n)
                tables.append(self.boxes.still_open(up, self.boxes.box(self.level - 1, n), box))
        up, kept = self.cascade.rise(tables)
        both = {f"up.{k}": v for k, v in up.items()} | {f"kept.{k}": v for k, v in kept.items()}
        write_columns(part_place(self.folder, number), both)


@dataclass(frozen=True, slots=True)
class SinkTask:
    """What a worker does for a box when labels sink: make its lookup table."""

    sink: Sink
    boxes: Boxes
    kept: Place
    parts: Place
    level: int

    @property
    def folder(self) -> Place:
        """Where the tables of the level lie."""
        return self.parts.inside(str(self.level))

    def __call__(self, number: int) -> None:
        """Compute and store the lookup table of one box."""
        write_columns(part_place(self.folder, number), self.table(number))

    def table(self, number: int) -> Columns:
        """Compute the lookup table of one box."""
        _, kept = read_box(self.kept.inside(str(self.level)), number)
        above = None
        if self.level + 1 < len(self.boxes.levels):
            holder = self.boxes.above(self.level, number)
            above = read_columns(part_place(self.parts.inside(str(self.level + 1)), holder))
        return self.sink(kept, above)


def read_box(folder: Place, number: int) -> tuple[Columns, Columns]:
    """Read what a box passed on, and what it kept."""
    both = read_columns(part_place(folder, number))
    return (
        {k.removeprefix("up."): v for k, v in both.items() if k.startswith("up.")},
        {k.removeprefix("kept."): v for k, v in both.items() if k.startswith("kept.")},
    )


@dataclass(frozen=True, slots=True)
class StoredShards:
    """Lookup tables, one for each block, made of what lies in the folder of a run.

    Parameters
    ----------
    lowest : SinkTask
        That of the blocks.
    facts : mapping
        What made them.
    """

    lowest: SinkTask
    facts: Mapping[str, Any]

    def of(self, number: int) -> Columns:
        """Make the table of a block."""
        return self.lowest.table(number)


@dataclass(frozen=True, slots=True)
class StoredCascade:
    """A cascade that has risen.

    Parameters
    ----------
    engine : JobEngine or ReplayEngine
        Of the run; the latter takes tables as they are.
    boxes : Boxes
        Of the cascade.
    parts : Place
        Where the tables of its boxes lie, a folder for each level.
    facts : dict
        What made them.
    """

    engine: JobEngine | ReplayEngine
    boxes: Boxes
    parts: Place
    facts: Facts

    def kept(self) -> Iterator[tuple[int, Columns, Columns]]:
        """Read, box by box: its level, what it passed on, and what it kept."""
        for level, boxes in enumerate(self.boxes.levels):
            for number in range(len(boxes)):
                yield level, *read_box(self.parts.inside(str(level)), number)

    def map(self, op: Op, labels: Any, *, sink: Sink, name: str) -> Volume:
        """Let lookup tables sink to the blocks, and apply an Op that reads them.

        Parameters
        ----------
        op : Op
            Its kernel gets the block, its labels, and ``Shards``.
        labels : Volume of int, shape (Z, Y, X)
            Ids.
        sink : callable
            What becomes of the ids of a box.
        name : str
            Of the result; the tables are those of ``name_lookup``.

        Returns
        -------
        Volume
        """
        stage, what = f"{name}_lookup", {**self.facts, "sink": kernel_identity(sink)}
        parts = self.parts.above.inside(f"{stage}.parts")
        lowest = SinkTask(sink, self.boxes, self.parts, parts, 0)
        if isinstance(self.engine, JobEngine):
            for level in reversed(range(1, len(self.boxes.levels))):
                task = replace(lowest, level=level)
                _work(self.engine.run, task, what, level=level, name=stage, voxels=0)
        shards = StoredShards(lowest, {"shards": fingerprint(what)})
        return self.engine.map(op, labels, grid=self.boxes.grid, name=name, shared=(shards,))


def cascade_in_job(
    engine: JobEngine | ReplayEngine, cascade: Cascade, *inputs: Any, grid: Grid, name: str
) -> StoredCascade:
    """Let a cascade rise, into ``root/name.parts``.

    Parameters
    ----------
    engine : JobEngine or ReplayEngine
        Of the run; the latter takes tables as they are.
    cascade : Cascade
        What to do.
    *inputs : Volume
        Arrays of shape ([C,] Z, Y, X) that cover the grid's domain.
    grid : Grid
        In which blocks.
    name : str
        Of the stage.

    Returns
    -------
    StoredCascade

    Raises
    ------
    GeometryError
        If an input is no Volume, or does not cover the domain.
    """
    boxes = Boxes(grid.with_halo(cascade.halo))
    for value in inputs:
        if not isinstance(value, Volume):
            raise GeometryError(
                f"a job reads stored volumes, this input is {type(value).__name__}; store it, or "
                "use LazyEngine"
            )
        check_inside(grid, value)
    what = facts(cascade.reduction, inputs, boxes.grid)
    root = engine.place if isinstance(engine, JobEngine) else engine.root
    parts = root.inside(f"{name}.parts")
    if isinstance(engine, JobEngine):
        for level in range(len(boxes.levels)):
            task = RiseTask(cascade, boxes, inputs, parts, level)
            voxels = grid.domain.size if level == 0 else 0
            _work(engine.run, task, what, level=level, name=name, voxels=voxels)
    return StoredCascade(engine, boxes, parts, what)


def _work(
    run: Run, task: RiseTask | SinkTask, what: Facts, *, level: int, name: str, voxels: int
) -> None:
    boxes = task.boxes.levels[level]
    work_level(run, task, boxes, what, level=level, name=name, voxels=voxels)
