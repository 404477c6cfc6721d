"""Video frames: when each frame of a file is shown, and where decoding can begin."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from volkit.errors import SourceError, missing_extra
from volkit.io.files.video_end import refuse_cut

try:
    import av
    from av.error import FFmpegError
except ImportError as error:
    raise missing_extra("av", "formats") from error

DAMAGE = (FFmpegError, OSError, ValueError, EOFError)
# FFmpeg takes stills for films of one frame, and follows playlists to other files and hosts.
_OPTIONS = {"format_whitelist": "mov,matroska,avi", "protocol_whitelist": "file"}
_SAMPLE = 32  # frames decoded to make sure that packets are frames


@dataclass(frozen=True, slots=True, eq=False)  # a key of decoders; comparing would read it all
class FrameTable:
    """The frames of a file in the order in which they are shown.

    Parameters
    ----------
    times : tuple of int
        When each is shown, in the stream's own unit; their place alone where that is not stated.
    keys : tuple of int
        Numbers of the frames that are complete in themselves, so that decoding can begin there.
    seekable : bool
        Whether a frame is found by its time; otherwise by counting from the first one.
    """

    times: tuple[int, ...]
    keys: tuple[int, ...]
    seekable: bool

    def key_before(self, n: int) -> int:
        """Give the place in ``keys`` of the last one that is not behind frame ``n``."""
        return bisect_right(self.keys, n) - 1

    def number(self, time: int | None) -> int | None:
        """Give the number of the frame that is shown at a time."""
        if time is None:
            return None
        n = bisect_right(self.times, time) - 1
        return n if n >= 0 and self.times[n] == time else None


@dataclass(frozen=True, slots=True)
class Packets:
    """What the packets of a stream state, none of them decoded."""

    times: tuple[int | None, ...]
    keys: tuple[int | None, ...]
    whole: bool


@contextmanager
def opened_video(uri: str, path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a file and find its video stream.

    Raises
    ------
    SourceError
        If it cannot be opened or read, or holds no video.
    """
    try:
        container: Any = av.open(str(path), options=_OPTIONS)
    except DAMAGE as error:
        raise SourceError(
            f"{uri}: {path.name} cannot be opened as MP4, MOV, AVI, Matroska or WebM ({error}); it "
            "may be truncated, as some keep at their end what is needed first: copy it again"
        ) from error
    try:
        if not container.streams.video:
            raise SourceError(f"{uri}: {path.name} holds no video stream; give a file with one")
        yield container, container.streams.video[0]
    except DAMAGE as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(
            f"{uri}: {path.name} cannot be read ({error}); it is damaged: restore it from a copy"
        ) from error
    finally:
        container.close()


def frame_table(uri: str, path: Path) -> tuple[FrameTable, Any]:
    """List the frames of a file, and give the first one decoded.

    The packets are listed, which decodes nothing; the first frames are decoded to make sure that
    each packet is one frame.  Where that is not so, the whole file is decoded once and counted.
    What the header states is not believed.

    Raises
    ------
    SourceError
        If the file is cut or damaged, or holds no frame.
    """
    refuse_cut(uri, path)
    with opened_video(uri, path) as (container, stream):
        packets = _packets(container, stream)
    with opened_video(uri, path) as (container, stream):
        sample = list(islice(container.decode(stream), _SAMPLE))
    if not sample:
        raise SourceError(
            f"{uri}: no frame of {path.name} can be decoded; it holds none, or is cut"
        )
    table = _by_packets(packets, sample)
    return table or _by_decoding(uri, path), sample[0]


def _packets(container: Any, stream: Any) -> Packets:
    listed = [(p.pts, p.is_keyframe, p.is_discard) for p in container.demux(stream) if p.size]
    keys = tuple(pts for pts, key, _ in listed if key)
    whole = not any(discard for _, _, discard in listed)
    return Packets(tuple(pts for pts, *_ in listed), keys, whole)


def _by_packets(packets: Packets, sample: Sequence[Any]) -> FrameTable | None:
    """Make a table if packets are frames, one by one."""
    stated = [t for t in packets.times if t is not None]
    times = tuple(sorted(set(stated)))
    if not packets.whole or len(times) < len(packets.times):
        return None
    if [f.pts for f in sample] != list(times[:_SAMPLE]):
        return None
    places = {time: n for n, time in enumerate(times)}
    keys = tuple(sorted({0, *(places[k] for k in packets.keys if k in places)}))
    return FrameTable(times, keys, seekable=True)


def _by_decoding(uri: str, path: Path) -> FrameTable:
    with opened_video(uri, path) as (container, stream):
        shown = [(frame.pts, bool(frame.key_frame)) for frame in container.decode(stream)]
    times = [time for time, _ in shown if time is not None]
    if len(times) == len(shown) and all(a < b for a, b in pairwise(times)):
        keys = tuple(sorted({0, *(n for n, (_, key) in enumerate(shown) if key)}))
        return FrameTable(tuple(times), keys, seekable=True)
    return FrameTable(tuple(range(len(shown))), (0,), seekable=False)
