"""Connected components in blocks: beside cc3d on the whole volume, and beside dask-image."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from shutil import rmtree
from statistics import median
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import cc3d
import dask.array as da
import numpy as np
from numpy.typing import NDArray

from volkit.bench.harness import Case, cpu_seconds, told, wall_seconds
from volkit.bench.kernels import components_by_blocks, same_partition
from volkit.bench.peers import peer_module
from volkit.bench.rounds import Figures, Rounds
from volkit.bench.tissue import noise
from volkit.engine.cluster import local_client
from volkit.engine.job import JobEngine
from volkit.errors import ContractError
from volkit.geometry import Grid
from volkit.io.open import create_volume
from volkit.io.volume import Volume
from volkit.ops.components import connected_components

Kind = type[np.unsignedinteger[Any]]

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
    yield from _stored_cases(what, size, block, 1, 0.45)
    for wide in (block,) if quick else (block, 2 * block):
        yield from _stored_cases(f"components of {size}³ in {wide}³ blocks", size, wide, 2, 0.8)
    yield from _beside_dask_image(what, size, block)


def _stored_cases(what: str, size: int, block: int, workers: int, target: float) -> Iterator[Case]:
    """Both sides read the same store, and write one of 32 or of 64 bits."""
    name = f"{what}, store to store, {workers} process{'' if workers == 1 else 'es'} / cc3d whole"
    for dtype in (np.uint32, np.uint64):
        named = f"{name}, {8 * np.dtype(dtype).itemsize} bits stored by both"
        how: dict[str, Any] = {
            "ours": partial(_Stored.in_blocks, block=block, dtype=dtype),
            "peer": partial(_Stored.whole, dtype=dtype),
            "setup": partial(_stored, size, block, workers),
            "agree": _same_volumes,
            "most_rounds": _ROUNDS,
        }
        wanted = target if dtype is np.uint32 else None
        yield Case(named, measure=wall_seconds, target=wanted, **how)
        if workers == 1:  # else most of it is spent elsewhere than in this process
            yield Case(f"{named}, processor time", **how)


def _beside_dask_image(what: str, size: int, block: int) -> Iterator[Case]:
    """Measure once, since the peer takes seven minutes of a processor for 512³; two rows."""
    rounds = Rounds(first_counts=True)
    name = f"{what}, {{}} / dask-image label, which runs once, minutes for 512³"
    how: dict[str, Any] = {"measure": told, "most_rounds": 1}
    yield Case(
        name.format("lazily"),
        ours=rounds.measured("lazily", partial(_Chunks.figures, block=block)),
        setup=partial(_chunks, size, block),
        target=300,
        **how,
    )
    yield Case(
        name.format("in memory"),
        ours=rounds.read("in memory"),
        setup=_with_dask_image,
        **how,
    )


@contextmanager
def _mask(size: int) -> Iterator[SimpleNamespace]:
    yield SimpleNamespace(mask=noise(size, sigma=2) > _FOREGROUND)


@dataclass(frozen=True, slots=True)
class _Chunks:
    """A map, whole and in chunks, and the module of the peer."""

    values: NDArray[Any]
    chunks: da.Array
    peer: Any

    def figures(self, *, block: int) -> Figures:
        """Tell how many times as long the peer takes as we do; all of it processor time."""
        mask = self.values > _FOREGROUND
        ours: dict[str, Callable[[], NDArray[Any]]] = {
            "lazily": self._ours,
            "in memory": partial(components_by_blocks, mask, block=block),
        }
        seconds = {
            name: median(cpu_seconds(call) for _ in range(_ROUNDS)) for name, call in ours.items()
        }
        begun = time.process_time()
        expected = self.peer.label(self.chunks > _FOREGROUND)[0].compute(scheduler="sync")
        spent = time.process_time() - begun
        for call in ours.values():
            if not same_partition(call().astype(np.int64), expected.astype(np.int64)):
                raise ContractError("our components are not those of dask-image; report this")
        return {name: spent / seconds[name] for name in ours}

    def _ours(self) -> NDArray[Any]:
        how: dict[str, Any] = {"connectivity": 6, "dtype": np.uint32}  # as many bits as the peer
        found = connected_components(self.chunks, threshold=_FOREGROUND, **how)
        labels: NDArray[Any] = found.compute(scheduler="sync")
        return labels


@contextmanager
def _chunks(size: int, block: int) -> Iterator[_Chunks]:
    with _with_dask_image() as peer:
        values = noise(size, sigma=2)
        yield _Chunks(values, da.from_array(values, chunks=block), peer)


@contextmanager
def _with_dask_image() -> Iterator[Any]:
    yield peer_module("dask_image.ndmeasure", "bench")


@dataclass(frozen=True, slots=True)
class _Stored:
    """A stored map, and where results go."""

    folder: Path
    image: Volume
    client: Any
    numbers: Iterator[int]

    def in_blocks(self, *, block: int, dtype: Kind) -> Volume:
        """Label with a job, every stage of which is stored."""
        for old in self.folder.glob("run*"):
            rmtree(old)  # a disk that fills up slows down
        found: Volume = connected_components(
            self.image,
            threshold=_FOREGROUND,
            connectivity=6,
            dtype=dtype,
            grid=Grid(self.image.domain, (block,) * 3),
            engine=JobEngine(self.folder / f"run{next(self.numbers)}", self.client),
        )
        return found

    def whole(self, *, dtype: Kind) -> Volume:
        """Read everything, label it at once, and store that in the same chunks."""
        mask = self.image.read() > _FOREGROUND
        labels = cc3d.connected_components(mask, connectivity=6, out_dtype=dtype)
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
