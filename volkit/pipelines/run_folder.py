"""The folder of a run while somebody works there: locked, and with a note of what fails."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from volkit.engine.attendance import attended
from volkit.engine.job import JobEngine
from volkit.pipelines.failure import recorded
from volkit.pipelines.outcome import Stopwatch
from volkit.pipelines.registry import OnMessage


@contextmanager
def at_work(
    engine: JobEngine, watch: Stopwatch, on_message: OnMessage | None = None
) -> Iterator[JobEngine]:
    """Hold the lock of a run's folder, and note there what ends the work.

    Parameters
    ----------
    engine : JobEngine
        Of the folder; one that holds the lock already goes on with it.
    watch : Stopwatch
        Listens to the stages.
    on_message : callable, optional
        Told what a person may want to know.

    Yields
    ------
    JobEngine
        To work with: it tells ``watch``, and marks nothing once the lock is lost.

    Raises
    ------
    RunLockedError
        If somebody else works there.
    """
    with ExitStack() as held:
        attendance = engine.attendance or held.enter_context(
            attended(engine.place, on_message=on_message)
        )
        held.enter_context(recorded(engine.place, watch.stage))
        yield replace(engine, on_progress=watch, attendance=attendance)
