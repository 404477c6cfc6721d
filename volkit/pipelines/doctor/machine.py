"""Machine: processors, memory, disks and open files, as far as this process may use them."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from volkit.engine.cluster.options import GIB, processors
from volkit.pipelines.doctor.check import Check, State

_WORKER_GIB = 2.0  # what blocks of the default shape take, with a network
_FREE_GIB = 10.0  # below it a run of any size soon ends on a full disk
_OPEN_FILES = 4096  # a worker has a few for each volume and each connection
_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def check_machine() -> Iterator[Check]:
    """Look at what work needs."""
    yield _threads()
    yield _memory()
    for name, folder in (("disk", Path.cwd()), ("scratch", Path(tempfile.gettempdir()))):
        yield disk(name, folder)
    yield from _open_files()


def disk(name: str, folder: Path, *, least_gib: float = _FREE_GIB) -> Check:
    """Look at the free space of a folder.

    Parameters
    ----------
    name : str
        Of the check.
    folder : Path
        That exists.
    least_gib : float
        Below it there is a warning.
    """
    free = shutil.disk_usage(folder).free / GIB
    found = f"{free:,.1f} GiB free in {folder}"
    if not os.access(folder, os.W_OK):
        return Check(name, "warn", f"{folder} cannot be written to", "work in a folder of yours")
    if free >= least_gib:
        return Check(name, "ok", found)
    what = "set TMPDIR to" if name == "scratch" else "make room, or work in"
    return Check(name, "warn", found, f"{what} a folder with {least_gib:g} GiB or more")


def quota(text: str) -> float | None:
    """Read how many processors a container may use at most.

    Parameters
    ----------
    text : str
        Of ``cpu.max``: microseconds of each period, or ``max``.

    Examples
    --------
    >>> quota("150000 100000"), quota("max 100000")
    (1.5, None)
    """
    share, _, period = text.strip().partition(" ")
    return None if share == "max" or not period else float(share) / float(period)


def _threads() -> Check:
    found = f"{processors()} of {os.cpu_count()} processors may be used"
    limit = quota(_CPU_MAX.read_text(encoding="ascii")) if _CPU_MAX.exists() else None
    if limit is not None and limit < processors():
        return Check(
            "threads",
            "warn",
            f"{found}, for {limit:g} processors' time: the container is limited",
            f"say cluster: {{workers: {max(1, int(limit))}}} in workflows",
        )
    said = [f"{name}={os.environ[name]}" for name in _ONE_THREAD if name in os.environ]
    return Check("threads", "ok", ", ".join([found, *said]))


def _memory() -> Check:
    from distributed.system import MEMORY_LIMIT  # of the container, where there is one
    from psutil import virtual_memory

    free = min(int(MEMORY_LIMIT), virtual_memory().available) / GIB
    found = f"{free:.1f} GiB free of {int(MEMORY_LIMIT) / GIB:.1f} GiB"
    fit = int(free / _WORKER_GIB)
    if fit >= processors():
        return Check("memory", "ok", found)
    return Check(
        "memory",
        "warn",
        f"{found}: less than {_WORKER_GIB:g} GiB for each of {processors()} processors",
        f"say cluster: {{workers: {max(1, fit)}}} in workflows, or choose smaller blocks",
    )


def _open_files() -> Iterator[Check]:
    try:
        import resource
    except ImportError:  # not on Windows, which has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _OPEN_FILES:
        yield Check("open files", "ok", f"{soft:,} at once")
        return
    # Shells start with 1024 on most systems; that is enough for some twenty workers.
    enough = hard == resource.RLIM_INFINITY or hard > soft
    what = f"ulimit -n {_OPEN_FILES}" if enough else "ask whoever runs the machine for more"
    state: State = "ok" if soft >= 64 * processors() else "warn"
    yield Check("open files", state, f"{soft:,} at once", f"for many workers: {what}")
