"""Created volumes: OME-Zarr that others accept, and never another one in its place."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaozarrs
import zarr
from hypothesis import given
from hypothesis import strategies as st
from ome_zarr_models.v05.image import Image

from volkit.errors import ConfigError, ContractError, GeometryError, SourceError
from volkit.geometry import Box, Grid
from volkit.io import create_volume, open_volume
from volkit.io.layout import Layout
from volkit.testing.source_contract import boxes

SAME = {"shape": (20, 30, 40), "dtype": "u2", "voxel_size_nm": (40, 4, 4), "start": (1, 2, 3)}


@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("shard", [None, (16, 16, 16)])
def test_others_accept_it(tmp_path: Path, channels: int | None, shard: tuple | None) -> None:
    volume = create_volume(
        tmp_path / "em.zarr", **SAME, channels=channels, chunk_shape=(8, 8, 8), shard_shape=shard
    )
    lead = () if channels is None else (channels,)
    volume.write(volume.domain, np.ones((*lead, *volume.shape), "u2"))
    yaozarrs.validate_zarr_store(str(tmp_path / "em.zarr"))
    image = Image.from_zarr(zarr.open_group(tmp_path / "em.zarr", mode="r"))
    axes = image.ome_attributes.multiscales[0].axes
    assert [a.name for a in axes] == ["c", "z", "y", "x"][-len(axes) :]
    assert [a.unit for a in axes if a.type == "space"] == ["nanometer"] * 3
    steps = image.ome_attributes.multiscales[0].datasets[0].coordinateTransformations
    assert list(steps[0].scale[-3:]) == [40, 4, 4]
    assert list(steps[1].translation[-3:]) == [40, 8, 12]


def test_says_where_it_is(tmp_path: Path) -> None:
    volume = create_volume(tmp_path / "em.zarr", **SAME, origin_nm=(100, 10, 10))
    assert volume.domain == Box((1, 2, 3), (21, 32, 43))
    assert volume.voxel_size_nm == (40, 4, 4)
    assert volume.origin_nm == (100, 10, 10)
    lazy = volume.to_xarray()
    assert float(lazy.z[0]) == 140
    assert float(lazy.x[-1]) == 10 + 42 * 4


def test_keeps_provenance(tmp_path: Path) -> None:
    volume = create_volume(tmp_path / "em.zarr", **SAME, attributes={"made_by": {"threshold": 0.5}})
    kept = open_volume(volume.uri).attributes["volkit"]
    assert kept["made_by"] == {"threshold": 0.5}
    assert kept["voxel_offset"] == [1, 2, 3]
    with pytest.raises(ConfigError, match=r"\['voxel_offset'\] are set by volkit"):
        create_volume(tmp_path / "b.zarr", **SAME, attributes={"voxel_offset": 1})


def test_compressed_with_checksums(tmp_path: Path) -> None:
    create_volume(tmp_path / "em.zarr", shape=(200, 200, 200), dtype="u1")
    stored = json.loads((tmp_path / "em.zarr/0/zarr.json").read_text())
    shards = stored["codecs"][0]["configuration"]
    assert shards["chunk_shape"] == [64, 64, 64]
    assert stored["chunk_grid"]["configuration"]["chunk_shape"] == [128, 128, 128]
    assert shards["codecs"][-1] == {
        "name": "zstd",
        "configuration": {"level": 1, "checksum": True},
    }
    assert shards["index_codecs"][-1]["name"] == "crc32c"


def test_fingerprint_is_the_identity_wherever_it_lies(tmp_path: Path) -> None:
    a = create_volume(tmp_path / "a.zarr", **SAME, attributes={"fingerprint": "1f"})
    b = create_volume(tmp_path / "b" / "a.zarr", **SAME, attributes={"fingerprint": "1f"})
    c = create_volume(tmp_path / "c.zarr", **SAME, attributes={"fingerprint": "2f"})
    assert a.identity == b.identity != c.identity


def test_equal_volume_is_opened_again(tmp_path: Path) -> None:
    values = np.full((20, 30, 40), 7, "u2")
    first = create_volume(tmp_path / "em.zarr", **SAME)
    first.write(first.domain, values)
    again = create_volume(tmp_path / "em.zarr", **SAME)
    assert again == first
    np.testing.assert_array_equal(again.read(), values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (20, 30, 41)}, r"shape \(20, 30, 40\).*asked for shape \(20, 30, 41\)"),
        ({"dtype": "u1"}, "dtype uint16.*asked for dtype uint8"),
        ({"channels": 2}, "channels None.*asked for channels 2"),
        ({"chunk_shape": (5, 5, 5)}, r"chunk_shape .*asked for chunk_shape \(5, 5, 5\)"),
        ({"start": (0, 0, 0)}, r"start \(1, 2, 3\).*asked for start \(0, 0, 0\)"),
        ({"voxel_size_nm": (4, 4, 4)}, r"voxel_size_nm \(40.0, 4.0, 4.0\).*asked for"),
        ({"attributes": {"fingerprint": "f"}}, "made by computation None; asked for f"),
    ],
)
def test_other_volume_is_refused(tmp_path: Path, change: dict, message: str) -> None:
    create_volume(tmp_path / "em.zarr", **SAME)
    with pytest.raises(SourceError, match=message):
        create_volume(tmp_path / "em.zarr", **(SAME | change))
    new = create_volume(tmp_path / "em.zarr", **(SAME | change), overwrite=True)
    assert new.dtype == (SAME | change)["dtype"]


def test_overwrite_removes_zarr_only(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter1.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(SourceError, match="exists and is not zarr"):
            create_volume(tmp_path / "thesis", **SAME, overwrite=overwrite)
    assert (tmp_path / "thesis/chapter1.txt").exists()


def test_creation_that_was_killed_is_done_again(tmp_path: Path) -> None:
    create_volume(tmp_path / "em.zarr", **SAME)
    (tmp_path / "em.zarr/zarr.json").unlink()  # written last
    with pytest.raises(SourceError, match="no zarr array or group"):
        open_volume(tmp_path / "em.zarr")
    assert create_volume(tmp_path / "em.zarr", **SAME).shape == (20, 30, 40)


def test_overwritten_volume_is_seen_by_old_handles(tmp_path: Path) -> None:
    old = create_volume(tmp_path / "em.zarr", shape=(2, 2, 2), dtype="u1")
    assert old.shape == (2, 2, 2)
    create_volume(tmp_path / "em.zarr", shape=(3, 3, 3), dtype="u1", overwrite=True)
    assert old.shape == (3, 3, 3)


def test_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="choose"):
        create_volume(tmp_path / "file/em.zarr", **SAME)
    with pytest.raises(SourceError, match="cannot be written"):
        create_volume("http://127.0.0.1:9/em.zarr", **SAME, overwrite=False)


@given(data=st.data(), channels=st.sampled_from([None, 2]), sharded=st.booleans())
def test_blocks_written_are_blocks_read(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    channels: int | None,
    sharded: bool,
) -> None:
    small = st.integers(1, 9)
    shape = data.draw(st.tuples(small, small, small))
    chunk = data.draw(st.tuples(*(st.integers(1, 4) for _ in range(3))))
    shard = tuple(2 * n for n in chunk) if sharded else None
    start = data.draw(st.tuples(*(st.integers(-5, 5) for _ in range(3))))
    volume = create_volume(
        tmp_path_factory.mktemp("v") / "em.zarr",
        shape=shape,
        dtype="i4",
        channels=channels,
        start=start,
        chunk_shape=chunk,
        shard_shape=shard,
    )
    lead = () if channels is None else (channels,)
    values = np.arange(np.prod((*lead, *shape)), dtype="i4").reshape((*lead, *shape))
    for block in Grid(volume.domain, volume.write_shape):
        volume.write(block.write, values[(..., *block.write.relative_to(volume.domain).slices)])
    box = data.draw(boxes(volume.domain))
    expected = values[(..., *box.relative_to(volume.domain).slices)]
    np.testing.assert_array_equal(volume.read(box), expected)


def test_boxes_that_cut_stored_objects(tmp_path: Path) -> None:
    volume = create_volume(tmp_path / "em.zarr", **SAME, chunk_shape=(8, 8, 8))
    volume.write(Box((17, 26, 35), (21, 32, 43)), np.zeros((4, 6, 8), "u2"))  # the far corner
    with pytest.raises(
        GeometryError, match=r"on axis y.*whole multiples of \(8, 8, 8\) counted fr"
    ):
        volume.write(Box((1, 3, 3), (9, 10, 11)), np.zeros((8, 7, 8), "u2"))
    with pytest.raises(GeometryError, match=r"on axis z"):
        volume.write(Box((1, 2, 3), (8, 10, 11)), np.zeros((7, 8, 8), "u2"))


def test_values_that_do_not_fit(tmp_path: Path) -> None:
    volume = create_volume(tmp_path / "em.zarr", **SAME)
    with pytest.raises(
        GeometryError, match=r"values of shape \(1, 1, 1\).*expected \(20, 30, 40\)"
    ):
        volume.write(volume.domain, np.zeros((1, 1, 1), "u2"))
    with pytest.raises(ContractError, match="values are float64, .* holds uint16; convert"):
        volume.write(volume.domain, np.zeros(volume.shape))
    with pytest.raises(GeometryError, match=r"is outside .* which covers \[1:21"):
        volume.write(Box((0, 2, 3), (20, 32, 43)), np.zeros(volume.shape, "u2"))


@pytest.mark.parametrize(
    ("layout", "error", "message"),
    [
        ({"shape": (0, 1, 1), "dtype": "u1"}, GeometryError, "has no voxels"),
        ({"shape": (1, 1), "dtype": "u1"}, GeometryError, "not three integers"),
        ({"shape": (8, 8, 8), "dtype": "O"}, SourceError, "cannot be stored"),
        ({"shape": (8, 8, 8), "dtype": "u1", "channels": 0}, GeometryError, "channels=0"),
        (
            {"shape": (8, 8, 8), "dtype": "u1", "chunk_shape": (3, 3, 3), "shard_shape": (8, 8, 8)},
            GeometryError,
            "not whole chunks of 3",
        ),
        ({"shape": (8, 8, 8), "dtype": "u1", "chunk_shape": (0, 3, 3)}, GeometryError, "whole chu"),
        (
            {"shape": (8, 8, 8), "dtype": "u1", "voxel_size_nm": (0, 1, 1)},
            GeometryError,
            "positive",
        ),
        (
            {"shape": (8, 8, 8), "dtype": "u1", "voxel_size_nm": (1, 1)},
            GeometryError,
            "not three n",
        ),
    ],
)
def test_layouts_that_cannot_be(layout: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Layout(**layout)


@given(shape=st.tuples(*(st.integers(1, 500) for _ in range(3))))
def test_default_chunks_divide_shards_and_stay_small(shape: tuple[int, int, int]) -> None:
    layout = Layout(shape, "u1")
    assert layout.chunk_shape is not None
    assert layout.shard_shape is not None
    for chunk, shard in zip(layout.chunk_shape, layout.shard_shape, strict=True):
        assert shard % chunk == 0
        assert chunk <= 128
        assert shard <= 128
