"""Video: frame n is plane n, whatever the container, the codec and the order of reading."""

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from volkit.errors import SourceError
from volkit.geometry import Box
from volkit.io import Volume, open_volume
from volkit.io.files import video
from volkit.io.files.recent import Recent
from volkit.io.files.video_decoder import FrameDecoder
from volkit.io.files.video_frames import frame_table
from volkit.testing.source_contract import SourceTests


def write(path: Path, planes: Sequence[np.ndarray], codec: str, form: str, **how: Any) -> Path:
    """Write planes, grey or RGB, as frames; ``times`` says when each one is shown."""
    times = how.pop("times", range(len(planes)))
    given = {2: {"uint8": "gray", "uint16": "gray16le"}, 3: {"uint8": "rgb24"}}
    with av.open(str(path), "w", options=how.pop("container", {})) as file:
        stream = file.add_stream(codec, rate=25, options=how)
        stream.height, stream.width = planes[0].shape[:2]
        stream.pix_fmt = form
        for time, plane in zip(times, planes, strict=True):
            form_in = given[plane.ndim][plane.dtype.name]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(plane), format=form_in)
            frame.pts = time
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def moving(count: int = 50, shape: tuple[int, int] = (34, 46)) -> np.ndarray:
    """Make frames that each differ from every other, and that codecs can predict."""
    y, x = np.indices(shape)
    return np.stack([16 + (2 * y + 3 * x + 11 * t) % 200 for t in range(count)]).astype("u1")


class TestGrey(SourceTests):
    dtype = "uint8"

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        return open_volume(write(folder / "em.mkv", values, "ffv1", "gray", g="4"))


class TestGreyOf16Bits(SourceTests):
    shape = (1, 7, 5)  # a frame alone

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        return open_volume(write(folder / "em.avi", values, "ffv1", "gray16le"))


class TestColours(SourceTests):
    channels = 3
    dtype = "uint8"

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        planes = values.transpose(1, 2, 3, 0)
        return open_volume(write(folder / "em.mp4", planes, "libx264rgb", "rgb24", qp="0", g="4"))


CODECS = [
    ("a.mkv", "ffv1", "gray", {"g": "7"}),
    ("a.avi", "rawvideo", "gray", {}),
    ("a.avi", "mjpeg", "yuvj420p", {}),
    ("a.mp4", "mpeg4", "yuv420p", {"g": "12", "bf": "2"}),
    ("a.avi", "mpeg4", "yuv420p", {"g": "12", "bf": "2"}),
    ("a.webm", "libvpx-vp9", "yuv420p", {"g": "16", "lag-in-frames": "16", "cpu-used": "8"}),
] + [
    (f"a.{suffix}", "libx264", "yuv420p", {"x264-params": f"{rest}:b-adapt=0:scenecut=0"})
    for suffix, rest in (
        ("mp4", "keyint=12:bframes=3"),
        ("mov", "keyint=12:bframes=3:open-gop=1"),
        ("mkv", "keyint=17:bframes=2:b-pyramid=2"),
        ("avi", "keyint=12:bframes=2"),
        ("mp4", "keyint=500:bframes=0"),
    )
]


@pytest.mark.parametrize(("name", "codec", "form", "how"), CODECS)
def test_every_frame_in_any_order(
    tmp_path: Path, name: str, codec: str, form: str, how: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / name, moving(), codec, form, **how)
    with av.open(str(path)) as file:
        expected = np.stack([f.to_ndarray(format="gray") for f in file.decode(video=0)])
    volume = open_volume(path, axes="zyx")  # the luma, as it is stored
    assert volume.shape == expected.shape == (50, 34, 46)
    if codec in ("ffv1", "rawvideo"):
        np.testing.assert_array_equal(expected, moving())
    else:  # each frame is itself, not a neighbour
        off = np.abs(volume.read()[:, np.newaxis].astype(int) - moving()).mean((2, 3))
        assert off.argmin(1).tolist() == list(range(50))
    monkeypatch.setattr(video, "_PLANES", Recent(0))
    with av.open(str(path)) as file:
        luma = np.stack([np.asarray(f.to_ndarray())[:34, :46] for f in file.decode(video=0)])
    for n in np.random.default_rng(0).permutation(50).tolist():
        box = Box((n, 3, 5), (n + 1, 30, 40))
        np.testing.assert_array_equal(volume.read(box), luma[box.slices], err_msg=f"frame {n}")
    np.testing.assert_array_equal(volume.read(), luma)


