"""Objects in the file systems of fsspec: what obstore does not reach."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import fsspec

from volkit.errors import SourceError, VolkitError
from volkit.io.faults import Patience, brief, patiently
from volkit.io.objects.protocol import check_key

T = TypeVar("T")

_creating = threading.Lock()


class FsspecObjects:
    """Objects in a file system of fsspec.

    ``create=True`` keeps writers of one process apart, not those of several.

    Parameters
    ----------
    uri : str
        Of a folder.
    patience : Patience
        How long it is asked again.
    """

    __slots__ = ("_files", "_root", "patience", "uri")

    def __init__(self, uri: str, patience: Patience) -> None:
        self.uri = uri
        self.patience = patience
        try:
            found: tuple[Any, str] = fsspec.core.url_to_fs(uri)
        except (ValueError, ImportError) as error:
            raise SourceError(f"{uri} cannot be opened: {error}; check the scheme") from error
        self._files, self._root = found[0], found[1].rstrip("/")

    def get(self, key: str) -> bytes | None:
        """Fetch an object; None where the file system says twice more that there is none."""
        path = self._path(key)
        try:
            return self._asked(lambda _: bytes(self._files.cat_file(path)), f"reading {key}")
        except FileNotFoundError:
            return None

    def put(self, key: str, data: bytes, *, create: bool = False, lasting: bool = True) -> bool:
        """Write an object."""
        path = self._path(key)

        def send(_: float) -> bool:
            if create and self._files.exists(path):
                return False
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(path, data)
            return True

        with _creating:
            return self._asked(send, f"writing {key}")

    def settle(self, keys: Iterable[str]) -> None:
        """Do nothing: what was put is stored."""

    def keys(self, prefix: str = "") -> Iterator[str]:
        """List the folder, with what lies below."""

        def listed(_: float) -> list[str]:
            self._files.invalidate_cache()
            found = self._files.find(self._root)
            return sorted(str(path)[len(self._root) :].lstrip("/") for path in found)

        for key in self._asked(listed, "listing"):
            if key.startswith(prefix):
                yield key

    def stamps(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """Look at one after the other; what is gone by then is left out."""
        for key in self.keys(prefix):
            word = self.modified(key)
            if word is not None:
                yield key, word

    def delete(self, key: str) -> None:
        """Delete an object."""
        path = self._path(key)

        def drop(_: float) -> None:
            try:
                self._files.rm_file(path)
            except FileNotFoundError:
                return

        self._asked(drop, f"deleting {key}")

    def delete_all(self, prefix: str = "") -> None:
        """Delete one by one what is listed."""
        for key in list(self.keys(prefix)):
            self.delete(key)

    def modified(self, key: str) -> str | None:
        """Give what the file system knows of the object's content."""
        path = self._path(key)
        try:
            return self._asked(lambda _: str(self._files.ukey(path)), f"looking at {key}")
        except FileNotFoundError:
            return None

    def _path(self, key: str) -> str:
        return f"{self._root}/{check_key(self.uri, key)}"

    def _asked(self, call: Callable[[float], T], what: str) -> T:
        try:
            return patiently(call, patience=self.patience, what=f"{what} of {self.uri}")
        except (VolkitError, FileNotFoundError):
            raise
        except (OSError, NotImplementedError, ValueError) as error:
            raise SourceError(
                f"{what} of {self.uri} failed: {brief(error)}; check the address and the rights"
            ) from error
