"""A process that infers from store to store, or with the peer in memory, and says what it took.

``python -m volkit.bench.inference_process volkit|monai SIDE TIMES`` writes to standard output, as
JSON, how far its memory rose, 10^6 bytes, and the seconds it took the first time, over a cube of so
many voxels.  The network costs next to nothing, so that all else shows.
"""

import json
import sys
import time
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.bench.memory import held
from volkit.engine.allocator import keep_memory
from volkit.engine.job import JobEngine
from volkit.geometry import Box, Grid
from volkit.io.open import create_volume, open_volume
from volkit.ops.inference import InferenceOptions, infer
from volkit.ops.network import Network

_BLOCK, _WINDOW = 128, 64


def main(arguments: list[str]) -> None:
    """Measure, and print."""
    what, side, times = arguments[0], int(arguments[1]), int(arguments[2])
    keep_memory()  # as `volkit run` and workers do
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        image = _stored(Path(folder), side)
        network = Network.of(_share, window=(_WINDOW,) * 3, channels=1, device="cpu")
        first = Path(folder) / "first"
        _ours(image, first, network, Box.from_shape((_BLOCK,) * 3))  # compiles and imports
        if what == "monai":
            from volkit.bench.inference_job import monai_inference

            monai_inference(np.zeros((_WINDOW,) * 3, np.uint8), network)
        before, seconds = held("VmRSS"), 0.0
        for number in range(times):
            begun = time.perf_counter()
            if what == "monai":
                monai_inference(open_volume(image).read(), network)
            else:
                _ours(image, Path(folder) / str(number), network, None)
            # Later times are no measure: what they store is deleted before it reaches the disk.
            seconds = seconds or time.perf_counter() - begun
            rmtree(Path(folder) / str(number), ignore_errors=True)
        rise = (held("VmHWM") - before) / 1e6
    sys.stdout.write(json.dumps({"megabytes": rise, "seconds": seconds}) + "\n")


def _share(batch: NDArray[Any]) -> NDArray[Any]:
    return batch / np.float32(255)


_share.bounded = True  # type: ignore[attr-defined]  # as probabilities are


def _stored(folder: Path, side: int) -> str:
    uri = str(folder / "image.zarr")
    image = create_volume(
        uri, shape=(side,) * 3, dtype=np.uint8, chunk_shape=(64,) * 3, shard_shape=(_BLOCK,) * 3
    )
    noise = np.random.default_rng(0).integers(0, 255, (_BLOCK,) * 3, np.uint8)
    for block in Grid(image.domain, (_BLOCK,) * 3):
        image.write(block.write, noise[tuple(slice(0, n) for n in block.write.shape)])
    return uri


def _ours(uri: str, folder: Path, network: Network, box: Box | None) -> None:
    image = open_volume(uri)
    infer(
        image,
        network,
        options=InferenceOptions(stride=(_WINDOW // 2,) * 3, device="cpu"),
        grid=Grid(box or image.domain, (_BLOCK,) * 3),
        engine=JobEngine(folder),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
