"""Marks: bytes that are added to and never changed, in a file or in an object store."""

import logging
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from volkit.io.place import Place

_AT_ONCE = 16  # requests: each waits for the store more than it works
_MANY = 64  # objects of a size; beyond them they are put together
_LOOKS = 5  # at a log whose objects are put together meanwhile
_logger = logging.getLogger(__name__)


class Marks(Protocol):
    """A log that several readers may look at while one writer adds to it."""

    def append(self, data: bytes) -> None:
        """Add bytes; they are stored when this returns."""

    def read(self) -> bytes:
        """Read all that was added, in order."""

    def pieces(self, size: int) -> Iterator[bytes]:
        """Read the same piece by piece; of ``size`` bytes where that saves memory."""

    def tidy(self, sound: int) -> None:
        """Keep the first ``sound`` bytes only; nobody may be writing meanwhile."""

    def replace(self, data: bytes) -> None:
        """Hold these bytes only; nobody may be writing meanwhile."""

    def reset(self) -> None:
        """Forget all."""


def marks_in(folder: Place, name: str) -> Marks:
    """Find a log in a folder."""
    path = folder.local
    return ObjectMarks(folder, name) if path is None else FileMarks(path / name)


@dataclass(frozen=True, slots=True)
class FileMarks:
    """A log in one file, which a file system can add to.

    Parameters
    ----------
    path : Path
        The file.
    """

    path: Path

    def append(self, data: bytes) -> None:
        """Add bytes; they are on disk when this returns."""
        with self.path.open("ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> bytes:
        """Read all that was added."""
        return b"".join(self.pieces(-1))

    def pieces(self, size: int) -> Iterator[bytes]:
        """Read all that was added, so many bytes at a time."""
        try:
            with self.path.open("rb") as file:
                while piece := file.read(size):
                    yield piece
        except FileNotFoundError:
            return

    def tidy(self, sound: int) -> None:
        """Cut off what a kill left half written, so that later records stay aligned."""
        if self.path.exists() and self.path.stat().st_size != sound:
            os.truncate(self.path, sound)

    def replace(self, data: bytes) -> None:
        """Write a file beside and give it the name: all changes, or nothing."""
        Place.at(self.path.parent).objects.put(self.path.name, data)

    def reset(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)


@dataclass(slots=True)
class ObjectMarks:
    """A log of one object for each addition, since an object store cannot add to one.

    As additions come, every 64 objects are put together into one, every 64 of those into a larger
    one, and so on: each byte is written anew once for every size, and few objects are there at any
    time.  ::

        additions     ▫▫▫▫ ▫▫▫▫ ▫▫▫▫ ▫▫▫▫ ▫▫
        4 together    ▭    ▭    ▭    ▭
        16 together   ▬

    Parameters
    ----------
    folder : Place
        Where the objects lie, in a folder of the log's name; they are named to sort by time.
    name : str
        Of the log.
    """

    folder: Place
    name: str
    _sizes: list[list[str]] = field(default_factory=list, init=False, repr=False, compare=False)

    def append(self, data: bytes) -> None:
        """Put one more object; it is stored when this returns."""
        key = self._key(f"{time.time_ns():020d}")
        self.folder.objects.put(key, data)
        self._gather(key, 0)

    def read(self) -> bytes:
        """Read all objects, several at a time.

        Bytes that are being put together may come twice, one time after another.
        """
        parts: list[bytes | None] = []
        for _ in range(_LOOKS):
            parts = self._fetched(list(self.folder.objects.keys(f"{self.name}/")))
            if None not in parts:  # else the writer has put it elsewhere since it was listed
                break
        return b"".join(part for part in parts if part is not None)

    def pieces(self, size: int) -> Iterator[bytes]:
        """Read all at once: while it is read, objects may be put together."""
        yield self.read()

    def tidy(self, sound: int) -> None:
        """Put many small objects together.

        They are removed only when the one that holds them all is there: a kill in between leaves
        marks twice, which does no harm.
        """
        keys = list(self.folder.objects.keys(f"{self.name}/"))
        if len(keys) > _MANY:
            self.replace(self.read()[:sound])

    def replace(self, data: bytes) -> None:
        """Put one object that holds it all, then remove the others.

        A kill in between leaves some of what was there before.
        """
        self._replace(list(self.folder.objects.keys(f"{self.name}/")), self._key(f"{0:020d}"), data)
        self._sizes.clear()

    def reset(self) -> None:
        """Remove all objects."""
        self.folder.objects.delete_all(f"{self.name}/")
        self._sizes.clear()

    def _gather(self, key: str, size: int) -> None:
        """Remember an object of this writer; put many of a size together."""
        if len(self._sizes) == size:
            self._sizes.append([])
        self._sizes[size].append(key)
        if len(self._sizes[size]) < _MANY:
            return
        keys, self._sizes[size] = self._sizes[size], []
        begun = keys[0].rpartition("/")[2].partition("-")[0]
        together = self._key(begun)  # sorts where the first of them did
        try:
            parts = self._fetched(keys)
            self._replace(keys, together, b"".join(part for part in parts if part is not None))
        except OSError as error:
            # All is stored, only in more objects; the next one who opens the log tidies up.
            _logger.warning("could not put marks together in %s: %s", self.folder, error)
            return
        self._gather(together, size + 1)

    def _replace(self, keys: Sequence[str], by: str, data: bytes) -> None:
        objects = self.folder.objects
        objects.put(by, data)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(objects.delete, keys))

    def _fetched(self, keys: Sequence[str]) -> list[bytes | None]:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(self.folder.objects.get, keys))

    def _key(self, begun: str) -> str:
        return f"{self.name}/{begun}-{uuid.uuid4().hex[:12]}"
