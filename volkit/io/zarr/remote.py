"""Zarr in object stores: every request bounded in time, repeated, and made sure of."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextvars import ContextVar
from typing import Any, Self, TypeVar

import obstore
from obstore.exceptions import BaseError, NotSupportedError
from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype

from volkit.errors import VolkitError
from volkit.io.faults import CorruptPayloadError, Fault, classify, patiently_async
from volkit.io.objects.absence import make_sure_async, writing
from volkit.io.objects.protocol import verdict
from volkit.io.objects.roots import open_root
from volkit.io.objects.store import ONE_PIECE, refused
from volkit.io.sources import OpenOptions

T = TypeVar("T")

_NO_PARTS = "Received non-partial response"  # obstore, of a server that sends the whole instead
METADATA = ("zarr.json", ".zgroup", ".zarray", ".zattrs", ".zmetadata")

# When the box that is being read was begun, so that its deadline holds for all of its requests.
box_begun: ContextVar[float | None] = ContextVar("volkit_zarr_box_begun", default=None)


class RemoteStore(Store):
    """The store of a zarr behind a URL that obstore understands.

    zarr's own ``ObjectStore`` takes the first answer for the truth; this one asks again where a
    request fails, answers with too few bytes, or says that a chunk is not there.  It travels to
    another process as its URL, without keys.

    Parameters
    ----------
    uri : str
        Of the group or array.
    options : OpenOptions
        Credentials and patience.
    read_only : bool
        Whether writing is refused here.
    """

    supports_writes: bool = True
    supports_deletes: bool = True

    def __init__(self, uri: str, options: OpenOptions, *, read_only: bool = False) -> None:
        self.uri = uri
        self.options = options
        self.root = open_root(uri, options)
        super().__init__(read_only=read_only or not self.root.writes)

    def __reduce__(self) -> tuple[Any, ...]:
        return _remote_store, (self.uri, self.options, self.read_only)

    def __eq__(self, value: object) -> bool:
        return isinstance(value, RemoteStore) and self.__reduce__() == value.__reduce__()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"RemoteStore({self.uri!r})"

    @property
    def supports_listing(self) -> bool:
        """Whether keys can be listed."""
        return self.root.lists

    def with_read_only(self, read_only: bool = False) -> Self:
        """Give the same store, read-only or not."""
        return type(self)(self.uri, self.options, read_only=read_only)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Fetch a value or a part of it; None if it is surely not there."""
        metadata = key.rpartition("/")[2] in METADATA

        async def fetch() -> Any:
            answers: list[tuple[bytes, str | None]] = []
            try:
                while True:
                    data, tag = await self._fetch(key, byte_range)
                    if not metadata or not self.root.remote:
                        return data
                    answers.append((bytes(data), tag))
                    sure = verdict(answers)
                    if sure is not None:
                        return sure
            except FileNotFoundError as error:
                return await self._absent(key, byte_range, error)

        # A chunk that must be there is asked for as long as there is patience.
        often = 0 if metadata or self.options.missing == "zero" else self.options.patience.attempts
        found = await self._asked(fetch, f"reading {key}", absent=None, sure_absent=often)
        return None if found is None else prototype.buffer.from_bytes(found)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Fetch parts one after another."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def exists(self, key: str) -> bool:
        """Tell whether a key is there."""
        path = self.root.path(key)

        async def look() -> bool:
            try:
                await obstore.get_async(self.root.store, path)  # some let nobody HEAD
            except FileNotFoundError as error:
                await make_sure_async(self.root, self.root.path(key), error)
                return False
            return True

        return await self._asked(look, f"looking at {key}", absent=False)

    async def set(self, key: str, value: Buffer) -> None:
        """Put a value, whole or not at all."""
        self._check_writable()
        data, path = value.as_buffer_like(), self.root.path(key)

        async def send() -> None:
            with writing():
                await obstore.put_async(
                    self.root.store, path, data, use_multipart=len(value) > ONE_PIECE
                )

        await self._asked(send, f"writing {key}")

    async def delete(self, key: str) -> None:
        """Delete a key, if it is there."""
        self._check_writable()

        async def drop() -> None:
            try:
                await obstore.delete_async(self.root.store, self.root.path(key))
            except FileNotFoundError:
                return

        await self._asked(drop, f"deleting {key}")

    async def list(self) -> AsyncIterator[str]:
        """List all keys."""
        async for key in self.list_prefix(""):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """List the keys that begin so."""
        folder = self.root.path(prefix.rpartition("/")[0]) or None

        async def listed() -> "list[str]":
            found = await obstore.list(self.root.store, folder).collect_async()
            return [str(each["path"])[len(self.root.prefix) :] for each in found]

        for key in await self._asked(listed, f"listing {prefix}"):
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """List the names right below."""
        folder = self.root.path(prefix.rstrip("/"))

        async def listed() -> "list[str]":
            found = await obstore.list_with_delimiter_async(self.root.store, folder or None)
            below = [*found["common_prefixes"], *(each["path"] for each in found["objects"])]
            return [str(path).rstrip("/").rpartition("/")[2] for path in below]

        for name in await self._asked(listed, f"listing {prefix}"):
            yield name

    async def _absent(
        self, key: str, part: ByteRequest | None, error: FileNotFoundError
    ) -> Buffer | None:
        """Make sure that a value is not there: it would be taken for zeros."""
        if isinstance(part, RangeByteRequest):
            # Its shard was there a moment ago, with an index that has it.
            raise ConnectionError(f"{key} was found, and then not") from error
        if not self.root.lists and self.options.missing == "zero":
            return (await self._fetch(key, part))[0]
        await make_sure_async(self.root, self.root.path(key), error)
        return None

    async def _fetch(self, key: str, part: ByteRequest | None) -> tuple[Any, str | None]:
        store, path = self.root.store, self.root.path(key)
        if part is None:
            found = await obstore.get_async(store, path)
            return await found.bytes_async(), found.meta["e_tag"]
        wanted = _slice(part)
        try:
            data = await self._fetch_part(path, part)
        except BaseError as error:
            if not isinstance(error, NotSupportedError) and _NO_PARTS not in str(error):
                raise
            whole, _ = await self._fetch(key, None)  # the simplest web servers know no parts
            data = memoryview(whole)[wanted]
        length = -(wanted.start or 0) if wanted.stop is None else wanted.stop - wanted.start
        if length > 0 and len(data) != length:
            raise CorruptPayloadError(f"{self.uri}: {key}: {len(data)} bytes came of {length}")
        return data, None

    async def _fetch_part(self, path: str, part: ByteRequest) -> Any:
        store = self.root.store
        if isinstance(part, SuffixByteRequest) and self.uri.startswith("az:"):
            size = (await obstore.head_async(store, path))["size"]  # Azure counts from the start
            part = RangeByteRequest(max(0, size - part.suffix), size)
        if isinstance(part, RangeByteRequest):
            return await obstore.get_range_async(store, path, start=part.start, end=part.end)
        how: Any = {"suffix" if isinstance(part, SuffixByteRequest) else "offset": _count(part)}
        found = await obstore.get_async(store, path, options={"range": how})
        return await found.bytes_async()

    async def _asked(
        self,
        call: Callable[[], Awaitable[T]],
        what: str,
        *,
        absent: Any = ...,
        sure_absent: int = 0,
    ) -> T:
        """Ask patiently; ``absent`` is the answer where what is asked for is not there."""
        what = f"{what} of {self.uri}"
        try:
            return await patiently_async(
                call,
                patience=self.options.patience,
                what=what,
                begun=box_begun.get(),
                sure_absent=sure_absent,
            )
        except VolkitError:
            raise
        except (OSError, BaseError) as error:
            if absent is not ... and classify(error) is Fault.ABSENT:
                return absent
            raise refused(self.root, error, what) from None


def _count(part: OffsetByteRequest | SuffixByteRequest) -> int:
    return part.suffix if isinstance(part, SuffixByteRequest) else part.offset


def _slice(part: ByteRequest) -> slice:
    if isinstance(part, RangeByteRequest):
        return slice(part.start, part.end)
    if isinstance(part, SuffixByteRequest):
        return slice(-part.suffix, None)
    return slice(part.offset, None)


def _remote_store(uri: str, options: OpenOptions, read_only: bool) -> RemoteStore:
    return RemoteStore(uri, options, read_only=read_only)
