"""TIFF: levels, tiles and strips, large pieces, colours."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from volkit.errors import SourceError
from volkit.geometry import Box
from volkit.io import Volume, open_volume
from volkit.io.files import tiff_pages
from volkit.io.files.tiff_scale import level_factors
from volkit.testing.source_contract import SourceTests

SIZE = {"PhysicalSizeX": 0.004, "PhysicalSizeY": 0.006, "PhysicalSizeZ": 0.04}


def pyramid(path: Path, values: np.ndarray, **how: Any) -> Path:
    """Write an OME-TIFF of three levels, each with every second voxel of a plane."""
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(values, subifds=2, metadata={"axes": "ZYX", **SIZE}, **how)
        for step in (2, 4):
            file.write(values[:, ::step, ::step], subfiletype=1, metadata=None, **how)
    return path


class TestTiles(SourceTests):
    shape = (3, 70, 85)
    voxel_size_nm = (40.0, 6.0, 4.0)

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        return open_volume(pyramid(folder / "em.ome.tif", values, tile=(32, 16)))


class TestCoarserLevel(TestTiles):
    voxel_size_nm = (40.0, 12.0, 8.0)

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        finest = values.repeat(2, 1).repeat(2, 2)[:, :-1]  # an odd extent, rounded up
        path = pyramid(folder / "em.ome.tif", finest, tile=(32, 16), compression="zlib")
        return open_volume(path, level=1)


class TestStrips(SourceTests):
    shape = (3, 70, 85)

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        tifffile.imwrite(
            folder / "em.tif",
            values,
            rowsperstrip=16,
            compression="zlib",
            predictor=True,
            photometric="minisblack",
        )
        return open_volume(folder / "em.tif")


class TestTilesInFiles(SourceTests):
    shape = (3, 70, 85)
    dtype = "float32"

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        for z, plane in enumerate(values):
            tifffile.imwrite(folder / f"{z}.tiff", plane, tile=(16, 32), byteorder=">")
        return open_volume(folder)


class TestColours(SourceTests):
    channels = 3
    dtype = "uint8"

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        for z, plane in enumerate(values.transpose(1, 2, 3, 0)):
            tifffile.imwrite(folder / f"{z}.tif", plane, photometric="rgb", compression="zlib")
        return open_volume(folder)


class TestSeparateColours(SourceTests):
    channels = 3
    dtype = "uint8"

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        planes = values.transpose(1, 0, 2, 3)
        how = {"photometric": "rgb", "planarconfig": "separate", "tile": (16, 16)}
        tifffile.imwrite(folder / "em.tif", planes, metadata={"axes": "ZSYX"}, **how)
        return open_volume(folder / "em.tif")


def test_levels(tmp_path: Path) -> None:
    values = np.arange(2 * 33 * 50, dtype="u2").reshape(2, 33, 50)
    volume = open_volume(pyramid(tmp_path / "em.ome.tif", values, tile=(16, 16)))
    assert volume.levels == 3
    assert volume.chunk_shape == (1, 16, 16)
    for level, step in enumerate((1, 2, 4)):
        coarse = volume.at_level(level)
        np.testing.assert_array_equal(coarse.read(), values[:, ::step, ::step])
        assert coarse.voxel_size_nm == pytest.approx((40, 6 * step, 4 * step))
        # Voxel (0, 0, 0) covers `step` voxels of the finest level: its centre lies between them.
        assert coarse.origin_nm == pytest.approx((0, 3 * (step - 1), 2 * (step - 1)))
    with pytest.raises(SourceError, match="has no level 3; it has 0 to 2, 0 the finest"):
        volume.at_level(3)


def test_levels_without_a_size(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "em.tif") as file:
        file.write(np.zeros((40, 60), "u1"), subifds=1, tile=(16, 16))
        file.write(np.zeros((20, 30), "u1"), subfiletype=1, tile=(16, 16))
    volume = open_volume(tmp_path / "em.tif", level=1)
    assert (volume.shape, volume.voxel_size_nm) == ((1, 20, 30), (1, 2, 2))


@pytest.mark.parametrize(
    ("finest", "extent", "factor"),
    [(1001, 500, 2), (1001, 501, 2), (1003, 250, 4), (1000, 1000, 1), (9, 3, 3), (10, 7, 10 / 7)],
)
def test_factors(finest: int, extent: int, factor: float) -> None:
    assert level_factors([finest], [extent]) == [pytest.approx(factor)]


def test_only_the_pieces_that_a_box_touches_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.arange(128 * 256, dtype="u2").reshape(1, 128, 256)
    tifffile.imwrite(tmp_path / "em.tif", values[0], tile=(32, 32), compression="zlib")
    volume = open_volume(tmp_path / "em.tif")
    decoded: list[int] = []
    plain = tiff_pages.Layout._decoded

    def counted(self: Any, page: Any, file: Any, number: int) -> Any:
        decoded.append(number)
        return plain(self, page, file, number)

    monkeypatch.setattr(tiff_pages.Layout, "_decoded", counted)
    box = Box((0, 30, 60), (1, 40, 70))
    np.testing.assert_array_equal(volume.read(box), values[box.slices])
    assert decoded == [1, 2, 9, 10]  # of 4 x 8 tiles


def test_tile_that_is_not_stored(tmp_path: Path) -> None:
    """A sparse file leaves out tiles that hold nothing."""
    path = tmp_path / "em.tif"
    with tifffile.TiffWriter(path) as file:
        tiles = iter([np.full((16, 16), 1, "u1"), None, None, np.full((16, 16), 4, "u1")])
        file.write(tiles, shape=(32, 32), dtype="u1", tile=(16, 16), compression="zlib")
    found = open_volume(path).read()[0]
    assert [found[0, 0], found[0, 31], found[31, 0], found[31, 31]] == [1, 0, 0, 4]


def test_stack_stored_in_one_piece(tmp_path: Path) -> None:
    """ImageJ lists one page and lets the others follow it, above 4 GiB always."""
    path = tmp_path / "em.tif"
    values = np.arange(3 * 40 * 50, dtype="u2").reshape(3, 40, 50)
    tifffile.imwrite(path, values, imagej=True, metadata={"axes": "ZYX"})
    content = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 3
        first = file.pages[0]
        order, end = file.byteorder, first.offset + 2 + 12 * len(first.tags)
    big = {">": "big", "<": "little"}[order]
    path.write_bytes(content[:end] + (0).to_bytes(4, big) + content[end + 4 :])
    volume = open_volume(path)
    np.testing.assert_array_equal(volume.read(), values)
    path.write_bytes(path.read_bytes()[:7000])
    with pytest.raises(SourceError, match="truncated"):
        open_volume(path)


@pytest.mark.parametrize("compression", [5, 34712, 50000])  # LZW, JPEG 2000, Zstandard
def test_compression_that_is_not_installed(tmp_path: Path, compression: int) -> None:
    if find_spec("imagecodecs"):
        pytest.skip("the decoders are installed here")
    path = tmp_path / "em.tif"
    tifffile.imwrite(path, np.zeros((40, 50), "u1"), compression="zlib")
    content = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags["Compression"]
        place, order = tag.valueoffset, "little" if file.byteorder == "<" else "big"
    path.write_bytes(content[:place] + compression.to_bytes(2, order) + content[place + 2 :])
    with pytest.raises(SourceError, match="needs another package .*pip install imagecodecs"):
        open_volume(path).read()
