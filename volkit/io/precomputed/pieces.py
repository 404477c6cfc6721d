"""Pieces: the chunks of one box, asked for all at once and judged one by one."""

import time
from typing import TYPE_CHECKING, Any

import tensorstore as ts

from volkit.geometry import Box, Coord
from volkit.io.axes import Array
from volkit.io.faults import SURE, Fault, brief, classify
from volkit.io.precomputed.failures import FAILURES, explained, missing_chunk

if TYPE_CHECKING:
    from volkit.io.precomputed.tensorstore_array import StoredArray

_SPARSE = 16  # of so many voxels on an axis, one is looked at first


class _UnsureError(ConnectionError):
    """A chunk that is to be asked for again before its absence or damage is believed."""


class Pieces:
    """The parts of one box, and what has become of each.

    Parameters
    ----------
    array : StoredArray
        Where they lie.
    box : Box
        What is wanted, array coordinates.
    values : ndarray
        Gets the voxels, ([C,] Z, Y, X).
    """

    def __init__(self, array: "StoredArray", box: Box, values: Array) -> None:
        self.array, self.box, self.values = array, box, values
        self.failures = dict.fromkeys(array.pieces(box), 0)  # of those still wanted

    def fetch(self, left: float) -> None:
        """Fetch what is still wanted, all at once; raise the failure that asks for another try.

        A silence that brought some of the pieces is no failure of the box: the others are asked
        for again at once.

        Parameters
        ----------
        left : float
            Seconds that it may take.

        Raises
        ------
        OSError
            If asking again may help.
        MissingChunkError
            If a chunk is surely not stored and ``missing`` is ``error``.
        SourceError
            If a chunk is damaged, or asking again cannot help.
        """
        deadline = time.monotonic() + left
        while True:
            wanted = len(self.failures)
            silent, again = self._round(deadline)
            if not silent:
                break
            self.array.forget()
            if len(self.failures) == wanted or time.monotonic() > deadline:
                raise TimeoutError(f"no answer for {self.array.patience.silence_seconds:.1f} s")
        if again is not None:
            raise again

    def _round(self, deadline: float) -> tuple[bool, Exception | None]:
        """Ask once for all that is wanted; say whether one fell silent, and what else failed."""
        array, silent = self.array, False
        store = array.opened(_left(deadline))
        with ts.Batch() as batch:
            futures = {
                p: store[index_of_box(p)].read(order="C", batch=batch) for p in self.failures
            }
        again: Exception | None = None
        blank: list[Box] = []
        for piece, future in futures.items():
            patient = 0.001 if silent else array.patience.silence_seconds
            try:
                part = future.result(min(patient, _left(deadline)))
            except TimeoutError:
                silent = True  # what the others have brought by now is kept
                future.cancel()
                continue
            except FAILURES as error:
                again = self._judge(piece, error) or again
                continue
            if array.single is not None and is_blank(part):
                blank.append(piece)
                continue
            self._keep(piece, part)
        if blank:
            again = self._look(blank, _left(deadline)) or again
        return silent, again

    def _look(self, blank: list[Box], left: float) -> Exception | None:
        """Fetch pieces that came as zeros once more, so that a missing chunk shows."""
        array = self.array
        if array.single is None:
            return None
        again: Exception | None = None
        there: dict[Coord, bytes] = {}
        indices = [array.index_of(p) for p in blank]
        for piece, index, data in zip(
            blank, indices, array.single.fetched(indices, left), strict=True
        ):
            if isinstance(data, bytes):
                there[index] = data
            else:
                missing = data or FileNotFoundError("its shard does not hold it")
                again = self._judge(piece, missing) or again
        values = array.single.decoded(self.box, there)
        for piece, index in zip(blank, indices, strict=True):
            if index in there:
                self._keep(piece, part_of(values, self.box, piece))
        return again

    def _keep(self, piece: Box, part: Any) -> None:
        part_of(self.values, self.box, piece)[...] = part
        del self.failures[piece]

    def _judge(self, piece: Box, error: Exception) -> Exception | None:
        """Say what a failure of one piece means: zeros, an error, or another try."""
        array, fault = self.array, classify(error)
        if fault is Fault.TRANSIENT:
            return ConnectionError(brief(error))
        if fault not in (Fault.ABSENT, Fault.CORRUPT):
            raise explained(array.uri, self._where(piece), error) from error
        self.failures[piece] += 1
        most = array.patience.attempts
        # Damage ends in an error; absence may end in zeros, so it must be surer than that.
        zeros = array.missing == "zero"
        enough = {Fault.CORRUPT: SURE, Fault.ABSENT: 2 * SURE if zeros else most}[fault]
        if self.failures[piece] < min(enough, most):
            return _UnsureError(brief(error))
        if fault is Fault.CORRUPT:
            raise explained(array.uri, self._where(piece), error) from error
        if array.missing == "error":
            raise missing_chunk(array.uri, self._where(piece))
        self._keep(piece, 0)
        return None

    def _where(self, piece: Box) -> str:
        array = self.array
        index = array.index_of(piece)
        corner = tuple(i * n for i, n in zip(index, array.chunk_shape, strict=True))
        whole = Box.from_shape(array.chunk_shape, corner).intersect(Box.from_shape(array.shape))
        return f"chunk {index} (z, y, x), voxels {whole.shift(array.voxel_offset)}"


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.001)


def index_of_box(box: Box) -> tuple[Any, ...]:
    """Give what picks a box out of an array, all channels of it."""
    return (..., *box.slices)


def part_of(values: Array, box: Box, piece: Box) -> Array:
    """Give the part of the values of a box that a smaller box covers."""
    part: Array = values[(..., *piece.relative_to(box).slices)]
    return part


def is_blank(part: Array) -> bool:
    """Tell whether all voxels are zero; a few of them mostly tell that they are not."""
    few = part[..., ::_SPARSE, ::_SPARSE, ::_SPARSE]
    return not few.any() and not part.any()
