"""Run: the folder of a job, its ledgers, and how missing pieces of a stage are worked off."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from volkit.engine.attendance import Attendance
from volkit.engine.base import OnProgress, Progress
from volkit.engine.columns import StoredColumns, digest, write_columns
from volkit.engine.dashboards import link_of
from volkit.engine.dispatch import dispatch
from volkit.engine.fingerprint import Facts
from volkit.engine.ledger import Ledger
from volkit.engine.op import is_columns
from volkit.engine.origin_note import OriginNote
from volkit.engine.queue import Failure, Retries
from volkit.engine.roster import note_backlog
from volkit.engine.stages import note_stage
from volkit.engine.task_batch import Outcome, Task
from volkit.engine.usage_note import UsageNote
from volkit.io.place import Place

if TYPE_CHECKING:
    from volkit.engine.selection import Selection


class Marks(Protocol):
    """What hears of finished pieces, as a ledger does."""

    def count(self) -> int:
        """Count the finished pieces."""

    def mark(
        self, numbers: Sequence[int], seconds: Sequence[float], contents: Sequence[int]
    ) -> None:
        """Record pieces as finished, and return when that is stored."""


@dataclass(frozen=True, slots=True)
class Run:
    """The folder of a job and where its work is done.

    Parameters
    ----------
    root : Place
        The folder.
    client : distributed.Client or None
        Where pieces run; None runs them in this process.
    on_progress : callable or None
        Told after every batch.
    replace_stale : bool
        Begin stages anew that record another computation.
    retries : Retries
        What becomes of blocks that fail.
    attendance : Attendance or None
        The lock of the folder, and where is noted what is in flight.
    bases : tuple of Place
        Folders of earlier versions; the blocks of the first one are those that are copied.
    selection : Selection or None
        What is to be computed anew where an op differs; None is everything.
    """

    root: Place
    client: Any
    on_progress: OnProgress | None
    replace_stale: bool
    retries: Retries = field(default_factory=Retries)
    attendance: Attendance | None = None
    bases: tuple[Place, ...] = ()
    selection: "Selection | None" = None

    def ledger(self, name: str, what: Facts, total: int) -> Ledger:
        """Open the ledger of a stage, or begin it."""
        self._check()
        ledger = Ledger.open(
            self.root.inside(f"{name}.ledger"), what, total, replace=self.replace_stale
        )
        note_stage(self.root, name)
        return ledger

    def stored(self, value: Any) -> Any:
        """Put Columns into the folder and give back their handle; leave all else as it is."""
        if not is_columns(value):
            return value
        sha256 = digest(value)
        folder, name = self.root.inside("shared"), f"{sha256[:24]}.npz"
        for base in self.bases:
            if base.inside("shared").objects.modified(name) is not None:
                return StoredColumns(base.inside(f"shared/{name}"), sha256)
        if folder.objects.modified(name) is None:
            write_columns(folder.inside(name), value)
        return StoredColumns(folder.inside(name), sha256)

    def work(
        self,
        task: Task,
        missing: Iterable[int],
        *,
        ledger: Ledger,
        stage: str,
        voxels: int,
        marks: Marks | None = None,
    ) -> None:
        """Do the missing pieces of a stage, and mark them as they land.

        Parameters
        ----------
        task : callable
            Gets the number of a piece and leaves its result in a store.
        missing : iterable of int
            What is to be done, in the order wanted.
        ledger : Ledger
            Of the stage.
        stage : str
            Its name, for progress.
        voxels : int
            Voxels in all its pieces.
        marks : Marks, optional
            Where finished pieces are marked and counted, if not in the ledger.
        """
        marks = ledger if marks is None else marks
        resumed, begun = marks.count(), time.monotonic()
        state = Progress(stage, resumed, ledger.total, 0, resumed, 0.0)

        def tell(finished: int) -> None:
            nonlocal state
            done = state.done + finished
            finished_voxels = voxels * done // max(1, ledger.total)
            seconds = time.monotonic() - begun
            state = replace(state, done=done, voxels=finished_voxels, seconds=seconds)
            if self.on_progress is not None:
                self.on_progress(state)

        def receive(outcome: Outcome) -> None:
            self._check()
            usage.add(outcome.usage)
            if outcome.numbers:
                origin.finished(len(outcome.numbers))
                marks.mark(outcome.numbers, outcome.seconds, outcome.checks)
                tell(len(outcome.numbers))
                each = sum(outcome.seconds) / len(outcome.seconds)
                note_backlog(self.client, task, ledger.total - state.done, each)
            if outcome.failures:
                ledger.note_failures([as_note(failure) for failure in outcome.failures])

        tell(0)
        ledger.clear_failures()
        note_backlog(self.client, task, ledger.total - resumed)
        flight = None if self.attendance is None else partial(self.attendance.note, stage)
        if self.attendance is not None and self.client is not None:
            self.attendance.show(link_of(self.client))
        with OriginNote.of(ledger, task, self.client) as origin, UsageNote.of(ledger) as usage:
            dispatch(
                task,
                iter(missing),
                client=self.client,
                receive=receive,
                retries=self.retries,
                on_flight=flight,
            )

    def _check(self) -> None:
        """Write nothing into the folder of another client."""
        if self.attendance is not None:
            self.attendance.check()


def as_note(failure: Failure) -> dict[str, Any]:
    """Write a failure as JSON, for the ledger."""
    notes = getattr(failure.error, "__notes__", ())
    where = [note for note in notes if note.startswith("volkit: ")]
    kind = type(failure.error).__name__
    return {
        "number": failure.number,
        "error": "\n".join([f"{kind}: {failure.error}", *where]),
        "traceback": "".join(note for note in notes if note not in where),
        "worker": failure.worker,
        "attempts": failure.attempts,
    }


def load_shared(shared: Iterable[Any]) -> list[Any]:
    """Replace handles of tables by the tables, once per process."""
    return [value.load() if isinstance(value, StoredColumns) else value for value in shared]
