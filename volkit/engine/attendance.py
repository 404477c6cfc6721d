"""Attendance: what a client keeps in the folder of its run while it works there.

That is the lock, and ``lock/state.json``: the stage, and what is in flight, which only it knows.
"""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from volkit.engine.dashboards import forget_dashboard, note_dashboard
from volkit.engine.lock import LockOptions, OnMessage, RunLock, run_lock
from volkit.engine.lock_record import FOLDER
from volkit.io.place import Place

STATE = f"{FOLDER}/state.json"

_SECONDS_BETWEEN = 5.0  # a request to an object store takes about a hundredth of that
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class State:
    """What a client is doing.

    Parameters
    ----------
    id : str
        Of the lock that it holds.
    stage : str
        What it works on; empty before the first stage and after the last.
    in_flight : int
        Blocks that were handed out and have not come back.
    workers : int
        Processes that work.
    threads : int
        Blocks that they work on at the same time.
    time : float
        Unix time of this word, by the client's clock.
    """

    id: str
    stage: str = ""
    in_flight: int = 0
    workers: int = 0
    threads: int = 0
    time: float = 0.0


class Attendance:
    """A client at work on a run; :func:`attended` makes it.

    Parameters
    ----------
    lock : RunLock
        That it holds.
    """

    def __init__(self, lock: RunLock) -> None:
        self.lock = lock
        self._state = State(lock.held.id)
        self._written = 0.0
        self._dashboard = ""

    def check(self) -> None:
        """Make sure that the run is still this client's, before anything is marked.

        Raises
        ------
        RunLockedError
            If somebody has taken it.
        """
        self.lock.check()

    def note(self, stage: str, *, in_flight: int, workers: int, threads: int) -> None:
        """Hear what is going on; it is written down now and then.

        Parameters
        ----------
        stage : str
            What is worked on.
        in_flight : int
            Blocks handed out.
        workers, threads : int
            Processes, and blocks at the same time.
        """
        before = self._state.stage
        self._state = State(self._state.id, stage, in_flight, workers, threads)
        now = time.monotonic()
        if stage != before or now - self._written >= _SECONDS_BETWEEN:
            self._written = now
            self._write()

    def show(self, link: str) -> None:
        """Write down where the dashboard of the cluster is, for its user alone."""
        if link != self._dashboard:
            self._dashboard = link
            note_dashboard(self.lock.held.id, link)

    def leave(self) -> None:
        """Write down that nothing is in flight any more."""
        if self._dashboard:
            forget_dashboard(self.lock.held.id)
        self._state = State(self._state.id, workers=self._state.workers)
        self._write()

    def _write(self) -> None:
        state = replace(self._state, time=self.lock.options.clock())
        try:
            data = (json.dumps(asdict(state)) + "\n").encode()
            self.lock.place.objects.put(STATE, data)
        except OSError as error:
            # Who looks on sees less; the work itself may still succeed, and says if it does not.
            _logger.warning("could not write %s of %s: %s", STATE, self.lock.place, error)


@contextmanager
def attended(
    place: Place | Path | str,
    options: LockOptions | None = None,
    *,
    on_message: OnMessage | None = None,
) -> Iterator[Attendance]:
    """Hold the lock of a run and keep its state while a client works there.

    Parameters
    ----------
    place : Place, Path or str
        Folder of the run.
    options : LockOptions, optional
        How the lock is kept.
    on_message : callable, optional
        Told what is waited for.

    Yields
    ------
    Attendance
        To be given to an engine.

    Raises
    ------
    RunLockedError
        If another client works on the run.
    """
    with run_lock(place, options, on_message=on_message) as lock:
        attendance = Attendance(lock)
        try:
            yield attendance
        finally:
            attendance.leave()


def read_state(place: Place) -> State | None:
    """Read what the client of a run does, or did last.

    Parameters
    ----------
    place : Place
        Folder of the run.

    Returns
    -------
    State or None
        None where there was none, or its word cannot be understood.
    """
    data = place.objects.get(STATE)
    if data is None:
        return None
    try:
        return State(**json.loads(data))
    except (ValueError, TypeError):
        return None  # of another volkit, perhaps; the ledgers tell the rest
