"""Reading precomputed layers beside cloud-volume and bare tensorstore, from a warm page cache."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import tensorstore
from numpy.typing import NDArray

from volkit.bench.harness import Case, wall_seconds
from volkit.bench.peers import peer_module
from volkit.bench.voxels import boxes, image, labels
from volkit.geometry import Box, Coord
from volkit.io.open import open_volume

Array = NDArray[Any]
Read = Callable[[Box], Array]

_CHUNK = (64, 64, 64)
_SHARDING = {
    "@type": "neuroglancer_uint64_sharded_v1",
    "hash": "identity",
    "preshift_bits": 3,
    "minishard_bits": 3,
    "shard_bits": 3,
    "minishard_index_encoding": "gzip",
    "data_encoding": "gzip",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """A kind of layer, and how much of it is read.

    Parameters
    ----------
    name : str
        What it is called in the report.
    encoding : {'raw', 'compressed_segmentation'}
        Of its chunks.
    sharded : bool
        Whether many chunks share a file.
    shape : tuple of int
        Extent, (z, y, x), voxels.
    count : int
        Boxes read at random places.
    box : tuple of int
        Their extent.
    """

    name: str
    encoding: Literal["raw", "compressed_segmentation"]
    sharded: bool
    shape: Coord
    count: int
    box: Coord = (128, 128, 128)


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases of precomputed layers."""
    shape = (128, 256, 512) if quick else (256, 512, 512)
    small = (64, 256, 256) if quick else (128, 256, 512)  # eight bytes for each voxel
    for layer in (
        Layer("raw", "raw", False, shape, 8 if quick else 32),
        Layer("sharded gzip", "raw", True, shape, 2 if quick else 8),
        Layer("compressed_segmentation", "compressed_segmentation", False, small, 4, (64,) * 3),
    ):
        yield from of_layer(layer)


def of_layer(layer: Layer) -> Iterator[Case]:
    """Yield the cases of one layer: all of it, and boxes of it, beside each peer."""
    for peer, target in (("cloud-volume", 1.0), ("tensorstore", 0.9)):
        for what, read in (("all", read_all), ("boxes", read_boxes)):
            yield Case(
                f"precomputed {layer.name}, {what} / {peer}",
                ours=lambda site, read=read: read(site.ours, site),  # type: ignore[misc]
                peer=lambda site, read=read: read(site.peer, site),  # type: ignore[misc]
                setup=partial(_site, layer, peer),
                measure=wall_seconds,
                target=target,
                agree=lambda a, b: all(map(np.array_equal, a, b)),
            )


@dataclass(frozen=True, slots=True)
class Site:
    """A layer that ours and a peer have open.

    Parameters
    ----------
    ours, peer : callable
        Read a box as an array of the caller's, C order, (z, y, x).
    domain : Box
        All of it.
    boxes : list of Box
        Parts of it.
    """

    ours: Read
    peer: Read
    domain: Box
    boxes: list[Box]


def read_all(read: Read, site: Site) -> list[Array]:
    """Read all in one call."""
    return [read(site.domain)]


def read_boxes(read: Read, site: Site) -> list[Array]:
    """Read boxes one after the other."""
    return [read(box) for box in site.boxes]


@contextmanager
def _site(layer: Layer, peer: str) -> Iterator[Site]:
    module = peer_module(peer.replace("-", ""), "precomputed")
    with TemporaryDirectory(prefix="volkit-bench-") as name:
        folder = Path(name)
        values = image(layer.shape) if layer.encoding == "raw" else labels(layer.shape)
        write_layer(folder, values, layer)
        volume = open_volume(f"precomputed://{folder.as_uri()}")
        places = boxes(volume.domain, layer.box, layer.count)
        yield Site(volume.read, _PEERS[peer](module, folder), volume.domain, places)


def write_layer(folder: Path, values: Array, layer: Layer) -> None:
    """Write a layer with bare tensorstore."""
    scale: dict[str, Any] = {
        "key": "8_8_8",
        "size": list(values.shape[::-1]),
        "chunk_size": list(_CHUNK),
        "resolution": [8, 8, 8],
        "encoding": layer.encoding,
    }
    if layer.encoding != "raw":
        scale["compressed_segmentation_block_size"] = [8, 8, 8]
    if layer.sharded:
        scale["sharding"] = _SHARDING
    about = {
        "type": "image" if layer.encoding == "raw" else "segmentation",
        "data_type": values.dtype.name,
        "num_channels": 1,
    }
    spec = {"multiscale_metadata": about, "scale_metadata": scale, "create": True}
    _bare(tensorstore, folder, spec).write(values).result()


def _bare(module: Any, folder: Path, spec: Mapping[str, Any]) -> Any:
    """Open a layer with tensorstore, axes (z, y, x)."""
    place = {"driver": "file", "path": f"{folder}/"}
    opened = module.open({"driver": "neuroglancer_precomputed", "kvstore": place, **spec})
    return opened.result()[module.d["channel"][0]].T


def _with_tensorstore(module: Any, folder: Path) -> Read:
    array = _bare(module, folder, {})
    return lambda box: array[box.slices].read().result()


def _with_cloudvolume(module: Any, folder: Path) -> Read:
    volume = module.CloudVolume(f"precomputed://{folder.as_uri()}", progress=False)

    def read(box: Box) -> Array:
        return np.ascontiguousarray(np.asarray(volume[box.slices[::-1]])[..., 0].T)

    return read


_PEERS = {"cloud-volume": _with_cloudvolume, "tensorstore": _with_tensorstore}
