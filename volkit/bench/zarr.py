"""Reading and writing zarr beside zarr-python, zarrs and bare tensorstore, from a warm page cache.

The volumes are those that volkit makes: zstd with a checksum, chunks of 64³ alone or in shards of
128³.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from volkit.bench.harness import Case, wall_seconds
from volkit.bench.peers import peer_module
from volkit.bench.voxels import boxes, image
from volkit.geometry import Box, Coord
from volkit.io.open import create_volume
from volkit.io.volume import Volume

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Work:
    """An array, and how much of it is read.

    Parameters
    ----------
    name : str
        What it is called in the report.
    chunk_shape : tuple of int or None
        Of chunks that stand alone; None takes volkit's shards.
    shape : tuple of int
        Extent, (z, y, x), voxels.
    count : int
        Boxes read at random places.
    box : tuple of int
        Their extent.
    """

    name: str
    chunk_shape: Coord | None
    shape: Coord
    count: int
    box: Coord = (128, 128, 128)


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases of zarr."""
    shape, count = ((128, 256, 512), 8) if quick else ((256, 512, 512), 32)
    yield from of_work(Work("sharded", None, shape, count))
    yield from of_work(Work("in chunks", (64, 64, 64), shape, count))


def of_work(work: Work) -> Iterator[Case]:
    """Yield the cases of one array: all of it, boxes of it, and writing it, beside each peer."""
    whats: dict[str, tuple[Any, Any, float | None]] = {
        "read": (_read_all, _same_arrays, 0.9),
        "boxes": (_read_boxes, _same_arrays, 0.9),
        "write": (_write_all, _same_content, None),
    }
    for peer in _PEERS:
        for what, (call, agree, target) in whats.items():
            yield Case(
                f"zarr {work.name}, {what} / {peer}",
                ours=partial(call, side=0),
                peer=partial(call, side=1),
                setup=partial(_site, work, peer),
                measure=wall_seconds,
                target=target,
                agree=agree,
            )


@dataclass(frozen=True, slots=True)
class Opened:
    """An array that somebody has open.

    Parameters
    ----------
    read : callable
        Reads a box as an array of the caller's.
    write : callable
        Writes all of it.
    domain : Box
        All of it.
    """

    read: Callable[[Box], Array]
    write: Callable[[Array], object]
    domain: Box


@dataclass(frozen=True, slots=True)
class Site:
    """One array that both have open to read, and one for each to write.

    Parameters
    ----------
    source : tuple of Opened
        The array that is read: as ours opens it, and as the peer does.
    targets : tuple of Opened
        What ours writes, and what the peer writes.
    values : ndarray
        What is in the source, and is written.
    boxes : list of Box
        Parts that are read.
    """

    source: tuple[Opened, Opened]
    targets: tuple[Opened, Opened]
    values: Array
    boxes: list[Box]


def _read_all(site: Site, side: int) -> list[Array]:
    return [site.source[side].read(Box.from_shape(site.values.shape))]


def _read_boxes(site: Site, side: int) -> list[Array]:
    return [site.source[side].read(box) for box in site.boxes]


def _write_all(site: Site, side: int) -> Opened:
    site.targets[side].write(site.values)
    return site.targets[side]


def _same_arrays(a: list[Array], b: list[Array]) -> bool:
    return all(map(np.array_equal, a, b))


def _same_content(a: Opened, b: Opened) -> bool:
    """Compare what was written, each as it reads it itself."""
    return np.array_equal(a.read(a.domain), b.read(b.domain))


@contextmanager
def _site(work: Work, peer: str) -> Iterator[Site]:
    module, opened = peer_module(peer.replace("-python", ""), "bench"), _PEERS[peer]
    values = image(work.shape)
    with TemporaryDirectory(prefix="volkit-bench-") as name:
        paths = [Path(name) / f"{n}.zarr" for n in ("source", "ours", "peers")]
        volumes = [
            create_volume(path, shape=work.shape, dtype="u1", chunk_shape=work.chunk_shape)
            for path in paths
        ]
        volumes[0].write(volumes[0].domain, values)
        yield Site(
            (_ours(volumes[0]), opened(module, paths[0] / "0")),
            (_ours(volumes[1]), opened(module, paths[2] / "0")),
            values,
            boxes(volumes[0].domain, work.box, work.count),
        )


def _ours(volume: Volume) -> Opened:
    return Opened(volume.read, partial(volume.write, volume.domain), volume.domain)


def _zarr_python(module: Any, path: Path) -> Opened:
    return _of_array(module.open_array(path, mode="r+"))


def _zarrs(module: Any, path: Path) -> Opened:
    del module  # it is used by its name
    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
        return _of_array(zarr.open_array(path, mode="r+"))


def _of_array(array: "zarr.Array[Any]") -> Opened:
    def write(values: Array) -> None:
        array[...] = values

    return Opened(lambda box: np.asarray(array[box.slices]), write, Box.from_shape(array.shape))


def _tensorstore(module: Any, path: Path) -> Opened:
    place = {"driver": "file", "path": f"{path}/"}
    array = module.open({"driver": "zarr3", "kvstore": place}, open=True).result()

    def write(values: Array) -> None:
        array.write(values).result()

    return Opened(lambda box: array[box.slices].read().result(), write, Box.from_shape(array.shape))


_PEERS = {"zarr-python": _zarr_python, "zarrs": _zarrs, "tensorstore": _tensorstore}
