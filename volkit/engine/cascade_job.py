"""Cascades in a job: a table for every box in the run's folder, level by level, resumed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from volkit.engine.cascade import Boxes, Cascade, Sink
from volkit.engine.fingerprint import Facts, facts, fingerprint, kernel_identity
from volkit.engine.job import JobEngine
from volkit.engine.op import Columns, Op, run_partial
from volkit.engine.reading import read_metered
from volkit.engine.replay import ReplayEngine
from volkit.engine.reuse import shared_parts
from volkit.engine.run import Run
from volkit.engine.stored_inputs import stored_volumes
from volkit.engine.tree import read_part, work_level, write_part
from volkit.geometry import Block, Grid
from volkit.io.place import Place
from volkit.io.volume import Volume

_OWN = "own."


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
        own: Columns = {}
        if self.level == 0:
            table, own = self._of_block(number)
            tables = [self.boxes.still_open(table, box, box)]
        else:
            below = replace(self, level=self.level - 1)
            tables = []
            for n in self.boxes.below(self.level, number):
                (up,) = below.tables(n, "up")
                tables.append(self.boxes.still_open(up, self.boxes.box(self.level - 1, n), box))
        up, kept = self.cascade.rise(tables)
        kinds = {"up": up, "kept": kept, "own": own}
        named = {f"{kind}.{k}": v for kind, some in kinds.items() for k, v in some.items()}
        write_part(self.folder, number, named)

    def tables(self, number: int, *kinds: str) -> list[Columns]:
        """Read what a box passed on (``up``), what it ``kept``, or what is a block's ``own``."""
        begin = tuple(f"{kind}." for kind in kinds)
        found = read_part(self, number, begin=begin)
        return [
            {k.removeprefix(kind): v for k, v in found.items() if k.startswith(kind)}
            for kind in begin
        ]

    def own(self, number: int) -> Columns:
        """Give what is a block's own; computed where another version stored nothing of it."""
        (found,) = self.tables(number, "own")
        return found or self._of_block(number)[1]

    def _of_block(self, number: int) -> tuple[Columns, Columns]:
        """Compute the table of a block, and what is its own."""
        block = self.boxes.grid[number]
        arrays = [read_metered(v, block.read, decides=block.write) for v in self.inputs]
        reduction = self.cascade.reduction
        if self.cascade.stored_kernel is not None:
            reduction = replace(reduction, kernel=self.cascade.stored_kernel)
        found = run_partial(reduction, block, arrays)
        own = {k.removeprefix(_OWN): v for k, v in found.items() if k.startswith(_OWN)}
        return {k: v for k, v in found.items() if not k.startswith(_OWN)}, own


@dataclass(frozen=True, slots=True)
class SinkTask:
    """What a worker does for a box when labels sink: make its lookup table."""

    sink: Sink
    risen: RiseTask
    parts: Place
    level: int

    @property
    def boxes(self) -> Boxes:
        """Those of the cascade."""
        return self.risen.boxes

    @property
    def folder(self) -> Place:
        """Where the tables of the level lie."""
        return self.parts.inside(str(self.level))

    def __call__(self, number: int) -> None:
        """Compute and store the lookup table of one box."""
        write_part(self.folder, number, self.table(number))

    def table(self, number: int) -> Columns:
        """Compute the lookup table of one box."""
        (kept,) = replace(self.risen, level=self.level).tables(number, "kept")
        above = None
        if self.level + 1 < len(self.boxes.levels):
            holder = self.boxes.above(self.level, number)
            above = read_part(replace(self, level=self.level + 1), holder)
        return self.sink(kept, above)


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

    def own(self, number: int) -> Columns:
        """Give what the stored kernel of the cascade left to the block."""
        return self.lowest.risen.own(number)


@dataclass(frozen=True, slots=True)
class StoredCascade:
    """A cascade that has risen.

    Parameters
    ----------
    engine : JobEngine or ReplayEngine
        Of the run; the latter takes tables as they are.
    task : RiseTask
        What made the tables of its boxes, and where they lie.
    facts : dict
        What made them.
    """

    engine: JobEngine | ReplayEngine
    task: RiseTask
    facts: Facts

    @property
    def boxes(self) -> Boxes:
        """Those of the cascade."""
        return self.task.boxes

    def kept(self) -> Iterator[tuple[int, Columns, Columns]]:
        """Read, box by box: its level, what it passed on, and what it kept."""
        for level, boxes in enumerate(self.boxes.levels):
            task = replace(self.task, level=level)
            for number in range(len(boxes)):
                up, kept = task.tables(number, "up", "kept")
                yield level, up, kept

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
        place = self.engine.place if isinstance(self.engine, JobEngine) else self.engine.root
        lowest = SinkTask(sink, self.task, place.inside(f"{stage}.parts"), 0)
        if isinstance(self.engine, JobEngine):
            for level in reversed(range(1, len(self.boxes.levels))):
                task = replace(lowest, level=level)
                _work(self.engine.run, task, what, level=level, name=stage, voxels=0)
        shards = StoredShards(lowest, {"shards": fingerprint(what)})
        if self.task.cascade.stored_kernel is not None:
            op = replace(op, idle=_always)
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
    inputs = stored_volumes(inputs, grid)
    what = facts(cascade.reduction, inputs, boxes.grid)
    root = engine.place if isinstance(engine, JobEngine) else engine.root
    task = RiseTask(cascade, boxes, inputs, root.inside(f"{name}.parts"), 0)
    if isinstance(engine, JobEngine):
        levels = [{**what, "level": level} for level in range(len(boxes.levels))]
        shared = shared_parts(engine.run, name, levels)
        if shared is not None:
            return StoredCascade(engine, replace(task, parts=shared), what)
        for level in range(len(boxes.levels)):
            voxels = grid.domain.size if level == 0 else 0
            work = replace(task, level=level)
            _work(engine.run, work, what, level=level, name=name, voxels=voxels)
    return StoredCascade(engine, task, what)


def _always(block: Block) -> bool:
    """Tell that an Op needs no input: it finds what it needs in the tables."""
    return True


def _work(
    run: Run, task: RiseTask | SinkTask, what: Facts, *, level: int, name: str, voxels: int
) -> None:
    boxes = task.boxes.levels[level]
    work_level(run, task, boxes, what, level=level, name=name, voxels=voxels)
