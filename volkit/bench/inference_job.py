"""The job of the inference bench: a stored cube of noise, a network, and the peer's way to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.job import JobEngine
from volkit.errors import missing_extra
from volkit.geometry import Coord, Grid, Windows
from volkit.io.open import create_volume
from volkit.io.volume import Volume
from volkit.kernels.blend import Weighting
from volkit.models.checkpoint import read_checkpoint
from volkit.models.scaling import UNSCALED
from volkit.ops.inference import InferenceOptions, infer
from volkit.ops.network import Network

CARD = "builtin:boundaries-specimen"
WINDOW, STRIDE = 64, 32
_SEED = 5


@dataclass(frozen=True, slots=True)
class Job:
    """An image in a store, a network, and a folder for results.

    Parameters
    ----------
    folder : Path
        Where everything lies.
    image : Volume
        Of uint8.
    network : Network
        What answers.
    block_shape : tuple of int
        Unit of work.
    numbers : iterator of int
        Of the runs.
    """

    folder: Path
    image: Volume
    network: Network
    block_shape: Coord
    numbers: Iterator[int]

    def infer(self, *, weights: Weighting = "gaussian", network: Any = None) -> Volume:
        """Infer from store to store, into a folder of its own."""
        options = InferenceOptions(
            window=(WINDOW,) * 3, stride=(STRIDE,) * 3, weights=weights, device="cpu"
        )
        found: Volume = infer(
            self.image,
            network or self.network,
            options=options,
            grid=Grid(self.image.domain, self.block_shape),
            engine=JobEngine(self.folder / f"run{next(self.numbers)}"),
        )
        return found

    @property
    def windows(self) -> Windows:
        """The lattice."""
        return Windows(self.image.domain, (WINDOW,) * 3, (STRIDE,) * 3)

    def forward(self) -> int:
        """Push as many windows of noise through the network, in the same batches."""
        predictor, left = self.network.predictor(), len(self.windows)
        batch = _noise((self.network.batch, 1, *(WINDOW,) * 3))
        while left > 0:
            predictor(batch[: min(left, len(batch))])
            left -= len(batch)
        return len(self.windows)


@contextmanager
def job(side: int, *, block: int = 0, window: int = WINDOW) -> Iterator[Job]:
    """Store a cube of noise, and make a network.

    Parameters
    ----------
    side : int
        Extent of the cube, voxels.
    block : int
        Extent of a block; 0 takes 128, or the cube.
    window : int
        Extent of a window.

    Yields
    ------
    Job
    """
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        image = create_volume(str(root / "image.zarr"), shape=(side,) * 3, dtype=np.uint8)
        image.write(image.domain, _noise((side,) * 3))
        network = _network(window)
        yield Job(root, image, network, (block or min(side, 128),) * 3, count())


def _noise(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.random.default_rng(_SEED).integers(0, 255, shape, np.uint8)


def _network(window: int) -> Network:
    return Network.of(read_checkpoint(CARD), window=(window,) * 3, device="cpu")


def monai_inference(
    image: NDArray[Any], network: Network, scale: Any = UNSCALED
) -> NDArray[np.float32]:
    """Infer with the peer, on the whole volume in memory.

    Parameters
    ----------
    image : ndarray, shape (Z, Y, X)
        What the network sees.
    network : Network
        The same, called in the same batches.
    scale : Scale
        The same, for its input.

    Returns
    -------
    ndarray of float32, shape (C, Z, Y, X)
    """
    import torch

    predictor = network.predictor()

    def answer(batch: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(predictor(batch.numpy(), scale=scale))

    found = monai_function()(
        torch.from_numpy(image)[None, None].float(),
        network.window,
        network.batch,
        answer,
        overlap=1 - STRIDE / WINDOW,
        mode="constant",  # its gaussian is cut off at 0.001
    )
    result: NDArray[np.float32] = found[0].numpy()
    return result


def monai_function() -> Any:
    """Give the peer's function.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        from monai.inferers.utils import sliding_window_inference
    except ImportError as error:
        raise missing_extra("monai", "models") from error
    return sliding_window_inference
