"""Films as clips: colours, grey, odd extents, one frame, and what is damaged."""

from pathlib import Path

import numpy as np
import pytest

from volkit.errors import SourceError
from volkit.io.clips import read_frames
from volkit.kernels.clips import cut_clip
from volkit.testing.stall_clips import ORANGE, write_film


def outlined(count: int = 6, shape: tuple[int, int] = (32, 40)) -> np.ndarray:
    """Grey frames in colours with a thick orange line around (8, 10) to (23, 29)."""
    made = np.full((count, *shape, 3), 90, np.uint8)
    made[:, 8:24, 10:30] = ORANGE
    made[:, 12:20, 14:26] = 120
    return made


def test_colours_are_red_green_and_blue(tmp_path: Path) -> None:
    halves = np.full((6, 32, 40, 3), 120, np.uint8)
    halves[:, :, 20:] = ORANGE
    write_film(tmp_path / "a.mp4", halves, quality=10)
    read = read_frames(tmp_path / "a.mp4").astype(int)
    assert read.shape == (3, 6, 32, 40)
    assert np.abs(read[..., 26:] - np.reshape(ORANGE, (3, 1, 1, 1))).max() < 5
    assert np.abs(read[..., :14] - 120).max() < 5


@pytest.mark.parametrize("shape", [(33, 41), (32, 41), (31, 40)])
def test_odd_extents_are_read(tmp_path: Path, shape) -> None:
    write_film(tmp_path / "a.mp4", outlined(shape=shape))
    read = read_frames(tmp_path / "a.mp4")
    assert read.shape == (3, 6, *shape)
    assert cut_clip(read).flags == ()


def test_one_frame_is_flagged(tmp_path: Path) -> None:
    write_film(tmp_path / "a.mp4", outlined(count=1))
    assert cut_clip(read_frames(tmp_path / "a.mp4")).flags == ("roi_too_small",)


def test_grey_films_have_no_outline(tmp_path: Path) -> None:
    write_film(tmp_path / "a.mp4", outlined()[..., 0])
    read = read_frames(tmp_path / "a.mp4")
    assert read.shape == (3, 6, 32, 40)
    np.testing.assert_array_equal(read[0], read[2])
    assert cut_clip(read).flags == ("no_contour",)


def test_cut_films_are_refused(tmp_path: Path) -> None:
    write_film(tmp_path / "a.mp4", outlined(count=30))
    data = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    with pytest.raises(SourceError, match=r"cut\.mp4"):
        read_frames(tmp_path / "cut.mp4")
    (tmp_path / "text.mp4").write_bytes(b"not a film")
    with pytest.raises(SourceError, match=r"text\.mp4"):
        read_frames(tmp_path / "text.mp4")
    with pytest.raises(SourceError, match=r"absent\.mp4"):
        read_frames(tmp_path / "absent.mp4")


def test_other_voxels_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 5, 6), np.uint16))
    with pytest.raises(SourceError, match=r"holds uint16 .* convert it to 8 bits"):
        read_frames(tmp_path / "a.npy")
