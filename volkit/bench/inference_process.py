"""A process that infers from store to store, or with the peer in memory, and says what it took.

``python -m volkit.bench.inference_process volkit|monai SIDE TIMES`` writes to standard output, as
JSON, how far its memory rose, 10^6 bytes, and the seconds that one time took, by the clock and of
processors, over a cube of so many voxels.  The network costs next to nothing, so that all else
shows.
"""

import json
import sys
import time
from pathlib import Path
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

BLOCK, WINDOW, STRIDE = 128, 64, 32


def main(arguments: list[str]) -> None:
    """Measure, and print."""
    what, side, times = arguments[0], int(arguments[1]), int(arguments[2])
    keep_memory()  # as `volkit run` and workers do
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        image = _stored(Path(folder), side)
        network = Network.of(_share, window=(WINDOW,) * 3, channels=1, device="cpu")
        first = Path(folder) / "first"
        _ours(image, first, network, Box.from_shape((BLOCK,) * 3))  # compiles and imports
        if what == "monai":
            from volkit.bench.inference_job import monai_inference

            monai_inference(np.zeros((WINDOW,) * 3, np.uint8), network)
        before, begun, worked = held("VmRSS"), time.perf_counter(), time.process_time()
        for number in range(times):
            if what == "monai":
                monai_inference(open_volume(image).read(), network)
            else:
                # Results stay until the end, so that they reach the disk as one large one does.
                _ours(image, Path(folder) / str(number), network, None)
        found = {
            "megabytes": (held("VmHWM") - before) / 1e6,
            "seconds": (time.perf_counter() - begun) / times,
            "cpu_seconds": (time.process_time() - worked) / times,
        }
    sys.stdout.write(json.dumps(found) + "\n")


def _share(batch: NDArray[Any]) -> NDArray[Any]:
    return batch / np.float32(255)


_share.bounded = True  # type: ignore[attr-defined]  # as probabilities are


def _stored(folder: Path, side: int) -> str:
    uri = str(folder / "image.zarr")
    image = create_volume(
        uri, shape=(side,) * 3, dtype=np.uint8, chunk_shape=(64,) * 3, shard_shape=(BLOCK,) * 3
    )
    noise = np.random.default_rng(0).integers(0, 255, (BLOCK,) * 3, np.uint8)
    for block in Grid(image.domain, (BLOCK,) * 3):
        image.write(block.write, noise[tuple(slice(0, n) for n in block.write.shape)])
    return uri


def _ours(uri: str, folder: Path, network: Network, box: Box | None) -> None:
    image = open_volume(uri)
    infer(
        image,
        network,
        options=InferenceOptions(stride=(STRIDE,) * 3, device="cpu"),
        grid=Grid(box or image.domain, (BLOCK,) * 3),
        engine=JobEngine(folder),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
