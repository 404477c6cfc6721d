"""Thumbnails: what they show, and how little they read."""

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.io import create_volume, open_volume
from volkit.io.volume import Volume
from volkit.kernels.downsample import mean
from volkit.ops import multiscale
from volkit.ops.multiscale import pyramid
from volkit.pipelines import thumbnail as module
from volkit.pipelines.colours import label_colours
from volkit.pipelines.thumbnail import thumbnail, unit_shape
from volkit.testing.strategies import shapes


def test_a_plane_by_hand() -> None:
    """Grey between the darkest and the brightest; each pixel the mean of its voxels."""
    values = np.zeros((3, 4, 8), np.uint8)
    values[1] = np.repeat(np.repeat([[0, 100, 200, 50]], 2, 1), 4, 0)
    found = thumbnail(open_volume(values), longest=4)
    assert found.caption == "the middle plane, z = 1 at level 0"
    assert found.pixels.shape == (2, 4, 3)
    assert found.pixels.dtype == np.uint8
    grey = found.pixels[..., 0]
    assert (grey[:, 0].max(), grey[:, 2].min()) == (0, 255)
    assert abs(int(grey[0, 1]) - 127) <= 3
    assert (found.pixels[..., 0] == found.pixels[..., 2]).all()


def test_pixels_are_squares_of_tissue() -> None:
    volume = open_volume(np.zeros((1, 40, 100), np.uint8), voxel_size_nm=(1, 10, 2))
    assert thumbnail(volume, longest=100).pixels.shape == (100, 50, 3)
    assert thumbnail(volume, longest=10).pixels.shape == (10, 5, 3)
    tiny = open_volume(np.zeros((1, 1, 3), np.uint8))
    assert thumbnail(tiny, longest=500).pixels.shape == (1, 3, 3)


def test_labels_keep_their_colours() -> None:
    labels = np.random.default_rng(0).integers(0, 2**63, (1, 6, 6), np.uint64)
    found = thumbnail(open_volume(labels), longest=3)
    expected = (label_colours(labels[0, 1::2, 1::2]) * 255).astype(np.uint8)
    np.testing.assert_array_equal(found.pixels, expected)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_channels(dtype: str) -> None:
    values = np.zeros((3, 1, 2, 2), dtype)
    values[0, 0, 0, 0] = 9
    pixels = thumbnail(open_volume(values), longest=2).pixels
    red = [255, 0, 0] if dtype == "uint8" else [255, 255, 255]
    assert pixels[0, 0].tolist() == red
    assert pixels[1, 1].tolist() == [0, 0, 0]


@pytest.mark.parametrize("value", [0.0, 5.0, np.nan, np.inf])
def test_planes_without_contrast(value: float) -> None:
    pixels = thumbnail(open_volume(np.full((1, 4, 4), value, np.float32)), longest=4).pixels
    assert pixels.std() == 0


class Reads:
    """What is read of a volume."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.levels: list[int] = []
        self.boxes: list = []
        read = Volume.read

        def noted(volume: Volume, box=None):
            self.levels.append(volume.level)
            self.boxes.append(box)
            return read(volume, box)

        monkeypatch.setattr(Volume, "read", noted)


def test_the_coarsest_level_that_fills_it_is_read(tmp_path, monkeypatch) -> None:
    volume = create_volume(tmp_path / "em.zarr", shape=(8, 64, 64), dtype="uint8")
    volume.write(volume.domain, np.random.default_rng(0).integers(0, 9, volume.shape, np.uint8))
    volume = pyramid(volume, levels=4)
    reads = Reads(monkeypatch)
    assert thumbnail(volume, longest=16).caption == "the middle plane, z = 1 at level 2"
    assert set(reads.levels) == {2}
    assert thumbnail(volume, longest=17).caption.endswith("level 1")
    assert thumbnail(volume, longest=500).caption.endswith("level 0")
    assert thumbnail(volume.at_level(3), longest=2).caption.endswith("level 3")


def test_levels_that_were_never_computed_are_passed_over(tmp_path, monkeypatch) -> None:
    """BossDB gives zeros for them."""
    volume = create_volume(tmp_path / "em.zarr", shape=(8, 64, 64), dtype="uint8")
    volume.write(volume.domain, np.random.default_rng(0).integers(0, 9, volume.shape, np.uint8))
    monkeypatch.setitem(
        multiscale._KERNELS, "mean", lambda v, f, start: mean(v, f, start=start) * 0
    )
    found = thumbnail(pyramid(volume, levels=3), longest=16)
    assert found.caption == "the middle plane, z = 4 at level 0"
    assert found.pixels.std() > 0


def test_a_plane_too_large_is_shown_by_pieces(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "em.zarr"
    array = zarr.create_array(folder, shape=(3, 9000, 6000), chunks=(1, 90, 60), dtype="u1")
    array[1, 4500:4590] = 200  # all else is not stored, and shown as zero
    monkeypatch.setattr(module, "_UNIT_BYTES", 1)
    reads = Reads(monkeypatch)
    found = thumbnail(open_volume(folder), longest=60)
    assert found.caption == "10 x 10 of 100 x 100 pieces of the middle plane, z = 1 at level 0"
    assert found.pixels.shape == (60, 40, 3)
    assert len(reads.boxes) == 100
    assert {box.shape for box in reads.boxes} == {(1, 90, 60)}
    assert len({box.start for box in reads.boxes}) == 100
    rows = {box.start[1] for box in reads.boxes}
    assert min(rows) < 9000 / 10
    assert max(rows) > 9000 * 9 / 10


@settings(max_examples=20)
@given(shape=shapes(largest=12), chunk=shapes(largest=5), longest=st.integers(1, 20))
def test_pieces_put_together_are_the_plane(shape, chunk, longest) -> None:
    """However it is cut: a constant plane stays constant, and the picture has its size."""
    volume = create_volume(
        "memory://thumbnail/em.zarr",
        shape=shape,
        dtype="uint8",
        chunk_shape=chunk,
        overwrite=True,
    )
    volume.write(volume.domain, np.full(shape, 7, np.uint8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_UNIT_BYTES", 1)
        patch.setattr(module, "_MOST_UNITS", 3)
        found = thumbnail(volume, longest=longest)
    high, wide = found.pixels.shape[:2]
    assert max(high, wide) == min(longest, max(shape[1:]))
    assert (found.pixels == 128).all()


@pytest.mark.parametrize(
    ("chunk", "expected"),
    [((64, 64, 64), (64, 64, 64)), ((1, 1, 1), (1, 512, 512)), ((2, 8, 8), (2, 512, 256))],
)
def test_tiny_chunks_are_read_together(tmp_path, chunk, expected) -> None:
    array = zarr.create_array(
        tmp_path / "em.zarr", shape=(999, 9999, 9999), chunks=chunk, dtype="u1"
    )
    assert array.chunks == chunk
    unit = unit_shape(open_volume(tmp_path / "em.zarr"))
    assert sorted(unit) == sorted(expected)
