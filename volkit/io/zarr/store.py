"""Zarr stores: where chunks lie, watched so that a chunk that is not there is noticed."""

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Self

from zarr.abc.store import ByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.core.sync import sync
from zarr.storage import FsspecStore, LocalStore, WrapperStore

from volkit.errors import SourceError
from volkit.io.objects.protocol import open_objects
from volkit.io.objects.roots import SCHEMES
from volkit.io.sources import OpenOptions
from volkit.io.uris import local_path, split_scheme
from volkit.io.zarr.remote import RemoteStore

_READ_ONLY = ("github", "zip", "tar")  # file systems of fsspec that only give
_ROOTS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")  # one of them stands at the top of a zarr
_DRAFTS = ("*.partial", "*.__lock")  # what zarr and tensorstore call objects that are not complete
_METADATA_DRAFT = "zarr.*.partial"
_LEFT = {"0"}  # what a creation leaves that was killed before it wrote the group's metadata


@dataclass(slots=True)
class Watch:
    """What happened in a store while one box was read or written.

    Parameters
    ----------
    prefix : str
        Keys of the array's chunks begin so.
    index_bytes : int
        Size of a shard's index; 0 where there are no shards, or they cannot be understood.
    index_first : bool
        Whether the index stands at the beginning of a shard.
    blind : bool
        Find no chunk at all: a writer that replaces whole objects must not read the old ones,
        which may be torn.
    """

    prefix: str
    index_bytes: int = 0
    index_first: bool = False
    blind: bool = False
    missing: list[str] = field(default_factory=list)
    indices: dict[str, bytes] = field(default_factory=dict)

    def note(self, key: str, value: Buffer | None, byte_range: ByteRequest | None) -> None:
        """Take note of one answer of the store."""
        if value is None:
            self.missing.append(key)
        elif self.index_bytes and key not in self.indices and self._holds_index(byte_range):
            raw = value.to_bytes() if len(value) == self.index_bytes else self._cut(value)
            self.indices[key] = raw

    def _holds_index(self, byte_range: ByteRequest | None) -> bool:
        if byte_range is None or isinstance(byte_range, SuffixByteRequest):
            return True
        return self.index_first and getattr(byte_range, "start", None) == 0

    def _cut(self, value: Buffer) -> bytes:
        n = self.index_bytes
        return value[:n].to_bytes() if self.index_first else value[-n:].to_bytes()


# The watch of the box being read: zarr works in another thread, whose tasks inherit the context.
_watch: ContextVar[Watch | None] = ContextVar("volkit_zarr_watch", default=None)


@contextmanager
def watching(watch: Watch) -> Iterator[Watch]:
    """Let a watch see what the stores of this thread answer."""
    token = _watch.set(watch)
    try:
        yield watch
    finally:
        _watch.reset(token)


class WatchedStore(WrapperStore[Store]):
    """A store that tells the current watch about every chunk asked for."""

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Fetch a value, and note whether it was there."""
        watch = _watch.get()
        if watch is None or not key.startswith(watch.prefix):
            return await self._store.get(key, prototype, byte_range)
        if watch.blind:
            return None
        value = await self._store.get(key, prototype, byte_range)
        watch.note(key, value, byte_range)
        return value

    def with_read_only(self, read_only: bool = False) -> Self:
        """Wrap the same store, read-only or not."""
        return type(self)(self._store.with_read_only(read_only))


def open_store(uri: str, options: OpenOptions) -> Store:
    """Open the store of a URI.

    Parameters
    ----------
    uri : str
        Local path, ``file://…``, or any URL that obstore or fsspec knows.
    options : OpenOptions
        Credentials and patience.

    Returns
    -------
    zarr.abc.store.Store
        Values are written whole or not at all: beside the old one and then renamed (local), or by
        one put (object stores).
    """
    path = local_path(uri)
    if path is not None:
        return WatchedStore(LocalStore(path))
    scheme = split_scheme(uri)[0]
    if scheme in SCHEMES:
        return WatchedStore(RemoteStore(uri, options))
    return WatchedStore(FsspecStore.from_url(uri, read_only=scheme in _READ_ONLY))


def remove_zarr(uri: str, options: OpenOptions) -> None:
    """Delete a zarr group or array, and nothing that is not one.

    Raises
    ------
    SourceError
        If something else than zarr is there.
    """
    path = local_path(uri)
    check_place(uri, options)
    if path is None:
        objects = open_objects(uri, options)
        for name in _ROOTS:
            objects.delete(name)
        objects.delete_all()
        return
    for name in _ROOTS:
        # Metadata first: what is half removed must not open.
        (path / name).unlink(missing_ok=True)
    shutil.rmtree(path)


def check_place(uri: str, options: OpenOptions) -> None:
    """Refuse a place where something else than a zarr lies, or what is left of one.

    Raises
    ------
    SourceError
        If it does.
    """
    names = _names(uri, options)
    if names and not names & set(_ROOTS) and not names <= _LEFT:
        raise SourceError(
            f"{uri} exists and is not zarr; it is not overwritten: choose another name, or remove "
            "it yourself"
        )


def is_vacant(uri: str, options: OpenOptions) -> bool:
    """Tell whether nothing lies at a place, or only what a killed creation left there."""
    return _names(uri, options) <= _LEFT


def _names(uri: str, options: OpenOptions) -> set[str]:
    """List what lies at the top of a place, drafts of metadata left out; a file is a name too."""
    path = local_path(uri)
    if path is None:
        listed = open_store(uri, options).list_dir("")
        return set(sync(_collected(listed)))
    if path.is_dir():
        return {p.name for p in path.iterdir() if not p.match(_METADATA_DRAFT)}
    return {path.name} if path.exists() else set()


async def _collected(names: AsyncIterator[str]) -> list[str]:
    return [name async for name in names]


def remove_drafts(uri: str) -> int:
    """Delete what a killed writer left of objects that it did not finish.

    They are never read, but take room.  Nobody may be writing meanwhile.

    Returns
    -------
    int
        How many there were.
    """
    path = local_path(uri)
    drafts = [] if path is None else [d for name in _DRAFTS for d in path.rglob(name)]
    for draft in drafts:
        draft.unlink(missing_ok=True)
    return len(drafts)
