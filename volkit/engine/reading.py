"""Reading and writing of voxels in a task, metered."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.usage import count, metered
from volkit.geometry import Box
from volkit.io.fetched import read_and_fetched
from volkit.io.volume import Volume


def read_metered(volume: Volume, box: Box, *, decides: Box) -> NDArray[Any]:
    """Read a box of an input, and meter it.

    Counted are ``bytes_read``, ``bytes_fetched`` (whole chunks, as they came from the source) and
    ``bytes_least``, what is read where every voxel is read once: their ratio is the read
    amplification.

    Parameters
    ----------
    volume : Volume
        What to read.
    box : Box
        Volume coordinates.
    decides : Box
        The part that no other task counts as its own: over all tasks of a stage, these parts make
        up the domain once.

    Returns
    -------
    ndarray, shape (Z, Y, X) or (C, Z, Y, X)
        (0, 0, 0), without asking the source, where the box is empty.
    """
    if not box.size:
        return np.zeros((0, 0, 0), volume.dtype)
    with metered("read"):
        values, fetched = read_and_fetched(volume, box)
    count("bytes_read", values.nbytes)
    count("bytes_fetched", fetched)
    count("bytes_least", values.nbytes // max(1, box.size) * decides.size)
    return values


def write_metered(volume: Volume, box: Box, values: NDArray[Any]) -> None:
    """Write a box, and meter it; ``bytes_written`` is counted.

    Parameters
    ----------
    volume : Volume
        Where to.
    box : Box
        Volume coordinates.
    values : ndarray, shape (Z, Y, X) or (C, Z, Y, X)
        Of the volume's own type.
    """
    with metered("write"):
        volume.write(box, values)
    count("bytes_written", values.nbytes)
