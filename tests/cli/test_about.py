"""The command info, as a person sees it."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import matplotlib.image
import numpy as np
import pytest

from volkit.io import create_volume, open_volume
from volkit.ops.multiscale import pyramid

Says = Callable[..., str]


@pytest.fixture
def em(tmp_path: Path) -> Path:
    volume = create_volume(
        tmp_path / "em.zarr",
        shape=(6, 40, 50),
        dtype="uint16",
        voxel_size_nm=(40, 4, 4),
        start=(1, 2, 3),
        origin_nm=(2500, 0, 1500),
        chunk_shape=(6, 16, 16),
        attributes={"source": {"uri": "bossdb://a/b/c", "level": 0}, "description": "x" * 500},
    )
    values = np.arange(6 * 40 * 50).reshape(volume.shape).astype(np.uint16)
    volume.write(volume.domain, values)
    return tmp_path / "em.zarr"


def rows(said: str) -> dict[str, str]:
    found = (re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in said.splitlines())
    return {row[0]: row[1].strip() for row in found if len(row) == 2}


def test_what_a_volume_is(em: Path, says: Says) -> None:
    pyramid(open_volume(em), levels=3)
    said = says("info", em)
    found = rows(said)
    assert found["shape (z, y, x)"] == "6 x 40 x 50"
    assert found["dtype"] == "uint16, taken as an image"
    assert found["voxel size"] == "40 x 4 x 4 nm"
    assert found["extent"] == "240 x 160 x 200 nm"
    assert found["domain"] == "[1:7, 2:42, 3:53]"
    assert found["origin"] == "2.5 x 0 x 1.5 µm"
    assert found["levels"] == "3 (this is level 0)"
    assert found["chunks"] == "6 x 16 x 16"
    assert found["stored objects"] == "6 x 16 x 16, 12 in all"
    assert found["size"] == "23.4 KiB uncompressed"
    assert found["source"] == "bossdb://a/b/c"
    assert found["description"].startswith("xxx")
    assert said.count("x") < 400
    assert re.search(r"1 +6 x 20 x 26 +40 x 8 x 8 +6 x 16 x 16 +6.1 KiB", said)
    assert re.search(r"2 +6 x 11 x 14 +40 x 16 x 16 +6 x 11 x 14 +1.8 KiB", said)
    assert "time to mirror: less than a second at" in said
    assert "(an estimate from pieces read one after another: " in said
    assert "▀" not in said


def test_another_level(em: Path, says: Says) -> None:
    pyramid(open_volume(em), levels=3)
    found = rows(says("info", em, "--level", 1, "--no-rate"))
    assert found["levels"] == "3 (this is level 1)"
    assert found["domain"] == "[1:7, 1:21, 1:27]"
    assert "has no level 7; it has 0 to 2" in says("info", em, "--level", 7, code=1)


def test_thumbnails(em: Path, says: Says, tmp_path: Path) -> None:
    said = says("info", em, "--no-rate", "--thumbnail")
    lines = [line for line in said.splitlines() if "▀" in line]
    assert len(lines) == 20
    assert {line.count("▀") for line in lines} == {50}
    assert "\x1b[38;2;" in lines[0]
    assert said.splitlines()[-1] == "the middle plane, z = 4 at level 0"
    said = says("info", em, "--no-rate", "--png", tmp_path / "em.png")
    assert f"the middle plane, z = 4 at level 0: {tmp_path / 'em.png'}" in said
    picture = matplotlib.image.imread(tmp_path / "em.png")
    assert picture.shape[:2] == (40, 50)
    assert picture[0, 0, 0] < 0.05
    assert picture[-1, -1, 0] > 0.95


def test_a_voxel_size_that_is_not_stated_is_assumed_only_when_told(
    tmp_path: Path, says: Says
) -> None:
    with h5py.File(tmp_path / "em.h5", "w") as file:
        file["raw"] = np.zeros((4, 8, 8), np.uint8)
    found = rows(says("info", f"{tmp_path}/em.h5::raw", "--no-rate"))
    assert found["voxel size"].startswith("not stated: lengths are voxels")
    assert "extent" not in found
    told = rows(says("info", f"{tmp_path}/em.h5::raw", "--no-rate", "--voxel-size", "40,4,4"))
    assert (told["voxel size"], told["extent"]) == ("40 x 4 x 4 nm", "160 x 32 x 32 nm")
    told = rows(says("info", f"{tmp_path}/em.h5::raw", "--no-rate", "--voxel-size", "1"))
    assert told["voxel size"] == "1 x 1 x 1 nm"
    tree = json.loads(says("info", f"{tmp_path}/em.h5::raw", "--no-rate", "--json"))
    assert (tree["voxel_size_nm"], tree["voxel_size_stated"]) == ([1, 1, 1], False)


def test_what_cannot_be_read_is_said_and_the_rest_is_shown(em: Path, says: Says) -> None:
    for chunk in (em / "0" / "c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"damaged")
    said = says("info", em, "--thumbnail")
    assert rows(said)["shape (z, y, x)"] == "6 x 40 x 50"
    assert "time to mirror: not known, for reading failed:" in said
    tree = json.loads(says("info", em, "--json"))
    assert (tree["shape"], tree["bytes_per_second"]) == ([6, 40, 50], None)
    assert "no thumbnail: " in said


def test_labels_are_called_so(says: Says, tmp_path: Path) -> None:
    volume = create_volume(tmp_path / "ids.zarr", shape=(2, 3, 4), dtype="uint64")
    volume.write(volume.domain, np.ones(volume.shape, np.uint64))
    assert rows(says("info", volume.uri))["dtype"] == "uint64, taken as labels"
