"""Chunk memory: the decoded chunks that a process holds, and those that are on their way."""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Coord
from volkit.io.cache.disk import DiskTier
from volkit.io.sources import CacheOptions

Array = NDArray[Any]
Key = tuple[str, Coord]


@dataclass(frozen=True, slots=True)
class Claim:
    """What becomes of the chunks that a read needs.

    Parameters
    ----------
    held : dict
        Those in memory.
    awaited : dict
        Those that another thread is fetching.
    own : dict
        Those that this thread has to fetch, and to settle or to abandon.
    """

    held: dict[Coord, Array] = field(default_factory=dict)
    awaited: dict[Coord, "Future[Array]"] = field(default_factory=dict)
    own: dict[Coord, "Future[Array]"] = field(default_factory=dict)


class ChunkMemory:
    """Chunks of all sources of a process whose options are equal.

    Parameters
    ----------
    options : CacheOptions
        How much it holds.
    """

    def __init__(self, options: CacheOptions) -> None:
        self._budget = options.memory_bytes
        self.disk = DiskTier.at(options.folder, options.disk_bytes) if options.folder else None
        self._lock = threading.Lock()
        self._held: OrderedDict[Key, Array] = OrderedDict()
        self._coming: dict[Key, Future[Array]] = {}
        self._bytes = 0
        self.writes = 0
        """How often chunks were dropped because they were written."""

    @property
    def bytes_held(self) -> int:
        """Bytes of the chunks in memory; never more than the budget."""
        return self._bytes

    def claim(self, source: str, indices: Iterable[Coord]) -> Claim:
        """Find out which chunks are there, and take over those that nobody is fetching."""
        claim = Claim()
        with self._lock:
            for index in indices:
                key = (source, index)
                if key in self._held:
                    self._held.move_to_end(key)
                    claim.held[index] = self._held[key]
                elif key in self._coming:
                    claim.awaited[index] = self._coming[key]
                else:
                    claim.own[index] = self._coming[key] = Future()
        return claim

    def settle(self, key: Key, future: "Future[Array]", chunk: Array) -> bool:
        """Hand a chunk to those that wait for it, and hold it if there is room.

        Parameters
        ----------
        key : tuple
            Which chunk.
        future : Future
            From the claim.
        chunk : ndarray
            Its voxels; copied where it is part of something larger.

        Returns
        -------
        bool
            Whether it is still what the source holds: it was not written meanwhile.
        """
        if chunk.nbytes <= self._budget:
            chunk = chunk if _owned(chunk) else chunk.copy()
            chunk.flags.writeable = False
        with self._lock:
            current = self._coming.get(key) is future
            if current:
                del self._coming[key]
                self._hold(key, chunk)
        if not future.cancelled():
            future.set_result(chunk)
        return current

    def fail(self, key: Key, future: "Future[Array]", error: BaseException) -> None:
        """Hand an error to those that wait for a chunk; the next one asks again."""
        self._no_longer_coming(key, future)
        if not future.cancelled():
            future.set_exception(error)

    def abandon(self, key: Key, future: "Future[Array]") -> None:
        """Give up a chunk that was not fetched; those that wait for it fetch it themselves."""
        self._no_longer_coming(key, future)
        future.cancel()

    def forget(self, keys: Iterable[Key]) -> None:
        """Drop chunks that were written, those on their way included."""
        with self._lock:
            self.writes += 1
            for key in keys:
                self._coming.pop(key, None)
                self._drop(key)

    def _no_longer_coming(self, key: Key, future: "Future[Array]") -> None:
        with self._lock:
            if self._coming.get(key) is future:
                del self._coming[key]

    def _hold(self, key: Key, chunk: Array) -> None:
        if not 0 < chunk.nbytes <= self._budget:
            return
        self._drop(key)
        while self._bytes + chunk.nbytes > self._budget:
            self._drop(next(iter(self._held)))
        self._held[key] = chunk
        self._bytes += chunk.nbytes

    def _drop(self, key: Key) -> None:
        chunk = self._held.pop(key, None)
        if chunk is not None:
            self._bytes -= chunk.nbytes


def shared_memory(options: CacheOptions) -> ChunkMemory:
    """Give the memory of this process for these options."""
    with _shared.lock:
        if options not in _shared.memories:
            _shared.memories[options] = ChunkMemory(options)
        return _shared.memories[options]


class _Shared:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.memories: dict[CacheOptions, ChunkMemory] = {}


_shared = _Shared()


def forget_chunks() -> None:
    """Drop every chunk that this process holds in memory."""
    global _shared
    _shared = _Shared()


if hasattr(os, "register_at_fork"):
    # A lock that was held when a process forked is never released in the child.
    os.register_at_fork(after_in_child=forget_chunks)


def _owned(array: Array) -> bool:
    """Tell whether an array keeps no more memory alive than its own."""
    base = array.base
    if isinstance(base, np.ndarray):
        return base.base is None and base.nbytes == array.nbytes
    if isinstance(base, bytes | memoryview):
        return memoryview(base).nbytes == array.nbytes
    return base is None
