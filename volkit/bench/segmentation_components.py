"""Connected components in blocks: beside cc3d on the whole volume, and beside dask-image."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import cc3d
import dask.array as da
import numpy as np
from numpy.typing import NDArray

from volkit.bench.harness import Case, told, wall_seconds
from volkit.bench.kernels import components_by_blocks, same_partition
from volkit.bench.peers import peer_module
from volkit.bench.tissue import noise
from volkit.engine.cluster import local_client
from volkit.engine.job import JobEngine
from volkit.errors import ContractError
from volkit.geometry import Grid
from volkit.io.open import create_volume
from volkit.io.volume import Volume
from volkit.ops.components import connected_components

_FOREGROUND = 0.55  # of the noise: about a fifth of the voxels
_ROUNDS = 3


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases."""
    size, block = (128, 64) if quick else (512, 128)
    what = f"components of {size}³ in {block}³ blocks"
    yield Case(
        f"{what}, in memory, 1 process / cc3d whole",
        ours=lambda d: components_by_blocks(d.mask, block=block),
        peer=lambda d: cc3d.connected_components(d.mask, connectivity=6),
        setup=partial(_mask, size),
        target=0.45,
        agree=same_partition,
        most_rounds=_ROUNDS,
    )
    for workers, target in ((1, 0.45), (2, 0.8)):
        yield Case(
            f"{what}, store to store, {workers} process{'' if workers == 1 else 'es'} / cc3d whole",
            ours=partial(_Stored.in_blocks, block=block),
            peer=_Stored.whole,
            setup=partial(_stored, size, block, workers),
            measure=wall_seconds,
            target=target,
            agree=_same_volumes,
            most_rounds=_ROUNDS,
        )
    # The peer takes minutes for 512³, and nearly as long for each seam: it gets fewer, and once.
    small, part = (64, 32) if quick else (256, 128)
    yield Case(
        f"components of {small}³ in {part}³ chunks / dask-image label, which runs once",
        ours=_Chunks.ratio,
        setup=partial(_chunks, small, part),
        measure=told,
        target=300,
        most_rounds=_ROUNDS,
    )


@contextmanager
def _mask(size: int) -> Iterator[SimpleNamespace]:
    yield SimpleNamespace(mask=noise(size, sigma=2) > _FOREGROUND)


@dataclass(frozen=True, slots=True)
class _Chunks:
    """A map in chunks, and what the peer took for it."""

    chunks: da.Array
    peer_seconds: float
    expected: NDArray[Any]

    def ratio(self) -> float:
        """Label all chunks, and tell how many times as long the peer took."""
        begun = time.process_time()
        found = connected_components(self.chunks, threshold=_FOREGROUND, connectivity=6)
        labels = found.compute(scheduler="sync")
        seconds = time.process_time() - begun
        if not same_partition(labels, self.expected.astype(np.int64)):
            raise ContractError("our components are not those of dask-image; report this")
        return self.peer_seconds / seconds


@contextmanager
def _chunks(size: int, block: int) -> Iterator[_Chunks]:
    peer = peer_module("dask_image.ndmeasure", "bench")
    chunks = da.from_array(noise(size, sigma=2), chunks=block)
    begun = time.process_time()
    expected = peer.label(chunks > _FOREGROUND)[0].compute(scheduler="sync")
    yield _Chunks(chunks, time.process_time() - begun, expected)


@dataclass(frozen=True, slots=True)
class _Stored:
    """A stored map, and where results go."""

    folder: Path
    image: Volume
    client: Any
    numbers: Iterator[int]

    def in_blocks(self, *, block: int) -> Volume:
        """Label with a job, every stage of which is stored."""
        for old in self.folder.glob("run*"):
            rmtree(old)  # a disk that fills up slows down
        found: Volume = connected_components(
            self.image,
            threshold=_FOREGROUND,
            connectivity=6,
            grid=Grid(self.image.domain, (block,) * 3),
            engine=JobEngine(self.folder / f"run{next(self.numbers)}", self.client),
        )
        return found

    def whole(self) -> Volume:
        """Read everything, label it at once, and store that in the same chunks."""
        labels = cc3d.connected_components(self.image.read() > _FOREGROUND, connectivity=6)
        target = _created(self.folder / "whole.zarr", labels, self.image.write_shape[0])
        target.write(target.domain, labels)
        return target


def _created(path: Path, values: NDArray[Any], block: int) -> Volume:
    return create_volume(
        path,
        overwrite=True,
        shape=values.shape,
        dtype=values.dtype,
        chunk_shape=(min(64, block),) * 3,
        shard_shape=(block,) * 3,
    )


@contextmanager
def _stored(size: int, block: int, workers: int) -> Iterator[_Stored]:
    with TemporaryDirectory(prefix="volkit-bench-", ignore_cleanup_errors=True) as name:
        values = noise(size, sigma=2)
        image = _created(Path(name) / "image.zarr", values, block)
        image.write(image.domain, values)
        if workers == 1:
            yield _Stored(Path(name), image, None, count())
            return
        with local_client(workers) as client:
            client.wait_for_workers(workers)
            yield _Stored(Path(name), image, client, count())


def _same_volumes(ours: Volume, peer: Volume) -> bool:
    return same_partition(ours.read().astype(np.int64), peer.read().astype(np.int64))
