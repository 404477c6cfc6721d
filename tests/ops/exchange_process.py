"""A process that infers by exchange, and writes down every window that its network answers.

``python exchange_process.py FOLDER ANSWERED``: the job lies in FOLDER; in the file ANSWERED, every
answered window adds a line with the number of its first voxel.
"""

import sys
import time
from pathlib import Path

import numpy as np

from volkit.engine.job import JobEngine
from volkit.geometry import Grid, Windows
from volkit.io.open import open_volume
from volkit.io.volume import Volume
from volkit.ops.inference import InferenceOptions, infer
from volkit.ops.network import Network

SHAPE, BLOCK, WINDOW, STRIDE = (16, 20, 24), (8, 8, 8), (8, 8, 8), (4, 4, 4)


def image() -> Volume:
    """Every voxel holds its own number, so that a window tells where it lies."""
    return open_volume(np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE))


def windows() -> Windows:
    """Give the lattice."""
    return Windows(image().domain, WINDOW, STRIDE)


def grid() -> Grid:
    """Give the blocks."""
    return Grid(image().domain, BLOCK)


def ramp(batch):
    """Answer by position inside the window, so that wrong seams show."""
    return (batch + np.indices(batch.shape[2:]).sum(0)).astype(np.float32)


def main(folder: str, answered: str) -> None:
    """Infer."""

    def slow(batch):
        time.sleep(0.08 * len(batch))  # a block lasts long enough to be a task of its own
        with Path(answered).open("ab", buffering=0) as log:
            log.write("".join(f"{int(window.flat[0])}\n" for window in batch).encode())
        return ramp(batch)

    network = Network.of(slow, window=WINDOW, channels=1, device="cpu")
    options = InferenceOptions(stride=STRIDE, seams="exchange")
    infer(image(), network, options=options, grid=grid(), engine=JobEngine(Path(folder)))


if __name__ == "__main__":
    main(*sys.argv[1:])
