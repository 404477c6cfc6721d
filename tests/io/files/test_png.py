"""PNG planes: grey, colours, folders, and what would be changed silently."""

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from volkit.errors import SourceError
from volkit.geometry import Box
from volkit.io import Volume, open_volume
from volkit.testing.source_contract import SourceTests


def plain_png(rows: np.ndarray, bits: int, colours: int, width: int) -> bytes:
    """Make a PNG by hand, of a kind that Pillow does not write."""

    def part(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, len(rows), bits, colours, 0, 0, 0)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    ends = (part(b"IHDR", head), part(b"IDAT", zlib.compress(lines)), part(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(ends)


class TestPng(SourceTests):
    shape = (12, 14, 17)

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        for z, plane in enumerate(values):  # z2 must come before z10
            Image.fromarray(plane).save(folder / f"z{z}.png")
        (folder / "notes.txt").write_text("of the microscope")
        (folder / "._z0.png").write_bytes(b"left by a desktop")
        return open_volume(folder)


class TestPngColours(SourceTests):
    channels = 3
    dtype = "uint8"

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        for z, plane in enumerate(values.transpose(1, 2, 3, 0)):
            Image.fromarray(np.ascontiguousarray(plane)).save(folder / f"z{z}.png")
        return open_volume(f"{folder}/z*.png")


@pytest.mark.parametrize(
    ("dtype", "channels"), [("bool", 1), ("u1", 1), ("u2", 1), ("u1", 2), ("u1", 3), ("u1", 4)]
)
def test_kinds(tmp_path: Path, dtype: str, channels: int) -> None:
    shape = (5, 7, channels) if channels > 1 else (5, 7)
    plane = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 60000, shape)
    plane = plane.astype(dtype)
    Image.fromarray(plane).save(tmp_path / "em.png")
    volume = open_volume(tmp_path / "em.png")
    assert volume.shape == (1, 5, 7)
    assert volume.dtype == np.dtype(dtype)
    expected = plane if channels == 1 else plane.transpose(2, 0, 1)
    assert volume.channels == (None if channels == 1 else channels)
    np.testing.assert_array_equal(volume.read()[..., 0, :, :], expected)


def test_what_pillow_would_change(tmp_path: Path) -> None:
    (tmp_path / "deep.png").write_bytes(plain_png(np.zeros((2, 9), ">u2"), 16, 2, width=3))
    with pytest.raises(SourceError, match="deep.png has 16 bits of RGB; read are"):
        open_volume(tmp_path / "deep.png")
    (tmp_path / "four.png").write_bytes(plain_png(np.zeros((2, 2), "u1"), 4, 0, width=3))
    with pytest.raises(SourceError, match="four.png has 4 bits of grey"):
        open_volume(tmp_path / "four.png")
    Image.fromarray(np.zeros((2, 3), "u1")).convert("P").save(tmp_path / "p.png")
    with pytest.raises(SourceError, match="p.png has 8 bits of a palette"):
        open_volume(tmp_path / "p.png")


def test_large_planes_are_no_attack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    Image.fromarray(np.ones((50, 60), "u1")).save(tmp_path / "em.png")
    assert open_volume(tmp_path / "em.png").read().all()


def test_kinds_are_not_mixed(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), "u1"))
    tifffile.imwrite(tmp_path / "b.tiff", np.ones((4, 5), "u1"))
    assert open_volume(tmp_path).shape == (2, 4, 5)
    Image.fromarray(np.zeros((4, 5), "u1")).save(tmp_path / "c.png")
    with pytest.raises(SourceError, match=r"2 TIFF .a.tif. and 1 PNG .c.png.; say which by a"):
        open_volume(tmp_path)
    assert open_volume(tmp_path / "*.png").shape == (1, 4, 5)


def test_planes_that_differ(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 5), "u1")).save(tmp_path / "a1.png")
    Image.fromarray(np.zeros((4, 5), "u2")).save(tmp_path / "a2.png")
    volume = open_volume(tmp_path)
    volume.read(Box((0, 0, 0), (1, 4, 5)))
    with pytest.raises(SourceError, match=r"plane 1 \(a2.png\) is uint16 \(4, 5\), the first one"):
        volume.read()


def test_cut_and_damaged(tmp_path: Path) -> None:
    path = tmp_path / "em.png"
    noise = np.random.default_rng(0).integers(0, 255, (40, 50)).astype("u1")
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    for length in (0, 10, 24):
        path.write_bytes(whole[:length])
        with pytest.raises(SourceError, match="em.png does not begin as PNG does"):
            open_volume(path)
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 255
    for content in (whole[: len(whole) // 2], bytes(damaged)):
        path.write_bytes(content)
        with pytest.raises(SourceError, match=r"plane 0 \(em.png\) cannot be read"):
            open_volume(path).read()


def test_identity_is_short_and_follows_each_plane(tmp_path: Path) -> None:
    for z in range(30):
        Image.fromarray(np.full((4, 5), z, "u1")).save(tmp_path / f"{z}.png")
    before = open_volume(tmp_path).identity
    assert len(before) < 100
    Image.fromarray(np.zeros((4, 6), "u1")).save(tmp_path / "30.png")
    assert open_volume(tmp_path).identity != before


MISSING = """
import sys
sys.modules[{package!r}] = None
from volkit.errors import MissingExtraError
from volkit.io import open_volume
try:
    open_volume({path!r})
except MissingExtraError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("PIL", "em.png"),
        ("tifffile", "em.tif"),
        ("mrcfile", "em.mrc"),
        ("nibabel", "em.nii"),
        ("pydicom", "em.dcm"),
        ("av", "em.mp4"),
    ],
)
def test_missing_package(tmp_path: Path, package: str, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    code = MISSING.format(package=package, path=str(tmp_path / name))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "which is not installed: pip install 'volkit[formats]'" in done.stdout
