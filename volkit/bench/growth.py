"""Growing volumes: time for a voxel, and memory of a worker.

The larger volume is the smaller one again and again, mirrored, so that all of it is as hard; it is
made piece by piece.  Every size gets a worker of its own, which has begun (packages are imported,
kernels compiled) before anything is measured.  Memory is told twice: all that the worker holds at
its peak, which says whether one of a given size goes on with a larger volume, and how far that is
beyond its start, which shows a growth that the packages and kernels would hide.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from shutil import rmtree
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.bench.harness import Case, told
from volkit.bench.memory import held
from volkit.bench.rounds import Figures, Rounds
from volkit.engine.cluster import local_client
from volkit.engine.job import JobEngine
from volkit.geometry import Box, Grid
from volkit.io.open import create_volume
from volkit.io.volume import Volume

Work = Callable[[Volume, Grid, JobEngine], Any]
Tile = Callable[[int], NDArray[np.uint8]]

_FLAT = 1.1  # at most as much time or memory as for the small volume
_FEW = 2**25  # voxels: what takes this little is measured several times
_TILE = 256  # voxels: side of what is repeated, at most


def growth_cases(
    what: str, work: Work, tile: Tile, *, sizes: tuple[int, ...], block: int
) -> Iterator[Case]:
    """Measure once, and tell in several rows what came out.

    Parameters
    ----------
    what : str
        Name of the work.
    work : callable
        From store to store: gets volume, grid and engine.
    tile : callable
        Makes what the volume is put together from, a cube of a given side.
    sizes : tuple of int
        Sides of the volumes, each a multiple of the first.
    block : int
        Side of a block.
    """
    rounds = Rounds(first_counts=True)
    first, last = sizes[0], sizes[-1]
    how: dict[str, Any] = {
        "setup": partial(_sizes, sizes, block, tile),
        "measure": told,
        "better": "lower",
        "most_rounds": 1,
    }
    yield Case(
        f"{what}, store to store, time of a voxel, {last}³ / {first}³",
        ours=rounds.measured("time", partial(_Sizes.figures, work=work)),
        target=_FLAT,
        **how,
    )
    how["setup"] = _nothing
    yield Case(
        f"{what}, memory of a worker at its peak, {last}³ / {first}³",
        ours=rounds.read("memory"),
        target=_FLAT,
        **how,
    )
    for size in sizes:
        yield Case(
            f"{what}, time of a voxel at {size}³, all processes",
            ours=rounds.read(f"ns {size}"),
            unit="ns",
            **how,
        )
        for kind in ("at its peak", "beyond its start"):
            yield Case(
                f"{what}, memory of a worker {kind}, at {size}³",
                ours=rounds.read(f"MB {kind} {size}"),
                unit="MB",
                **how,
            )


@dataclass(frozen=True, slots=True)
class _Sizes:
    """The same image in several sizes."""

    folder: Path
    images: tuple[Volume, ...]
    block: int
    numbers: Iterator[int]

    def run(self, image: Volume, work: Work, client: Any) -> None:
        """Work from store to store, and keep nothing."""
        folder = self.folder / f"run{next(self.numbers)}"
        work(image, Grid(image.domain, (self.block,) * 3), JobEngine(folder, client))
        rmtree(folder)

    def figures(self, *, work: Work) -> Figures:
        """Measure all sizes."""
        found: dict[str, float] = {}
        sizes = [image.shape[0] for image in self.images]
        for size, image in zip(sizes, self.images, strict=True):
            found |= {f"{name} {size}": value for name, value in self._of_size(image, work).items()}
        first, last = sizes[0], sizes[-1]
        found["time"] = found[f"ns {last}"] / found[f"ns {first}"]
        peaks = [found[f"MB at its peak {size}"] for size in (first, last)]
        found["memory"] = peaks[1] / peaks[0]
        return found

    def _of_size(self, image: Volume, work: Work) -> Figures:
        """Tell the processor time of a voxel, ns, and the worker's memory, MB."""
        with local_client(1) as client:
            client.wait_for_workers(1)
            self.run(image.cutout(Box.from_shape((2 * self.block,) * 3)), work, client)
            before = max(client.run(held, "VmRSS").values())
            seconds = []
            for _ in range(3 if image.domain.size < _FEW else 1):
                begun = _spent(client)
                self.run(image, work, client)
                seconds.append(_spent(client) - begun)
            peak = max(client.run(held, "VmHWM").values())
        return {
            "ns": median(seconds) / image.domain.size * 1e9,
            "MB at its peak": peak / 1e6,
            "MB beyond its start": max(peak - before, 1) / 1e6,
        }


def _spent(client: Any) -> float:
    """Tell the processor time of this process and the worker's, seconds."""
    return time.process_time() + sum(client.run(time.process_time).values())


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


@contextmanager
def _sizes(sizes: tuple[int, ...], block: int, tile: Tile) -> Iterator[_Sizes]:
    small = min(sizes[0], _TILE)
    with TemporaryDirectory(prefix="volkit-bench-", ignore_cleanup_errors=True) as name:
        values = tile(small)
        images = tuple(
            create_volume(
                Path(name) / f"{size}.zarr",
                shape=(size,) * 3,
                dtype=np.uint8,
                chunk_shape=(min(32, block),) * 3,
                shard_shape=(block,) * 3,
            )
            for size in sizes
        )
        for image in images:
            for part in Grid(image.domain, (small,) * 3):
                mirrored = values[tuple(slice(None, None, -1 if n % 2 else 1) for n in part.index)]
                image.write(part.write, mirrored)
        yield _Sizes(Path(name), images, block, count())
