"""Exchange: a map in which every window is evaluated once, and blocks hand over what reaches out.

::

    evaluate   read ─► sums ─┬─► strips for the blocks behind ─► scratch
                             └─► own part + strips of the blocks before ─► finish ─► output
    finish     what was evaluated before its strips were there, from scratch

A block is marked in ``NAME.exchange/windows.ledger`` when its windows are evaluated and what they
gave is stored, and in the ledger of the stage when its voxels are.  After a kill, windows that are
marked are never evaluated again.  Scratch is deleted at the end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.contributions import run_contribution, run_finish, spread_of
from volkit.engine.fingerprint import fingerprint
from volkit.engine.ledger import Ledger, read_header
from volkit.engine.map_task import MapTask, content_check
from volkit.engine.op import Array
from volkit.engine.partners import givers, receivers
from volkit.engine.reading import read_metered, write_metered
from volkit.engine.ready_order import ReadyOrder
from volkit.engine.run import Run, load_shared
from volkit.engine.strips import Strips
from volkit.engine.usage import count, metered
from volkit.errors import BlockFailedError
from volkit.geometry import Block, Grid
from volkit.io.volume import Volume

WINDOWS = "windows.ledger"
FINISHED = "finished.json"


@dataclass(frozen=True, slots=True)
class ContributeTask:
    """What a worker does for a block: evaluate its windows once, and finish it where it can.

    Parameters
    ----------
    task : MapTask
        What is computed.
    strips : Strips
        Where sums wait.
    """

    task: MapTask
    strips: Strips

    @property
    def needs_gpu(self) -> bool:
        """Whether it is for GPU workers."""
        return self.task.needs_gpu

    @property
    def at_once(self) -> int:
        """Blocks that a process may work on at the same time."""
        return self.task.at_once

    @property
    def inputs(self) -> tuple[Volume, ...]:
        """What it reads."""
        return self.task.inputs

    @property
    def shared(self) -> tuple[Any, ...]:
        """Values that every block gets."""
        return self.task.shared

    def __call__(self, number: int) -> int | None:
        """Evaluate one block; its check sum where it is finished, None where strips lack."""
        block = self.task.grid[number]
        total = self._handed_over(block)
        if _add_strips(self.task, self.strips, block, total):
            return _finish(self.task, block, total)
        with metered("write"):
            count("bytes_spilled", self.strips.put(number, number, total))
        return None

    def _handed_over(self, block: Block) -> Array:
        """Leave what reaches beyond a block for its neighbours, and give what is its own."""
        task, spread = self.task, spread_of(self.task.op)
        sums, covers = self._sums(block), spread.covers(block)
        with metered("write"):
            for other in receivers(spread, task.grid, block):
                part = other.write.intersect(covers)
                strip = sums[(..., *part.relative_to(covers).slices)]
                count("bytes_spilled", self.strips.put(other.number, block.number, strip))
        total = np.zeros((sums.shape[0], *block.write.shape), sums.dtype)
        own = block.write.intersect(covers)
        if own.size:
            total[(..., *own.relative_to(block.write).slices)] = sums[
                (..., *own.relative_to(covers).slices)
            ]
        return total

    def _sums(self, block: Block) -> Array:
        """Add up the windows that begin in a block."""
        task, spread = self.task, spread_of(self.task.op)
        reads = spread.reads(block)
        if reads.size:
            arrays = [read_metered(v, reads, decides=block.write) for v in task.inputs]
        else:  # a block that no window begins in
            arrays = [np.zeros((0, 0, 0), volume.dtype) for volume in task.inputs]
        return run_contribution(task.op, block, arrays, load_shared(task.shared))


@dataclass(frozen=True, slots=True)
class FinishTask:
    """What a worker does for a block whose windows are evaluated: add the strips, and write.

    Parameters
    ----------
    task : MapTask
        What is computed; by which a block is computed whose scratch is lost.
    strips : Strips
        Where sums wait.
    """

    task: MapTask
    strips: Strips

    @property
    def inputs(self) -> tuple[Volume, ...]:
        """What its voxels come from."""
        return self.task.inputs

    @property
    def shared(self) -> tuple[Any, ...]:
        """Values that every block gets."""
        return self.task.shared

    def __call__(self, number: int) -> int:
        """Finish one block; its check sum."""
        block = self.task.grid[number]
        own = self.strips.get(number, number)
        total = None if own is None else own.copy()
        if total is None or not _add_strips(self.task, self.strips, block, total):
            count("blocks_recomputed")
            return self.task(number)
        return _finish(self.task, block, total)


def run_exchange(run: Run, task: MapTask, ledger: Ledger, name: str) -> bool:
    """Carry out a stage by exchange, where that is how it was begun or begins.

    Parameters
    ----------
    run : Run
        The folder of the job.
    task : MapTask
        With an Op that has a Spread.
    ledger : Ledger
        Of the stage.
    name : str
        Its name.

    Returns
    -------
    bool
        False where single blocks of a finished stage are to be mended, for which nothing is left
        to exchange: they are computed one by one, to the same bytes.

    Raises
    ------
    BlockFailedError
        At the end, if blocks were set aside; all that do not need them are finished.
    """
    place, what = run.root.inside(f"{name}.exchange"), {"of": ledger.fingerprint}
    begun = read_header(place.inside(WINDOWS))
    is_ours = begun is not None and begun["fingerprint"] == fingerprint(what)
    over = place.objects.get(FINISHED) is not None
    if ledger.done().any():
        if over or not is_ours:
            return False
    elif begun is not None and (over or not is_ours):
        place.objects.delete_all()
    windows = Ledger.open(place.inside(WINDOWS), what, len(task.grid))
    strips = Strips(place.inside("strips"))
    evaluated = bool((windows.done() | ledger.done()).all())
    failed = _evaluate(run, ContributeTask(task, strips), windows, ledger, name)
    # What was evaluated just now has been told of, and was not resumed.
    told = run if evaluated else replace(run, on_progress=None)
    _finish_rest(told, FinishTask(task, strips), windows, ledger, name)
    if failed is not None:
        raise failed
    strips.clear()
    place.objects.put(FINISHED, b"{}\n")
    return True


@dataclass(frozen=True, slots=True)
class Marked:
    """Marks of evaluated blocks, and of those that were finished at once.

    Parameters
    ----------
    windows, ledger : Ledger
        Of the windows, and of the stage.
    order : ReadyOrder
        Which follows what is evaluated.
    """

    windows: Ledger
    ledger: Ledger
    order: ReadyOrder

    def count(self) -> int:
        """Count the evaluated blocks."""
        return int((self.windows.done() | self.ledger.done()).sum())

    def mark(
        self, numbers: Sequence[int], seconds: Sequence[float], contents: Sequence[int]
    ) -> None:
        """Record blocks as finished that have a check sum, and all as evaluated.

        In this order: what a block that was finished at once gave is stored nowhere else, so that
        after a kill in between it must not count as evaluated alone.
        """
        found = [i for i, content in enumerate(contents) if content]
        if found:
            self.ledger.mark(
                [numbers[i] for i in found],
                [seconds[i] for i in found],
                [contents[i] for i in found],
            )
        self.windows.mark(numbers, seconds)
        self.order.finished(numbers)


def _evaluate(
    run: Run, task: ContributeTask, windows: Ledger, ledger: Ledger, name: str
) -> BlockFailedError | None:
    """Evaluate every window once; blocks that were set aside come back as their error."""
    grid, spread = task.task.grid, spread_of(task.task.op)
    evaluated = windows.done() | ledger.done()
    if evaluated.all():
        return None

    def givers_of(number: int) -> Iterator[int]:
        return (block.number for block in givers(spread, grid, grid[number]))

    order = ReadyOrder(_missing(grid, evaluated.copy()), givers_of, evaluated)
    try:
        run.work(
            task,
            order,
            ledger=ledger,
            stage=name,
            voxels=grid.domain.size,
            marks=Marked(windows, ledger, order),
        )
    except BlockFailedError as error:
        return error
    return None


def _finish_rest(run: Run, task: FinishTask, windows: Ledger, ledger: Ledger, name: str) -> None:
    """Finish the blocks that could not be finished when their windows were evaluated."""
    grid, spread = task.task.grid, spread_of(task.task.op)
    done = ledger.done()
    evaluated = windows.done() | done
    left = [
        number
        for number in _missing(grid, done | ~evaluated)
        if all(evaluated[giver.number] for giver in givers(spread, grid, grid[number]))
    ]
    if left:
        failures = ledger.failures()
        run.work(task, left, ledger=ledger, stage=name, voxels=grid.domain.size)
        ledger.note_failures(failures)


def _missing(grid: Grid, done: NDArray[np.bool_]) -> Iterator[int]:
    return grid.morton_missing(done)


def _add_strips(task: MapTask, strips: Strips, block: Block, total: Array) -> bool:
    """Add the strips for a block to its own sums; where one is not there, none is added."""
    spread, found = spread_of(task.op), []
    with metered("read"):
        for giver in givers(spread, task.grid, block):
            strip = strips.get(block.number, giver.number)
            if strip is None:
                return False
            found.append((spread.covers(giver).intersect(block.write), strip))
        for part, strip in found:
            total[(..., *part.relative_to(block.write).slices)] += strip
    return True


def _finish(task: MapTask, block: Block, sums: Array) -> int:
    result = run_finish(task.op, block, sums, load_shared(task.shared))
    write_metered(task.target, block.write, result)
    return content_check(result)