def test_rgb_of_a_colour_video_is_that_of_ffmpeg(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", moving(), "libx264", "yuv420p")
    volume = open_volume(path)
    assert (volume.channels, volume.shape) == (3, (50, 34, 46))
    with av.open(str(path)) as file:
        expected = np.stack([f.to_ndarray(format="rgb24") for f in file.decode(video=0)])
    np.testing.assert_array_equal(volume.read(), expected.transpose(3, 0, 1, 2))
    assert volume.attributes["frame_rate"] == 25
    assert volume.attributes["codec"] == "h264"


def test_luma_where_there_is_none(tmp_path: Path) -> None:
    planes = moving(3)[..., np.newaxis].repeat(3, 3)
    path = write(tmp_path / "a.mkv", planes, "ffv1", "bgr0")
    with pytest.raises(SourceError, match="stores bgr0, in which no plane is grey"):
        open_volume(path, axes="zyx")


def test_frames_shown_at_uneven_times(tmp_path: Path) -> None:
    times = np.cumsum(np.random.default_rng(0).integers(1, 9, 50)).tolist()
    path = write(tmp_path / "a.mkv", moving(), "ffv1", "gray", times=times, g="5")
    volume = open_volume(path)
    np.testing.assert_array_equal(volume.read(), moving())
    box = Box((33, 0, 0), (34, 34, 46))
    np.testing.assert_array_equal(volume.read(box), moving()[33:34])


def test_frames_that_times_do_not_tell_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faster than the clock of the file: they are counted, from the first one on."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=4000, options={"g": "1"})
        stream.height, stream.width, stream.pix_fmt = 34, 46, "gray"
        for n, plane in enumerate(moving()):
            frame = av.VideoFrame.from_ndarray(plane, format="gray")
            frame.pts = n
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    assert not frame_table("a", path)[0].seekable
    monkeypatch.setattr(video, "_PLANES", Recent(0))
    volume = open_volume(path)
    for n in (49, 3, 4, 20, 0):
        box = Box((n, 0, 0), (n + 1, 34, 46))
        np.testing.assert_array_equal(volume.read(box), moving()[n : n + 1])


def test_frames_cut_off_by_an_edit(tmp_path: Path) -> None:
    """A phone that trims a clip keeps its frames, and says from when on they are shown."""
    path = write(tmp_path / "a.mp4", moving(), "libx264", "yuv420p", g="25", bf="0")
    content = bytearray(path.read_bytes())
    place = content.index(b"elst") + 4
    assert int.from_bytes(content[place + 4 : place + 8], "big") == 1  # one edit
    with av.open(str(path)) as file:
        tick = file.streams.video[0].time_base.denominator // 25
    content[place + 12 : place + 16] = (10 * tick).to_bytes(4, "big")
    path.write_bytes(content)
    with av.open(str(path)) as file:
        shown = [np.asarray(f.to_ndarray())[:34, :46] for f in file.decode(video=0)]
    assert len(shown) == 40
    volume = open_volume(path, axes="zyx")
    np.testing.assert_array_equal(volume.read(), np.stack(shown))


def test_threads_and_forks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "_PLANES", Recent(0))
    values = moving(30)
    volume = open_volume(write(tmp_path / "a.mkv", values, "ffv1", "gray", g="6"))

    def right(n: int) -> bool:
        return bool((volume.read(Box((n, 0, 0), (n + 1, 34, 46))) == values[n]).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(right, [*range(30), *range(29, -1, -1)]))
    assert right(11)
    read, wrote = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of other tests
        child = os.fork()
    if not child:
        try:
            os.write(wrote, b"1" if right(12) and right(3) else b"0")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(wrote)
    assert os.read(read, 1) == b"1"
    os.close(read)
    assert right(12)


def test_sequential_reading_decodes_each_frame_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = open_volume(write(tmp_path / "a.mkv", moving(), "ffv1", "gray", g="50"))
    decoded: list[int] = []
    plain = FrameDecoder._number

    def counted(self: FrameDecoder, frame: Any) -> int:
        decoded.append(plain(self, frame))
        return decoded[-1]

    monkeypatch.setattr(FrameDecoder, "_number", counted)
    for z in range(0, 50, 10):
        volume.read(Box((z, 0, 0), (z + 10, 34, 46)))
        volume.read(Box((z, 0, 0), (z + 10, 20, 20)))  # held
    assert decoded == list(range(50))
    assert volume.chunk_shape == (50, 34, 46)


@pytest.mark.parametrize(
    ("name", "codec", "how"),
    [
        ("a.mkv", "ffv1", {}),
        ("a.avi", "ffv1", {}),
        ("a.mp4", "libx264", {}),
        ("a.mp4", "libx264", {"container": {"movflags": "faststart"}}),
        ("a.webm", "libvpx-vp9", {"cpu-used": "8"}),
    ],
)
@pytest.mark.parametrize("part", [0, 0.01, 0.3, 0.7, 0.99])
def test_cut(tmp_path: Path, name: str, codec: str, how: Any, part: float) -> None:
    form = "gray" if codec == "ffv1" else "yuv420p"
    path = write(tmp_path / name, moving(), codec, form, **how)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(SourceError, match=f"{name}.*(truncated|no frame)"):
        open_volume(path)


def test_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no film at all" * 100)
    with pytest.raises(SourceError, match="a.mp4 cannot be opened as MP4"):
        open_volume(tmp_path / "a.mp4")
    other = write(tmp_path / "other.mkv", moving(3), "ffv1", "gray")
    (tmp_path / "list.mp4").write_text(f"#EXTM3U\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n")
    with pytest.raises(SourceError, match="list.mp4 cannot be opened as MP4"):
        open_volume(tmp_path / "list.mp4")
    with av.open(str(tmp_path / "sound.mkv"), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), "i2"), layout="mono")
        frame.sample_rate = 8000
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    with pytest.raises(SourceError, match="sound.mkv holds no video stream"):
        open_volume(tmp_path / "sound.mkv")


def test_a_frame_that_cannot_be_decoded(tmp_path: Path) -> None:
    path = write(tmp_path / "a.avi", moving(), "mjpeg", "yuvj420p")
    with av.open(str(path)) as file:
        packet = [p for p in file.demux(video=0) if p.size][40]
        content = bytearray(path.read_bytes())
        content[packet.pos + 20 : packet.pos + packet.size] = bytes(packet.size - 20)
    path.write_bytes(content)
    volume = open_volume(path)
    volume.read(Box((0, 0, 0), (40, 34, 46)))
    with pytest.raises(SourceError, match="frame 40 of a.avi cannot be decoded"):
        volume.read()
    volume.read(Box((41, 0, 0), (50, 34, 46)))
