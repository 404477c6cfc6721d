"""A source in memory that notes what it is asked for, and can be made to wait or to fail."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box, Coord
from volkit.geometry.scale import Vector


@dataclass
class ChunkedSource:
    """Voxels in memory that are served in chunks.

    Parameters
    ----------
    values : ndarray, shape (Z, Y, X) or (C, Z, Y, X)
        The voxels.
    chunk_shape : tuple of int
        Extent of a chunk.
    chunk_start : tuple of int
        Where chunks are counted from; 0 or less.
    request_shape : tuple of int or None
        What is well asked for at once; None does not say.
    before : callable
        Gets the box of every read before it is answered: may wait, or raise.
    asked : list of Box
        What was read, array coordinates.

    Examples
    --------
    >>> source = ChunkedSource(np.zeros((4, 8, 8), np.uint8))
    >>> source.read(Box.from_shape((1, 2, 2))).shape, str(source.asked[0])
    ((1, 2, 2), '[0:1, 0:2, 0:2]')
    """

    values: NDArray[Any]
    chunk_shape: Coord = (4, 8, 8)
    chunk_start: Coord = (0, 0, 0)
    request_shape: Coord | None = None
    voxel_offset: Coord = (0, 0, 0)
    voxel_size_nm: Vector = (1.0, 1.0, 1.0)
    origin_nm: Vector = (0.0, 0.0, 0.0)
    levels: int = 1
    attributes: Mapping[str, Any] = field(default_factory=dict)
    before: Callable[[Box], object] = lambda box: None
    asked: list[Box] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _number: int = field(default_factory=count().__next__, repr=False)

    @property
    def shape(self) -> Coord:
        """Extent, voxels."""
        z, y, x = self.values.shape[-3:]
        return z, y, x

    @property
    def channels(self) -> int | None:
        """Number of channels, if there is such an axis."""
        return int(self.values.shape[0]) if self.values.ndim == 4 else None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel."""
        return self.values.dtype

    @property
    def write_shape(self) -> Coord:
        """A chunk."""
        return self.chunk_shape

    def identity(self) -> str:
        """Tell this source from any other of this process."""
        return f"chunked:{self._number}"

    def read(self, box: Box) -> NDArray[Any]:
        """Note what is asked for, and answer."""
        with self._lock:
            self.asked.append(box)
        self.before(box)
        return self.values[(..., *box.slices)].copy()

    def write(self, box: Box, values: NDArray[Any]) -> None:
        """Write a box."""
        self.values[(..., *box.slices)] = values
