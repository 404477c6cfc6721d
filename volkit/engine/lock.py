"""Lock: one client at a time works on a run, whatever machine it is on.

The lock is a numbered record in the folder ``lock`` of the run.  Whoever wants it puts the next
number, which only one can; so a lock that was taken over is known by its number, and its former
holder finds out.  The holder counts in its record; who waits watches that count by its own clock
alone, so that clocks that differ do not matter.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from volkit.engine.lock_record import Held, epochs, read_lock, record_key, write_record
from volkit.engine.owner import Owner
from volkit.errors import ConfigError, RunLockedError
from volkit.io.place import Place

OnMessage = Callable[[str], None]

_logger = logging.getLogger(__name__)
_RELEASE_SECONDS = 10.0  # for a beat that is on its way; a store that hangs shall not hold the end


@dataclass(frozen=True, slots=True)
class LockOptions:
    """How a lock is kept, and when it counts as left behind.

    Parameters
    ----------
    beat_seconds : float
        How often the holder shows that it lives.
    stale_seconds : float
        How long a lock that does not change is watched before it is taken over.
    owner : Owner
        Who takes it.
    clock : callable
        Unix time, for people to read; nothing is decided by it.

    Raises
    ------
    ConfigError
        If a holder would not be seen twice before it counts as dead.
    """

    beat_seconds: float = 15.0
    stale_seconds: float = 60.0
    owner: Owner = field(default_factory=Owner.here)
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        if not 0 < 2 * self.beat_seconds <= self.stale_seconds:
            raise ConfigError(
                f"beat_seconds {self.beat_seconds} and stale_seconds {self.stale_seconds}: a lock "
                "is stale after two beats or more; give a longer stale_seconds"
            )


class RunLock:
    """The lock of a run, held by this process; :func:`run_lock` makes it.

    Parameters
    ----------
    place : Place
        Folder of the run.
    options : LockOptions
        How it is kept.
    held : Held
        As it was stored.
    """

    def __init__(self, place: Place, options: LockOptions, held: Held) -> None:
        self.place, self.options, self.held = place, options, held
        self._lost: RunLockedError | None = None
        self._confirmed = _now()
        self._guard, self._ended = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._keep, name="volkit-lock", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Make sure that it is still this process's, before anything is marked.

        Raises
        ------
        RunLockedError
            If somebody has taken it.
        SourceError
            If that cannot be found out for so long that somebody may have.
        """
        if self._lost is not None:
            raise self._lost
        # A process that was stopped for long finds here that time went on without it.
        if _now() - self._confirmed > self.options.stale_seconds / 2:
            self.beat()

    def beat(self) -> None:
        """Show that the holder lives.

        Raises
        ------
        RunLockedError
            If somebody has taken it.
        """
        with self._guard:
            if self._lost is not None:
                raise self._lost
            found, begun = read_lock(self.place), _now()
            if found is None or found.id != self.held.id:
                self._lost = _taken(self.place, found)
                raise self._lost
            self._put(replace(self.held, counter=self.held.counter + 1, beat=self.options.clock()))
            self._confirmed = begun

    def release(self) -> None:
        """Give it back; what is left is a record of who held it last."""
        self._ended.set()
        self._thread.join(_RELEASE_SECONDS)
        if self._lost is not None or self._thread.is_alive():
            return
        try:
            found = read_lock(self.place)
            if found is not None and found.id == self.held.id:
                self._put(replace(self.held, released=True, beat=self.options.clock()))
        except OSError as error:
            # The end of this process frees it as well; what ended the run is to be told instead.
            _logger.warning("could not release the lock of %s: %s", self.place, error)

    def _put(self, held: Held) -> None:
        self.place.objects.put(record_key(held.epoch), write_record(held))
        self.held = held

    def _keep(self) -> None:
        while not self._ended.wait(self.options.beat_seconds):
            try:
                self.beat()
            except RunLockedError:
                return
            except OSError as error:  # the store fails; check() decides when that lasts too long
                _logger.warning("no sign of life could be left in %s: %s", self.place, error)


@contextmanager
def run_lock(
    place: Place | Path | str,
    options: LockOptions | None = None,
    *,
    on_message: OnMessage | None = None,
) -> Iterator[RunLock]:
    """Hold the lock of a run.

    A lock whose holder has died is taken over: at once on the same machine, else when it has not
    changed for ``stale_seconds``.

    Parameters
    ----------
    place : Place, Path or str
        Folder of the run, local or in an object store.
    options : LockOptions, optional
        How it is kept.
    on_message : callable, optional
        Told what is waited for.

    Yields
    ------
    RunLock

    Raises
    ------
    RunLockedError
        If another client holds it.

    Examples
    --------
    >>> with run_lock("memory://locked") as lock:
    ...     lock.held.epoch, read_lock(Place("memory://locked")).released
    (1, False)
    >>> read_lock(Place("memory://locked")).released
    True
    """
    place, options = Place.at(place), options or LockOptions()
    lock = RunLock(place, options, _acquire(place, options, on_message or _logger.warning))
    try:
        yield lock
    finally:
        lock.release()


def _acquire(place: Place, options: LockOptions, say: OnMessage) -> Held:
    while True:
        found = read_lock(place)
        if found is not None and not found.released:
            _wait_out(place, found, options, say)
        now = options.clock()
        mine = Held(
            epoch=1 if found is None else found.epoch + 1,
            id=uuid.uuid4().hex,
            owner=options.owner,
            since=now,
            beat=now,
            counter=0,
            beat_seconds=options.beat_seconds,
            stale_seconds=options.stale_seconds,
        )
        place.objects.put(record_key(mine.epoch), write_record(mine), create=True)
        # What is stored decides: an answer may be lost, and some stores let two writers succeed.
        now_there = read_lock(place)
        if now_there is not None and now_there.id == mine.id:
            for epoch, key in epochs(place).items():
                if epoch < mine.epoch:
                    place.objects.delete(key)
            return mine


def _wait_out(place: Place, found: Held, options: LockOptions, say: OnMessage) -> None:
    """Return when a lock is free or left behind.

    Raises
    ------
    RunLockedError
        If its holder lives.
    """
    alive = found.owner.alive(options.owner)
    if alive is not None:
        if alive:
            raise _refused(place, found)
        say(f"{found.owner} left the run {place} locked and has ended: taking over")
        return
    patience = max(options.stale_seconds, found.stale_seconds)
    say(
        f"the run {place} is locked by {found.owner} since {found.since_text}; waiting up to "
        f"{patience:.0f} s for a sign of life"
    )
    deadline, pause = _now() + patience, min(5.0, found.beat_seconds / 3, patience / 10)
    while _now() < deadline:
        time.sleep(pause)
        seen = read_lock(place)
        if seen is None or seen.id != found.id or seen.released:
            return
        if seen.counter != found.counter:
            raise _refused(place, seen)
    say(f"there was none for {patience:.0f} s: taking over")


def _refused(place: Place, held: Held) -> RunLockedError:
    return RunLockedError(
        f"the run {place} is being worked on by {held.owner} since {held.since_text}; wait until "
        "it ends, end it, or write to another folder (volkit status shows how far it is)"
    )


def _taken(place: Place, found: Held | None) -> RunLockedError:
    by = "was removed" if found is None else f"was taken over by {found.owner}"
    return RunLockedError(
        f"the lock of the run {place} {by} while this client worked on it, as when it was stopped "
        "or cut off for long; nothing more is marked by it: leave the run to the other client, or "
        "run again when that has ended"
    )


def _now() -> float:
    """Give seconds that pass while the machine sleeps, too, and that nobody sets."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)
