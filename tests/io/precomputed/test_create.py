"""New layers: equal ones are opened, others kept, and what the format cannot hold is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from volkit.errors import ConfigError, GeometryError, SourceError
from volkit.geometry import Box
from volkit.io import Volume, create_volume, open_volume
from volkit.io.precomputed.scales import add_scale
from volkit.io.sources import OpenOptions

LAYOUT: dict[str, Any] = {
    "shape": (20, 30, 40),
    "dtype": "uint8",
    "voxel_size_nm": (40.0, 4.0, 4.0),
    "start": (7, -3, 0),
    "chunk_shape": (8, 16, 16),
}


def made(folder: Path, **changes: Any) -> Volume:
    return create_volume(f"precomputed://{folder}/em", **{**LAYOUT, **changes})


def info(folder: Path) -> dict[str, Any]:
    stated: dict[str, Any] = json.loads((folder / "em/info").read_bytes())
    return stated


def test_info_of_an_image(tmp_path: Path) -> None:
    made(tmp_path, attributes={"fingerprint": "abc"})
    stated = info(tmp_path)
    assert (stated["type"], stated["data_type"], stated["num_channels"]) == ("image", "uint8", 1)
    assert stated["scales"] == [
        {
            "key": "4_4_40",
            "size": [40, 30, 20],
            "resolution": [4, 4, 40],
            "voxel_offset": [0, -3, 7],
            "chunk_sizes": [[16, 16, 8]],
            "encoding": "raw",
        }
    ]
    assert stated["volkit"]["fingerprint"] == "abc"


@pytest.mark.parametrize(
    ("dtype", "kind", "expected"),
    [
        ("uint64", None, ("segmentation", "compressed_segmentation")),
        ("uint32", "labels", ("segmentation", "compressed_segmentation")),
        ("uint64", "image", ("image", "raw")),
        ("uint8", "labels", ("segmentation", "raw")),
        ("float32", None, ("image", "raw")),
    ],
)
def test_kind_and_encoding(
    tmp_path: Path, dtype: str, kind: Any, expected: tuple[str, str]
) -> None:
    made(tmp_path, dtype=dtype, kind=kind)
    stated = info(tmp_path)
    assert (stated["type"], stated["scales"][0]["encoding"]) == expected


def test_default_layouts_always_fit(tmp_path: Path) -> None:
    for n, shape in enumerate([(1, 1, 1), (64, 65, 300), (200, 100, 100), (70, 129, 1000)]):
        volume = create_volume(f"precomputed://{tmp_path}/{n}", shape=shape, dtype="u1")
        assert all(w >= c for w, c in zip(volume.write_shape, volume.chunk_shape, strict=True))
        assert volume.shape == shape


def test_odd_voxel_sizes(tmp_path: Path) -> None:
    volume = made(tmp_path, voxel_size_nm=(33.3, 4.03, 4.0))
    assert info(tmp_path)["scales"][0]["key"] == "4_4.03_33.3"
    assert volume.voxel_size_nm == (33.3, 4.03, 4.0)


def test_origin_is_kept(tmp_path: Path) -> None:
    volume = made(tmp_path, origin_nm=(100.0, 2.0, -8.0))
    assert volume.origin_nm == (100, 2, -8)
    assert made(tmp_path, origin_nm=(100.0, 2.0, -8.0)) == volume
    with pytest.raises(SourceError, match=r"exists with origin_nm \(100.*asked for origin_nm \(0"):
        made(tmp_path)


def test_equal_layer_is_opened(tmp_path: Path) -> None:
    volume = made(tmp_path)
    values = np.ones(volume.shape, "u1")
    volume.write(volume.domain, values)
    again = made(tmp_path)
    np.testing.assert_array_equal(again.read(), values)
    assert again.identity == volume.identity


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": (20, 30, 41)}, r"shape \(20, 30, 40\); asked for shape \(20, 30, 41\)"),
        ({"dtype": "uint16"}, "dtype uint8; asked for dtype uint16"),
        ({"channels": 1}, "channel axis False; asked for channel axis True"),
        ({"start": (0, 0, 0)}, "start"),
        ({"voxel_size_nm": (1, 1, 1)}, "voxel_size_nm"),
        ({"encoding": "png"}, "encoding raw; asked for encoding png"),
        ({"kind": "labels"}, "kind image; asked for kind segmentation"),
        ({"shard_shape": (16, 32, 32)}, r"chunks per shard None; asked for .*\(2, 2, 2\)"),
        ({"attributes": {"fingerprint": "b"}}, "made by computation None; asked for b"),
    ],
)
def test_other_layer_is_kept(tmp_path: Path, changes: dict, message: str) -> None:
    made(tmp_path)
    with pytest.raises(SourceError, match=f"{message}.*overwrite=True"):
        made(tmp_path, **changes)
    first = open_volume(tmp_path / "em").identity
    replaced = made(tmp_path, **changes, overwrite=True)
    assert replaced.identity != first
    replaced.write(
        replaced.domain,
        np.ones((*((1,) if replaced.channels else ()), *replaced.shape), replaced.dtype),
    )
    assert replaced.read().all()


def test_overwritten_layer_is_gone(tmp_path: Path) -> None:
    volume = made(tmp_path)
    volume.write(volume.domain, np.ones(volume.shape, "u1"))
    made(tmp_path, overwrite=True)
    assert sorted(p.name for p in (tmp_path / "em").iterdir()) == ["info", "provenance"]


def test_killed_creation_is_finished(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "em/info").unlink()
    assert made(tmp_path).shape == (20, 30, 40)


def test_other_things_are_kept(tmp_path: Path) -> None:
    (tmp_path / "em").mkdir()
    (tmp_path / "em/notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(SourceError, match="is not a precomputed layer: it holds notes.txt"):
            made(tmp_path, overwrite=overwrite)
    (tmp_path / "em/info").write_text("my own info")
    with pytest.raises(SourceError, match="its info is no JSON"):
        made(tmp_path, overwrite=True)
    assert (tmp_path / "em/notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": "bool"}, "cannot hold bool; .*convert to uint8"),
        ({"dtype": "int64"}, "cannot hold int64; .*convert to uint64"),
        ({"dtype": "float64"}, "cannot hold float64; .*convert to float32"),
        ({"encoding": "jpeg", "dtype": "uint16"}, "'jpeg' holds uint8 with 1 or 3 channels"),
        ({"encoding": "jpeg", "channels": 2}, "'jpeg' holds uint8 with 1 or 3 channels, not"),
        ({"encoding": "png", "dtype": "float32"}, "'png' holds uint8, uint16"),
        ({"encoding": "compressed_segmentation"}, "holds uint32, uint64, not uint8"),
        ({"encoding": "zstd"}, "'zstd' is not written here; choose raw, jpeg"),
    ],
)
def test_what_the_format_cannot_hold(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        made(tmp_path, **changes)
    assert not (tmp_path / "em").exists()


def test_shards_that_the_format_has_not(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match=r"choose a shard_shape among \(8, 16, 32\)"):
        made(tmp_path, shard_shape=(16, 16, 16))


def test_layout_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="kind='em'; choose 'image' or 'labels'"):
        made(tmp_path, kind="em")
    with pytest.raises(ConfigError, match=r"attributes \['created'\] are set by volkit"):
        made(tmp_path, attributes={"created": 1})
    with pytest.raises(ConfigError, match="is to be zarr, which has no encoding='jpeg'"):
        create_volume(tmp_path / "em.zarr", shape=(1, 1, 1), dtype="u1", encoding="jpeg")


def test_shards_without_a_box_are_read_only(tmp_path: Path) -> None:
    volume = made(tmp_path, shard_shape=(8, 32, 32))
    volume.write(volume.domain, np.ones(volume.shape, "u1"))
    stated = info(tmp_path)
    stated["scales"][0]["sharding"]["shard_bits"] -= 1
    (tmp_path / "em/info").write_text(json.dumps(stated))
    wrapped = open_volume(tmp_path / "em")
    assert wrapped.write_shape == wrapped.chunk_shape
    with pytest.raises(SourceError, match="is read-only: its shards hold no boxes"):
        wrapped.write(wrapped.domain, np.ones(volume.shape, "u1"))


def test_write_must_be_aligned(tmp_path: Path) -> None:
    volume = made(tmp_path, shard_shape=(8, 32, 32))
    with pytest.raises(GeometryError, match="cuts stored objects of"):
        volume.write(Box((7, -3, 0), (15, 13, 16)), np.ones((8, 16, 16), "u1"))
    volume.write(Box((7, -3, 0), (15, 27, 32)), np.ones((8, 30, 32), "u1"))


# --- more scales ----------------------------------------------------------------------------


def test_scales_are_added(tmp_path: Path) -> None:
    volume = made(tmp_path, shard_shape=(8, 32, 32))
    assert add_scale(volume.uri, (1, 2, 2), OpenOptions()) == 1
    assert add_scale(volume.uri, (2, 4, 4), OpenOptions()) == 2
    assert add_scale(volume.uri, (1, 2, 2), OpenOptions()) == 1
    fine = open_volume(volume.uri)
    assert fine.levels == 3
    middle, coarse = fine.at_level(1), fine.at_level(2)
    assert middle.domain == Box((7, -2, 0), (27, 14, 20))
    assert coarse.domain == Box((3, -1, 0), (14, 7, 10))
    assert coarse.voxel_size_nm == (80, 16, 16)
    assert coarse.origin_nm == (20, 6, 6)
    for level in (middle, coarse):
        values = np.arange(np.prod(level.shape)).reshape(level.shape).astype("u1") + 1
        level.write(level.domain, values)
        np.testing.assert_array_equal(level.read(), values)


def test_scales_are_read_by_others(tmp_path: Path) -> None:
    from cloudvolume import CloudVolume

    volume = made(tmp_path, dtype="uint64")
    level = volume.at_level(add_scale(volume.uri, (1, 2, 2), OpenOptions()))
    values = np.arange(np.prod(level.shape), dtype="u8").reshape(level.shape) + np.uint64(2**50)
    level.write(level.domain, values)
    layer = CloudVolume(f"file://{tmp_path}/em", mip=1, progress=False)
    np.testing.assert_array_equal(np.asarray(layer[:])[..., 0].T, values)
    assert tuple(layer.voxel_offset) == (0, -2, 7)


def test_scales_that_cannot_be_added(tmp_path: Path) -> None:
    volume = made(tmp_path)
    with pytest.raises(ConfigError, match="2 or more on one"):
        add_scale(volume.uri, (1, 1, 1), OpenOptions())
    add_scale(volume.uri, (1, 2, 2), OpenOptions())
    stated = info(tmp_path)
    stated["scales"][1]["size"] = [1, 1, 1]
    (tmp_path / "em/info").write_text(json.dumps(stated))
    with pytest.raises(SourceError, match="use that one, or write to another layer"):
        add_scale(volume.uri, (1, 2, 2), OpenOptions())


def test_identity_outlives_more_scales(tmp_path: Path) -> None:
    volume = made(tmp_path)
    before = volume.identity
    add_scale(volume.uri, (2, 2, 2), OpenOptions())
    assert open_volume(volume.uri).identity == before
    copies = [made(tmp_path / name, attributes={"fingerprint": "f"}) for name in "ab"]
    assert copies[0].identity == copies[1].identity
