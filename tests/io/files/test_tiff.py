"""TIFF: axes, sizes, levels, tiles, folders, and what is cut or damaged."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from volkit.errors import SourceError
from volkit.geometry import Box
from volkit.io import open_volume


def test_tiff_voxel_sizes(tmp_path: Path) -> None:
    values = np.zeros((3, 4, 5), "u2")
    tifffile.imwrite(
        tmp_path / "imagej.tif",
        values,
        imagej=True,
        resolution=(250, 125),
        metadata={"axes": "ZYX", "spacing": 0.04, "unit": "um"},
    )
    assert open_volume(tmp_path / "imagej.tif").voxel_size_nm == pytest.approx((40, 8, 4))
    size = {"PhysicalSizeX": 0.004, "PhysicalSizeY": 5, "PhysicalSizeZ": 0.04}
    units = {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "nm", "PhysicalSizeZUnit": "µm"}
    tifffile.imwrite(tmp_path / "em.ome.tif", values, metadata={"axes": "ZYX", **size, **units})
    assert open_volume(tmp_path / "em.ome.tif").voxel_size_nm == pytest.approx((40, 5, 4))


@pytest.mark.parametrize("axes", ["ZCYX", "CZYX", "TZCYX"])
def test_tiff_channels(tmp_path: Path, axes: str) -> None:
    shape = tuple({"T": 1, "C": 2, "Z": 3, "Y": 4, "X": 5}[a] for a in axes)
    values = np.arange(np.prod(shape), dtype="u2").reshape(shape)
    tifffile.imwrite(tmp_path / "em.ome.tif", values, metadata={"axes": axes})
    volume = open_volume(tmp_path / "em.ome.tif")
    assert (volume.shape, volume.channels) == ((3, 4, 5), 2)
    left = values.squeeze(axes.index("T")) if "T" in axes else values
    expected = left if axes == "CZYX" else left.transpose(1, 0, 2, 3)
    box = Box((1, 0, 2), (3, 4, 4))
    np.testing.assert_array_equal(volume.read(box), expected[(..., *box.slices)])


def test_tiff_plane_alone(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "em.tif", np.ones((4, 5), "u1"))
    assert open_volume(tmp_path / "em.tif").shape == (1, 4, 5)


def test_tiff_pattern(tmp_path: Path) -> None:
    for name, value in (("a1", 1), ("a2", 2), ("b1", 9)):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.full((4, 5), value, "u1"))
    assert open_volume(tmp_path / "a*.tif").read()[:, 0, 0].tolist() == [1, 2]
    with pytest.raises(SourceError, match="no .tif, .tiff or .png files"):
        open_volume(tmp_path / "c*.tif")


def test_tiff_planes_that_differ(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a1.tif", np.zeros((4, 5), "u1"))
    tifffile.imwrite(tmp_path / "a2.tif", np.zeros((4, 6), "u1"))
    with pytest.raises(SourceError, match=r"plane 1 \(a2.tif\) is uint8 \(4, 6\), the first one"):
        open_volume(tmp_path).read()


def test_tiff_truncated(tmp_path: Path) -> None:
    path = tmp_path / "em.tif"
    tifffile.imwrite(path, np.ones((3, 40, 50), "u1"), photometric="minisblack")
    whole = path.read_bytes()
    for length in (0, 4, 1000):
        path.write_bytes(whole[:length])
        with pytest.raises(SourceError, match="em.tif"):
            open_volume(path).read()


def test_tiff_cut_between_pages(tmp_path: Path) -> None:
    """tifffile gives the pages that are left; that would be a smaller volume, silently."""
    path = tmp_path / "em.tif"
    noise = np.random.default_rng(0).integers(0, 255, (9, 40, 50)).astype("u1")
    tifffile.imwrite(path, noise, compression="zlib")
    whole = path.read_bytes()
    np.testing.assert_array_equal(open_volume(path).read(), noise)
    for part in (0.3, 0.5, 0.7):
        path.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(SourceError, match=r"em\.tif is truncated: after \d pages"):
            open_volume(path)
    path.write_bytes(whole[:-100])  # within the last plane
    with pytest.raises(SourceError, match=r"em\.tif"):
        open_volume(path).read()


def test_tiff_damaged_plane(tmp_path: Path) -> None:
    path = tmp_path / "em.tif"
    noise = np.random.default_rng(0).integers(0, 9, (3, 40, 50)).astype("u1")
    tifffile.imwrite(path, noise, photometric="minisblack", compression="zlib")
    with tifffile.TiffFile(path) as file:
        place = file.pages[1].dataoffsets[0] + 40
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 255
    path.write_bytes(damaged)
    volume = open_volume(path)
    np.testing.assert_array_equal(volume.read(Box((2, 0, 0), (3, 40, 50))), noise[2:])
    with pytest.raises(SourceError, match=r"plane 1 \(em.tif\) cannot be read"):
        volume.read()


def test_tiff_set_of_files(tmp_path: Path) -> None:
    values = np.arange(24, dtype="u1").reshape(2, 3, 4)
    planes = "".join(
        f'<TiffData IFD="0" FirstZ="{z}" PlaneCount="1"><UUID FileName="z{z}.ome.tif">'
        f"urn:uuid:0000000{z}-0000-0000-0000-000000000000</UUID></TiffData>"
        for z in range(2)
    )
    for z in range(2):
        text = (
            '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:0000000{z}-0000-0000-0000-000000000000"><Image ID="Image:0">'
            '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="4" SizeY="3" '
            f'SizeZ="2" SizeC="1" SizeT="1"><Channel ID="C:0"/>{planes}</Pixels></Image></OME>'
        )
        tifffile.imwrite(tmp_path / f"z{z}.ome.tif", values[z], description=text, metadata=None)
    np.testing.assert_array_equal(open_volume(tmp_path / "z0.ome.tif").read(), values)
