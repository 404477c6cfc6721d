"""What a cache did: counters that several threads add to."""

import threading
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """What a cached source did so far.

    Parameters
    ----------
    reads : int
        Boxes that were asked for.
    requests : int
        Boxes that the source itself was asked for.
    chunks_fetched, bytes_fetched : int
        That came from the source, decoded.
    hits : int
        Chunks that were in memory, or on their way for another thread.
    disk_hits : int
        Chunks that came from the disk tier.
    bytes_held : int
        In memory now, of all sources that share it.
    """

    reads: int = 0
    requests: int = 0
    chunks_fetched: int = 0
    bytes_fetched: int = 0
    hits: int = 0
    disk_hits: int = 0
    bytes_held: int = 0


class Counters:
    """Statistics in the making; used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = CacheStatistics()
        self._told: int | None = None

    def add(self, **more: int) -> None:
        """Count on, by the names of the statistics."""
        with self._lock:
            now = self.now
            self.now = replace(now, **{name: getattr(now, name) + n for name, n in more.items()})

    def newly_fetched(self) -> int:
        """Say how many bytes were fetched since the last call; 0 the first time."""
        with self._lock:
            now = self.now.bytes_fetched
            before, self._told = self._told, now
        return 0 if before is None else now - before
