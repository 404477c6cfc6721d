"""Arrays that tensorstore reads and writes: bounded in time, and never silently zero."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal, Protocol

import numpy as np
import tensorstore as ts

from volkit.errors import SourceError
from volkit.geometry import Box, Coord
from volkit.io.axes import Array
from volkit.io.faults import Fault, Patience, brief, classify, patiently
from volkit.io.precomputed.failures import FAILURES, clean_errors, explained
from volkit.io.precomputed.pieces import Pieces, index_of_box, is_blank, part_of


class SingleChunks(Protocol):
    """Chunks that can be fetched alone, by index, and tell a missing one from zeros."""

    def fetched(self, indices: Sequence[Coord], left: float) -> list[bytes | Exception | None]:
        """Fetch encoded chunks: None where one is not stored; ``left`` is in seconds."""

    def decoded(self, box: Box, chunks: Mapping[Coord, bytes]) -> Array:
        """Decode chunks of a box; where none is given it is zero."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredArray:
    """An array of tensorstore with axes ([c,] z, y, x) and first voxel (0, 0, 0).

    Boxes of remote arrays are fetched chunk by chunk, all at once: so a chunk that fails is asked
    for alone, and silence shows.  Local ones are read in one go, and by chunks once that failed.

    Parameters
    ----------
    uri : str
        For messages.
    spec : mapping
        Of tensorstore, without ``context``.
    context : mapping
        Resources of tensorstore.
    view : callable
        Brings an open TensorStore into these axes, its first voxel at 0.
    shape, chunk_shape : tuple of int
        Extent, and extent of a chunk.
    channels : int or None
        Extent of the channel axis, if there is one.
    dtype : dtype
        Of a voxel.
    voxel_offset : tuple of int
        Of the first voxel, for messages.
    remote : bool
        Whether there is a network between.
    missing : {"error", "zero"}
        What a chunk that is not stored means.
    patience : Patience
        How long to try.
    single : SingleChunks or None
        Fetches chunks alone, for formats whose absent chunks tensorstore gives as zeros.
    """

    uri: str
    spec: Mapping[str, Any] = field(repr=False)
    context: Mapping[str, Any] = field(repr=False)
    view: Callable[[Any], Any] = field(repr=False)
    shape: Coord
    chunk_shape: Coord
    channels: int | None
    dtype: np.dtype[Any]
    voxel_offset: Coord
    remote: bool
    missing: Literal["error", "zero"]
    patience: Patience
    single: SingleChunks | None = field(default=None, repr=False)
    _open: list[Any] = field(default_factory=list, repr=False, compare=False)
    _lock: Any = field(default_factory=threading.Lock, repr=False, compare=False)

    def read(self, box: Box) -> Array:
        """Read a box.

        Raises
        ------
        MissingChunkError
            If a chunk is not stored and ``missing`` is ``error``.
        SourceError
            If a chunk is damaged, or the store keeps failing.
        """
        if not self.remote:
            values = self._whole(box)
            if values is not None:
                return values
        lead = () if self.channels is None else (self.channels,)
        values = np.empty((*lead, *box.shape), self.dtype)
        pieces = Pieces(self, box, values)
        what = f"{self.uri}: reading voxels {box.shift(self.voxel_offset)}"
        patiently(pieces.fetch, patience=self.patience, what=what)
        return values

    def write(self, box: Box, values: Array) -> None:
        """Write a box of whole chunks; zeros are stored, too.

        Raises
        ------
        SourceError
            If the store is read-only, or the write fails.
        """
        what = f"{self.uri}: writing voxels {box.shift(self.voxel_offset)}"

        def store(left: float) -> None:
            with clean_errors():
                self.opened(left)[index_of_box(box)].write(values).result(left)

        try:
            patiently(store, patience=self.patience, what=what)
        except FAILURES as error:
            if isinstance(error, SourceError) or classify(error) is Fault.DENIED:
                raise explained(self.uri, "writing failed", error) from error
            raise SourceError(
                f"{what} failed: {brief(error)}; what was written before is kept: make room or "
                "mend the store, and run again"
            ) from error

    def opened(self, left: float) -> Any:
        """Give the open TensorStore; it is opened once, and anew after a silence."""
        with self._lock:
            if not self._open:
                context = ts.Context(dict(self.context))
                if self.remote:  # which brings a small file only
                    left = min(left, self.patience.silence_seconds)
                try:
                    with clean_errors():
                        store = ts.open(dict(self.spec), context=context, open=True).result(left)
                except TimeoutError as error:
                    raise TimeoutError(f"no answer for {left:.1f} s") from error
                self._open.append(self.view(store))
            return self._open[0]

    def forget(self) -> None:
        """Open anew next time, with connections and a cache of its own."""
        with self._lock:
            self._open.clear()

    def index_of(self, piece: Box) -> Coord:
        """Give the index of the chunk that a piece lies in."""
        z, y, x = (a // n for a, n in zip(piece.start, self.chunk_shape, strict=True))
        return z, y, x

    def pieces(self, box: Box) -> Iterator[Box]:
        """Iterate the parts of a box, each in one chunk."""
        ranges = [
            range(a // n, -(-b // n))
            for a, b, n in zip(box.start, box.stop, self.chunk_shape, strict=True)
        ]
        for index in product(*ranges):
            corner = tuple(i * n for i, n in zip(index, self.chunk_shape, strict=True))
            yield Box.from_shape(self.chunk_shape, corner).intersect(box)

    def _whole(self, box: Box) -> Array | None:
        """Read a box at once; None where the chunks must be looked at one by one."""
        limit = self.patience.deadline_seconds
        try:
            values: Array = self.opened(limit)[index_of_box(box)].read(order="C").result(limit)
            if self.single is None or self.missing == "zero":
                return values
            blank = [p for p in self.pieces(box) if is_blank(part_of(values, box, p))]
            found = self.single.fetched([self.index_of(p) for p in blank], limit) if blank else []
        except TimeoutError as error:
            raise SourceError(
                f"{self.uri}: reading voxels {box.shift(self.voxel_offset)} took more than "
                f"{limit:.0f} s; check the file system, or read less at once"
            ) from error
        except FAILURES:
            return None
        return values if all(isinstance(data, bytes) for data in found) else None
