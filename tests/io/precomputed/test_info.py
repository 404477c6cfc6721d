"""What an info says is understood, or refused with what is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from volkit.errors import SourceError
from volkit.io import open_volume
from volkit.io.precomputed.info import parse_info

SCALE: dict[str, Any] = {
    "key": "4_4_40",
    "size": [30, 20, 10],
    "resolution": [4, 4, 40.5],
    "voxel_offset": [1, 2, 3],
    "chunk_sizes": [[16, 16, 8], [8, 8, 8]],
    "encoding": "raw",
}
COARSE = {**SCALE, "key": "8", "size": [15, 10, 10], "resolution": [8, 8, 40.5]}
INFO: dict[str, Any] = {
    "type": "image",
    "data_type": "uint8",
    "num_channels": 1,
    "scales": [SCALE],
    "mesh": "mesh",
}
SHARDING = {
    "@type": "neuroglancer_uint64_sharded_v1",
    "preshift_bits": 3,
    "minishard_bits": 2,
    "shard_bits": 4,
    "hash": "identity",
}


def parsed(**changes: Any) -> Any:
    return parse_info(json.dumps({**INFO, **changes}).encode(), uri="em")


def test_axes_are_turned() -> None:
    scale = parsed().scales[0]
    assert (scale.shape, scale.voxel_offset) == ((10, 20, 30), (3, 2, 1))
    assert (scale.chunk_shape, scale.voxel_size_nm) == ((8, 16, 16), (40.5, 4, 4))
    assert scale.grid == (2, 2, 2)
    assert scale.chunk_key((0, 0, 1)) == "4_4_40/17-31_2-18_3-11"
    assert scale.chunk_key((1, 1, 0)) == "4_4_40/1-17_18-22_11-13"


def test_what_must_be_there() -> None:
    for name in ("key", "encoding"):
        with pytest.raises(SourceError, match=f"{name} None, which is not understood"):
            parsed(scales=[{k: v for k, v in SCALE.items() if k != name}])


def test_finest_scale_comes_first() -> None:
    info = parsed(scales=[COARSE, SCALE])
    assert [s.key for s in info.scales] == ["4_4_40", "8"]
    assert [s.place for s in info.scales] == [1, 0]


def test_what_may_be_left_out() -> None:
    plain = {k: v for k, v in SCALE.items() if k != "voxel_offset"}
    scale = parsed(scales=[{**plain, "sharding": None}]).scales[0]
    assert scale.voxel_offset == (0, 0, 0)
    assert scale.sharding is None
    sharded = parsed(scales=[{**SCALE, "sharding": SHARDING}]).scales[0]
    assert sharded.sharding.data_encoding == "raw"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_type": "complex64"}, "its data_type is 'complex64'; known are uint8"),
        ({"data_type": None}, "data_type is 'none'"),
        ({"num_channels": "many"}, "num_channels 'many', which is not understood"),
        ({"num_channels": 0}, "1 scales and 0 channels"),
        ({"scales": []}, "0 scales"),
        ({"scales": ["4_4_40"]}, "scale 0 of its info is '4_4_40'; expected an object"),
        ({"@type": "neuroglancer_legacy_mesh"}, "holds 'neuroglancer_legacy_mesh', not a volume"),
    ],
)
def test_info_that_is_wrong(changes: dict, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        parsed(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": [30, 20]}, r"size is \[30, 20\]; expected three whole numbers of 1 or more"),
        ({"size": [30, 20, 0]}, "size is .*expected three whole"),
        ({"size": [30, 20, 1.5]}, "size is .*expected three whole"),
        ({"size": None}, "size is None"),
        ({"voxel_offset": ["a", 0, 0]}, "voxel_offset is .*expected three whole"),
        ({"resolution": [4, 4, 0]}, "resolution is .*expected three positive lengths"),
        ({"resolution": 4}, "resolution is 4; expected"),
        ({"chunk_sizes": []}, r"chunk_sizes is \[\]"),
        ({"chunk_sizes": [[8, 8, -1]]}, "chunk_sizes is"),
        ({"sharding": {}}, "sharding {} is not understood"),
        ({"sharding": {**SHARDING, "hash": "md5"}}, "is not of the format"),
        ({"sharding": {**SHARDING, "shard_bits": 63}}, "is not of the format"),
        ({"sharding": {**SHARDING, "data_encoding": "zip"}}, "is not of the format"),
        ({"sharding": [1]}, "is not understood"),
    ],
)
def test_scale_that_is_wrong(changes: dict, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        parsed(scales=[{**SCALE, **changes}])


@pytest.mark.parametrize("data", [b"", b"<!doctype html>", b"[1", b"\xff\xfe"])
def test_no_json(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "info").write_bytes(data)
    with pytest.raises(SourceError, match="its info is no JSON.*check the address"):
        open_volume(tmp_path)


def test_list_instead_of_an_info(tmp_path: Path) -> None:
    (tmp_path / "info").write_text("[]")
    with pytest.raises(SourceError, match="holds 'list', not a volume"):
        open_volume(tmp_path)


def test_level_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "info").write_text(json.dumps({**INFO, "scales": [SCALE, COARSE]}))
    with pytest.raises(SourceError, match="has no level 2; it has 0 to 1"):
        open_volume(tmp_path, level=2)
    with pytest.raises(SourceError, match="knows its axes"):
        open_volume(tmp_path, axes="xyz")
    coarse = open_volume(tmp_path, level=1)
    assert coarse.levels == 2
    assert coarse.attributes["mesh"] == "mesh"
    assert coarse.attributes["scale"]["key"] == "8"


def test_scales_share_one_physical_space(tmp_path: Path) -> None:
    """A coarse voxel's centre is the middle of the fine ones that it covers."""
    aligned = {"voxel_offset": [8, 4, 3]}
    half = {**COARSE, "voxel_offset": [4, 2, 3]}
    (tmp_path / "info").write_text(json.dumps({**INFO, "scales": [{**SCALE, **aligned}, half]}))
    fine, coarse = open_volume(tmp_path), open_volume(tmp_path, level=1)
    assert fine.origin_nm == (0, 0, 0)
    assert coarse.origin_nm == (0, 2, 2)
    first, last = fine.scale.to_nm((3, 4, 8)), fine.scale.to_nm((3, 5, 9))
    middle = tuple((a + b) / 2 for a, b in zip(first, last, strict=True))
    assert coarse.scale.to_nm((3, 2, 4)) == middle
