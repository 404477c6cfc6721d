"""TIFF pages: where their pieces lie, and how those that a box touches are read.

A page is stored as strips or tiles; a large one is not decoded whole for a small box.
"""

import struct
import zlib
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from volkit.errors import SourceError
from volkit.io.axes import Array

Bytes = npt.NDArray[np.int64]

# What tifffile raises for bytes that it cannot take, by where it meets them.
DAMAGE = (
    OSError,
    ValueError,
    IndexError,
    KeyError,
    RuntimeError,
    NotImplementedError,
    TypeError,
    ImportError,
    struct.error,
    zlib.error,
)
_CHEAP_BYTES = 2**20  # strips are joined up to about so much


@dataclass(frozen=True, slots=True)
class Page:
    """One page: where its pieces lie.

    Parameters
    ----------
    path : Path
        Its file.
    offsets, counts : ndarray of int64
        Place and bytes of each strip or tile; a count of 0 is a piece that is not stored.
    """

    path: Path
    offsets: Bytes
    counts: Bytes

    @classmethod
    def of(cls, page: Any) -> "Page":
        """Note where the pieces of a tifffile page or frame lie."""
        path = Path(page.parent.filehandle.path)
        return cls(
            path, np.array(page.dataoffsets, np.int64), np.array(page.databytecounts, np.int64)
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """What pages share: how they are cut into pieces, and how a piece is decoded.

    Parameters
    ----------
    shape : tuple of int
        Extents of a page.
    axes : str
        A letter for each, among Z, Y, X and S (samples, outermost or innermost).
    whole : tuple of int
        The same with all five axes of TIFF: separate samples, Z, Y, X, joint samples.
    piece : tuple of int
        Extents of a piece along these five.
    dtype : dtype
        Of a voxel.
    fill : float
        What a piece that is not stored stands for.
    decode : callable
        tifffile's.
    tables : bytes or None
        What all JPEG pieces share.
    """

    shape: tuple[int, ...]
    axes: str
    whole: tuple[int, ...]
    piece: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: float
    decode: Any
    tables: dict[str, Any]

    @classmethod
    def of(cls, page: Any) -> "Layout":
        """Note how a tifffile page is laid out."""
        key = page.keyframe
        whole = tuple(int(n) for n in key.shaped)
        if key.is_tiled:
            piece = (1, int(key.tiledepth), int(key.tilelength), int(key.tilewidth), whole[4])
        else:
            piece = (1, 1, min(int(key.rowsperstrip), whole[2]), whole[3], whole[4])
        tables = {"jpegtables": key.jpegtables, "jpegheader": key.jpegheader}
        return cls(
            tuple(key.shape),
            key.axes,
            whole,
            piece,
            np.dtype(key.dtype),
            key.nodata,
            key.decode,
            {name: value for name, value in tables.items() if value is not None},
        )

    @property
    def chunks(self) -> tuple[int, ...]:
        """What is cheap to read: a tile, or strips of about a MiB."""
        chunks = list(self.piece)
        if self.piece[3] == self.whole[3]:
            row = self.whole[3] * self.whole[4] * self.dtype.itemsize
            strips = max(1, _CHEAP_BYTES // max(1, row * self.piece[2]))
            chunks[2] = self.piece[2] * strips
        found = self._five([min(c, n) for c, n in zip(chunks, self.whole, strict=True)])
        return tuple(found)

    def _five(self, values: list[Any]) -> list[Any]:
        """Pick those of the five axes that a page has."""
        return [values[place] for place in self._places()]

    def _places(self) -> list[int]:
        return [
            {"Z": 1, "Y": 2, "X": 3}.get(axis, 0 if i == 0 else 4)
            for i, axis in enumerate(self.axes)
        ]

    def read(self, page: Page, file: BinaryIO, inner: tuple[slice, ...]) -> Array:
        """Read a box of a page, from the pieces that it touches.

        Parameters
        ----------
        page : Page
            Laid out so.
        file : file object
            Of the page, open.
        inner : tuple of slice
            In the axes of the page.

        Raises
        ------
        SourceError
            If the file ends before a piece does.
        """
        box = [slice(0, n) for n in self.whole]
        for place, part in zip(self._places(), inner, strict=True):
            box[place] = part
        out = np.full([s.stop - s.start for s in box], self.fill, self.dtype)
        counts = [-(-n // p) for n, p in zip(self.whole, self.piece, strict=True)]
        touched = [
            range(s.start // p, -(-s.stop // p)) for s, p in zip(box, self.piece, strict=True)
        ]
        for index in product(*touched):
            number = int(np.ravel_multi_index(index, counts))
            self._place(out, box, self._decoded(page, file, number))
        return out.reshape([s.stop - s.start for s in inner])

    def _decoded(self, page: Page, file: BinaryIO, number: int) -> tuple[Any, Any, Any]:
        if number >= len(page.offsets):
            raise SourceError(f"piece {number} of {len(page.offsets)} is not listed")
        offset, count = int(page.offsets[number]), int(page.counts[number])
        content = None
        if count:
            file.seek(offset)
            content = file.read(count)
            if len(content) < count:
                raise SourceError(f"the file ends within it, at byte {offset + len(content)}")
        found: tuple[Any, Any, Any] = self.decode(content, number, **self.tables)
        return found

    def _place(self, out: Array, box: list[slice], decoded: tuple[Any, Any, Any]) -> None:
        values, corner, _ = decoded
        if values is None:
            return
        to, of = [], []
        for part, start, n in zip(box, corner, (1, *values.shape), strict=True):
            low, high = max(part.start, start), min(part.stop, start + n)
            to.append(slice(low - part.start, high - part.start))
            of.append(slice(low - start, high - start))
        out[tuple(to)] = values[np.newaxis][tuple(of)]
