"""Video: ``.mp4``, ``.avi``, ``.mov``, ``.mkv`` and ``.webm`` as volumes, one plane per frame."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from volkit.errors import SourceError
from volkit.io.array_source import ArraySource, check_level, file_stamp
from volkit.io.axes import Array
from volkit.io.files.recent import Recent
from volkit.io.files.video_decoder import FrameDecoder, shared_decoder
from volkit.io.files.video_frames import FrameTable, frame_table, opened_video
from volkit.io.sources import OpenOptions
from volkit.io.uris import local_path

_PLANES = Recent(256 * 2**20)  # decoded frames of all videos of a process
_CHUNK_BYTES = 64 * 2**20  # frames between two key frames are cheap together, up to so much


@dataclass(frozen=True, slots=True)
class Picture:
    """What the frames of a file share.

    Parameters
    ----------
    shape : tuple of int
        (y, x), or (3, y, x) in colours.
    dtype : dtype
        Of a voxel.
    width, height : int
        As stored.
    pixel_format : str
        FFmpeg's name of it.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    width: int
    height: int
    pixel_format: str

    @classmethod
    def of(cls, uri: str, frame: Any, *, grey: bool) -> "Picture":
        """Understand a frame.

        Raises
        ------
        SourceError
            If grey values are asked for and not stored.
        """
        form = frame.format
        parts = form.components
        if grey and (form.is_rgb or form.has_palette or any(c.plane == 0 for c in parts[1:])):
            raise SourceError(
                f"{uri} stores {form.name}, in which no plane is grey; open it without axes, as "
                "channels"
            )
        alone = len(parts) == 1 and not form.has_palette
        bits = max(c.bits for c in parts)
        if grey or alone:
            order = ">" if form.name.endswith("be") else "<"
            kind = "u1" if bits <= 8 else f"{order}u2" if bits <= 16 else f"{order}f4"
            shape: tuple[int, ...] = (frame.height, frame.width)
        else:
            kind, shape = ("u1" if bits <= 8 else "<u2"), (3, frame.height, frame.width)
        return cls(shape, np.dtype(kind), frame.width, frame.height, form.name)

    def plane(self, frame: Any) -> Array:
        """Give the voxels of a frame: grey as stored, colours as RGB."""
        if len(self.shape) == 3:
            rgb = frame.to_ndarray(format="rgb24" if self.dtype == "u1" else "rgb48le")
            return np.ascontiguousarray(rgb.transpose(2, 0, 1))
        if frame.format.components[0].bits < 8:  # several voxels in a byte
            return np.asarray(frame.to_ndarray(format="gray"))
        stored = frame.planes[0]
        rows = np.frombuffer(stored, self.dtype).reshape(
            -1, stored.line_size // self.dtype.itemsize
        )
        return rows[: self.height, : self.width].copy()


@dataclass(frozen=True, slots=True)
class Stored:
    """A video as an array: (z, y, x), or (z, c, y, x) in colours."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...]


def open_video(uri: str, level: int, options: OpenOptions) -> ArraySource:
    """Open a video: frame n, in the order in which frames are shown, is plane n.

    Grey videos have axes (z, y, x); others are converted to RGB channels.  With ``axes="zyx"`` the
    luma of a colour video is taken as it is stored: many grey movies are saved as such.
    ``attributes`` hold ``frame_rate``, ``codec`` and ``pixel_format``.

    Raises
    ------
    SourceError
        If the file is cut or damaged or holds no video.
    """
    check_level(uri, level)
    path = local_path(uri) or Path(uri)
    table, first = frame_table(uri, path)
    grey = options.axes == "zyx"
    picture = Picture.of(uri, first, grey=grey)
    shape = (len(table.times), *picture.shape)
    stored = Stored(shape, picture.dtype, (_chunk_frames(table, picture), *picture.shape))
    stamp = file_stamp(path)
    return ArraySource.understand(
        uri,
        stored,
        lambda slices: _fetch(uri, path, table, picture, slices),
        stamp=stamp,
        options=options if not grey else replace(options, axes=None),
        attributes={"axes": "zyx" if len(shape) == 3 else "zcyx", **_facts(uri, path, picture)},
    )


def _facts(uri: str, path: Path, picture: Picture) -> dict[str, Any]:
    with opened_video(uri, path) as (_, stream):
        rate = stream.average_rate
        return {
            "frame_rate": None if rate is None else float(rate),
            "codec": str(stream.codec_context.name),
            "pixel_format": picture.pixel_format,
        }


def _chunk_frames(table: FrameTable, picture: Picture) -> int:
    """Say how many frames are cheap together: those from one key frame to the next."""
    usual = int(np.median(np.diff([*table.keys, len(table.times)])))
    plane = int(np.prod(picture.shape)) * picture.dtype.itemsize
    return max(1, min(usual, _CHUNK_BYTES // plane))


def _fetch(
    uri: str, path: Path, table: FrameTable, picture: Picture, slices: tuple[slice, ...]
) -> Array:
    wanted = range(len(table.times))[slices[0]]
    out = np.empty((len(wanted), *(s.stop - s.start for s in slices[1:])), picture.dtype)
    stamp = file_stamp(path)
    decoder = shared_decoder(uri, path, table)
    for i, n in enumerate(wanted):
        key = (str(path), stamp, picture.shape, n)
        plane = _PLANES.find(key)
        if plane is None:
            plane = _decoded(uri, decoder, picture, n)
            _PLANES.put(key, plane)
        out[i] = plane[slices[1:]]
    return out


def _decoded(uri: str, decoder: FrameDecoder, picture: Picture, n: int) -> Array:
    frame = decoder.frame(n)
    found = (frame.width, frame.height, frame.format.name)
    if found != (picture.width, picture.height, picture.pixel_format):
        raise SourceError(
            f"{uri}: frame {n} is {found[0]} x {found[1]} of {found[2]}, the first one "
            f"{picture.width} x {picture.height} of {picture.pixel_format}; all frames must be "
            "alike: convert the file"
        )
    return picture.plane(frame)
