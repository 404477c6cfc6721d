"""Home: the private folder of a cluster of batch jobs, and what earlier clusters have left.

Logs are kept after a cluster, so that they can be read; those of clusters that ended a month ago
are removed when another one starts.
"""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from volkit.engine.cluster.credentials import private_folder

KEEP_DAYS = 30.0
_PREFIX = "cluster-"
_ALIVE = "alive"
_DAY_SECONDS = 86400.0
_BEAT_SECONDS = 3600.0  # far below the days that folders are kept, so clocks of machines may differ


@contextmanager
def cluster_home(base: Path, *, clock: Callable[[], float] = time.time) -> Iterator[Path]:
    """Make the folder of a cluster, which others cannot enter, and prune those of old ones.

    Parameters
    ----------
    base : Path
        Where the folders of clusters are.
    clock : callable
        Unix time.

    Yields
    ------
    Path
        With a folder ``logs``, which is kept; ``tls`` and ``scripts`` are removed at the end.

    Raises
    ------
    ConfigError
        If the base is somebody else's, or others may enter it.
    """
    private_folder(base)
    prune(base, now=clock())
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    (folder / "logs").mkdir(mode=0o700)
    _show_life(folder / _ALIVE, clock)
    ended = threading.Event()
    beat = threading.Thread(target=_beat, args=(folder / _ALIVE, clock, ended), daemon=True)
    beat.start()
    try:
        yield folder
    finally:
        ended.set()
        beat.join()
        shutil.rmtree(folder / "tls", ignore_errors=True)
        shutil.rmtree(folder / "scripts", ignore_errors=True)


def prune(base: Path, *, now: float, keep_days: float = KEEP_DAYS) -> list[Path]:
    """Remove the folders of clusters that showed no sign of life for long.

    A cluster that goes on shows one every hour, on whatever machine it is; and so does a worker
    that writes to its log.

    Parameters
    ----------
    base : Path
        Where the folders of clusters are; anything else in it is left alone.
    now : float
        Unix time.
    keep_days : float
        How long folders are kept.

    Returns
    -------
    list of Path
        What was removed.
    """
    old = [
        folder
        for folder in sorted(base.glob(f"{_PREFIX}*"))
        if folder.is_dir()
        and not folder.is_symlink()
        and now - _last_sign(folder) > keep_days * _DAY_SECONDS
    ]
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)  # another one may be doing the same
    return old


def _last_sign(folder: Path) -> float:
    """Find when anything in a folder was last written."""
    found = [folder.stat().st_mtime]
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                found.append((Path(parent) / name).stat().st_mtime)
    return max(found)


def _beat(path: Path, clock: Callable[[], float], ended: threading.Event) -> None:
    while not ended.wait(_BEAT_SECONDS):
        _show_life(path, clock)


def _show_life(path: Path, clock: Callable[[], float]) -> None:
    with suppress(OSError):  # a full disk, or a server that is away for a while
        path.touch(mode=0o600)
        os.utime(path, (clock(), clock()))
