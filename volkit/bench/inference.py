"""Cases of the inference bench: store to store, against the network alone and against peers.

The image is noise: what the network answers to it has no meaning, what it costs has.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from volkit.bench.chunkflow_peer import Task, task
from volkit.bench.harness import Case, told, wall_seconds
from volkit.bench.inference_job import CARD, Job, job, monai_function, monai_inference
from volkit.bench.inference_process import STRIDE, WINDOW
from volkit.bench.rounds import Rounds
from volkit.engine.job import JobEngine
from volkit.geometry import Box, Grid, Windows
from volkit.models.checkpoint import read_checkpoint
from volkit.models.ensemble import Ensemble
from volkit.ops.arguments import arguments
from volkit.ops.inference import input_scale
from volkit.ops.network import Network


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases."""
    yield from _forward_cases(96 if quick else 160)
    yield from _peer_cases(96 if quick else 160)
    yield from _seam_cases(quick=quick)
    yield from _chunkflow_cases(quick=quick)
    yield from _memory_cases((192, 320) if quick else (512, 1024), 256 if quick else 384)
    yield _ensemble_case()


def _forward_cases(side: int) -> Iterator[Case]:
    yield Case(
        f"store to store / forward passes alone, {side}³ in 64³ windows",
        ours=Job.infer,
        peer=Job.forward,
        setup=partial(job, side),
        measure=wall_seconds,
        value=lambda ours, peer: ours / peer,
        target=1.05,
        better="lower",
    )


def _peer_cases(side: int) -> Iterator[Case]:
    yield Case(
        f"{side}³ against MONAI sliding_window_inference in memory",
        ours=lambda data: data[0].infer(weights="constant"),
        peer=lambda data: data[1](),
        setup=partial(_with_monai, side),
        measure=wall_seconds,
        target=1.0,
        agree=lambda ours, peer: bool(np.allclose(ours.read(), peer, atol=1e-5)),
    )


def _seam_cases(*, quick: bool) -> Iterator[Case]:
    for blocks_of, target in ((2, 1.8), (4, 1.35)):
        if quick and blocks_of == 4:
            continue
        yield Case(
            f"a block of {blocks_of}x its windows: halo recomputation / each window once",
            ours=partial(_middle_block, once=True),
            peer=partial(_middle_block, once=False),
            setup=partial(job, 3 * 32 * blocks_of, block=32 * blocks_of, window=32),
            measure=wall_seconds,
            target=target,
            agree=lambda ours, peer: bool(ours < peer),
            most_rounds=5 if blocks_of == 2 else 3,
        )


def _chunkflow_cases(*, quick: bool) -> Iterator[Case]:
    for blocks_of, target in ((2, 1.8), (4, 1.35)):
        if quick and blocks_of == 4:
            continue
        yield Case(
            f"a block of {blocks_of}x its windows: chunkflow / each window once",
            ours=Task.ours,
            peer=Task.theirs,
            setup=partial(task, blocks_of),
            measure=wall_seconds,
            target=target,
            agree=lambda ours, peer: bool(ours < peer),
            most_rounds=5 if blocks_of == 2 else 3,
        )


def _memory_cases(sides: tuple[int, int], peer_side: int) -> Iterator[Case]:
    small, large = sides
    at_large, at_small = Rounds(first_counts=True), Rounds(first_counts=True)
    # A peak is what two blocks at work happen to need together: more of them meet a higher one.
    # So both sides work on as many blocks; only the volumes differ.
    times = round((large / small) ** 3)
    yield Case(
        f"memory of a worker, {large}³ / {small}³ {times} times, in 128³ blocks",
        ours=at_large.measured("megabytes", lambda _: figures("volkit", large)),
        peer=at_small.measured("megabytes", lambda _: figures("volkit", small, times)),
        measure=told,
        value=lambda ours, peer: ours / peer,
        target=1.1,
        better="lower",
        most_rounds=2,
    )
    yield from _growth_cases(at_large, at_small, sides)
    yield Case(
        f"memory for {peer_side}³: MONAI / ours",
        ours=lambda _: figures("volkit", peer_side)["megabytes"],
        peer=lambda _: figures("monai", peer_side)["megabytes"],
        measure=told,
        setup=_needs_monai,
        target=5,
        most_rounds=2,
    )


