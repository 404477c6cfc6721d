"""Exchange: a map in which every window is evaluated once, and blocks hand over what reaches out.

::

    evaluate   read ─► sums ─┬─► strips for the blocks behind ─► scratch
                             └─► own part + strips of the blocks before ─► finish ─► output
    finish     what was evaluated before its strips were there, from scratch

A block is marked in ``NAME.exchange/windows.ledger`` when its windows are evaluated and what they
gave is stored, and in the ledger of the stage when its voxels are.  After a kill, windows that are
marked are not evaluated again while their strips are whole.  One process deletes strips in its own
folder as soon as the block is marked that they were for: most never reach the disk.  A client of
many workers, or of an object store, has no time for that: scratch is deleted at the end there.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from volkit.engine.contributions import spread_of
from volkit.engine.exchange_tasks import ContributeTask, FinishTask
from volkit.engine.fingerprint import fingerprint
from volkit.engine.ledger import Ledger, read_header
from volkit.engine.map_task import MapTask
from volkit.engine.partners import givers
from volkit.engine.ready_order import ReadyOrder
from volkit.engine.run import Run
from volkit.engine.strips import Strips
from volkit.errors import BlockFailedError

WINDOWS = "windows.ledger"
FINISHED = "finished.json"


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
    drop : callable, optional
        Deletes the strips for a block that is finished.
    """

    windows: Ledger
    ledger: Ledger
    order: ReadyOrder
    drop: Callable[[int], None] | None = None

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
        if self.drop is not None:
            for i in found:
                self.drop(numbers[i])


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

    def drop(number: int) -> None:
        task.strips.drop(number, givers_of(number))

    order = ReadyOrder(grid.morton_missing(evaluated.copy()), givers_of, evaluated)
    try:
        run.work(
            task,
            order,
            ledger=ledger,
            stage=name,
            voxels=grid.domain.size,
            marks=Marked(windows, ledger, order, drop if _is_near(run) else None),
        )
    except BlockFailedError as error:
        return error
    return None


def _is_near(run: Run) -> bool:
    """Tell whether deleting a strip costs next to nothing, and is done for one process only."""
    return run.client is None and run.root.local is not None


def _finish_rest(run: Run, task: FinishTask, windows: Ledger, ledger: Ledger, name: str) -> None:
    """Finish the blocks that could not be finished when their windows were evaluated."""
    grid, spread = task.task.grid, spread_of(task.task.op)
    done = ledger.done()
    evaluated = windows.done() | done
    left = [
        number
        for number in grid.morton_missing(done | ~evaluated)
        if all(evaluated[giver.number] for giver in givers(spread, grid, grid[number]))
    ]
    if left:
        failures = ledger.failures()
        run.work(task, left, ledger=ledger, stage=name, voxels=grid.domain.size)
        ledger.note_failures(failures)
