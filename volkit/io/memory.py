"""Arrays in memory, seen as volumes."""

import hashlib

import numpy as np

from volkit.io.array_source import ArraySource, voxel_dtype
from volkit.io.axes import Array
from volkit.io.sources import OpenOptions


def array_uri(array: Array) -> str:
    """Name an array by a digest of its type, shape and content.

    Raises
    ------
    SourceError
        If it holds no numbers.

    Examples
    --------
    >>> array_uri(np.zeros((2, 2, 2), np.uint8))
    'array://96003e3b106f3b4a288fcc3ef79aeb51'
    """
    voxel_dtype("the array", array.dtype)
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    for plane in array if array.ndim else ():
        digest.update(np.ascontiguousarray(plane).data)
    return f"array://{digest.hexdigest()[:32]}"


def open_array(uri: str, array: Array, options: OpenOptions) -> ArraySource:
    """See an array as a source; boxes are copied out of it."""
    return ArraySource.understand(
        uri,
        array,
        lambda slices: array[slices].copy(),
        stamp=uri,
        options=options,
        keep_channel=True,
    )
