"""Disk tier: decoded chunks in a folder that the processes of one user share.

A file holds one chunk, behind its checksum, and is named by a digest of what it is.  It appears by
a rename, so a kill leaves whole files and drafts, and drafts are removed later.  No process waits
for another: each adds to a log how much it writes, and the one that finds the log long removes
what was not used for longest.
"""

import logging
import os
import stat
import struct
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

from volkit.errors import ConfigError

logger = logging.getLogger(__name__)

_HEADER = struct.Struct("<4sIQ")  # what it is, checksum, bytes that follow
_MAGIC = b"vkc1"
_LOG = "written"
_LOGGED_BYTES = 4096  # for which the log grows by one
_FULL, _TRIMMED = 15 / 16, 7 / 8  # shares of the budget: where trimming begins, and where it ends
_DRAFT_SECONDS = 600.0  # a draft that is older has no writer any more
_REST_SECONDS = 60.0  # before a disk that failed is tried again


class DiskTier:
    """Chunks in a folder.

    Parameters
    ----------
    root : Path
        The folder; only this user may look into it.
    budget : int
        Most bytes in it, of all processes together.
    """

    def __init__(self, root: Path, budget: int) -> None:
        self._root, self._budget = root, budget
        self._lock = threading.Lock()
        self._known = False  # whether this process has looked at what is there
        self._rest_until = 0.0

    @classmethod
    def at(cls, folder: str, budget: int) -> Self | None:
        """Make the folder private, and open it.

        Parameters
        ----------
        folder : str
            Chunks lie in a folder of the user's own in it.
        budget : int
            Most bytes in it, of all processes together.

        Returns
        -------
        DiskTier or None
            None where there can be no folder: chunks are then kept in memory only.

        Raises
        ------
        ConfigError
            If somebody else has put something in the place of the user's own folder.
        """
        user = os.getuid() if hasattr(os, "getuid") else 0
        root = Path(folder).expanduser() / f"volkit-chunks-{user}"
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = root.lstat()
            own = stat.S_ISDIR(found.st_mode) and found.st_uid == user
            if own and stat.S_IMODE(found.st_mode) & 0o077:
                root.chmod(0o700)
        except OSError as error:
            logger.warning("chunks are not kept on disk: %s cannot be used (%s)", root, error)
            return None
        if not own:
            raise ConfigError(
                f"{root} is not a folder of this user's own, so chunks are not kept there; choose "
                "another cache.folder"
            )
        return cls(root, budget)

    def get(self, name: str) -> memoryview | None:
        """Read a chunk, and remember that it was used.

        Parameters
        ----------
        name : str
            Its digest.

        Returns
        -------
        memoryview or None
            None where it is not there; one that is damaged is removed.
        """
        path = self._path(name)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if not _is_sound(name, data):
            logger.warning("%s was damaged, and is fetched again", path)
            _remove(path)
            return None
        with suppress(OSError):  # another process may have removed it meanwhile
            os.utime(path)
        return memoryview(data)[_HEADER.size :]

    def put(self, name: str, data: memoryview) -> None:
        """Keep a chunk, if there is room for it on the disk.

        Parameters
        ----------
        name : str
            Its digest.
        data : memoryview
            Its bytes.
        """
        size = _HEADER.size + data.nbytes
        if size > self._budget // 2 or time.monotonic() < self._rest_until:
            return
        draft: str | None = None
        try:
            self._make_room(size)
            path = self._path(name)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            handle, draft = tempfile.mkstemp(suffix=".part", dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(_HEADER.pack(_MAGIC, _check(name, data), data.nbytes))
                file.write(data)
            Path(draft).replace(path)
        except OSError as error:
            # A full disk is no reason to stop: chunks can be fetched again.
            self._rest_until = time.monotonic() + _REST_SECONDS
            logger.warning("a chunk is not kept on disk: %s", error)
            if draft is not None:
                _remove(Path(draft))

    def forget(self, name: str) -> None:
        """Remove a chunk whose voxels were written anew."""
        _remove(self._path(name))

    def _path(self, name: str) -> Path:
        return self._root / name[:2] / name[2:]

    def _make_room(self, size: int) -> None:
        """Tell the other processes what is about to be written, and trim when it is time.

        What is written between two looks at the folder is at most a sixteenth of the budget, by
        all processes together: adding to a file is one step, and its size tells what all added.
        """
        log = os.open(self._root / _LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(log, b"." * -(-size // _LOGGED_BYTES))
            written = os.fstat(log).st_size * _LOGGED_BYTES
            with self._lock:
                if self._known and written <= self._budget * (1 - _FULL):
                    return
                self._known = True
                os.ftruncate(log, 0)
                self._trim(size)
        finally:
            os.close(log)

    def _trim(self, size: int) -> None:
        """Remove what was not used for longest, until ``size`` bytes more leave some room."""
        now = time.time()
        total, found = size, []
        for entry in self._files():
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # another process was faster
                continue
            if not entry.name.endswith(".part"):
                total += status.st_size
                found.append((status.st_mtime, status.st_size, entry.path))
            elif now - status.st_mtime > _DRAFT_SECONDS:
                _remove(Path(entry.path))
        if total <= self._budget * _FULL:
            return
        for _, freed, path in sorted(found):
            _remove(Path(path))
            total -= freed
            if total <= self._budget * _TRIMMED:
                return

    def _files(self) -> "Iterator[os.DirEntry[str]]":
        for folder in self._root.iterdir():
            if len(folder.name) == 2:
                with os.scandir(folder) as entries:
                    yield from entries


def _check(name: str, data: memoryview | bytes) -> int:
    """Digest bytes together with what they are said to be."""
    return zlib.crc32(data, zlib.crc32(name.encode()))


def _is_sound(name: str, data: bytes) -> bool:
    if len(data) < _HEADER.size:
        return False
    magic, check, size = _HEADER.unpack_from(data)
    payload = memoryview(data)[_HEADER.size :]
    return (magic, size) == (_MAGIC, len(payload)) and check == _check(name, payload)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("%s cannot be removed: %s", path, error)
