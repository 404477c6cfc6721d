"""The cache of decoded chunks: reads that overlap fetch each chunk of a source once.

Volumes that change are not for it: a chunk that was fetched is not asked for again, unless it was
written through the same handle.
"""

import hashlib
from collections.abc import Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Self

import numpy as np

from volkit.geometry import Box, Coord
from volkit.geometry.scale import Vector
from volkit.io.axes import Array
from volkit.io.cache.lattice import Lattice, chunk_lattice, merged, request_lattice
from volkit.io.cache.memory import ChunkMemory, shared_memory
from volkit.io.cache.statistics import CacheStatistics, Counters
from volkit.io.faults import Fault, classify
from volkit.io.fetching import fetch_at_once
from volkit.io.sources import CacheOptions, Source, chunk_start

Futures = dict[Coord, "Future[Array]"]


@dataclass(frozen=True)
class CachedSource:
    """A source whose chunks are kept, and fetched several at once.

    Parameters
    ----------
    inner : Source
        Where chunks come from.
    options : CacheOptions
        How many are kept.
    variant : str
        What else than the identity of the source decides its voxels.
    """

    inner: Source
    options: CacheOptions
    variant: str = ""
    _counters: Counters = field(default_factory=Counters, repr=False, compare=False)

    @classmethod
    def around(cls, source: Source, options: CacheOptions, *, variant: str = "") -> "Self | Source":
        """Cache a source; one that is cached already is cached anew, not twice.

        Parameters
        ----------
        source : Source
            Where chunks come from.
        options : CacheOptions
            How many are kept; none at all leaves the source as it is.
        variant : str
            What else than the identity of the source decides its voxels, such as the level or the
            order of axes that its reader stated.

        Returns
        -------
        Source
        """
        if isinstance(source, CachedSource):
            variant = f"{source.variant}|{variant}"
            source = source.inner
        if not options.memory_bytes and options.folder is None:
            return source
        return cls(source, options, variant)

    @property
    def shape(self) -> Coord:
        """Extent, voxels."""
        return self.inner.shape

    @property
    def channels(self) -> int | None:
        """Number of channels, if there is such an axis."""
        return self.inner.channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel."""
        return self.inner.dtype

    @property
    def chunk_shape(self) -> Coord:
        """What is fetched and kept as one."""
        return self.inner.chunk_shape

    @property
    def chunk_start(self) -> Coord:
        """Where chunks are counted from."""
        return chunk_start(self.inner)

    @property
    def request_shape(self) -> Coord:
        """What is fetched by one request at most."""
        return self._requests.cell

    @property
    def write_shape(self) -> Coord:
        """The box of one stored object."""
        return self.inner.write_shape

    @property
    def voxel_size_nm(self) -> Vector:
        """Extent of a voxel, nanometres."""
        return self.inner.voxel_size_nm

    @property
    def origin_nm(self) -> Vector:
        """Centre of the first voxel, nanometres."""
        return self.inner.origin_nm

    @property
    def voxel_offset(self) -> Coord:
        """Volume coordinates of the first voxel."""
        return self.inner.voxel_offset

    @property
    def levels(self) -> int:
        """Number of levels."""
        return self.inner.levels

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What the volume says of itself."""
        return self.inner.attributes

    def identity(self) -> str:
        """Tell the content apart: that of the source."""
        return self.inner.identity()

    def statistics(self) -> CacheStatistics:
        """Say what was read and fetched through this object."""
        return replace(self._counters.now, bytes_held=self._memory.bytes_held)

    def newly_fetched(self) -> int:
        """Say how many bytes were fetched since the last call; 0 the first time."""
        return self._counters.newly_fetched()

    def read(self, box: Box) -> Array:
        """Read a box; its chunks are fetched where nobody has them.

        Raises
        ------
        SourceError
            What the source raises for a chunk of the box; it is asked again the next time.
        """
        lead = () if self.channels is None else (self.channels,)
        values = np.empty((*lead, *box.shape), self.dtype)
        self._counters.add(reads=1)
        wanted = list(self._chunks.indices(box)) if box.size else []
        while wanted:
            claim = self._memory.claim(self._key, wanted)
            self._counters.add(hits=len(claim.held) + len(claim.awaited))
            for index, chunk in claim.held.items():
                _paste(values, box, chunk, self._chunks.first(index))
            claim.held.clear()
            self._fetch(claim.own, values, box)
            wanted = [i for i, f in claim.awaited.items() if not self._take(values, box, i, f)]
        return values

    def write(self, box: Box, values: Array, **options: Any) -> None:
        """Write a box, and drop what was kept of it.

        Parameters
        ----------
        box : Box
            Array coordinates.
        values : ndarray
            As the source takes them.
        **options
            What the source's own ``write`` takes beside these.
        """
        memory = self._memory
        try:
            self.inner.write(box, values, **options)
        finally:
            indices = list(self._chunks.indices(box))
            memory.forget((self._key, index) for index in indices)
            if memory.disk:
                for index in indices:
                    memory.disk.forget(self._name(index))

    @cached_property
    def _chunks(self) -> Lattice:
        return chunk_lattice(self.inner)

    @cached_property
    def _requests(self) -> Lattice:
        return request_lattice(self.inner)

    @cached_property
    def _key(self) -> str:
        """Digest what decides voxels; levels that share an identity differ in their shape."""
        inner = self.inner
        facts = (inner.identity(), self.variant, inner.shape, inner.channels, inner.dtype.str)
        place = (inner.voxel_size_nm, inner.voxel_offset, self._chunks.start, self._chunks.cell)
        return hashlib.sha256(repr((facts, place)).encode()).hexdigest()

    @property
    def _memory(self) -> ChunkMemory:
        return shared_memory(self.options)

    def _name(self, index: Coord) -> str:
        return hashlib.sha256(f"{self._key}{index}".encode()).hexdigest()[:40]

    def _fetch(self, own: Futures, values: Array, box: Box) -> None:
        """Fetch the chunks that this thread has claimed, from the disk or from the source."""
        try:
            absent = [i for i, future in own.items() if not self._load(i, future, values, box)]
            calls = []
            for cells in merged(absent, self._chunks, self._requests):
                part = {i: own[i] for i in Lattice((0, 0, 0), (1, 1, 1), cells.stop).indices(cells)}
                calls.append(partial(self._request, cells, part, values, box))
            if calls:
                fetch_at_once(calls)
        finally:
            for index, future in own.items():
                if not future.done():
                    self._memory.abandon((self._key, index), future)

    def _load(self, index: Coord, future: "Future[Array]", values: Array, box: Box) -> bool:
        """Take a chunk from the disk, if it is there."""
        disk = self._memory.disk
        data = disk.get(self._name(index)) if disk else None
        if data is None:
            return False
        shape = self._chunks.box(index).shape
        chunk = np.frombuffer(data, self.dtype).reshape(*values.shape[:-3], *shape)
        _paste(values, box, chunk, self._chunks.first(index))
        self._memory.settle((self._key, index), future, chunk)
        self._counters.add(disk_hits=1)
        return True

    def _request(self, cells: Box, own: Futures, values: Array, box: Box) -> None:
        """Ask the source for neighbouring chunks, and settle each of them."""
        voxels, memory, begun = self._chunks.span(cells), self._memory, self._memory.writes
        self._counters.add(requests=1)
        try:
            found = self.inner.read(voxels)
        except Exception as error:
            # Whoever waits for a chunk gets the error of that chunk, and of no other.
            if len(own) > 1 and _is_of_one_chunk(error):
                self._request_each(own, values, box)
                return
            for index, future in own.items():
                memory.fail((self._key, index), future, error)
            raise
        self._counters.add(chunks_fetched=len(own), bytes_fetched=found.nbytes)
        _paste(values, box, found, voxels.start)
        for index, future in own.items():
            whole = self._chunks.box(index)
            chunk = found[(..., *whole.relative_to(voxels).slices)] if len(own) > 1 else found
            current = memory.settle((self._key, index), future, chunk)
            if memory.disk and current:
                data = np.ascontiguousarray(chunk).reshape(-1).view(np.uint8)
                memory.disk.put(self._name(index), data.data)
                if memory.writes != begun:  # perhaps of this chunk, after it was fetched
                    memory.disk.forget(self._name(index))

    def _request_each(self, own: Futures, values: Array, box: Box) -> None:
        first: Exception | None = None
        for index, future in own.items():
            try:
                self._request(Box.from_shape((1, 1, 1), index), {index: future}, values, box)
            except Exception as error:
                first = first or error
        if first is not None:
            raise first

    def _take(self, values: Array, box: Box, index: Coord, future: "Future[Array]") -> bool:
        """Wait for a chunk that another thread fetches; False if that thread gave it up."""
        try:
            chunk = future.result()
        except CancelledError:
            return False
        _paste(values, box, chunk, self._chunks.first(index))
        return True


def _paste(values: Array, box: Box, found: Array, start: Coord) -> None:
    """Copy what a box and the voxels found at ``start`` have in common."""
    into: list[Any] = [...]
    part: list[Any] = [...]
    for a, b, s, n in zip(box.start, box.stop, start, found.shape[-3:], strict=True):
        low, high = max(a, s), min(b, s + n)
        into.append(slice(low - a, high - a))
        part.append(slice(low - s, high - s))
    values[tuple(into)] = found[tuple(part)]


def _is_of_one_chunk(error: BaseException) -> bool:
    """Tell errors of what is stored from those of the way to the store, which meet all chunks."""
    cause = error.__cause__ or error
    return classify(cause) not in (Fault.TRANSIENT, Fault.DENIED)
