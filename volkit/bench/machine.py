"""The machine that a bench ran on, since no timing means anything without it."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Self

_PACKAGES = (
    "volkit",
    "numpy",
    "scipy",
    "numba",
    "dask",
    "distributed",
    "zarr",
    "connected-components-3d",
    "scikit-image",
    "waterz",
    "torch",
    "tensorstore",
    "obstore",
    "zarrs",
    "cloud-volume",
    "intern",
    "blosc",
)


@dataclass(frozen=True, slots=True)
class Machine:
    """What was measured on.

    Parameters
    ----------
    cpu : str
        Model of the processor.
    cores : int
        Cores that this process may use.
    memory_bytes : int
        Of the machine; 0 where the system does not tell.
    load : float
        Processes that wanted a core in the last minute, before the bench began.
    system, python : str
        Operating system and interpreter.
    versions : dict of str to str
        Of the packages that matter, where installed.
    """

    cpu: str
    cores: int
    memory_bytes: int
    load: float
    system: str
    python: str
    versions: dict[str, str]

    @classmethod
    def here(cls) -> Self:
        """Describe this machine."""
        return cls(
            cpu=_cpu_model(),
            cores=_cores(),
            memory_bytes=_memory_bytes(),
            load=os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0,
            system=platform.platform(),
            python=platform.python_version(),
            versions=_versions(),
        )

    def __str__(self) -> str:
        return (
            f"{self.cpu}, {self.cores} cores, {self.memory_bytes / 2**30:.0f} GiB, "
            f"load {self.load:.1f}, Python {self.python}"
        )


def _cpu_model() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _cores() -> int:
    """Count the cores this process is allowed, which in a container are not all there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_bytes() -> int:
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return 0
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
