"""Marks: bytes that are added to and never changed, in a file or in an object store."""

import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from volkit.io.place import Place

_AT_ONCE = 16  # requests: each waits for the store more than it works
_MANY = 64  # objects that are read one by one; beyond them they are put together


class Marks(Protocol):
    """A log that several readers may look at while one writer adds to it."""

    def append(self, data: bytes) -> None:
        """Add bytes; they are stored when this returns."""

    def read(self) -> bytes:
        """Read all that was added, in order."""

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
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""

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


@dataclass(frozen=True, slots=True)
class ObjectMarks:
    """A log of one object for each addition, since an object store cannot add to one.

    Parameters
    ----------
    folder : Place
        Where the objects lie, in a folder of the log's name; they are named to sort by time.
    name : str
        Of the log.
    """

    folder: Place
    name: str

    def append(self, data: bytes) -> None:
        """Put one more object; it is stored when this returns."""
        self.folder.objects.put(f"{self.name}/{time.time_ns():020d}-{uuid.uuid4().hex[:12]}", data)

    def read(self) -> bytes:
        """Read all objects, several at a time."""
        objects = self.folder.objects
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            parts = pool.map(objects.get, objects.keys(f"{self.name}/"))
            return b"".join(part for part in parts if part is not None)

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
        objects = self.folder.objects
        keys = list(objects.keys(f"{self.name}/"))
        objects.put(f"{self.name}/{0:020d}-{uuid.uuid4().hex[:12]}", data)
        for key in keys:
            objects.delete(key)

    def reset(self) -> None:
        """Remove all objects."""
        self.folder.objects.delete_all(f"{self.name}/")