def _growth_cases(at_large: Rounds, at_small: Rounds, sides: tuple[int, int]) -> Iterator[Case]:
    small, large = sides
    # Fewer windows hold the voxels at a cube's faces: of a million voxels, 512³ has 25.1 of them,
    # 1024³ 27.7.  So what a window costs is told apart from how many there are.
    for what, figure, work in (
        ("time per voxel", "seconds", lambda side: side**3),
        ("time per window", "seconds", _windows),
        ("processor time per window", "cpu_seconds", _windows),
    ):
        yield Case(
            f"{what}, {large}³ / {small}³ {round((large / small) ** 3)} times",
            ours=at_large.read(figure),
            peer=at_small.read(figure),
            measure=told,
            value=partial(_growth, large=work(large), small=work(small)),
            target=1.05,
            better="lower",
            most_rounds=2,
        )


def _ensemble_case() -> Case:
    return Case(
        "an ensemble of four in one pass over 96³ / four passes",
        ours=_ensemble,
        peer=_four_passes,
        setup=partial(job, 96),
        measure=wall_seconds,
        target=1.0,
        least_rounds=13,  # they are short, and differ by more than the two sides do
    )


@contextmanager
def _needs_monai() -> Iterator[None]:
    monai_function()
    yield


@contextmanager
def _with_monai(side: int) -> Iterator[tuple[Job, Any]]:
    monai_function()
    with job(side, block=96) as data:
        call = arguments(data.image, grid=None, engine=JobEngine(data.folder / "scale"))
        scale = input_scale(data.network, call)
        yield data, partial(monai_inference, data.image.read(), data.network, scale)


def _middle_block(data: Job, *, once: bool) -> int:
    """Evaluate the block in the middle: the windows that begin in it, or all that touch it."""
    windows = Windows(data.image.domain, data.network.window, (data.network.window[0] // 2,) * 3)
    grid = Grid(data.image.domain, data.block_shape)
    block = grid.block((1, 1, 1))
    chosen = list((windows.starting_in if once else windows.touching)(block.write))
    predictor, size = data.network.predictor(), data.network.batch
    image = data.image.read(windows.reach(block.write))
    held = windows.reach(block.write)
    for start in range(0, len(chosen), size):
        boxes = [windows.window(index) for index in chosen[start : start + size]]
        predictor(np.stack([image[None][(..., *b.relative_to(held).slices)] for b in boxes]))
    return len(chosen)


def figures(what: str, side: int, times: int = 1) -> dict[str, float]:
    """Measure in a process of its own.

    Parameters
    ----------
    what : {"volkit", "monai"}
        Who infers.
    side : int
        Extent of the cube, voxels.
    times : int
        How often, one after the other.

    Returns
    -------
    dict of str to float
        ``megabytes`` held beyond what was held before, ``seconds`` and ``cpu_seconds`` of one time.
    """
    words = [what, str(side), str(times)]
    command = [sys.executable, "-m", "volkit.bench.inference_process", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _windows(side: int) -> int:
    """Count the windows of a cube that such a process infers."""
    return len(Windows(Box.from_shape((side,) * 3), (WINDOW,) * 3, (STRIDE,) * 3))


def _growth(ours: float, peer: float, *, large: int, small: int) -> float:
    return (ours / large) / (peer / small)


def _ensemble(data: Job) -> None:
    ensemble = Ensemble((read_checkpoint(CARD),) * 4)
    data.infer(network=Network.of(ensemble, window=data.network.window, device="cpu"))


def _four_passes(data: Job) -> None:
    for _ in range(4):
        data.infer()
