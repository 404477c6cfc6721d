"""A process that picks many tomograms from stored heat maps, and says how much memory it took.

``python -m volkit.bench.particle_process COUNT QUICK`` writes to standard output, as JSON, how far
its memory rose, 10^6 bytes, beyond what it held after a run over one small tomogram, which had
everything imported and compiled.
"""

import json
import sys
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from volkit.bench.memory import held
from volkit.bench.particle_tomograms import heat_map, store_heat
from volkit.engine.allocator import keep_memory
from volkit.engine.job import JobEngine
from volkit.geometry import Coord
from volkit.ops.particle_convention import CZII
from volkit.pipelines.cluster import ClusterOptions
from volkit.pipelines.pick_particles import pick_particles
from volkit.pipelines.pick_particles_config import (
    PickKeys,
    PickParticles,
    TomogramKeys,
    TomogramsInput,
)

_SMALL, _SHAPE, _QUICK_SHAPE = (16, 32, 32), (64, 256, 256), (32, 64, 64)


def main(arguments: list[str]) -> None:
    """Measure, and print."""
    count, quick = int(arguments[0]), bool(int(arguments[1]))
    keep_memory()  # as `volkit run` and workers do
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # In a process of its own: memory that was held before would hide what the run needs.
        storing = get_context("spawn").Process(target=_store, args=(Path(folder), quick))
        storing.start()
        storing.join()
        _run(Path(folder), "small", 1, _SMALL)
        before = held("VmRSS")
        _run(Path(folder), "heat", count, _QUICK_SHAPE if quick else _SHAPE)
        rise = (held("VmHWM") - before) / 1e6
    sys.stdout.write(json.dumps({"megabytes": rise}) + "\n")


def _store(folder: Path, quick: bool) -> None:
    for name, shape in (("small", _SMALL), ("heat", _QUICK_SHAPE if quick else _SHAPE)):
        maps = np.stack([heat_map(shape, seed=8)] * len(CZII.classes))
        store_heat(folder / f"{name}.zarr", maps)


def _run(folder: Path, name: str, count: int, shape: Coord) -> None:
    """Pick the same heat maps under as many names; only what is read at once should count."""
    heat = str(folder / f"{name}.zarr")
    listed = tuple(TomogramKeys(heat=heat, name=f"TS_{n}") for n in range(count))
    config = PickParticles(
        input=TomogramsInput(tomograms=listed),
        output=str(folder / f"run-{name}"),
        classes=CZII.classes,
        block_shape=shape,
        pick=PickKeys(threshold=0.1, exclusion_nm=6.0),
        cluster=ClusterOptions(workers=0),
    )
    pick_particles(config, JobEngine(Path(config.output)))


if __name__ == "__main__":
    main(sys.argv[1:])
