"""Objects in object stores, through obstore: S3, Google, Azure, HTTP, and the memory."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError

from volkit.errors import SourceError, VolkitError
from volkit.io.faults import CorruptPayloadError, Fault, Patience, brief, classify, patiently
from volkit.io.objects.absence import make_sure, writing
from volkit.io.objects.protocol import check_key, verdict
from volkit.io.objects.roots import StoreRoot, denied

T = TypeVar("T")

ONE_PIECE = 64 * 2**20  # bytes put in one request; more goes in parts


@dataclass(frozen=True, slots=True)
class StoreObjects:
    """Objects in an object store.

    Parameters
    ----------
    root : StoreRoot
        The store and the prefix.
    patience : Patience
        How long the store is asked again.
    """

    root: StoreRoot
    patience: Patience

    @property
    def uri(self) -> str:
        """Where they lie, as it was given."""
        return self.root.uri

    def get(self, key: str) -> bytes | None:
        """Fetch an object, again where its tag does not vouch for what arrived."""
        path = self._path(key)

        def fetch(_: float) -> bytes | None:
            answers: list[tuple[bytes, str | None]] = []
            while True:
                data, tag = self._fetch(path)
                if data is None or not self.root.remote:
                    return data
                answers.append((data, tag))
                sure = verdict(answers)
                if sure is not None:
                    return sure

        return self._sought(fetch, f"reading {key} of {self.uri}")

    def put(self, key: str, data: bytes, *, create: bool = False, lasting: bool = True) -> bool:
        """Put an object in one request where it is not huge."""
        self._check_writes()
        path, tries = self._path(key), [0]

        def send(_: float) -> bool:
            tries[0] += 1
            how: dict[str, Any] = {"mode": "create"} if create else {}
            try:
                with writing():
                    parts = len(data) > ONE_PIECE
                    obstore.put(self.root.store, path, data, use_multipart=parts, **how)
            except AlreadyExistsError:
                # The answer to an attempt of ours may have been lost after it succeeded.
                return tries[0] > 1 and self._fetch(path)[0] == data
            return True

        return self._asked(send, f"writing {key} of {self.uri}")

    def settle(self, keys: Iterable[str]) -> None:
        """Do nothing: what was put is stored."""

    def keys(self, prefix: str = "") -> Iterator[str]:
        """List the store."""
        for key, _ in self._listed(prefix):
            yield key

    def stamps(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """List the store, which tells the words too."""
        for key, found in self._listed(prefix):
            yield key, _word(found)

    def delete(self, key: str) -> None:
        """Delete an object."""
        self._check_writes()
        path = self._path(key)

        def drop(_: float) -> None:
            try:
                obstore.delete(self.root.store, path)
            except FileNotFoundError:
                return

        self._asked(drop, f"deleting {key} of {self.uri}")

    def delete_all(self, prefix: str = "") -> None:
        """Delete what is listed, many in a request where the store can."""
        self._check_writes()
        paths = [self.root.path(key) for key in self.keys(prefix)]
        if paths:
            store = self.root.store
            self._asked(lambda _: obstore.delete(store, paths), f"deleting in {self.uri}")

    def modified(self, key: str) -> str | None:
        """Give the tag of an object."""
        path = self._path(key)

        def look(_: float) -> str | None:
            try:
                found = _look(self.root.store, path)
            except FileNotFoundError as error:
                make_sure(self.root, path, error)
                return None
            return _word(found)

        return self._sought(look, f"looking at {key} of {self.uri}")

    def _listed(self, prefix: str) -> Iterator[tuple[str, Any]]:
        """Ask for all of a folder, as obstore does; the rest is left out."""
        if not self.root.lists:
            raise SourceError(f"{self.uri} cannot be listed; name the objects, or use S3 or a copy")
        folder = self.root.path(prefix.rpartition("/")[0])

        def listed(_: float) -> list[Any]:
            found = obstore.list(self.root.store, folder or None).collect()
            return sorted(found, key=lambda each: str(each["path"]))

        for each in self._asked(listed, f"listing {self.uri}"):
            key = str(each["path"])[len(self.root.prefix) :]
            if key.startswith(prefix):
                yield key, each

    def _fetch(self, path: str) -> tuple[bytes | None, str | None]:
        try:
            found = obstore.get(self.root.store, path)
            return bytes(found.bytes()), found.meta["e_tag"]
        except FileNotFoundError as error:
            make_sure(self.root, path, error)
            return None, None

    def _path(self, key: str) -> str:
        return self.root.path(check_key(self.uri, key))

    def _check_writes(self) -> None:
        if not self.root.writes:
            raise SourceError(f"{self.uri} is read-only; write to a folder or an object store")

    def _sought(self, call: Callable[[float], T | None], what: str) -> T | None:
        """Ask for what may not be there; who says so three times is believed."""

        def ask() -> T | None:
            try:
                return patiently(call, patience=self.patience, what=what)
            except FileNotFoundError as error:
                if classify(error) is Fault.ABSENT:
                    return None
                raise

        return self._explained(ask, what)

    def _asked(self, call: Callable[[float], T], what: str) -> T:
        return self._explained(lambda: patiently(call, patience=self.patience, what=what), what)

    def _explained(self, ask: Callable[[], T], what: str) -> T:
        try:
            return ask()
        except VolkitError:
            raise
        except (OSError, BaseError) as error:
            raise refused(self.root, error, what) from None


def refused(root: StoreRoot, error: BaseException, what: str) -> SourceError:
    """Say what failed for good, without what a store's answer may repeat of the request.

    Parameters
    ----------
    root : StoreRoot
        What was asked.
    error : Exception
        How it failed.
    what : str
        What was tried.

    Returns
    -------
    SourceError
        To be raised ``from None``.
    """
    if classify(error) is Fault.DENIED:
        return denied(root, error)
    if classify(error) is Fault.CORRUPT:
        return CorruptPayloadError(f"{what} failed: {brief(error)}")
    if "NoSuchBucket" in str(error):
        return SourceError(f"{root.uri}: there is no such bucket; check its name")
    return SourceError(f"{what} failed: {brief(error)}; check the address and the store")


def _word(found: Any) -> str:
    return f"{found['e_tag']} {found['last_modified'].isoformat()} {found['size']}"


def _look(store: Any, path: str) -> Any:
    try:
        return obstore.head(store, path)
    except BaseError as error:
        if classify(error) is not Fault.DENIED:
            raise
        return obstore.get(store, path).meta  # some let everybody GET, and nobody HEAD
