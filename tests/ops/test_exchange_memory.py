"""An exchange of many blocks: nothing that its process holds grows with their number."""

import gc
import tracemalloc
from pathlib import Path

import numpy as np

from volkit.engine.base import Progress
from volkit.engine.job import JobEngine
from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.ops.inference import InferenceOptions, infer
from volkit.ops.network import Network

BLOCK = (4, 4, 4)
BLOCKS = 128
STRIP = 2 * 4 * 4 * 2 * 8  # bytes: two voxels deep, two channels of int64


def answer(batch: np.ndarray) -> np.ndarray:
    return np.concatenate([batch, 1 - batch], axis=1)


def held_while_running(folder: Path, *, blocks: int) -> dict[int, int]:
    """Evaluate two rows of blocks; the bytes held after each number of them."""
    raw = np.random.default_rng(0).random((4, 8, 2 * blocks), np.float32)
    volume, held = open_volume(raw), {}

    def look(progress: Progress) -> None:
        if progress.done and progress.done not in held:
            gc.collect()
            held[progress.done] = tracemalloc.get_traced_memory()[0]

    infer(
        volume,
        Network(answer, BLOCK, (0, 0, 0), 2),
        options=InferenceOptions(stride=(2, 2, 2), seams="exchange", blocks_at_once=1),
        grid=Grid(volume.domain, BLOCK),
        engine=JobEngine(folder, on_progress=look),
    )
    return held


def test_nothing_grows_with_the_number_of_blocks(tmp_path: Path) -> None:
    tracemalloc.start(1)
    try:
        held_while_running(tmp_path / "first", blocks=8)  # what is made once
        held = held_while_running(tmp_path / "many", blocks=BLOCKS)
    finally:
        tracemalloc.stop()
    done = sorted(held)
    early, late = (next(n for n in done if n >= share * BLOCKS) for share in (0.25, 0.75))
    assert late - early >= BLOCKS / 4
    # A number for each block would be seen, and a strip, its path or its record much more so.
    assert held[late] - held[early] < 64 * (late - early) < STRIP * (late - early)
