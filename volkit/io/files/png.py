"""PNG planes, grey or in colours, through Pillow."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from volkit.errors import SourceError, missing_extra
from volkit.io.array_source import ArraySource, check_level
from volkit.io.axes import Array
from volkit.io.files.stacks import stack_stamp
from volkit.io.sources import OpenOptions

try:
    from PIL.PngImagePlugin import PngImageFile
except ImportError as error:
    raise missing_extra("pillow", "formats") from error

_MAGIC = b"\x89PNG\r\n\x1a\n"
_HEAD = struct.Struct(">8xI4sIIBB")  # behind the magic: length, IHDR, width, height, bits, colours
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error)
# Bits and kind of colours in the file -> what a plane is.  Pillow scales other numbers of bits, and
# cuts 16 bits of colours to 8, without a word.
_KINDS: dict[tuple[int, int], tuple[str, int]] = {
    (1, 0): ("bool", 1),
    (8, 0): ("uint8", 1),
    (16, 0): ("uint16", 1),
    (8, 2): ("uint8", 3),
    (8, 4): ("uint8", 2),
    (8, 6): ("uint8", 4),
}


@dataclass(frozen=True, slots=True)
class Plane:
    """What a file states of its plane.

    Parameters
    ----------
    shape : tuple of int
        (y, x), and colours behind them where there are several.
    dtype : dtype
        Of a voxel.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """A stack of such planes: extents, type, and what is cheap to read of them."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...]


def open_png(uri: str, files: Sequence[Path], level: int, options: OpenOptions) -> ArraySource:
    """Open planes, one in each file; colours become channels.

    Parameters
    ----------
    uri : str
        Where they lie.
    files : sequence of Path
        In order.
    level : int
        Must be 0.
    options : OpenOptions
        What the caller knows of them.

    Raises
    ------
    SourceError
        If a file is no PNG, or its voxels are not 1, 8 or 16 bits of grey, or 8 of colours.
    """
    check_level(uri, level)
    first = _stated(uri, files[0])
    shape = (len(files), *first.shape)
    return ArraySource.understand(
        uri,
        Stored(shape, first.dtype, (1, *first.shape)),
        lambda slices: _fetch(uri, files, first, slices),
        stamp=stack_stamp(files),
        options=options,
        attributes={"axes": "zyxc"[: len(shape)]},
    )


def _stated(uri: str, path: Path) -> Plane:
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
    if len(head) < _HEAD.size or not head.startswith(_MAGIC) or head[12:16] != b"IHDR":
        raise SourceError(
            f"{uri}: {path.name} does not begin as PNG does; it is truncated or another kind of "
            "file: copy it again"
        )
    _, _, width, height, bits, colours = _HEAD.unpack(head)
    if (bits, colours) not in _KINDS:
        kind = {2: "RGB", 3: "a palette", 4: "grey and alpha", 6: "RGBA"}.get(colours, "grey")
        raise SourceError(
            f"{uri}: {path.name} has {bits} bits of {kind}; read are 1, 8 or 16 bits of grey and "
            "8 bits of RGB, with or without alpha: convert the planes, or use TIFF"
        )
    name, channels = _KINDS[bits, colours]
    return Plane((height, width, *((channels,) if channels > 1 else ())), np.dtype(name))


def _fetch(uri: str, files: Sequence[Path], first: Plane, slices: tuple[slice, ...]) -> Array:
    wanted = range(len(files))[slices[0]]
    out = np.empty((len(wanted), *(s.stop - s.start for s in slices[1:])), first.dtype)
    for i, n in enumerate(wanted):
        found = _stated(uri, files[n])
        if found != first:
            raise SourceError(
                f"{uri}: plane {n} ({files[n].name}) is {found.dtype} {found.shape}, the first "
                f"one {first.dtype} {first.shape}; all planes must be alike"
            )
        out[i] = _decoded(uri, files[n], n)[slices[1:]]
    return out


def _decoded(uri: str, path: Path, n: int) -> Array:
    try:
        # Not Image.open, which takes planes of 180 million voxels for an attack.
        with path.open("rb") as file, PngImageFile(file) as image:
            return np.asarray(image)
    except _DAMAGE as error:
        raise SourceError(
            f"{uri}: plane {n} ({path.name}) cannot be read: {error}; restore it from a copy"
        ) from error
