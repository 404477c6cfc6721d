"""Fetched: how many bytes a read took from where they are stored, beside those that it gave."""

from math import prod
from typing import TYPE_CHECKING

from volkit.geometry import Box
from volkit.io.axes import Array
from volkit.io.sources import Source, chunk_start

if TYPE_CHECKING:
    from volkit.io.volume import Volume

_NOWHERE = "array://"  # in memory, where a box costs what it holds


def read_and_fetched(volume: "Volume", box: Box) -> tuple[Array, int]:
    """Read a box, and say what that took.

    Parameters
    ----------
    volume : Volume
        What to read.
    box : Box
        In volume coordinates.

    Returns
    -------
    values : ndarray, shape (Z, Y, X) or (C, Z, Y, X)
        As :meth:`Volume.read` gives them.
    fetched : int
        Decoded bytes of the chunks that came from the source.  Where several threads read through
        one cache, all that any of them fetched is told once, by one of them.

    Raises
    ------
    GeometryError, SourceError
        As :meth:`Volume.read` does.

    Examples
    --------
    >>> import numpy as np
    >>> from volkit.io import open_volume
    >>> volume = open_volume(np.zeros((4, 4, 4), np.uint16))
    >>> read_and_fetched(volume, Box((0, 0, 0), (1, 2, 3)))[1]
    12
    """
    source = volume._source
    newly = getattr(source, "newly_fetched", None)
    before = newly() if newly else 0
    values = volume.read(box)
    if newly:
        return values, before + newly()
    if volume.uri.startswith(_NOWHERE):
        return values, values.nbytes
    whole = _whole_chunks(source, box) if box.size else 0
    return values, whole * values.dtype.itemsize * prod(values.shape[:-3])


def _whole_chunks(source: Source, box: Box) -> int:
    """Count the voxels of the chunks that a box meets; bare numbers, since every block asks."""
    voxels = 1
    axes = (box.start, box.stop, source.voxel_offset, source.shape)
    for a, b, offset, n, first, c in zip(
        *axes, chunk_start(source), source.chunk_shape, strict=True
    ):
        origin = offset + first  # where chunks are counted from
        start, stop = origin + (a - origin) // c * c, origin - (origin - b) // c * c
        voxels *= min(stop, offset + n) - max(start, offset)
    return voxels
