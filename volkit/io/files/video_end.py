"""The end of a video file by its own account: its outermost parts state how long they are.

FFmpeg reads a cut file as a shorter video, so this is looked at first.
"""

import os
import struct
from pathlib import Path
from typing import BinaryIO

from volkit.errors import SourceError

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"  # Matroska and WebM
_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"moof", b"sidx")


def refuse_cut(uri: str, path: Path) -> None:
    """Refuse a file that is shorter than its parts state; other formats pass.

    Raises
    ------
    SourceError
        Saying both lengths.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF":
            end = _riff_end(file, size)
        elif head[:4] == _EBML:
            end = _matroska_end(file)
        else:
            end = _boxes_end(file, size) if head[4:8] in _BOXES else 0
    if end > size:
        raise SourceError(
            f"{uri}: {path.name} states parts up to byte {end}, but ends at {size}; it is "
            "truncated: copy it again"
        )


def _riff_end(file: BinaryIO, size: int) -> int:
    """Walk the parts of an AVI; a large one has several."""
    end = 0
    while end < size:
        file.seek(end + end % 2)
        head = file.read(8)
        if head[:4] != b"RIFF":
            break
        end += end % 2 + 8 + int.from_bytes(head[4:8], "little")
    return end


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Walk the boxes of an MP4 or MOV."""
    end = 0
    while end + 8 <= size:
        file.seek(end)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            length = int.from_bytes(file.read(8), "big")
        if length < 8 or not kind.isalnum():  # 0 reaches to the end; others are no boxes
            break
        end += length
    return end


def _matroska_end(file: BinaryIO) -> int:
    """Find the end of the segment; 0 where a live recording left it open."""
    file.seek(len(_EBML))
    length = _element_size(file)
    if length is None:
        return 0
    file.seek(length, os.SEEK_CUR)
    if file.read(len(_SEGMENT)) != _SEGMENT:
        return 0
    length = _element_size(file)
    return 0 if length is None else file.tell() + length


def _element_size(file: BinaryIO) -> int | None:
    """Read a number whose leading zero bits say how many bytes it has; None for all ones."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    width = 9 - first[0].bit_length()
    bits = 7 * width
    value = int.from_bytes(first + file.read(width - 1), "big") & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value
