"""Reading BossDB beside ``intern.array`` at its default settings, from a loopback server.

The server is a process of its own, so that client and server do not share an interpreter lock.
"""

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.bench.harness import Case, wall_seconds
from volkit.bench.peers import peer_module
from volkit.errors import SourceError
from volkit.geometry import Box, Coord
from volkit.io.open import open_volume
from volkit.io.registry import forget_opened

Array = NDArray[Any]

_CHANNEL = "bench/tissue/em"
_WINDOW, _STRIDE = 128, 64


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases of BossDB.

    The volume is larger than the 30.2 Mvoxel from which on ``intern`` starts processes.
    """
    shape = (32, 1024, 1024) if quick else (96, 1024, 1024)
    yield of_shape("all", shape, target=4.0)
    yield of_shape("windows at half overlap", (128, 512, 512) if quick else (256, 512, 512))


def of_shape(what: str, shape: Coord, *, target: float | None = None) -> Case:
    """Make the case that reads a volume of this shape, all of it or by windows."""
    return Case(
        f"bossdb, {what} / intern.array",
        ours=partial(_read_ours, whole=what == "all"),
        peer=partial(_read_peers, whole=what == "all"),
        setup=partial(_site, shape),
        measure=wall_seconds,
        target=target,
        agree=lambda a, b: all(map(np.array_equal, a, b)),
    )


@dataclass(frozen=True, slots=True)
class Site:
    """A server and its client.

    Parameters
    ----------
    intern : module
        The peer.
    host : str
        Of the server, with its port.
    shape : tuple of int
        Extent of the channel, voxels.
    """

    intern: Any
    host: str
    shape: Coord

    def windows(self) -> Iterator[Box]:
        """Yield what a network would see, one after the other."""
        steps = (range(0, max(1, n - _STRIDE), _STRIDE) for n in self.shape)
        domain = Box.from_shape(self.shape)
        for corner in product(*steps):
            yield Box.from_shape((_WINDOW,) * 3, corner).intersect(domain)


def _read_ours(site: Site, *, whole: bool) -> list[Array]:
    """Open anew and read, with all options as they are by default and nothing in the cache."""
    forget_opened()  # and what the cache holds
    volume = open_volume(f"bossdb://{_CHANNEL}?host=http://{site.host}")
    return [volume.read(box) for box in ([volume.domain] if whole else site.windows())]


def _read_peers(site: Site, *, whole: bool) -> list[Array]:
    with warnings.catch_warnings():
        # It says that CloudVolume is not installed of every channel that does not need it.
        warnings.simplefilter("ignore", ImportWarning)
        array = site.intern.array(f"bossdb://{_CHANNEL}")
    places = [Box.from_shape(site.shape)] if whole else site.windows()
    return [array[box.slices] for box in places]


@contextmanager
def _site(shape: Coord) -> Iterator[Site]:
    intern = peer_module("intern", "bossdb")
    with TemporaryDirectory(prefix="volkit-bench-") as home, _server(shape) as host:
        said = {"HOME": home, "INTERN_PROTOCOL": "http", "INTERN_HOST": host, "INTERN_TOKEN": "-"}
        with _environment(said):
            yield Site(intern, host, shape)


@contextmanager
def _server(shape: Coord) -> Iterator[str]:
    """Run a server until left; it ends when its standard input does, whatever becomes of us."""
    command = [sys.executable, "-m", "volkit.bench.boss_process", _CHANNEL, *map(str, shape)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            host = process.stdout.readline().strip() if process.stdout else ""
            if not host:
                raise SourceError(f"{' '.join(command)} did not start; run it to see why")
            yield host
        finally:
            if process.stdin:
                process.stdin.close()


@contextmanager
def _environment(said: Mapping[str, str]) -> Iterator[None]:
    """Set variables, and put back what was there."""
    kept = {name: os.environ.get(name) for name in said}
    os.environ.update(said)
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
