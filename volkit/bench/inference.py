"""Cases of the inference bench: store to store, against the network alone and against peers.

The image is noise: what the network answers to it has no meaning, what it costs has.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.bench.harness import Case, told, wall_seconds
from volkit.engine.job import JobEngine
from volkit.errors import missing_extra
from volkit.geometry import Coord, Grid, Windows
from volkit.io.open import create_volume
from volkit.io.volume import Volume
from volkit.models.checkpoint import read_checkpoint
from volkit.models.ensemble import Ensemble
from volkit.models.scaling import UNSCALED
from volkit.ops.arguments import arguments
from volkit.ops.inference import InferenceOptions, infer, input_scale
from volkit.ops.network import Network

_WINDOW, _STRIDE = 64, 32
_CARD = "builtin:boundaries-specimen"
_SEED = 5


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases."""
    yield from _forward_cases(96 if quick else 160)
    yield from _peer_cases(96 if quick else 160)
    yield from _seam_cases(quick=quick)
    yield from _memory_cases((192, 320) if quick else (512, 1024), 256 if quick else 384)
    yield _ensemble_case(96 if quick else 128)


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

    def infer(self, *, seams: str = "auto", network: Any = None) -> Volume:
        """Infer from store to store, into a folder of its own."""
        options = InferenceOptions(
            window=(_WINDOW,) * 3,
            stride=(_STRIDE,) * 3,
            seams=seams,  # type: ignore[arg-type]
            device="cpu",
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
        return Windows(self.image.domain, (_WINDOW,) * 3, (_STRIDE,) * 3)

    def forward(self) -> int:
        """Push the same number of windows through the network, in the same batches."""
        predictor, left = self.network.predictor(), len(self.windows)
        batch = np.zeros((self.network.batch, 1, *(_WINDOW,) * 3), np.uint8)
        while left > 0:
            predictor(batch[: min(left, len(batch))])
            left -= len(batch)
        return len(self.windows)


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
        ours=lambda data: data[0].infer(),
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
        )


def _memory_cases(sides: tuple[int, int], peer_side: int) -> Iterator[Case]:
    small, large = sides
    yield Case(
        f"memory of a worker, {large}³ / {small}³ in 128³ blocks",
        ours=lambda _: memory("volkit", large),
        peer=lambda _: memory("volkit", small),
        measure=told,
        value=lambda ours, peer: ours / peer,
        target=1.1,
        better="lower",
    )
    yield Case(
        f"memory for {peer_side}³: MONAI / ours",
        ours=lambda _: memory("volkit", peer_side),
        peer=lambda _: memory("monai", peer_side),
        measure=told,
        setup=_needs_monai,
        target=5,
    )
    yield Case(
        f"time per voxel, {large}³ / {small}³",
        ours=lambda _: memory("seconds", large) / large**3,
        peer=lambda _: memory("seconds", small) / small**3,
        measure=told,
        value=lambda ours, peer: ours / peer,
        target=1.05,
        better="lower",
    )


def _ensemble_case(side: int) -> Case:
    return Case(
        f"an ensemble of four in one pass over {side}³ / four passes",
        ours=_ensemble,
        peer=_four_passes,
        setup=partial(job, side),
        measure=wall_seconds,
        target=1.0,
    )


@contextmanager
def job(side: int, *, block: int = 0, window: int = _WINDOW) -> Iterator[Job]:
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


def _noise(shape: Coord) -> NDArray[np.uint8]:
    return np.random.default_rng(_SEED).integers(0, 255, shape, np.uint8)


def _network(window: int) -> Network:
    return Network.of(read_checkpoint(_CARD), window=(window,) * 3, device="cpu")


@contextmanager
def _with_monai(side: int) -> Iterator[tuple[Job, Any]]:
    _monai()
    with job(side, block=96) as data:
        call = arguments(data.image, grid=None, engine=JobEngine(data.folder / "scale"))
        scale = input_scale(data.network, call)
        yield data, partial(monai_inference, data.image.read(), data.network, scale)


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

    found = _monai()(
        torch.from_numpy(image)[None, None].float(),
        network.window,
        network.batch,
        answer,
        overlap=1 - _STRIDE / _WINDOW,
        mode="gaussian",
    )
    result: NDArray[np.float32] = found[0].numpy()
    return result


def _monai() -> Any:
    try:
        from monai.inferers.utils import sliding_window_inference
    except ImportError as error:
        raise missing_extra("monai", "models") from error
    return sliding_window_inference


@contextmanager
def _needs_monai() -> Iterator[None]:
    _monai()
    yield


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


def memory(what: str, side: int) -> float:
    """Measure in a process of its own.

    Parameters
    ----------
    what : {"volkit", "monai", "seconds"}
        Whose memory, beyond what was held before, in 10^6 bytes; or the seconds of ours.
    side : int
        Extent of the cube, voxels.

    Returns
    -------
    float
    """
    command = [sys.executable, "-m", "volkit.bench.inference_process", what, str(side)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def _ensemble(data: Job) -> None:
    ensemble = Ensemble((read_checkpoint(_CARD),) * 4)
    data.infer(network=Network.of(ensemble, window=data.network.window, device="cpu"))


def _four_passes(data: Job) -> None:
    for _ in range(4):
        data.infer()
