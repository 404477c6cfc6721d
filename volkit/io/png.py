"""PNG: pixels as a file that every browser shows, without a drawing library."""

import base64
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.markup import Html, element

_HEAD = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """Write pixels as PNG.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (Y, X) or (Y, X, 3)
        Grey, or red, green and blue.

    Returns
    -------
    bytes

    Examples
    --------
    >>> png_bytes(np.zeros((2, 3), np.uint8))[1:4]
    b'PNG'
    """
    kind = _GREY if pixels.ndim == 2 else _RGB
    high, wide = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels, np.uint8).reshape(high, -1)
    unfiltered = np.concatenate([np.zeros((high, 1), np.uint8), rows], axis=1)
    parts = (
        _chunk(b"IHDR", struct.pack(">IIBBBBB", wide, high, 8, kind, 0, 0, 0)),
        _chunk(b"IDAT", zlib.compress(unfiltered.tobytes(), 6)),
        _chunk(b"IEND", b""),
    )
    return _HEAD + b"".join(parts)


def png_image(pixels: NDArray[np.uint8], *, alt: str, **attributes: Any) -> Html:
    """Embed pixels in a page.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (Y, X) or (Y, X, 3)
        As for :func:`png_bytes`.
    alt : str
        What they show, for whoever cannot see them.
    **attributes
        Of the element.
    """
    data = base64.b64encode(png_bytes(pixels)).decode()
    return element("img", alt=alt, src=f"data:image/png;base64,{data}", **attributes)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
