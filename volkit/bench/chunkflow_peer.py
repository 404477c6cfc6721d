"""Chunkflow as the peer of one block: tasks grown by the overlap, and cropped.

It runs where ``pip install chunkflow`` and OpenCV are there; the network is the same, called from
a file as its "universal" framework wants it.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from importlib import import_module
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.bench.inference_job import CARD
from volkit.bench.peers import silence
from volkit.errors import MissingExtraError
from volkit.geometry import Box, Grid, Windows
from volkit.models.checkpoint import read_checkpoint
from volkit.models.scaling import Scale
from volkit.ops.network import Network
from volkit.ops.window_pass import WindowPass

WINDOW, OVERLAP = 32, 16
_SCALE = Scale(0.0, 255.0, None, None)
_PROGRAM = f"""
import numpy as np
from volkit.models.checkpoint import read_checkpoint
from volkit.ops.network import Network

NETWORK = Network.of(read_checkpoint("{CARD}"), window=({WINDOW},) * 3, device="cpu", batch=1)
PREDICTOR = NETWORK.predictor()


class PatchInferencer:
    def __init__(self, weights, mask):
        self.mask, self.windows = mask, 0

    def __call__(self, patch):
        self.windows += len(patch)
        stored = (patch * 255).astype(np.uint8)
        return PREDICTOR(stored, scale=(0.0, 255.0, None, None)) * self.mask
"""


@dataclass(frozen=True, slots=True)
class Task:
    """The block in the middle of 3x3x3, for both.

    Parameters
    ----------
    image : ndarray of uint8, shape (Z, Y, X)
        All blocks.
    grid : Grid
        Of it.
    network : Network
        Ours.
    inferencer : object
        Theirs.
    """

    image: NDArray[np.uint8]
    grid: Grid
    network: Network
    inferencer: Any

    def ours(self) -> int:
        """Evaluate the windows that begin in the block, add up what they reach, and divide."""
        windows = self.windows
        block = self.grid.block((1, 1, 1)).write
        held, over = windows.seen_from(block), windows.decided_from(block)
        through = WindowPass(windows, "gaussian", 0.0, "reflect", "float32")
        sums = through.sums(
            self.image[held.slices],
            held,
            over,
            windows.starting_in(block),
            network=self.network,
            scale=_SCALE,
        )
        through.finish(sums[(..., *block.relative_to(over).slices)], block)
        return windows.count_starting_in(block)

    def theirs(self) -> int:
        """Evaluate the grown block in windows, and crop it."""
        chunk = _chunkflow("chunkflow.chunk").Chunk
        block = self.grid.block((1, 1, 1)).write.grow((OVERLAP,) * 3)
        program = self.inferencer.patch_inferencer.patch_inferencer
        before = program.windows
        with redirect_stderr(StringIO()):  # its bar of progress
            self.inferencer(chunk(self.image[block.slices].copy(), voxel_offset=(0, 0, 0)))
        return int(program.windows - before)

    @property
    def windows(self) -> Windows:
        """The lattice."""
        return Windows(self.grid.domain, (WINDOW,) * 3, (WINDOW - OVERLAP,) * 3)


@contextmanager
def task(blocks_of: int) -> Iterator[Task]:
    """Make a task of blocks so many times as wide as windows.

    Parameters
    ----------
    blocks_of : int
        Windows side by side along each axis of a block.

    Yields
    ------
    Task

    Raises
    ------
    MissingExtraError
        If chunkflow is not installed.
    """
    side = blocks_of * WINDOW
    image = np.random.default_rng(0).integers(0, 255, (3 * side,) * 3, np.uint8)
    with TemporaryDirectory() as folder, warnings.catch_warnings(), silence():
        warnings.simplefilter("ignore")
        module = _chunkflow("chunkflow.flow.divid_conquer.inferencer")
        program = Path(folder) / "program.py"
        program.write_text(_PROGRAM, encoding="utf-8")
        inferencer = module.Inferencer(
            str(program),
            "",
            (WINDOW,) * 3,
            output_patch_overlap=(OVERLAP,) * 3,
            num_output_channels=1,
            framework="universal",
            output_crop_margin=(OVERLAP,) * 3,
            mask_output_chunk=True,
        )
        network = Network.of(read_checkpoint(CARD), window=(WINDOW,) * 3, device="cpu", batch=1)
        grid = Grid(Box.from_shape(image.shape), (side,) * 3)
        yield Task(image, grid, network, inferencer)


def _chunkflow(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:  # of no extra: its requirements are older than ours
        raise MissingExtraError(
            "chunkflow and OpenCV are not there: pip install --no-deps chunkflow "
            "opencv-python-headless"
        ) from error
