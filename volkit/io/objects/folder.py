"""Objects in a folder: each a file that takes its name only when it is complete.

Names of files are plain strings here: a Path enters each part of a name into a table of the
interpreter, where Python 3.12 keeps it for ever, and a long run has millions of names.
"""

import errno
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from volkit.errors import SourceError, VolkitError
from volkit.io.faults import Patience, patiently
from volkit.io.objects.protocol import check_key

T = TypeVar("T")

_DRAFT = ".partial"
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}


@dataclass(frozen=True, slots=True)
class FolderObjects:
    """Objects in a local folder, or one that is mounted.

    Parameters
    ----------
    uri : str
        As it was given.
    folder : Path
        Made when the first object is put.
    patience : Patience
        How long a file system that fails for a moment is asked again.
    """

    uri: str
    folder: Path
    patience: Patience

    def get(self, key: str) -> bytes | None:
        """Read a file."""
        path = self._path(key)

        def read(_: float) -> bytes | None:
            try:
                with open(path, "rb") as file:
                    return file.read()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None

        return self._asked(read, f"reading {path}")

    def put(self, key: str, data: bytes, *, create: bool = False, lasting: bool = True) -> bool:
        """Write a file beside its name, bring it to the disk, and rename it."""
        path = self._path(key)
        folder, name = os.path.split(path)
        draft = os.path.join(folder, f".{name}.{uuid.uuid4().hex}{_DRAFT}")

        def write(_: float) -> bool:
            os.makedirs(folder, exist_ok=True)
            try:
                with open(draft, "wb") as file:
                    file.write(data)
                    if lasting:
                        file.flush()
                        os.fsync(file.fileno())
                return _linked(draft, path) if create else _replaced(draft, path)
            finally:
                _unlinked(draft)

        return self._asked(write, f"writing {path}")

    def settle(self, keys: Iterable[str]) -> None:
        """Bring files to the disk, with the names that they have by now."""
        for path in map(self._path, keys):

            def bring(_: float, path: str = path) -> None:
                with open(path, "rb") as file:
                    os.fsync(file.fileno())

            self._asked(bring, f"bringing {path} to the disk")

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Walk through the folder; what killed writers left is passed over."""
        start = self.folder / prefix.rpartition("/")[0]

        def walk(_: float) -> list[str]:
            return sorted(
                key
                for root, _, names in os.walk(start)
                for inside in [os.path.relpath(root, self.folder).replace(os.sep, "/")]
                for name in names
                if not name.endswith(_DRAFT)
                and (key := name if inside == "." else f"{inside}/{name}").startswith(prefix)
            )

        yield from self._asked(walk, f"listing {start}")

    def stamps(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """Look at one after the other; what is gone by then is left out."""
        for key in self.keys(prefix):
            word = self.modified(key)
            if word is not None:
                yield key, word

    def delete(self, key: str) -> None:
        """Unlink a file."""
        path = self._path(key)
        self._asked(lambda _: _unlinked(path), f"deleting {path}")

    def delete_all(self, prefix: str = "") -> None:
        """Unlink the files; a whole folder goes with what killed writers left in it."""
        folder = self.folder / prefix
        if (not prefix or prefix.endswith("/")) and folder.is_dir():
            self._asked(lambda _: shutil.rmtree(folder), f"deleting {folder}")
            return
        for key in self.keys(prefix):
            self.delete(key)

    def modified(self, key: str) -> str | None:
        """Give time and size of a file."""
        path = self._path(key)

        def look(_: float) -> str | None:
            try:
                found = os.stat(path)
            except (FileNotFoundError, NotADirectoryError):
                return None
            return f"{found.st_mtime_ns}-{found.st_size}-{found.st_ino}"

        return self._asked(look, f"looking at {path}")

    def _path(self, key: str) -> str:
        return os.path.join(self.folder, check_key(self.uri, key))

    def _asked(self, call: Callable[[float], T], what: str) -> T:
        try:
            return patiently(call, patience=self.patience, what=what)
        except VolkitError:
            raise
        except OSError as error:
            raise SourceError(
                f"{what} failed: {error}; what was there before is kept: make room, check the "
                "rights, or choose another place"
            ) from error


def _replaced(draft: str, path: str) -> bool:
    os.replace(draft, path)
    return True


def _unlinked(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def _linked(draft: str, path: str) -> bool:
    """Give a draft its name unless that is taken: one writer of several succeeds."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with open(draft, "rb") as file:
            return _exclusive(path, file.read())
    return True


def _exclusive(path: str, data: bytes) -> bool:
    """Write where the file system has no links: a reader may meet a part, but one writer wins."""
    try:
        with open(path, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    except OSError:
        _unlinked(path)
        raise
    return True
