"""Particles, whole tomograms: what follows the network beside it, and memory of many tomograms."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.bench.harness import Case, told
from volkit.engine.job import storage_shapes
from volkit.geometry import Box, Coord, Grid, VoxelScale, Windows
from volkit.io.open import create_volume, open_volume
from volkit.io.points.files import write_points
from volkit.io.points.options import PointOptions
from volkit.models.checkpoint import read_checkpoint
from volkit.ops.inference import infer
from volkit.ops.inference_options import InferenceOptions
from volkit.ops.particle_convention import CZII
from volkit.ops.particle_options import PickOptions
from volkit.ops.particle_scoring import evaluate_points
from volkit.ops.particles import pick

CARD = "builtin:particles-specimen"
SIGMA = 6.0  # voxels, of the published targets
FLOOR = 0.1  # under which the published line search looks at nothing
_NOISE = 0.02
_VOXELS_PER_PARTICLE = 350_000  # as in the tomograms of the challenge
_VOXEL_NM = (1.0012444,) * 3
_BLOCK: Coord = (128, 256, 256)  # as a run has it, where its workflow says nothing else
_STRIDE = (8, 32, 32)
_PART = (32, 128, 128)  # of the tomogram, in which the network is measured
_SHARE = 0.05
_FEW, _MANY = 2, 8
_MEMORY = 1.1


def share_case(shape: Coord) -> Case:
    """Make the case of what follows the network, as a share of the network's time.

    The network is the smallest there is, the one that ships; it answers a part of the tomogram,
    and is taken to need as much more time as there are more windows.

    Parameters
    ----------
    shape : tuple of int
        Of the tomogram, (z, y, x), voxels.
    """
    return Case(
        f"stored heat maps of {'x'.join(map(str, shape))} to STAR and score / inference",
        ours=_all_after,
        peer=_inference,
        setup=lambda: _tomogram(shape),
        value=lambda ours, peer: ours / (peer * _times_as_many(shape)),
        unit="of it",
        target=_SHARE,
        better="lower",
        most_rounds=2,
    )


def memory_case(*, quick: bool) -> Case:
    """Make the case of memory: many tomograms in a run beside few."""
    few, many = (1, 3) if quick else (_FEW, _MANY)
    return Case(
        f"memory of a run over {many} tomograms / {few}",
        ours=lambda _: rise_megabytes(many, quick=quick),
        peer=lambda _: rise_megabytes(few, quick=quick),
        measure=told,
        value=lambda ours, peer: ours / peer,
        target=_MEMORY,
        better="lower",
        most_rounds=1,
    )


def rise_megabytes(count: int, *, quick: bool = False) -> float:
    """Measure in a process of its own how far memory rises over a run.

    Parameters
    ----------
    count : int
        Tomograms.
    quick : bool
        Smaller ones.

    Returns
    -------
    float
        10^6 bytes, beyond what was held before the run.
    """
    command = [sys.executable, "-m", "volkit.bench.particle_process", str(count), str(int(quick))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])["megabytes"])


def heat_map(shape: Coord, *, seed: int) -> NDArray[np.float32]:
    """Put gaussians where particles may be, over faint noise.

    Parameters
    ----------
    shape : tuple of int
        (z, y, x), voxels.
    seed : int
        Of places and noise.

    Returns
    -------
    ndarray of float32
    """
    rng = np.random.default_rng(seed)
    heat = rng.random(shape, np.float32) * np.float32(_NOISE)
    reach = int(3 * SIGMA)
    axis = np.arange(-reach, reach + 1, dtype=np.float32)
    line = np.exp(-(axis**2) / np.float32(2 * SIGMA**2))
    blob = line[:, None, None] * line[:, None] * line
    for _ in range(max(1, int(np.prod(shape) // _VOXELS_PER_PARTICLE))):
        start = [int(rng.integers(0, n)) - reach for n in shape]
        here = tuple(slice(max(0, s), s + len(axis)) for s in start)
        there = tuple(
            slice(max(0, -s), max(0, -s) + n) for s, n in zip(start, heat[here].shape, strict=True)
        )
        heat[here] = np.maximum(heat[here], blob[there])
    return heat


def store_heat(path: Path, values: NDArray[np.float32]) -> None:
    """Store heat maps as a run does: a block is an object.

    Parameters
    ----------
    path : Path
        Where to.
    values : ndarray of float32, shape ([C,] Z, Y, X)
        The maps.
    """
    grid = Grid(Box.from_shape(values.shape[-3:]), _BLOCK)
    chunk, shard = storage_shapes(grid)
    volume = create_volume(
        str(path),
        shape=grid.domain.shape,
        channels=None if values.ndim == 3 else len(values),
        dtype=values.dtype,
        chunk_shape=chunk,
        shard_shape=shard,
        voxel_size_nm=_VOXEL_NM,
    )
    for block in grid:
        volume.write(block.write, values[(..., *block.write.slices)])


@contextmanager
def _tomogram(shape: Coord) -> Iterator[SimpleNamespace]:
    import torch

    threads = torch.get_num_threads()
    part = Box.from_shape(tuple(min(a, b) for a, b in zip(shape, _PART, strict=True)))
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # One map is read for all six classes, so that the bench itself needs no gigabytes.
        store_heat(Path(folder) / "heat.zarr", heat_map(shape, seed=8))
        heat = open_volume(Path(folder) / "heat.zarr")
        image = np.random.default_rng(3).standard_normal(part.shape, np.float32)
        true = pick(heat, PickOptions(("ribosome",), 0.5), scale=VoxelScale(_VOXEL_NM))
        torch.set_num_threads(1)
        try:
            yield SimpleNamespace(
                folder=Path(folder), heat=heat, image=image, truth=true.compute(scheduler="sync")
            )
        finally:
            torch.set_num_threads(threads)


def _all_after(d: SimpleNamespace) -> float:
    """Read maps, find peaks, place them between voxels, keep the best, write and score them."""
    grid = Grid(d.heat.domain, _BLOCK)
    tables = []
    for name in CZII.classes:
        options = PickOptions((name,), FLOOR, exclusion_nm=6.0, refine=True)
        tables.append(pick(d.heat, options, grid=grid).compute(scheduler="sync"))
    picks = pd.concat(tables, ignore_index=True)
    how = PointOptions(voxel_size_nm=_VOXEL_NM, tomogram="TS_1")
    write_points(d.folder / "picks.star", picks, how)
    return evaluate_points(picks, d.truth).score


def _inference(d: SimpleNamespace) -> Any:
    options = InferenceOptions(
        stride=_STRIDE, weights="pyramid", padding="constant", batch=8, device="cpu"
    )
    heat = infer(d.image, read_checkpoint(CARD), options=options)
    return heat.compute(scheduler="sync").shape


def _times_as_many(shape: Coord) -> float:
    window = read_checkpoint(CARD).window
    part = tuple(min(a, b) for a, b in zip(shape, _PART, strict=True))
    counts = [len(Windows(Box.from_shape(n), window, _STRIDE)) for n in (shape, part)]
    return counts[0] / counts[1]
