"""Segmentation of growing volumes: time for a voxel, and memory of a worker.

The larger volume is the smaller one again and again, mirrored, so that all of it is as hard.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from volkit.bench.harness import Case, cpu_seconds, told
from volkit.bench.memory import held
from volkit.bench.tissue import noise
from volkit.engine.cluster import local_client
from volkit.engine.job import JobEngine
from volkit.geometry import Grid
from volkit.io.open import create_volume
from volkit.io.volume import Volume
from volkit.ops.affinity_boundary import boundary_affinities
from volkit.ops.affinity_segmentation import AffinitySegmentationOptions, affinity_segment
from volkit.ops.affinity_watershed import NEAREST, AffinityOptions
from volkit.ops.components import connected_components

Work = Callable[[Volume, Grid, JobEngine], Any]

_FOREGROUND = 140  # of 0 to 255: about a third of the voxels
_FLAT = 1.1  # at most as much time or memory as for the small volume


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases."""
    components, chain = ((64, 128), (64, 128)) if quick else ((256, 1024), (256, 512))
    works: tuple[tuple[str, Work, tuple[int, int]], ...] = (
        ("components", _components, components),
        ("affinities to labels", _segments, chain),
    )
    block = 32 if quick else 128
    for what, work, (small, large) in works:
        yield Case(
            f"{what}, store to store, time of a voxel, {large}³ / {small}³",
            ours=partial(_Sizes.time_of_a_voxel, work=work),
            setup=partial(_sizes, small, large, block),
            measure=told,
            target=_FLAT,
            better="lower",
        )
    small, large = chain
    yield Case(
        f"affinities to labels, memory of a worker beyond its start, {large}³ / {small}³",
        ours=partial(_Sizes.memory_of_a_worker, work=_segments),
        setup=partial(_sizes, small, large, block),
        measure=told,
        target=_FLAT,
        better="lower",
    )


def _components(image: Volume, grid: Grid, engine: JobEngine) -> Any:
    return connected_components(
        image, threshold=_FOREGROUND, connectivity=6, grid=grid, engine=engine
    )


def _segments(image: Volume, grid: Grid, engine: JobEngine) -> Any:
    options = AffinitySegmentationOptions(AffinityOptions(NEAREST, low=0.2))
    affinities = boundary_affinities(image, grid=grid, engine=engine)
    return affinity_segment(affinities, options=options, grid=grid, engine=engine).labels


@dataclass(frozen=True, slots=True)
class _Sizes:
    """The same image in two sizes."""

    folder: Path
    small: Volume
    large: Volume
    block: int
    numbers: Iterator[int]

    def run(self, image: Volume, work: Work, client: Any = None) -> None:
        """Work from store to store, and keep nothing."""
        folder = self.folder / f"run{next(self.numbers)}"
        work(image, Grid(image.domain, (self.block,) * 3), JobEngine(folder, client))
        rmtree(folder)

    def time_of_a_voxel(self, *, work: Work) -> float:
        """Tell how many times as long a voxel of the large volume takes, by processor time."""
        small, large = (
            cpu_seconds(partial(self.run, image, work)) / image.domain.size
            for image in (self.small, self.large)
        )
        return large / small

    def memory_of_a_worker(self, *, work: Work) -> float:
        """Tell how many times as far the memory of a worker rises for the large volume."""
        small, large = (self._rise(image, work) for image in (self.small, self.large))
        return large / small

    def _rise(self, image: Volume, work: Work) -> float:
        with local_client(1) as client:
            client.wait_for_workers(1)
            before = max(client.run(held, "VmRSS").values())
            self.run(image, work, client)
            return float(max(client.run(held, "VmHWM").values()) - before)


@contextmanager
def _sizes(small: int, large: int, block: int) -> Iterator[_Sizes]:
    with TemporaryDirectory(prefix="volkit-bench-", ignore_cleanup_errors=True) as name:
        tile = np.rint(noise(small, sigma=2) * 255).astype(np.uint8)
        images = [
            create_volume(
                Path(name) / f"{size}.zarr",
                shape=(size,) * 3,
                dtype=np.uint8,
                chunk_shape=(min(64, block),) * 3,
                shard_shape=(block,) * 3,
            )
            for size in (small, large)
        ]
        for image in images:
            for part in Grid(image.domain, (small,) * 3):
                mirrored = tile[tuple(slice(None, None, -1 if n % 2 else 1) for n in part.index)]
                image.write(part.write, mirrored)
        yield _Sizes(Path(name), images[0], images[1], block, count())
