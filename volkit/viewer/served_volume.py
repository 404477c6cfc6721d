"""Volumes as a viewer asks for them: precomputed layers that are read chunk by chunk, when asked.

The layer exists nowhere: its ``info`` is made from the handle, and each chunk is read from the
volume when the viewer asks for it.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError, MissingChunkError
from volkit.geometry import Box, Coord, coord
from volkit.io.sources import CacheOptions
from volkit.io.volume import Volume

Array = NDArray[Any]
Change = Callable[[Array], Array]

_MOST_VOXELS, _LEAST_VOXELS = 2**18, 2**15  # of a chunk: what a browser takes at a time
_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "float32")
_CHUNK = re.compile(r"(\d+)/(-?\d+)-(-?\d+)_(-?\d+)-(-?\d+)_(-?\d+)-(-?\d+)")


@dataclass(frozen=True, slots=True)
class ServedVolume:
    """A volume and its coarser levels, as a precomputed layer.

    Parameters
    ----------
    levels : tuple of Volume
        Finest first.
    kind : {'image', 'segmentation'}
        Which layer.
    change : callable or None
        What is done to the voxels of every chunk, such as a renaming of labels.

    Raises
    ------
    ContractError
        If a viewer cannot show such voxels.

    Examples
    --------
    >>> from volkit.io import open_volume
    >>> served = ServedVolume.of(open_volume(np.ones((2, 3, 4), np.uint8)), "image")
    >>> json.loads(served.answer("info"))["scales"][0]["size"]
    [4, 3, 2]
    >>> len(served.answer("0/0-4_0-3_0-2"))
    24
    """

    levels: tuple[Volume, ...]
    kind: Literal["image", "segmentation"]
    change: Change | None = None
    _chunks: tuple[Coord, ...] = field(init=False)

    def __post_init__(self) -> None:
        finest = self.levels[0]
        labels = self.kind == "segmentation"
        if finest.dtype.kind not in "buif" or (labels and finest.dtype.kind == "f"):
            raise ContractError(
                f"{finest.uri} holds {finest.dtype}, which cannot be shown as "
                f"{'labels' if labels else 'an image'}; choose another kind, or convert it"
            )
        if labels and finest.channels is not None:
            raise ContractError(
                f"{finest.uri} has {finest.channels} channels; labels have none: show it as an "
                "image (image=…), or choose one channel"
            )
        object.__setattr__(self, "_chunks", tuple(_chunk_shape(level) for level in self.levels))

    @classmethod
    def of(
        cls, volume: Volume, kind: Literal["image", "segmentation"], change: Change | None = None
    ) -> "ServedVolume":
        """Serve a volume from its own level on; chunks that are asked for often are kept."""
        options = volume.options
        if options.cache is None and volume._array is None:
            volume = replace(volume, options=replace(options, cache=CacheOptions()))
        numbers = range(volume.level, volume.levels)
        return cls(tuple(volume.at_level(n) if n else volume for n in numbers), kind, change)

    @property
    def dtype(self) -> str:
        """What its voxels are sent as."""
        found = self.levels[0].dtype
        if self.kind == "segmentation":
            return "uint64" if found.itemsize == 8 else f"uint{8 * found.itemsize}"
        if found.kind == "b":
            return "uint8"
        return found.name if found.name in _TYPES else "float32"

    def answer(self, path: str) -> bytes | None:
        """Answer what a viewer asks for.

        Parameters
        ----------
        path : str
            ``info``, or the name of a chunk.

        Returns
        -------
        bytes or None
            None where there is no such thing, or a chunk is not stored.

        Raises
        ------
        SourceError
            If the volume cannot be read.
        """
        if path == "info":
            return json.dumps(self.info()).encode()
        found = _CHUNK.fullmatch(path)
        if found is None or int(found[1]) >= len(self.levels):
            return None
        x0, x1, y0, y1, z0, z1 = (int(n) for n in found.groups()[1:])
        level, box = self.levels[int(found[1])], Box((z0, y0, x0), (z1, y1, x1))
        if not box.size or not level.domain.contains(box):
            return None
        if any(n > c for n, c in zip(box.shape, self._chunks[int(found[1])], strict=True)):
            return None
        try:
            values = level.read(box)
        except MissingChunkError:
            return None
        if self.change is not None:
            values = self.change(values)
        # Of signed ids the bits are sent, as they lie.
        return np.ascontiguousarray(values.astype(np.dtype(self.dtype).newbyteorder("<"))).tobytes()

    def info(self) -> dict[str, Any]:
        """Describe the layer."""
        scales = []
        for n, (level, chunk) in enumerate(zip(self.levels, self._chunks, strict=True)):
            scales.append(
                {
                    "key": str(n),
                    "size": list(level.shape[::-1]),
                    "voxel_offset": list(level.domain.start[::-1]),
                    "resolution": list(level.voxel_size_nm[::-1]),
                    "chunk_sizes": [list(chunk[::-1])],
                    "encoding": "raw",
                }
            )
        return {
            "@type": "neuroglancer_multiscale_volume",
            "type": self.kind,
            "data_type": self.dtype,
            "num_channels": self.levels[0].channels or 1,
            "scales": scales,
        }


def _chunk_shape(volume: Volume) -> Coord:
    """Choose what is sent at a time: a chunk of the volume, halved or joined to a fair size."""
    channels = volume.channels or 1
    chunk = [min(c, n) for c, n in zip(volume.chunk_shape, volume.shape, strict=True)]
    while prod(chunk) * channels > _MOST_VOXELS and max(chunk) > 1:
        axis = max(range(3), key=lambda i: chunk[i])
        # Halves meet the borders of stored chunks wherever those are even.
        chunk[axis] = -(-chunk[axis] // 2)
    while prod(chunk) * channels < _LEAST_VOXELS:
        room = [i for i in range(3) if chunk[i] < volume.shape[i]]
        if not room:
            break
        axis = min(room, key=lambda i: chunk[i])
        chunk[axis] = min(2 * chunk[axis], volume.shape[axis])
    return coord(chunk)
