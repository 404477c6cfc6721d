"""Objects that were compressed as a whole, known by their suffix or by how they begin."""

import bz2
import importlib
import lzma
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from volkit.errors import missing_extra

_GZIP = b"\x1f\x8b"
_WBITS = 31  # DEFLATE with the header of gzip
_MOST = 1032  # times that DEFLATE can make anything smaller


def is_gzip(data: bytes) -> bool:
    """Tell whether bytes begin as gzip does."""
    return data.startswith(_GZIP)


def unpack(data: bytes, suffix: str) -> bytes:
    """Decompress.

    Parameters
    ----------
    data : bytes
        What was stored.
    suffix : str
        One of ``PACKED``.

    Raises
    ------
    ValueError
        If it is damaged.
    MissingExtraError
        If it is brotli, for which there is no package.
    """
    try:
        plain = PACKED[suffix](data)
    except (zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        raise ValueError(f"{suffix[1:]}: {error}") from error
    return plain


def gzip(data: bytes) -> bytes:
    """Compress, at the level that is fast: higher ones gain a few per cent of EM for much time."""
    fast = _fast()
    if fast is not None:
        return bytes(fast.gzip_compress(data, 1))
    packer = zlib.compressobj(1, zlib.DEFLATED, _WBITS)
    return packer.compress(data) + packer.flush()


def _gunzip(data: bytes) -> bytes:
    fast = _fast()
    if fast is None:
        return zlib.decompress(data, _WBITS)
    size = int.from_bytes(data[-4:], "little")  # for which it makes room at once
    if size > _MOST * len(data):
        raise ValueError(f"gzip: {len(data)} bytes cannot hold the {size} that they claim")
    try:
        plain: bytes = fast.gzip_decompress(data)
    except fast.DeflateError as error:
        raise ValueError(f"gzip: {error}") from error
    return bytes(plain)


@cache
def _fast() -> Any:
    """Import what cloud-volume brings along, which is faster than zlib by half."""
    try:
        return importlib.import_module("deflate")
    except ImportError:
        return None


def _brotli(data: bytes) -> bytes:
    try:
        brotli: Any = importlib.import_module("brotli")
    except ImportError as error:
        raise missing_extra("brotli", "precomputed") from error
    try:
        plain: bytes = brotli.decompress(data)
    except brotli.error as error:
        raise ValueError(f"brotli: {error}") from error
    return plain


PACKED: Mapping[str, Callable[[bytes], bytes]] = {
    ".gz": _gunzip,
    ".br": _brotli,
    ".xz": lzma.decompress,
    ".bz2": bz2.decompress,
}
