"""Video decoders: any frame of a file by its number, cheaply where frames follow one another."""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from volkit.errors import SourceError
from volkit.io.files.video_frames import DAMAGE, FrameTable, opened_video

_DECODERS_AT_ONCE = 8  # open files of a process; each holds a few decoded frames


class FrameDecoder:
    """An open file that is decoded forward, from the last frame given or from a key frame.

    Parameters
    ----------
    uri : str
        Which video, for messages.
    path : Path
        The file.
    table : FrameTable
        Its frames.
    """

    def __init__(self, uri: str, path: Path, table: FrameTable) -> None:
        self._uri, self._path, self._table = uri, path, table
        self._lock = threading.Lock()
        self._open = ExitStack()
        self._frames: Iterator[Any] = iter(())
        self._next: int | None = None  # number of the frame that the decoder gives next

    def frame(self, n: int) -> Any:
        """Give a frame; threads take turns.

        Parameters
        ----------
        n : int
            Its number, the first one is 0.

        Raises
        ------
        SourceError
            If it cannot be decoded.
        """
        with self._lock:
            try:
                found = self._decode_to(n)
            except DAMAGE as error:
                self._next = None
                raise self._broken(n, str(error)) from error
        if found is None:
            raise self._broken(n, "the decoder leaves it out")
        if found.is_corrupt:
            raise self._broken(n, "its bytes are damaged")
        return found

    def _decode_to(self, n: int) -> Any:
        begin = self._table.keys[self._table.key_before(n)]
        if self._next is None or not begin <= self._next <= n:
            self._go_before(n)
        for frame in self._frames:
            number = self._number(frame)
            self._next = number + 1
            if number == n:
                return frame
            if number > n:
                break
        self._next = None
        return None

    def _go_before(self, n: int) -> None:
        """Go to a place from which frame ``n`` can be decoded: some files seek too far."""
        last = self._table.key_before(n)
        for back in (0, 1, 4):
            if last - back < 1 or not self._table.seekable:
                break
            self._seek(self._table.keys[last - back])
            first = next(self._frames, None)
            number = None if first is None else self._table.number(first.pts)
            if number is not None and number <= self._table.keys[last]:
                self._next, self._frames = number, _put_back(first, self._frames)
                return
        self._restart()

    def _seek(self, key: int) -> None:
        if self._next is None:
            self._restart()
        self._container.seek(self._table.times[key], stream=self._stream, backward=True)
        self._frames = self._container.decode(self._stream)

    def _restart(self) -> None:
        self._open.close()
        self._container, self._stream = self._open.enter_context(
            opened_video(self._uri, self._path)
        )
        self._frames, self._next = self._container.decode(self._stream), 0

    def _number(self, frame: Any) -> int:
        if not self._table.seekable:
            return self._next or 0
        number = self._table.number(frame.pts)
        if number is None:
            raise SourceError(f"a frame is shown at {frame.pts}, which no packet stated")
        return number

    def _broken(self, n: int, why: str) -> SourceError:
        return SourceError(
            f"{self._uri}: frame {n} of {self._path.name} cannot be decoded ({why}); the file is "
            "damaged or truncated: restore it from a copy"
        )


def _put_back(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def shared_decoder(uri: str, path: Path, table: FrameTable) -> FrameDecoder:
    """Give the decoder that this process has for a table of frames, or open one."""
    with _DECODERS.lock:
        found = _DECODERS.held.pop(table, None) or FrameDecoder(uri, path, table)
        _DECODERS.held[table] = found
        while len(_DECODERS.held) > _DECODERS_AT_ONCE:
            _DECODERS.held.popitem(last=False)
        return found


class _Decoders:
    """The decoders of a process, the one used last at the end."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.held: OrderedDict[FrameTable, FrameDecoder] = OrderedDict()
        self.inherited: list[object] = []

    def leave(self) -> None:
        """Use none of a parent process: its place in a file is shared, its threads are not here.

        They are kept all the same, since closing one would wait for those threads for ever.
        """
        self.inherited.append(self.held)
        self.held, self.lock = OrderedDict(), threading.Lock()


_DECODERS = _Decoders()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_DECODERS.leave)
